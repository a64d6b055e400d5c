// Law: nothing is forwarded before it is recorded. Told by the database itself: whatever it holds must be on record.
import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import fc from "fast-check";
import { verifyRecording } from "../../proxy/recording/read.ts";
import { eventually } from "../support/eventually.ts";
import {
  connectTo,
  type PreparedGateway,
  prepareGateway,
  refusalOf,
  spawnGateway,
  startTestGateway,
} from "../support/gateway.ts";
import { testServer, withClient } from "../support/postgres.ts";
import { makeSmallDisk, needsSmallDisk } from "../support/small-disk.ts";

const schema = "create table t (id text primary key)";
const policy = `package acme.test
allow everyone on sql at "test-pg"
`;
const olga = { sub: "olga", kind: "human", groups: [] };

// Started out here: what a test starts ends with that test.
await testServer();

const idsIn = (gw: PreparedGateway): Promise<readonly string[]> =>
  withClient(gw.database, async (c) => (await c.query<{ id: string }>("select id from t")).rows.map((row) => row.id));

test("after kill -9 at any moment under load, everything that the database holds is on record, once, and the chain is whole", async () => {
  const gw = await prepareGateway({ schema, policy });
  let serial = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 8, max: 120 }),
      fc.nat(20),
      fc.boolean(),
      async (killAfter, thenMs, isSimple) => {
        const { child, ports } = await spawnGateway(gw.configPath);
        const clients = await Promise.all(Array.from({ length: 4 }, () => connectTo(gw, ports["test-pg"] ?? 0, olga)));
        let answered = 0;
        const load = clients.map(async (client) => {
          for (;;) {
            const id = `row-${serial++}`;
            if (isSimple) await client.query(`insert into t values ('${id}')`);
            else await client.query("insert into t /* extended */ select $1::text", [id]);
            answered += 1;
          }
        });
        await eventually(() => (answered >= killAfter ? true : undefined));
        await pause(thenMs);
        const exit = once(child, "exit");
        child.kill("SIGKILL");
        await Promise.allSettled(load);
        await exit;
        for (const client of clients) await client.end().catch(() => undefined);
      },
    ),
    { numRuns: 3, endOnFailure: true },
  );
  // A last start mends a torn line, and its stop closes the chain.
  const { child } = await spawnGateway(gw.configPath);
  child.kill("SIGTERM");
  await once(child, "exit");
  assert.deepEqual((await verifyRecording(gw.recording)).damage, []);
  const events = await gw.events();
  const statements = events.filter((e) => e.type === "statement");
  assert.equal(new Set(statements.map((s) => s.id)).size, statements.length, "no decision is recorded twice");
  const inserted = await idsIn(gw);
  assert.ok(inserted.length > 20, `only ${inserted.length} rows: the load was too small to prove anything`);
  const texts = new Set(statements.map((s) => s.statement));
  const extended = statements.filter((s) => s.statement.includes("extended")).length;
  const unrecorded = inserted.filter((id) => !texts.has(`insert into t values ('${id}')`));
  assert.ok(unrecorded.length <= extended, `${unrecorded.length} rows, ${extended} records of parameterised inserts`);
});

test("when the recording's disk is full statements stop, nothing runs unrecorded, and service resumes by itself", {
  skip: needsSmallDisk,
}, async () => {
  const disks: ReturnType<typeof makeSmallDisk>[] = [];
  const gw = await startTestGateway({
    schema,
    policy,
    config: "approvals: { file: approvals.sqlite }",
    prepare: (folder) => disks.push(makeSmallDisk(join(folder, "recording"), "256k")),
  });
  const client = await gw.connect(olga);
  const padding = "x".repeat(2_000);
  let n = 0;
  const refused = await (async () => {
    for (; n < 2_000; n += 1) {
      try {
        await client.query(`insert into t values ('row-${n}') /* ${padding} */`);
      } catch (error) {
        return error as Error & { code?: string; hint?: string };
      }
    }
    throw new Error("the disk never filled up");
  })();
  assert.match(refused.message, /record/);
  assert.equal((await idsIn(gw)).length, n, "the refused statement did not run");
  // Each second it tries by itself: a small record may still fit.
  await eventually(async () => {
    await refusalOf(client, `insert into t values ($1) /* ${padding} */`, ["by extended protocol"]);
    return (await fetch(`${gw.adminUrl}/readyz`)).status === 503 ? true : undefined;
  });
  assert.equal((await idsIn(gw)).length, n);
  disks[0]?.grow("8m");
  await client.query("insert into t values ('resumed')");
  assert.equal((await fetch(`${gw.adminUrl}/readyz`)).status, 200);
  const texts = (await gw.events()).flatMap((e) =>
    e.type === "statement" && e.effect === "allow" ? [e.statement] : [],
  );
  for (const id of await idsIn(gw))
    assert.ok(
      texts.some((text) => text.includes(`'${id}'`)),
      `${id} is not on record`,
    );
  await gw.gateway.stop(0);
  assert.deepEqual((await verifyRecording(gw.recording)).damage, []);
  disks[0]?.remove();
});
