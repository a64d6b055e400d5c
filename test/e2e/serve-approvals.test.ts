// Holds over the wire: who may release what, and how often.
import assert from "node:assert/strict";
import { createConnection } from "node:net";
import { test } from "node:test";
import type pg from "pg";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { type Claims, refusalOf, startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const policy = `package acme.test

allow staff on sql at "test-pg"

require approval bumps from group "leads" within 10m on sql update of public.accounts at "test-pg"
  because "a change of accounts needs a lead"

require approval big_ones from 2 of group "leads" within 10m on sql delete of public.accounts at "test-pg"
  because "deleting accounts needs two leads"
`;
const gw = await startTestGateway({
  schema:
    "create table accounts (id int primary key, n int not null default 0); insert into accounts select generate_series(1, 40)",
  policy,
  config: "approvals: { hold: 1500ms }",
});
const olga: Claims = { sub: "olga", kind: "human", groups: ["ops"] };
const bot: Claims = { sub: "bot-7", kind: "agent", groups: ["ops"], on_behalf_of: "nina" };
const clientOf = async (sub: string, groups: readonly string[] = ["leads"]) =>
  adminClient(gw.adminUrl, await gw.issuer.issue({ sub, kind: "human", groups: [...groups] }));
const lena = await clientOf("lena");

const n = (id: number): Promise<number> =>
  withClient(gw.database, async (c) => (await c.query("select n from accounts where id = $1", [id])).rows[0].n);
const pendingWith = (text: string) =>
  eventually(async () => (await lena.list("pending")).find((a) => a.statement.includes(text)));

test("of ten clients that send the same statement, one approval lets exactly one through", async () => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => gw.connect(olga)));
  const outcomes = clients.map((client) =>
    client.query("update accounts set n = n + 1 where id = 1").then(
      () => "ran",
      (error: pg.DatabaseError) => error.detail?.split(";")[0],
    ),
  );
  const pending = await pendingWith("id = 1");
  await lena.decide(pending.id, "approve", undefined);
  const ended = await Promise.all(outcomes);
  assert.deepEqual(ended.toSorted(), [...Array.from({ length: 9 }, () => "approval-pending"), "ran"]);
  assert.equal(await n(1), 1);
});

const variants: readonly (readonly [what: string, claims: Claims, sql: string, values: readonly unknown[]])[] = [
  ["another person", { ...olga, sub: "omar" }, "update accounts set n = $2 where id = $1", [2, 5]],
  ["the same name as an agent", { ...olga, kind: "agent" }, "update accounts set n = $2 where id = $1", [2, 5]],
  [
    "the same agent for another person",
    { ...olga, on_behalf_of: "omar" },
    "update accounts set n = $2 where id = $1",
    [2, 5],
  ],
  ["another value", olga, "update accounts set n = $2 where id = $1", [2, 6]],
  ["another row", olga, "update accounts set n = $2 where id = $1", [3, 5]],
  ["another statement", olga, "update accounts set n = $2 + 0 where id = $1", [2, 5]],
  ["the values inside the text", olga, "update accounts set n = 5 where id = 2", []],
];

test("a grant is good for exactly what was asked: anything else asks again", async () => {
  const client = await gw.connect(olga);
  const asked = refusalOf(client, "update accounts set n = $2 where id = $1", [2, 5]);
  const pending = await pendingWith("n = $2 where id = $1");
  await asked;
  await lena.decide(pending.id, "approve", undefined);
  for (const [what, claims, sql, values] of variants) {
    const other = await gw.connect(claims);
    const refused = await Promise.race([refusalOf(other, sql, values), late(300)]);
    assert.notEqual(refused, "ran", what);
    await other.end();
  }
  assert.equal(await n(2), 0);
  await client.query("update accounts set n = $2 where id = $1", [2, 5]);
  assert.equal(await n(2), 5);
  assert.equal((await lena.show(pending.id)).state, "used");
});

