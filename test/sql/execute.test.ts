// SQL's own PREPARE and EXECUTE through the whole gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectTo, startTestGateway } from "../support/gateway.ts";

const open = `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
`;
const gw = await startTestGateway({
  schema: `create table people (id int primary key, name text); insert into people values (1, 'Ana'), (2, 'Bo');
    create schema one; create table one.t as select 'one' as v; create schema two; create table two.t as select 'two' as v;`,
  policy: open,
});

test("EXECUTE runs what was prepared, under the policies of its own moment", async () => {
  const client = await connectTo(gw, gw.port, { sub: "olga", kind: "human", groups: [] });
  await client.query("PREPARE one (int) AS SELECT name FROM people WHERE id = $1");
  assert.deepEqual((await client.query("EXECUTE one (1)")).rows, [{ name: "Ana" }]);
  gw.writePolicy(`${open}\nmask names of public.people.name using partial(first: 1) at "test-pg"\n`);
  await gw.gateway.policy.reload();
  assert.deepEqual((await client.query("EXECUTE one (1)")).rows, [{ name: "A***" }]);
  await assert.rejects(client.query("EXECUTE one (1, 2)"), {
    message: "EXECUTE has more arguments than the prepared statement has parameters",
  });
  await client.query("DEALLOCATE one");
  await assert.rejects(client.query("EXECUTE one (1)"), { code: "26000" });
  await client.end();
});

test("EXECUTE means what its names mean at its own moment: search_path, temporary tables, several in one message", async () => {
  const client = await connectTo(gw, gw.port, { sub: "olga", kind: "human", groups: [] });
  const value = async (run: string | { name: string; text: string }): Promise<unknown> =>
    (await client.query<{ v: unknown }>(run)).rows[0]?.v;
  await client.query("SET search_path = one");
  await client.query('PREPARE "as" (numeric(3,1)) /* as */ AS SELECT v FROM t -- as');
  assert.equal(await value('EXECUTE "as" (1)'), "one");
  await client.query("SET search_path = two");
  assert.equal(await value('EXECUTE "as" (1)'), "two");
  await client.query("BEGIN; SET LOCAL search_path = one");
  assert.equal(await value('EXECUTE "as" (1)'), "one");
  await client.query("ROLLBACK");
  assert.equal(await value('EXECUTE "as" (1)'), "two");
  const all = (await client.query('SET search_path = one; EXECUTE "as" (1)')) as unknown as { rows: unknown[] }[];
  assert.deepEqual(all[1]?.rows, [{ v: "one" }]);
  await client.query("SET search_path = nowhere");
  await assert.rejects(client.query('EXECUTE "as" (1)'), { code: "42P01", position: undefined });
  await client.query("CREATE TEMPORARY TABLE t AS SELECT 'temporary' AS v");
  assert.equal(await value('EXECUTE "as" (1)'), "temporary");
  await client.query("DROP TABLE t");
  await client.query("SET search_path = two");
  // The same, by the protocol.
  assert.equal(await value({ name: "p", text: "SELECT v FROM t" }), "two");
  await client.query("SET search_path = one");
  assert.equal(await value({ name: "p", text: "SELECT v FROM t" }), "one");
  await client.end();
});
