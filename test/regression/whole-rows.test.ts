// A table's name as a value: the whole row. The server describes it as column 0 of its table.
import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const gw = await startTestGateway({
  schema: `create table g (a int, b int); insert into g values (1, 2);
    create table m (a int, s text); insert into m values (1, 'secret')`,
  policy: `package test

allow reads on sql read, write at "test-pg" when identity.sub == "olga"
allow one_column on sql read of public.g (a) at "test-pg" when identity.sub == "kim"
mask words of public.m.s using redact on sql
`,
});
const olga = await gw.connect({ sub: "olga", kind: "human", groups: [] });
const kim = await gw.connect({ sub: "kim", kind: "human", groups: [] });

const texts = [
  "select g from g",
  "select g, a from g",
  "with x as (select g from g) select * from x",
  "select t1, t2 from g t1 left join g t2 on t1.a = t2.b",
  "update g set b = 2 returning (g), *",
];
for (const text of texts) {
  test(`gives what the server gives: ${text}`, async () => {
    const direct = await withClient(gw.database, (client) => client.query(text));
    assert.deepEqual((await olga.query(text)).rows, direct.rows);
  });
}

test("a masked column stays masked in it, and who may not read every column may not read the row", async () => {
  for (const text of ["select m from m", "select m::text as m from m", "select x.m from (select m from m) x"]) {
    assert.deepEqual((await olga.query(text)).rows, [{ m: "(1,***)" }]);
  }
  for (const text of texts.slice(0, 4)) assert.equal((await refusalOf(kim, text)).code, "42501");
  assert.deepEqual((await kim.query("select a from g")).rows, [{ a: 1 }]);
});
