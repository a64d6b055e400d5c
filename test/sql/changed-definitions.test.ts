// Definitions that others change, around the gateway, right before a statement: it is judged by what they are now.
import assert from "node:assert/strict";
import { test } from "node:test";
import type pg from "pg";
import { watchedRelations } from "../../engine/sql/definition-watch.ts";
import { startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";
import { analyzed, contextOf, makeWorld } from "./support.ts";

const schema = `
create table people (id int primary key, name text, wage int);
insert into people values (1, 'Ana', 4100), (2, 'Bo', 5200);
create table rooms (id int primary key, label text);
insert into rooms values (1, 'Blue');
create view roster as select id, label from rooms;
create view chain as select * from roster;
create table visits (ward text, cost int) partition by list (ward);
create table visits_a partition of visits for values in ('A');
create table visits_b (ward text, cost int);
create table staff (id int, badge text);
create table temps () inherits (staff);
create table loose (id int, badge text, extra int);
create table vault (id int, label text);
insert into vault values (1, 'SECRET');
`;
const gw = await startTestGateway({
  schema,
  policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
deny vault on sql of public.vault at "test-pg"
mask wages of public.people.wage using nullify at "test-pg"
mask costs of public.visits.cost using nullify at "test-pg"
mask badges of public.staff.badge using nullify at "test-pg"
`,
});
const direct = (sql: string): Promise<void> =>
  withClient(gw.database, async (client) => {
    await client.query(sql);
  });
const connect = (): Promise<pg.Client> => gw.connect({ sub: "olga", kind: "human", groups: [] });
const rows = async (client: pg.Client, sql: string | pg.QueryConfig): Promise<unknown> =>
  (await client.query<Record<string, unknown>>(sql)).rows;

test("a view that was replaced a moment ago is opened by its new definition, through another view too", async () => {
  const client = await connect();
  assert.deepEqual(await rows(client, "SELECT * FROM chain"), [{ id: 1, label: "Blue" }]);
  const bound = { name: "q", text: "SELECT label FROM roster WHERE id = $1", values: [1] };
  assert.deepEqual(await rows(client, bound), [{ label: "Blue" }]);
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, wage::text AS label FROM people");
  assert.deepEqual(await rows(client, "SELECT * FROM chain ORDER BY id"), [
    { id: 1, label: null },
    { id: 2, label: null },
  ]);
  assert.deepEqual(await rows(client, bound), [{ label: null }]);
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, label FROM vault");
  await assert.rejects(rows(client, "SELECT count(*) FROM chain WHERE label = 'SECRET'"), { code: "42501" });
  await assert.rejects(rows(client, bound), { code: "42501" });
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, label FROM rooms");
  assert.deepEqual(await rows(client, bound), [{ label: "Blue" }]);
  await client.end();
});

test("several statements in a message, and a view in an open transaction, too", async () => {
  const client = await connect();
  await client.query("BEGIN");
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, wage::text AS label FROM people");
  assert.deepEqual(await rows(client, "SELECT label FROM roster WHERE id = 1"), [{ label: null }]);
  await client.query("ROLLBACK");
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, label FROM vault");
  await assert.rejects(client.query("SELECT 1; SELECT label FROM chain"), { code: "42501" });
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, label FROM rooms");
  await client.end();
});

test("a table that became a partition, or a child, a moment ago has its parent's masks", async () => {
  const client = await connect();
  assert.deepEqual(await rows(client, "SELECT * FROM visits_b"), []);
  await direct(
    "ALTER TABLE visits ATTACH PARTITION visits_b FOR VALUES IN ('B'); INSERT INTO visits VALUES ('B', 990)",
  );
  assert.deepEqual(await rows(client, "SELECT cost FROM visits_b"), [{ cost: null }]);
  await direct("ALTER TABLE loose INHERIT staff; INSERT INTO loose VALUES (1, '4711', 0)");
  assert.deepEqual(await rows(client, "SELECT count(*)::int AS n FROM loose WHERE badge = '4711'"), [{ n: 0 }]);
  await client.end();
});

test("a statement whose like was seen before, with other literals, is asked about too", async () => {
  const client = await connect();
  for (const id of [1, 2, 3, 4]) await rows(client, `SELECT label FROM chain WHERE id = ${id} AND label <> 'x'`);
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, wage::text AS label FROM people");
  assert.deepEqual(await rows(client, "SELECT id FROM chain WHERE id = 5 OR label = '4100'"), []);
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, label FROM vault");
  for (const id of [1, 2])
    await assert.rejects(rows(client, `SELECT label FROM chain WHERE id = ${id} AND label <> 'y'`), { code: "42501" });
  await direct("CREATE OR REPLACE VIEW roster AS SELECT id, label FROM rooms");
  await client.end();
});

test("what a moment ago was made is known, and what is gone is not", async () => {
  const client = await connect();
  await direct("CREATE TABLE fresh (id int); INSERT INTO fresh VALUES (7)");
  assert.deepEqual(await rows(client, "SELECT * FROM fresh"), [{ id: 7 }]);
  await direct("ALTER TABLE fresh ADD COLUMN more int DEFAULT 8");
  assert.deepEqual(await rows(client, "SELECT more FROM fresh"), [{ more: 8 }]);
  await direct("DROP TABLE fresh");
  await assert.rejects(rows(client, "SELECT * FROM fresh"), { code: "42P01" });
  await client.end();
});

test("only what others can change the meaning of is asked about", async () => {
  const { catalog } = await makeWorld(schema);
  const context = contextOf(catalog);
  const namesIn = (sql: string): readonly string[] =>
    watchedRelations(analyzed(sql, context), catalog).map((oid) => catalog.relationsByOid.get(oid)?.name ?? "");
  assert.deepEqual(namesIn("SELECT * FROM people JOIN rooms USING (id)"), []);
  assert.deepEqual(namesIn("SELECT relname FROM pg_tables, pg_class"), []);
  assert.deepEqual(namesIn("UPDATE rooms SET label = (SELECT max(label) FROM chain)"), ["chain", "roster"]);
  assert.deepEqual(namesIn("SELECT * FROM visits"), []);
  assert.deepEqual(namesIn("SELECT * FROM visits_b, loose"), ["visits_b", "loose"]);
});
