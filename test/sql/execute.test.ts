// SQL's own PREPARE and EXECUTE through the whole gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectTo, startTestGateway } from "../support/gateway.ts";

const open = `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
`;
const gw = await startTestGateway({
  schema: "create table people (id int primary key, name text); insert into people values (1, 'Ana'), (2, 'Bo')",
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
