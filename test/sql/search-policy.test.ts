// `searchable` from the policy's text to the rows, through the whole gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import { connectTo, startTestGateway } from "../support/gateway.ts";

const policy = `package acme.test

allow staff on sql read, tcl, session at "test-pg"

mask addresses of public.people.email using partial(first: 1) searchable at "test-pg"
`;
const gw = await startTestGateway({
  schema: "create table people (id int primary key, email text); insert into people values (1, 'ana@x'), (2, 'bo@x')",
  policy,
});

test("a searchable column is found by its value, until another mask closes it", async () => {
  const client = await connectTo(gw, gw.port, { sub: "olga", kind: "human", groups: [] });
  const find = async () => {
    const bound = await client.query("SELECT id, email FROM people WHERE email = $1", ["ana@x"]);
    const simple = await client.query("SELECT id, email FROM people WHERE email = 'ana@x'");
    assert.deepEqual(bound.rows, simple.rows);
    return simple.rows;
  };
  assert.deepEqual(await find(), [{ id: 1, email: "a***" }]);
  await client.query("PREPARE one (text) AS SELECT id FROM people WHERE email = $1");
  assert.deepEqual((await client.query("EXECUTE one ('ana@x')")).rows, [{ id: 1 }]);
  assert.deepEqual((await client.query("SELECT id FROM people WHERE email LIKE 'an%'")).rows, []);
  gw.writePolicy(`${policy}\nmask closed of public.people.email using partial(first: 1) at "test-pg"\n`);
  await gw.gateway.policy.reload();
  assert.deepEqual(await find(), []);
  await client.end();
});
