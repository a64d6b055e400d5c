import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { readEvents, verifyRecording } from "../../proxy/recording/read.ts";
import { openRecorder, type RecorderOptions } from "../../proxy/recording/recorder.ts";
import { makeSmallDisk, needsSmallDisk } from "../support/small-disk.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const clock = { nowMs: () => 1_700_000_000_000 };
const open = (directory: string, more: Partial<RecorderOptions> = {}) =>
  openRecorder({ directory, durability: "batched", node: "gw-test", clock, log: silentLog, ...more });

const end = (reason: string): SessionEvent => ({ atMs: clock.nowMs(), session: "s1", type: "session-end", reason });

async function reasonsIn(directory: string): Promise<readonly string[]> {
  const reasons: string[] = [];
  for await (const event of readEvents(directory)) if (event.type === "session-end") reasons.push(event.reason);
  return reasons;
}

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test("an intent is in the file before `recordIntent` returns, with what had waited before it", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  recorder.recordOutcome(end("earlier"));
  recorder.recordIntent([end("ünïcödé \u2028")]);
  assert.deepEqual(await reasonsIn(directory), ["earlier", "ünïcödé \u2028"]);
  await recorder.close();
  const { damage, lines } = await verifyRecording(directory);
  assert.deepEqual({ damage, lines }, { damage: [], lines: 4 });
});

for (const durability of ["sync", "batched", "async"] as const) {
  test(`with durability ${durability} everything is there after a close`, async () => {
    const directory = temporaryFolder();
    const recorder = open(directory, { durability });
    for (let i = 0; i < 20; i += 1) recorder.recordIntent([end(String(i))]);
    await nextTurn();
    recorder.recordOutcome(end("last"));
    await recorder.close();
    assert.deepEqual(await reasonsIn(directory), [...Array.from({ length: 20 }, (_, i) => String(i)), "last"]);
  });
}

test("a recording goes on in numbered segments, and the chain runs through them", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory, { segmentBytesMax: 1_000 });
  for (let i = 0; i < 30; i += 1) recorder.recordIntent([end(String(i))]);
  await recorder.close();
  const again = open(directory, { segmentBytesMax: 1_000 });
  again.recordIntent([end("again")]);
  await again.close();
  assert.ok(readdirSync(directory).filter((name) => name.endsWith(".jsonl")).length > 5);
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  assert.deepEqual((await reasonsIn(directory)).length, 31);
});

test("a last line that a crash tore is moved aside, noted, and the chain goes on", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  recorder.recordIntent([end("whole")]);
  await recorder.close();
  const segment = join(directory, "00000001.jsonl");
  appendFileSync(segment, '{"seq":4,"prev":"abc');
  const again = open(directory);
  again.recordIntent([end("after the crash")]);
  await again.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  assert.deepEqual(await reasonsIn(directory), ["whole", "after the crash"]);
  const states: unknown[] = [];
  for await (const event of readEvents(directory)) {
    if (event.type === "recorder")
      states.push([event.state, event.bytes, event.kept && readFileSync(event.kept, "utf8")]);
  }
  assert.deepEqual(states, [
    ["opened", undefined, undefined],
    ["closed", undefined, undefined],
    ["opened", undefined, undefined],
    ["recovered", 20, '{"seq":4,"prev":"abc'],
    ["closed", undefined, undefined],
  ]);
});

test("a damaged last line stops the start instead of being built upon", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  await recorder.close();
  const segment = join(directory, "00000001.jsonl");
  writeFileSync(segment, readFileSync(segment, "utf8").replace("closed", "opened"));
  assert.throws(() => open(directory), isFault("recording-damaged"));
  assert.ok(!existsSync(join(directory, "lock")), "a start that failed leaves no lock");
});

test("a second gateway is kept out, and the lock of one that is gone is taken over", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  assert.throws(() => open(directory), isFault("recording-locked"));
  await recorder.close();
  const gone = spawnSync("true").pid ?? 0;
  writeFileSync(join(directory, "lock"), `${gone} 1\n`);
  await open(directory).close();
});

test("a directory that can't be made stops the start", () => {
  const directory = join(temporaryFolder(), "file");
  writeFileSync(directory, "not a folder");
  assert.throws(() => open(join(directory, "recording")), isFault("record-failed"));
});

