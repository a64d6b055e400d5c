// What ends: tokens, gateways, upstreams.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { verifyRecording } from "../../proxy/recording/read.ts";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { testServer, withClient } from "../support/postgres.ts";

await testServer();

const policy = `package acme.test
allow staff on sql at "test-pg"
require approval writes from group "leads" within 10m on sql write of public.t at "test-pg"
  because "writes need a lead"
`;
const olga = { sub: "olga", kind: "human", groups: [] };
const start = () => startTestGateway({ schema: "create table t (id int)", policy });

test("a stop withdraws what waits for people, ends in time, and closes the recording", async () => {
  const gw = await start();
  const client = await gw.connect(olga);
  const held = client.query("insert into t values (1)").then(
    () => "ran",
    () => "ended",
  );
  await eventually(async () => {
    const events = await gw.events();
    return events.some((e) => e.type === "approval" && e.state === "requested") ? true : undefined;
  });
  const startedAt = performance.now();
  await gw.gateway.stop(200);
  assert.ok(performance.now() - startedAt < 20_000); // a hold lasts 110 s
  assert.equal(await held, "ended");
  await gw.gateway.stop(200);
  const events = await gw.events();
  assert.deepEqual(
    events.flatMap((e) => (e.type === "approval" ? [e.state] : [])),
    ["requested", "withdrawn"],
  );
  assert.equal(events.at(-1)?.type, "recorder");
  assert.deepEqual((await verifyRecording(gw.recording)).damage, []);
  assert.deepEqual(await withClient(gw.database, async (c) => (await c.query("select * from t")).rows), []);
});

test("a session ends at the first statement after its token", async () => {
  const gw = await start();
  const soon = Math.floor(Date.now() / 1_000) + 1;
  const client = await gw.connect({ ...olga, exp: soon });
  await client.query("select 1");
  await pause(soon * 1_000 - Date.now() + 50);
  const refused = await refusalOf(client, "select 2");
  assert.equal(refused.severity, "FATAL");
  assert.match(refused.hint ?? "", /fresh token/);
});

test("an upstream that dies ends its sessions with a reason, and new ones work when it is back", async () => {
  const gw = await start();
  const client = await gw.connect(olga);
  await client.query("select 1");
  await withClient({ ...gw.database, database: "postgres" }, (c) =>
    c.query("select pg_terminate_backend(pid) from pg_stat_activity where datname = $1", [gw.database.database]),
  );
  await assert.rejects(client.query("select 1"));
  const again = await gw.connect(olga);
  assert.deepEqual((await again.query("select 1 as one")).rows, [{ one: 1 }]);
  // The catalog's own connection was ended too: it is made anew.
  await withClient(gw.database, (c) => c.query("create table later (id int)"));
  const rows = await eventually(async () => (await again.query("select * from later").catch(() => undefined))?.rows);
  assert.deepEqual(rows, []);
});