/** CancelRequest, on a connection of its own and in clear, as libpq sends it. */
function sendCancel(client: pg.Client): void {
  const packet = Buffer.alloc(16);
  packet.writeInt32BE(16, 0);
  packet.writeInt32BE(80_877_102, 4);
  packet.writeInt32BE(Number(Reflect.get(client, "processID")), 8);
  packet.writeInt32BE(Number(Reflect.get(client, "secretKey")), 12);
  const socket = createConnection({ host: "127.0.0.1", port: gw.port }, () => socket.end(packet));
  socket.on("error", () => undefined);
}

const late = (ms: number): Promise<string> => new Promise((resolve) => setTimeout(() => resolve("still waiting"), ms));

test("a changed policy makes an unused grant worthless, and the statement asks again", async () => {
  const client = await gw.connect(olga);
  const asked = refusalOf(client, "update accounts set n = 1 where id = 4");
  const pending = await pendingWith("id = 4");
  await asked;
  await lena.decide(pending.id, "approve", undefined);
  gw.writePolicy(`${policy}\n# one more line\n`);
  await gw.gateway.policy.reload();
  assert.equal(
    (await refusalOf(client, "update accounts set n = 1 where id = 4")).detail,
    "approval-pending; approval apr_…; decision dec_…",
  );
  gw.writePolicy(policy);
  await gw.gateway.policy.reload();
  assert.equal(await n(4), 0);
});

test("a statement that is approved after the policy began to deny it does not run", async () => {
  const client = await gw.connect(olga);
  const running = refusalOf(client, "update accounts set n = 1 where id = 5");
  const pending = await pendingWith("id = 5");
  gw.writePolicy(`${policy}\ndeny freeze on sql update at "test-pg" because "change freeze"\n`);
  await gw.gateway.policy.reload();
  await lena.decide(pending.id, "approve", undefined);
  assert.equal((await running).message, "change freeze");
  gw.writePolicy(policy);
  await gw.gateway.policy.reload();
  assert.equal(await n(5), 0);
});

test("a cancel and a disconnect withdraw the request", async () => {
  const client = await gw.connect(olga);
  const running = refusalOf(client, "update accounts set n = 1 where id = 6");
  const pending = await pendingWith("id = 6");
  sendCancel(client);
  assert.equal((await running).code, "57014");
  assert.equal((await lena.show(pending.id)).state, "withdrawn");
  const leaving = await gw.connect(olga);
  leaving.query("update accounts set n = 1 where id = 7").catch(() => undefined);
  const left = await pendingWith("id = 7");
  leaving.connection.stream.destroy();
  await eventually(async () => ((await lena.show(left.id)).state === "withdrawn" ? true : undefined));
  assert.equal((await client.query("select 1 as one")).rows[0].one, 1, "the session goes on");
});

test("two leads are needed where the rule says so; nobody alone, no owner of the agent, not twice the same", async () => {
  const client = await gw.connect(bot);
  const running = client.query("delete from accounts where id = 8");
  const pending = await pendingWith("id = 8");
  assert.equal(pending.approvers, '2 of group "leads"');
  await assert.rejects((await clientOf("nina")).decide(pending.id, "approve", undefined), /the one an agent acts for/);
  await assert.rejects(
    (await clientOf("omar", ["sales"])).decide(pending.id, "approve", undefined),
    /not among the approvers/,
  );
  assert.equal((await lena.decide(pending.id, "approve", undefined)).state, "pending");
  await assert.rejects(lena.decide(pending.id, "approve", undefined), /you have decided/);
  assert.equal((await (await clientOf("lars")).decide(pending.id, "approve", undefined)).state, "granted");
  assert.equal((await running).rowCount, 1);
});

test("a held statement in a transaction runs in it, and a refused one fails it", async () => {
  const client = await gw.connect(olga);
  await client.query("begin");
  const first = client.query("update accounts set n = 9 where id = 10");
  await lena.decide((await pendingWith("id = 10")).id, "approve", undefined);
  await first;
  const second = refusalOf(client, "update accounts set n = 9 where id = 11");
  await lena.decide((await pendingWith("id = 11")).id, "deny", "no");
  await second;
  assert.equal((await refusalOf(client, "select 1")).code, "25P02");
  await client.query("rollback");
  assert.deepEqual([await n(10), await n(11)], [0, 0]);
});
