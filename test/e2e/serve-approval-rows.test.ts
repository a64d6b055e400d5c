// What an approver is told about how much a held statement would touch.
import assert from "node:assert/strict";
import { test } from "node:test";
import type pg from "pg";
import { adminClient } from "../../cli/admin-client.ts";
import { rowsOfPlan } from "../../proxy/postgres/row-estimate.ts";
import { eventually } from "../support/eventually.ts";
import { type Claims, refusalOf, startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const gw = await startTestGateway({
  schema: `create table visits (id int primary key, ward int not null, note text not null default '');
    insert into visits select i, i % 10 from generate_series(1, 2000) i;
    create function public.noisy(n int) returns int immutable language plpgsql as $$ begin return n; end $$;
    analyze visits`,
  policy: `package acme.test
allow staff on sql at "test-pg"
require approval writes from group "leads" within 10m on sql write at "test-pg" because "a lead looks at writes"
require approval reads from group "leads" within 10m on sql select of public.visits at "test-pg"
  because "a lead looks at reads"
`,
  connection: "    allowed_functions: [public.noisy]",
  config: "approvals: { hold: 100ms }",
});
const olga: Claims = { sub: "olga", kind: "human", groups: ["ops"] };
const lena = adminClient(gw.adminUrl, await gw.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] }));
const client = await gw.connect(olga);

/** Nobody decides: what the request says, after the client's own refusal. */
async function asked(sql: string, values: readonly unknown[] = [], by: pg.Client = client) {
  const known = new Set((await lena.list("pending")).map(({ id }) => id));
  const refusal = await refusalOf(by, sql, values);
  const approval = await eventually(async () => (await lena.list("pending")).find(({ id }) => !known.has(id)));
  return { refusal, rows: approval.estimatedRows, approval };
}

const near = (rows: number | undefined, from: number, to: number): void =>
  assert.ok(rows !== undefined && rows >= from && rows <= to, `${rows} is not from ${from} to ${to}`);

test("an approver sees how many rows an update with WHERE would touch, and nothing of it ran", async () => {
  const { rows, refusal, approval } = await asked("update visits set note = 'x' where ward = 3");
  near(rows, 150, 250);
  assert.equal((await lena.show(approval.id)).estimatedRows, rows);
  assert.equal(JSON.stringify(refusal).includes(String(rows)), false, "the client isn't told");
  await withClient(gw.database, async (c) =>
    assert.equal((await c.query("select count(*)::int as n from visits where note <> ''")).rows[0].n, 0),
  );
});

test("the estimate is for the client's own values where they came as texts", async () => {
  near((await asked("update visits set note = 'y' where id < $1", [101])).rows, 80, 120);
  near((await asked("update visits set note = 'y' where id < $1", [1901])).rows, 1_850, 1_950);
});

test("the estimate is for any value where one of them came in binary", async () => {
  near((await asked("update visits set note = $1::bytea::text where ward = 3", [Buffer.from([1, 2])])).rows, 150, 250);
});

test("each verb has its estimate: what a delete and an insert write, and what a select gives", async () => {
  near((await asked("delete from visits")).rows, 1_900, 2_100);
  near((await asked("insert into visits values (3000, 1), (3001, 1)")).rows, 2, 2);
  near((await asked("select * from visits where ward = 4")).rows, 150, 250);
});

test("without an estimate people are asked all the same: a function that people wrote isn't called by the planner", async () => {
  const { rows, refusal } = await asked("update visits set note = 'z' where ward = public.noisy(3)");
  assert.equal(rows, undefined);
  assert.equal(refusal.detail, "approval-pending; approval apr_…; decision dec_…");
});

test("a table that another session has locked delays the request by no more than the timeout", async () => {
  await withClient(gw.database, async (c) => {
    await c.query("begin; lock table visits");
    const { rows } = await asked("update visits set note = 'locked' where ward = 5");
    assert.equal(rows, undefined);
    await c.query("rollback");
  });
});

const node = (type: string, rows: number, plans: readonly object[] = [], relation = "Outer") => ({
  "Node Type": type,
  "Parent Relationship": relation,
  "Plan Rows": rows,
  Plans: plans,
});

test("a plan's rows are those that come into what it writes, or those that it gives, whatever is more", () => {
  const scan = node("Seq Scan", 7);
  assert.equal(rowsOfPlan([{ Plan: scan }]), 7);
  assert.equal(rowsOfPlan([{ Plan: node("ModifyTable", 0, [scan, node("Seq Scan", 90, [], "InitPlan")]) }]), 7);
  const inner = node("ModifyTable", 0, [scan], "InitPlan");
  assert.equal(rowsOfPlan([{ Plan: node("CTE Scan", 1, [inner]) }]), 7);
  // One row written in a WITH, and all rows read.
  assert.equal(
    rowsOfPlan([{ Plan: node("Seq Scan", 90_000, [{ ...inner, "Parent Relationship": "InitPlan" }]) }]),
    90_000,
  );
  assert.equal(rowsOfPlan([{ Plan: node("ModifyTable", 0, [inner, node("CTE Scan", 3)]) }]), 10);
  for (const wrong of [undefined, null, [], [{}], [{ Plan: { "Plan Rows": "7" } }], [{ Plan: { "Plan Rows": -1 } }]]) {
    assert.equal(rowsOfPlan(wrong), undefined);
  }
});
