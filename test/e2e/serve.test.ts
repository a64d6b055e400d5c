// A real client, the gateway as `gw serve` runs it, and a real PostgreSQL.
import assert from "node:assert/strict";
import { test } from "node:test";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { hasProgram, refusalOf, startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const schema = `
  create table customers (id int primary key, name text not null, email text, region text not null);
  insert into customers values (1, 'Ana', 'ana@acme.example', 'north'), (2, 'Bo', 'bo@acme.example', 'south'),
    (3, 'Cem', 'cem@beta.example', 'north');
  create table orders (id int primary key, customer int references customers (id), paid boolean not null default false);
  insert into orders values (10, 1, false), (11, 2, false);
  create table secrets (id int, value text);
  insert into secrets values (1, 'hush');
`;
const policy = `package acme.test

default deny because "No rule of acme.test allows this"

allow staff_reads on sql read of public.customers, public.orders at "test-pg"
allow staff_session on sql tcl, session, read at "test-pg"
  when identity.kind == human or identity.kind == agent
allow staff_writes on sql insert, update, delete of public.orders at "test-pg"

deny no_secrets on sql of public.secrets at "test-pg"
  because "{table} is nobody's business"

deny unbounded_write on sql write at "test-pg"
  when not sql.has_where
  unless sql.verb == insert
  because "{sql.verb} on {table} has no WHERE clause that limits it"

mask emails of public.customers.email using partial(first: 1, keep_domain: true) at "test-pg"
  when identity.kind == agent

filter own_region of public.customers where row.region == "north" at "test-pg"
  when identity.kind == agent

require approval deletes from group "leads" within 10m on sql delete of public.orders at "test-pg"
  because "deleting an order needs a lead"
`;
const bot = { sub: "bot-7", kind: "agent", groups: ["sales"], on_behalf_of: "nina" };
const olga = { sub: "olga", kind: "human", groups: ["ops"] };
const lena = { sub: "lena", kind: "human", groups: ["leads"] };

const gw = await startTestGateway({ schema, policy, config: "approvals: { hold: 1s }" });
const lead = adminClient(gw.adminUrl, await gw.issuer.issue(lena));

test("an agent reads masked columns and filtered rows, over both protocols", async () => {
  const client = await gw.connect(bot);
  const expected = [
    { id: 1, email: "a***@acme.example" },
    { id: 3, email: "c***@beta.example" },
  ];
  const simple = await client.query("select id, email from customers order by id");
  assert.deepEqual(simple.rows, expected);
  const extended = await client.query("select id, email from customers where id < $1 order by id", [100]);
  assert.deepEqual(extended.rows, expected);
  const all = await client.query("select * from customers where email like '%@acme.example'");
  assert.deepEqual(all.rows, [{ id: 1, name: "Ana", email: "a***@acme.example", region: "north" }]);
});

test("a person reads what the rules leave whole", async () => {
  const client = await gw.connect(olga);
  const { rows } = await client.query("select count(*)::int as n, min(email) as first from customers");
  assert.deepEqual(rows, [{ n: 3, first: "ana@acme.example" }]);
});

test("psql sees the same, and a refusal with its reason, its rule and the way out", {
  skip: !hasProgram("psql"),
}, async () => {
  const read = await gw.psql(bot, ["-c", "select name, email from customers order by id"]);
  assert.deepEqual(read, { code: 0, out: "Ana|a***@acme.example\nCem|c***@beta.example\n", err: "" });
  const denied = await gw.psql(bot, ["-v", "VERBOSITY=verbose", "-c", "table secrets"]);
  assert.equal(denied.code, 1);
  assert.match(
    denied.err,
    /^ERROR: {2}42501: public\.secrets is nobody's business\nDETAIL: {2}rule acme\.test\.no_secrets; decision dec_\w+\nHINT: {2}if you need this, show dec_\w+ to the owner of rule acme\.test\.no_secrets\n/,
  );
});

test("a denied session stays usable, and a transaction in which something was denied has failed", async () => {
  const client = await gw.connect(olga);
  assert.deepEqual(await refusalOf(client, "select * from secrets where id = $1", [1]), {
    severity: "ERROR",
    code: "42501",
    message: "public.secrets is nobody's business",
    detail: "rule acme.test.no_secrets; decision dec_…",
    hint: "if you need this, show dec_… to the owner of rule acme.test.no_secrets",
  });
  assert.equal((await client.query("select 1 as one")).rows[0].one, 1);
  await client.query("begin");
  await client.query("update orders set paid = true where id = 10");
  await refusalOf(client, "update orders set paid = true");
  assert.equal((await refusalOf(client, "select 1")).code, "25P02");
  await client.query("rollback");
  const rows = await withClient(
    gw.database,
    async (c) => (await c.query("select paid from orders where id = 10")).rows,
  );
  assert.deepEqual(rows, [{ paid: false }]);
});

test("what is not understood is refused by name and never reaches the server", async () => {
  const client = await gw.connect(olga);
  const syntax = await refusalOf(client, "selec 1");
  assert.equal(syntax.code, "42601");
  const unknown = await refusalOf(client, "select * from nowhere");
  assert.equal(unknown.code, "42P01");
});

test("a table that somebody else makes is known a moment after it was missed", async () => {
  const client = await gw.connect(olga);
  assert.equal((await refusalOf(client, "select * from fresh")).code, "42P01");
  await withClient(gw.database, (c) => c.query("create table fresh (id int); insert into fresh values (1)"));
  const rows = await eventually(async () => (await client.query("select * from fresh").catch(() => undefined))?.rows);
  assert.deepEqual(rows, [{ id: 1 }]);
});

test("a held statement waits, runs once after approval, and all of it is on record", async () => {
  const client = await gw.connect(olga);
  await client.query("insert into orders values (20, 1), (21, 1)");
  const notices: string[] = [];
  client.on("notice", (notice) => notices.push(notice.message ?? ""));
  const running = client.query("delete from orders where id = $1", [20]);
  const [pending] = await eventually(async () => {
    const list = await lead.list("pending");
    return list.length > 0 ? list : undefined;
  });
  assert.deepEqual(
    [pending?.statement, pending?.parameters, pending?.requester, pending?.approvers],
    ["delete from orders where id = $1", ["20"], { sub: "olga", kind: "human", onBehalfOf: [] }, 'group "leads"'],
  );
  await lead.decide(pending?.id ?? "", "approve", "looks right");
  assert.equal((await running).rowCount, 1);
  assert.equal(notices.length, 1);
  assert.match(notices[0] ?? "", /^waiting for approval apr_\w+ by group "leads"/);
  const again = await refusalOf(client, "delete from orders where id = $1", [20]);
  assert.equal(again.message, "this statement needs approval, and nobody has decided yet");
  const session = (await gw.events()).find((e) => e.type === "approval" && e.id === pending?.id)?.session;
  const story = (await gw.events()).flatMap((e) => {
    if (e.session !== session) return [];
    if (e.type === "approval") return [e.state];
    if (e.type === "statement") return [e.effect];
    return e.type === "completion" ? [e.outcome] : [];
  });
  assert.deepEqual(story.slice(0, 9), [
    "allow", // insert
    "ok",
    "approval", // delete
    "requested",
    "approved",
    "granted",
    "used",
    "allow",
    "ok",
  ]);
});

test("after the hold limit an identical repeat passes exactly once when it was approved meanwhile", async () => {
  const client = await gw.connect(olga);
  const late = await refusalOf(client, "delete from orders where id = 21");
  assert.deepEqual(late, {
    severity: "ERROR",
    code: "42501",
    message: "this statement needs approval, and nobody has decided yet",
    detail: "approval-pending; approval apr_…; decision dec_…",
    hint: "once it is approved (`gw approvals approve apr_…`), repeat exactly this statement: it then runs once",
  });
  const pending = (await lead.list("pending")).find((a) => a.statement.includes("21"));
  await lead.decide(pending?.id ?? "", "approve", undefined);
  const other = await gw.connect({ ...olga, sub: "omar" });
  assert.equal((await refusalOf(other, "delete from orders where id = 21")).code, "42501", "not for somebody else");
  assert.equal((await client.query("DELETE  FROM public.orders WHERE id=21 -- again")).rowCount, 1);
  assert.equal((await refusalOf(client, "delete from orders where id = 21")).code, "42501");
});

test("a refused approval says who and why", async () => {
  const client = await gw.connect(olga);
  const running = refusalOf(client, "delete from orders where id = 11");
  const [pending] = await eventually(async () => {
    const list = (await lead.list("pending")).filter((a) => a.statement.includes("11"));
    return list.length > 0 ? list : undefined;
  });
  await lead.decide(pending?.id ?? "", "deny", "the customer is right");
  assert.deepEqual(await running, {
    severity: "ERROR",
    code: "42501",
    message: "an approver refused this statement: the customer is right",
    detail: "approval-denied; approval apr_…; decision dec_…",
    hint: "talk to lena",
  });
});

test("a bad token is turned away with the way to a good one", async () => {
  await assert.rejects(gw.connect({ ...olga, exp: 1 }), (error: Error & { code?: string; hint?: string }) => {
    assert.deepEqual([error.code, error.hint], ["28P01", "get a new token (`gw login`) and use it as the password"]);
    return true;
  });
});

test("a policy edit is live at the next statement, and a broken one keeps the old policies", async () => {
  const client = await gw.connect(bot);
  const read = { name: "read", text: "select email from customers where id = 1" };
  assert.deepEqual((await client.query(read)).rows, [{ email: "a***@acme.example" }]);
  gw.writePolicy(policy.replace("using partial(first: 1, keep_domain: true)", "using nullify"));
  assert.equal((await gw.gateway.policy.reload()).rejected, undefined);
  assert.deepEqual((await client.query(read)).rows, [{ email: null }], "the prepared statement too");
  gw.writePolicy(policy.replace("mask emails of", "mask emails off"));
  const status = await gw.gateway.policy.reload();
  assert.match(status.rejected?.message ?? "", /test\.policy:\d+:\d+/);
  assert.deepEqual((await client.query(read)).rows, [{ email: null }]);
  gw.writePolicy(policy);
  await gw.gateway.policy.reload();
  assert.deepEqual((await client.query(read)).rows, [{ email: "a***@acme.example" }]);
  const states = (await gw.events()).map((e) => (e.type === "policy" ? e.state : undefined)).filter((s) => s);
  assert.deepEqual(states, ["loaded", "loaded", "rejected", "loaded"]);
});
