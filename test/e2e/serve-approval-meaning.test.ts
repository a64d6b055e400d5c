// What people let through is what they were asked about: settings that change a text's meaning, and what happens beside it.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { type Claims, refusalOf, startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const policy = `package acme.test

allow staff on sql at "test-pg"

require approval bumps from group "leads" within 10m on sql update of public.days at "test-pg"
  because "a change of days needs a lead"
`;
const gw = await startTestGateway({
  schema: "create table days (id int primary key, d date); insert into days select generate_series(1, 40)",
  policy,
  config: "approvals: { hold: 1500ms }",
});
const olga: Claims = { sub: "olga", kind: "human", groups: ["ops"] };
const lena = adminClient(gw.adminUrl, await gw.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] }));
const day = (id: number): Promise<string | null> =>
  withClient(
    gw.database,
    async (c) => (await c.query("select d::text from days where id = $1", [id])).rows[0]?.d ?? null,
  );
const pendingWith = (text: string) =>
  eventually(async () => (await lena.list("pending")).find((a) => a.statement.includes(text)));
const codeOf = async (running: ReturnType<typeof refusalOf>) => (await running).detail?.split(";")[0];

test("a grant doesn't fit where texts of dates are read otherwise", async () => {
  const sql = "update days set d = '01/02/2026' where id = 1";
  const client = await gw.connect(olga);
  await client.query("set datestyle = 'ISO, MDY'");
  const asked = refusalOf(client, sql);
  const pending = await pendingWith("id = 1");
  await asked;
  await lena.decide(pending.id, "approve", undefined);
  for (const change of ["datestyle = 'ISO, DMY'", "timezone = 'Asia/Tokyo'", "intervalstyle = 'sql_standard'"]) {
    const other = await gw.connect(olga);
    await other.query(`set ${change}`);
    assert.equal(await codeOf(refusalOf(other, sql)), "approval-pending", change);
  }
  assert.equal(await day(1), null);
  await client.query(sql);
  assert.equal(await day(1), "2026-01-02");
});

test("nothing waits for people beside a change of such a setting, or prepared under another one", async () => {
  const moved = /a setting for dates changes beside/;
  const client = await gw.connect(olga);
  const together = "set datestyle = 'ISO, DMY'; update days set d = '01/02/2026' where id = 2";
  assert.match((await refusalOf(client, together)).message, moved);
  await client.query("set datestyle = 'ISO, DMY'");
  const named = { name: "n", text: "update days set d = '01/02/2026' where id = $1", values: [2] };
  await client.query(named).catch(() => undefined);
  await client.query("set datestyle = 'ISO, MDY'");
  const again = await client.query(named).catch((error: unknown) => error);
  assert.ok(again instanceof pg.DatabaseError && moved.test(again.message), String(again));
  await client.query("begin; set local datestyle = 'ISO, DMY'");
  assert.match((await refusalOf(client, "rollback; update days set d = '01/02/2026' where id = 2")).message, moved);
  assert.equal(await day(2), null);
});

test("of two statements in one message the first is judged again when the second has been let through", async () => {
  const client = await gw.connect(olga);
  const running = refusalOf(client, "update days set id = id where id = 31; update days set id = id where id = 32");
  const first = await pendingWith("id = 31");
  await lena.decide(first.id, "approve", undefined);
  const second = await pendingWith("id = 32");
  gw.writePolicy(`${policy}\ndeny freeze on sql update at "test-pg" when sql.text contains "31"\n`);
  await gw.gateway.policy.reload();
  gw.writePolicy(policy);
  await gw.gateway.policy.reload();
  await lena.decide(second.id, "approve", undefined);
  assert.equal((await running).code, "42501");
  assert.ok((await gw.events()).some((event) => event.type === "completion" && event.outcome === "aborted"));
});

test("an approval that is taken back while a second one is waited for lets nothing run", async () => {
  const client = await gw.connect(olga);
  const running = refusalOf(client, "update days set d = now() where id = 33; update days set d = now() where id = 34");
  const first = await pendingWith("id = 33");
  await lena.decide(first.id, "approve", undefined);
  const second = await pendingWith("id = 34");
  await lena.decide(first.id, "withdraw", "not now");
  await lena.decide(second.id, "approve", undefined);
  assert.ok((await running).code !== undefined);
  assert.deepEqual([await day(33), await day(34)], [null, null]);
});
