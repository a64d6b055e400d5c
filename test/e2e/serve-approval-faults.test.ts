// What goes wrong around an approval: a gateway that is killed, a store that is gone, a grant that is taken back.
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import {
  type Claims,
  connectTo,
  prepareGateway,
  refusalOf,
  spawnGateway,
  startTestGateway,
} from "../support/gateway.ts";
import { testDatabase, testServer, withClient } from "../support/postgres.ts";

await testServer();
const policy = `package acme.test
allow staff on sql at "test-pg"
require approval bumps from group "leads" within 10m on sql update of public.accounts at "test-pg"
  because "a change of accounts needs a lead"
require approval looks from group "leads" within 10m on sql select of public.audit at "test-pg"
  because "the audit trail needs a lead"
`;
const schema =
  "create table accounts (id int primary key, n int not null default 0); insert into accounts select generate_series(1, 9); create table audit (id int)";
const olga: Claims = { sub: "olga", kind: "human", groups: ["ops"] };
const lead = { sub: "lena", kind: "human", groups: ["leads"] };
type Admin = ReturnType<typeof adminClient>;
const pendingWith = (lena: Admin, text: string) =>
  eventually(async () => (await lena.list("pending").catch(() => [])).find((a) => a.statement.includes(text)));

test("a gateway that is killed while a statement waits loses nothing: after its start the request is decided, and the repeat passes once", async () => {
  const prepared = await prepareGateway({ schema, policy, config: "approvals: { hold: 60s }" });
  const n = () =>
    withClient(prepared.database, async (c) => (await c.query("select n from accounts where id = 1")).rows[0].n);
  const bump = "update accounts set n = n + 1 where id = 1";
  const first = await spawnGateway(prepared.configPath);
  const lenaAt = async (port: number | undefined) =>
    adminClient(`http://127.0.0.1:${port}`, await prepared.issuer.issue(lead));
  const client = await connectTo(prepared, first.ports["test-pg"] ?? 0, olga);
  const lost = client.query(bump).then(
    () => "ran",
    () => "connection lost",
  );
  const { id } = await pendingWith(await lenaAt(first.ports.admin), "id = 1");
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  assert.equal(await lost, "connection lost");
  assert.equal(await n(), 0, "nothing of it had gone upstream");
  const second = await spawnGateway(prepared.configPath);
  const lena = await lenaAt(second.ports.admin);
  assert.equal((await lena.show(id)).state, "pending");
  assert.equal((await lena.decide(id, "approve", undefined)).state, "granted");
  const again = await connectTo(prepared, second.ports["test-pg"] ?? 0, olga);
  await again.query(bump);
  assert.equal(await n(), 1);
  assert.equal((await lena.show(id)).state, "used");
  await again.end();
  const gone = once(second.child, "exit");
  second.child.kill("SIGTERM");
  await gone;
});

test("two gateways on one PostgreSQL store: asked at one, approved at the other, run once", async () => {
  const store = await testDatabase("");
  const config = `approvals:
  hold: 20s
  postgres: { host: ${store.host}, port: ${store.port}, database: ${store.database}, user: ${store.user}, password: { env: STORE_PASSWORD }, sslmode: disable }`;
  const environment = { STORE_PASSWORD: store.password };
  const one = await startTestGateway({ schema, policy, config, environment });
  const two = await startTestGateway({ schema, policy, config, environment });
  const client = await one.connect(olga);
  const running = client.query("update accounts set n = 5 where id = 2");
  const lena = adminClient(two.adminUrl, await two.issuer.issue(lead));
  await lena.decide((await pendingWith(lena, "id = 2")).id, "approve", undefined);
  assert.equal((await running).rowCount, 1);
  await withClient({ ...store, database: "postgres" }, async (c) => {
    await c.query(`alter database ${store.database} allow_connections false`);
    await c.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [store.database]);
  });
  const refused = await refusalOf(client, "update accounts set n = 6 where id = 3");
  assert.match(refused.message, /^the approval store can't be used/);
  assert.equal((await client.query("select 1 as one")).rows[0].one, 1, "what needs no approval goes on");
  await withClient({ ...store, database: "postgres" }, (c) =>
    c.query(`alter database ${store.database} allow_connections true`),
  );
  const back = client.query("update accounts set n = 6 where id = 3");
  await lena.decide((await pendingWith(lena, "id = 3")).id, "approve", undefined);
  assert.equal((await back).rowCount, 1);
});

test("who takes an approval back ends the statement that runs on it; a revoked token ends its session", async () => {
  const gw = await startTestGateway({
    schema: `${schema}; create function slow(n int) returns int language plpgsql as 'begin perform pg_sleep(30); return n; end'`,
    policy,
    config: "approvals: { hold: 20s }",
    connection: "    allowed_functions: [public.slow]",
    issuers: "  revoked_file: revoked",
    prepare: (folder) => writeFileSync(join(folder, "revoked"), ""),
  });
  const lena = adminClient(gw.adminUrl, await gw.issuer.issue(lead));
  const client = await gw.connect(olga);
  const running = client.query("update accounts set n = slow(1) where id = 4").then(
    () => "ran",
    (error: Error) => error.message,
  );
  const { id } = await pendingWith(lena, "id = 4");
  await lena.decide(id, "approve", undefined);
  await eventually(() =>
    withClient(gw.database, async (c) =>
      (
        await c.query(
          "select from pg_stat_activity where state = 'active' and query like '%slow%' and pid <> pg_backend_pid()",
        )
      ).rowCount === 1
        ? true
        : undefined,
    ),
  );
  await assert.rejects(lena.decide(id, "withdraw", undefined), /needs a `reason`/);
  assert.equal((await lena.decide(id, "withdraw", "wrong table")).state, "withdrawn");
  assert.match(await running, /cancel/);
  const n = await withClient(
    gw.database,
    async (c) => (await c.query("select n from accounts where id = 4")).rows[0].n,
  );
  assert.equal(n, 0);
  writeFileSync(join(gw.folder, "revoked"), "sub:olga\n");
  await eventually(async () => {
    const outcome = await client.query("select 1 as one").then(
      () => "ran",
      (error: Error) => error.message,
    );
    return outcome === "ran" ? undefined : outcome;
  }).then((message) => assert.equal(message, "the token of this session was revoked"));
  await assert.rejects(gw.connect(olga), /revoked/);
  rmSync(join(gw.folder, "revoked"));
});

test("the recording names everyone behind a session", async () => {
  const gw = await startTestGateway({ schema, policy });
  const client = await gw.connect({ sub: "nina", kind: "human", act: { sub: "bot-7", act: { sub: "planner" } } });
  await client.end();
  const start = (await gw.events()).find((event) => event.type === "session-start");
  assert.deepEqual(start?.type === "session-start" ? start.principal : undefined, {
    sub: "bot-7",
    kind: "agent",
    groups: [],
    onBehalfOf: "nina",
    chain: ["nina", "planner", "bot-7"],
  });
});
