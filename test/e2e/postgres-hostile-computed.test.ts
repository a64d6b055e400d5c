// What the database computes from masked values answers questions about them, by being NULL too.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTestGateway } from "../support/gateway.ts";

const gw = await startTestGateway({
  schema: `create table people (id int primary key, wage int, code text,
      is_rich text generated always as (case when wage > 5000 then 'yes' end) stored,
      code_key text generated always as (md5(code)) stored);
    insert into people values (1, 4000, 'a'), (2, 6000, null);
    create materialized view rich as select id, nullif(wage, 4000) as other from people`,
  policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
mask wages of public.people.wage using bucket(size: 10000) at "test-pg"
mask codes of public.people.code using nullify at "test-pg"
`,
});

test("a generated column is NULL whatever it was computed from", async () => {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  const { rows } = await client.query("select id, is_rich, code_key, is_rich is null as n from people order by id");
  assert.deepEqual(rows, [
    { id: 1, is_rich: null, code_key: null, n: true },
    { id: 2, is_rich: null, code_key: null, n: true },
  ]);
});

test("what a materialized view computed is NULL too", async () => {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  const { rows } = await client.query("select id, other from rich order by id");
  assert.deepEqual(rows, [
    { id: 1, other: null },
    { id: 2, other: null },
  ]);
});
