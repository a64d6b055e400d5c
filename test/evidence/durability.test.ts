// How durable the recording is, is something that policies may ask for. Disks that fail, clocks that jump, starts after much was recorded.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { startCheckpointer } from "../../proxy/recording/checkpointer.ts";
import { readEvents, verifyRecording } from "../../proxy/recording/read.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { segmentsOf } from "../../proxy/recording/segments.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { testServer } from "../support/postgres.ts";
import { makeSmallDisk, needsSmallDisk } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

await testServer();

const end = (reason: string, atMs = 1): SessionEvent => ({ atMs, session: "ses_1", type: "session-end", reason });
const open = (directory: string, nowMs = (): number => 1) =>
  openRecorder({
    directory,
    durability: "batched",
    node: "n",
    clock: { nowMs },
    log: silentLog,
    segmentBytesMax: 2_000,
  });

const policy = `package acme.test
allow staff on sql at "test-pg"
deny weak_writes on sql write
  when connection.durability != "sync"
  because "writes need a recording that is on disk"
`;

test("a policy can ask for a durability", async () => {
  const schema = "create table t (id int)";
  const kim = { sub: "kim", kind: "human", groups: [] };
  for (const durability of ["sync", "batched", "async"] as const) {
    const gw = await startTestGateway({ schema, policy, recordingKeys: `durability: ${durability}` });
    const client = await gw.connect(kim);
    await client.query("select id from t");
    if (durability === "sync") await client.query("insert into t values (1)");
    else {
      const refused = await refusalOf(client, "insert into t values (1)");
      assert.equal(refused.message, "writes need a recording that is on disk");
    }
    await client.end();
    await gw.gateway.stop(0);
  }
});

const isFailed = (error: unknown): boolean =>
  error instanceof GatewayError && error.code === "record-failed" && error.help !== undefined;

test("where the next file can't be made intents are refused by name, and resume by themselves", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  recorder.recordIntent([end("x".repeat(2_500))]);
  const inTheWay = join(directory, "00000002.jsonl");
  mkdirSync(inTheWay);
  for (let i = 0; i < 3; i += 1) assert.throws(() => recorder.recordIntent([end("refused")]), isFailed);
  assert.equal(recorder.failure(), "EISDIR");
  rmdirSync(inTheWay);
  recorder.recordIntent([end("after")]);
  assert.equal(recorder.failure(), undefined);
  await recorder.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  assert.ok(!readFileSync(inTheWay, "utf8").includes("refused"));
});

test("a read-only disk stops the start with the way out; once it is writable the recording goes on", {
  skip: needsSmallDisk,
}, async () => {
  const directory = temporaryFolder();
  const disk = makeSmallDisk(directory, "1m");
  const before = open(directory);
  before.recordIntent([end("before")]);
  await before.close();
  const remount = (how: string): void =>
    assert.equal(spawnSync("mount", ["-o", `remount,${how}`, directory]).status, 0);
  remount("ro");
  assert.throws(() => open(directory), isFailed);
  remount("rw");
  const recorder = open(directory);
  recorder.recordIntent([end("after")]);
  await recorder.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  disk.remove();
});

test("a write that is larger than what the disk has left leaves nothing of itself", {
  skip: needsSmallDisk,
}, async () => {
  const directory = temporaryFolder();
  const disk = makeSmallDisk(directory, "1m");
  const recorder = open(directory);
  recorder.recordIntent([end("before")]);
  assert.throws(() => recorder.recordIntent([end("x".repeat(2_000_000))]), isFailed);
  assert.equal(recorder.failure(), "ENOSPC");
  recorder.recordIntent([end("after")]);
  assert.equal(recorder.failure(), undefined);
  await recorder.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  disk.remove();
});

test("a clock that jumps back or ahead changes no order, and neither chain nor checkpoints mind", async () => {
  const directory = temporaryFolder();
  const times = [1_000_000, 5, 9_000_000_000_000, 7, 1_000_001];
  let at = 0;
  const nowMs = (): number => times[at] ?? 0;
  const recorder = open(directory, nowMs);
  const { privateKey } = generateKeyPairSync("ed25519");
  const checkpointer = await startCheckpointer({
    directory,
    node: "n",
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    everyMs: 3_600_000,
    sinks: [],
    clock: { nowMs },
    log: silentLog,
  });
  for (; at < times.length; at += 1) {
    recorder.recordIntent([end(`at ${at}`, nowMs())]);
    assert.ok(await checkpointer.checkpoint());
  }
  await recorder.close();
  await checkpointer.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  const reasons = [];
  for await (const event of readEvents(directory)) if (event.type === "session-end") reasons.push(event.reason);
  assert.deepEqual(
    reasons,
    times.map((_, i) => `at ${i}`),
  );
});

test("a start reads the last segment alone, however much was recorded before", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  for (let i = 0; i < 40; i += 1) recorder.recordIntent([end(`reason ${i} ${"x".repeat(200)}`)]);
  const head = recorder.head();
  await recorder.close();
  const segments = segmentsOf(directory);
  assert.ok(segments.length > 3);
  const kept = segments.slice(0, -1).map((path) => [path, readFileSync(path)] as const);
  // Nothing that could be read as a record: a start that looked at them would stop.
  for (const [path] of kept) writeFileSync(path, "garbage\n");
  const again = open(directory);
  assert.ok(again.head().seq > head.seq);
  again.recordIntent([end("goes on")]);
  await again.close();
  for (const [path, bytes] of kept) writeFileSync(path, bytes);
  assert.deepEqual((await verifyRecording(directory)).damage, []);
});
