// Temporary tables through the whole gateway: no session sees another's, no transaction leaves a wrong one behind.
import assert from "node:assert/strict";
import { test } from "node:test";
import type pg from "pg";
import { startTestGateway } from "../support/gateway.ts";

const gw = await startTestGateway({
  schema: `create table people (id int primary key, name text); insert into people values (1, 'Ana'), (2, 'Bo');
    create table scratch (id int)`,
  policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
mask names of public.people.name using partial(first: 1) at "test-pg"
`,
});
const ada = { sub: "ada", kind: "human", groups: [] };
const rows = async (client: pg.Client, text: string, values?: unknown[]) =>
  (await client.query({ text, ...(values ? { values } : {}) })).rows;

test("a temporary table holds masked rows and is its session's alone", async () => {
  const [one, two] = [await gw.connect(ada), await gw.connect(ada)];
  await one.query("CREATE TEMP TABLE people AS SELECT * FROM people");
  assert.deepEqual(await rows(one, "SELECT name FROM people WHERE id = $1", [1]), [{ name: "A***" }]);
  assert.deepEqual(await rows(two, "SELECT id, name FROM people ORDER BY id DESC LIMIT 1"), [{ id: 2, name: "B***" }]);
  await one.query("INSERT INTO people VALUES (3, 'Cleo')");
  assert.deepEqual(await rows(one, "SELECT name FROM people WHERE id = 3"), [{ name: "Cleo" }]);
  assert.deepEqual(await rows(two, "SELECT name FROM people WHERE id = 3"), []);
  await assert.rejects(two.query("SELECT * FROM pg_temp.people"), { code: "42P01" });
  await one.query("DROP TABLE people");
  assert.deepEqual(await rows(one, "SELECT count(*)::int AS n FROM people"), [{ n: 2 }]);
});

test("a prepared statement means what its names mean when it is run", async () => {
  const client = await gw.connect(ada);
  const text = "SELECT count(*)::int AS n FROM scratch";
  const run = async () => (await client.query({ name: "q", text })).rows;
  assert.deepEqual(await run(), [{ n: 0 }]);
  await client.query("CREATE TEMP TABLE scratch (id int)");
  await client.query("INSERT INTO scratch VALUES (1), (2)");
  assert.deepEqual(await run(), [{ n: 2 }]);
  await client.query("DROP TABLE scratch");
  assert.deepEqual(await run(), [{ n: 0 }]);
});

test("transactions, savepoints, errors and DISCARD take tables with them", async () => {
  const client = await gw.connect(ada);
  const isThere = async () => {
    const found = await rows(client, "SELECT id FROM scratch WHERE id = 7");
    return found.length === 1;
  };
  const fill = "CREATE TEMP TABLE scratch AS SELECT 7 AS id";
  await client.query("BEGIN");
  await client.query(fill);
  assert.equal(await isThere(), true);
  await client.query("SAVEPOINT s");
  await client.query("DROP TABLE scratch");
  assert.equal(await isThere(), false);
  await client.query("ROLLBACK TO s");
  assert.equal(await isThere(), true);
  await client.query("ROLLBACK");
  assert.equal(await isThere(), false);

  await assert.rejects(client.query(`${fill}; SELECT 1/0`), { code: "22012" });
  assert.equal(await isThere(), false);

  await client.query("BEGIN");
  await client.query("CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT 7 AS id");
  assert.equal(await isThere(), true);
  await client.query("COMMIT");
  assert.equal(await isThere(), false);

  await client.query(fill);
  await client.query("DISCARD ALL");
  assert.equal(await isThere(), false);
});

test("what one pipeline makes, the same pipeline reads", async () => {
  const client = await gw.connect(ada);
  const [, , read] = (await client.query(
    "CREATE TEMP TABLE p (a int); INSERT INTO p VALUES (4); SELECT a FROM p",
  )) as unknown as pg.QueryResult[];
  assert.deepEqual(read?.rows, [{ a: 4 }]);
  const all = await Promise.all([
    client.query({ text: "CREATE TEMP TABLE q AS SELECT $1::int AS a", values: [5] }),
    client.query({ text: "SELECT a FROM q WHERE a = $1", values: [5] }),
    client.query("DROP TABLE q"),
  ]);
  assert.deepEqual(all[1].rows, [{ a: 5 }]);
});

test("COPY in and out of one works", async () => {
  const client = await gw.connect(ada);
  await client.query("CREATE TEMP TABLE c (id int, name text)");
  await client.query("INSERT INTO c SELECT * FROM people");
  assert.deepEqual(await rows(client, "SELECT * FROM c ORDER BY id LIMIT 1"), [{ id: 1, name: "A***" }]);
  await client.query("TRUNCATE c");
  assert.deepEqual(await rows(client, "SELECT * FROM c"), []);
});

test("a policy that allows it doesn't allow CREATE, and the other way round", async () => {
  const client = await gw.connect(ada);
  await assert.rejects(client.query("CREATE TABLE kept (a int)"), { code: "42501" });
  await assert.rejects(client.query("SELECT 1 AS a INTO kept"), { code: "42501" });
  gw.writePolicy('package acme.test\n\nallow staff on sql read, write, tcl, create at "test-pg"\n');
  await gw.gateway.policy.reload();
  await assert.rejects(client.query("CREATE TEMP TABLE t (a int)"), { code: "42501" });
});