test("a full disk refuses intents, leaves no torn line, and work resumes by itself", {
  skip: needsSmallDisk,
}, async () => {
  const directory = temporaryFolder();
  const disk = makeSmallDisk(directory, "64k");
  const recorder = open(directory);
  let written = 0;
  assert.throws(() => {
    for (; written < 10_000; written += 1) recorder.recordIntent([end("x".repeat(500))]);
  }, isFault("record-failed"));
  assert.equal(recorder.failure(), "ENOSPC");
  assert.throws(() => recorder.recordIntent([end("y".repeat(5_000))]), isFault("record-failed"));
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  assert.equal((await reasonsIn(directory)).length, written);
  disk.grow("1m");
  recorder.recordIntent([end("resumed")]);
  assert.equal(recorder.failure(), undefined);
  assert.equal((await reasonsIn(directory)).at(-1), "resumed");
  await recorder.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  disk.remove();
});

test("intents of one turn are one write, in order, and each is told whether it is on record", {
  skip: needsSmallDisk,
}, async () => {
  const directory = temporaryFolder();
  const disk = makeSmallDisk(directory, "64k");
  const recorder = open(directory);
  const together = (reason: string): Promise<boolean> =>
    new Promise((resolve) => recorder.recordTogether([end(reason)], resolve));
  const told = [together("a"), together("b")];
  recorder.recordOutcome(end("c"));
  recorder.recordIntent([end("d")]);
  told.push(together("e"));
  assert.deepEqual(await Promise.all(told), [true, true, true]);
  assert.deepEqual(await reasonsIn(directory), ["a", "b", "c", "d", "e"]);
  const lost = together("x".repeat(100_000));
  recorder.recordOutcome(end("kept"));
  assert.equal(await lost, false);
  assert.equal(recorder.failure(), "ENOSPC");
  assert.throws(() => recorder.recordTogether([end("y".repeat(100_000))], () => assert.fail("told")));
  disk.grow("1m");
  assert.equal(await together("f"), true);
  assert.deepEqual(await reasonsIn(directory), ["a", "b", "c", "d", "e", "kept", "f"]);
  await recorder.close();
  assert.deepEqual((await verifyRecording(directory)).damage, []);
  disk.remove();
});

test("lines cut off at the end are found by a line that was noted earlier", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  recorder.recordIntent([end("one"), end("two")]);
  const noted = recorder.head();
  await recorder.close();
  assert.equal((await verifyRecording(directory, noted)).anchor, "found");
  const segment = join(directory, "00000001.jsonl");
  const lines = readFileSync(segment, "utf8").trimEnd().split("\n");
  writeFileSync(segment, `${lines.slice(0, -2).join("\n")}\n`);
  const { damage, anchor } = await verifyRecording(directory, noted);
  assert.deepEqual({ damage, anchor }, { damage: [], anchor: "missing" });
});

test("the recording chain detects any change of any byte, and any line left out, repeated or moved", async () => {
  const directory = temporaryFolder();
  const recorder = open(directory);
  for (let i = 0; i < 12; i += 1) recorder.recordIntent([end(`reason ${i} ünïcödé`)]);
  await recorder.close();
  const original = readFileSync(join(directory, "00000001.jsonl"));
  const lines = original.toString("utf8").trimEnd().split("\n");
  const edited = temporaryFolder();
  const isFound = async (bytes: Buffer | string): Promise<boolean> => {
    writeFileSync(join(edited, "00000001.jsonl"), bytes);
    return (await verifyRecording(edited)).damage.length > 0;
  };
  assert.equal(await isFound(original), false);
  const index = fc.nat(original.length - 1);
  await fc.assert(
    fc.asyncProperty(index, fc.integer({ min: 1, max: 255 }), async (at, by) => {
      const changed = Buffer.from(original);
      changed[at] = (changed[at] ?? 0) ^ by;
      assert.ok(await isFound(changed));
    }),
    { numRuns: 400 },
  );
  const line = fc.nat(lines.length - 2);
  await fc.assert(
    fc.asyncProperty(line, line, fc.constantFrom("drop", "repeat", "swap"), async (a, b, how) => {
      fc.pre(how !== "swap" || a !== b);
      const moved = [...lines];
      const [first = "", second = ""] = [lines[a], lines[b]];
      if (how === "drop") moved.splice(a, 1);
      else if (how === "repeat") moved.splice(b, 0, first);
      else [moved[a], moved[b]] = [second, first];
      assert.ok(await isFound(`${moved.join("\n")}\n`));
    }),
    { numRuns: 100 },
  );
});

function isFault(code: string) {
  return (error: unknown) => error instanceof GatewayError && error.code === code;
}
