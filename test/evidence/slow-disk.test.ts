// A disk that is slow, or slow and then fails: statements wait or are refused, nothing runs unrecorded, and it is over when the disk is well.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { type Disk, FileSink, systemDisk } from "../../proxy/recording/file-sink.ts";
import { readEvents, verifyRecording } from "../../proxy/recording/read.ts";
import { openRecorder } from "../../proxy/recording/recorder.ts";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { testServer } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

await testServer();

const durabilities = ["sync", "batched", "async"] as const;
const slowMs = 200;

/** As long as `state` is "slow" each call takes 200 ms; while it is "failing" the disk gives up after them. */
function slowDisk() {
  const calls: ("write" | "syncNow" | "sync")[] = [];
  const disk = { state: "well" as "well" | "slow" | "failing", calls };
  const delay = (): void => {
    if (disk.state === "well") return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs);
    if (disk.state === "failing") throw Object.assign(new Error("i/o error"), { code: "EIO" });
  };
  const calledDisk: Disk = {
    write: (...args) => {
      calls.push("write");
      delay();
      return systemDisk.write(...args);
    },
    syncNow: (file) => {
      calls.push("syncNow");
      delay();
      systemDisk.syncNow(file);
    },
    sync: (file, done) => {
      calls.push("sync");
      const { state } = disk;
      if (state === "well") systemDisk.sync(file, done);
      else
        setTimeout(
          () => done(state === "failing" ? Object.assign(new Error(), { code: "EIO" }) : null),
          slowMs,
        ).unref();
    },
  };
  return Object.assign(disk, { disk: calledDisk });
}

const end = (reason: string): SessionEvent => ({ atMs: 1, session: "ses_1", type: "session-end", reason });
const recorderOn = (directory: string, durability: (typeof durabilities)[number], disk: Disk) =>
  openRecorder({ directory, durability, node: "n", clock: { nowMs: () => 1 }, log: silentLog, disk });
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const policy = `package acme.test
allow staff on sql at "test-pg"
`;
const kim = { sub: "kim", kind: "human", groups: [] };

for (const durability of durabilities) {
  test(`${durability}: on a slow disk statements run late and recorded; on one that fails none runs, and it resumes by itself`, async () => {
    const slow = slowDisk();
    const gw = await startTestGateway({
      schema: "create sequence runs",
      policy,
      recordingKeys: `durability: ${durability}`,
      disk: slow.disk,
    });
    const client = await gw.connect(kim);
    const direct = new pg.Client({ ...gw.database });
    await direct.connect();
    const runs = async (): Promise<string> => {
      const { rows } = await direct.query("select case when is_called then last_value else 0 end as runs from runs");
      return String(rows[0]?.runs);
    };
    slow.state = "slow";
    for (let i = 0; i < 3; i += 1) await client.query("select nextval('runs')");
    assert.equal(await runs(), "3");

    slow.state = "failing";
    const refused = await refusalOf(client, "select nextval('runs')");
    assert.deepEqual([refused.severity, refused.code], ["ERROR", "53000"]);
    assert.match(refused.message, /record/);
    assert.equal((await refusalOf(client, "select nextval('runs')")).code, "53000");
    assert.equal(await runs(), "3");
    const ready = async (): Promise<number> => (await fetch(`${gw.adminUrl}/readyz`)).status;
    assert.equal(await ready(), 503);

    // Nobody asks for a statement: a gateway that isn't ready is sent nothing.
    slow.state = "well";
    await eventually(async () => ((await ready()) === 200 ? true : undefined));
    await client.query("select nextval('runs')");
    assert.equal(await runs(), "4");
    await client.end();
    await direct.end();
    await gw.gateway.stop(0);
    const events = await gw.events();
    const recorded = events.flatMap((e) => (e.type === "statement" && e.statement.includes("nextval") ? [e.id] : []));
    const ran = events.flatMap((e) => (e.type === "completion" && e.outcome === "ok" ? [e.id] : []));
    assert.equal(ran.filter((id) => recorded.includes(id)).length, 4);
    assert.ok(events.some((e) => e.type === "recorder" && e.state === "resumed"));
    assert.deepEqual((await verifyRecording(gw.recording)).damage, []);
  });
}

test("however many statements come in one turn of the event loop, it waits for one write, and for one sync at `sync` alone", async () => {
  const waits = { sync: ["write", "syncNow"], batched: ["write"], async: ["write"] } as const;
  for (const durability of durabilities) {
    const slow = slowDisk();
    const recorder = recorderOn(temporaryFolder(), durability, slow.disk);
    slow.calls.length = 0;
    slow.state = "slow";
    const told: boolean[] = [];
    for (let i = 0; i < 500; i += 1) recorder.recordTogether([end(`${i}`)], (isRecorded) => void told.push(isRecorded));
    assert.deepEqual([slow.calls, told], [[], []], "nobody is told before it is written");
    await turn();
    await turn();
    assert.deepEqual([slow.calls.filter((call) => call !== "sync"), told.length], [[...waits[durability]], 500]);
    assert.ok(told.every(Boolean));
    slow.state = "well";
    await recorder.close();
  }
});

test("the background's sync of `batched` doesn't hold up anybody; when it fails nothing runs until the disk has proved itself", async () => {
  const slow = slowDisk();
  let finish: ((error: Error | null) => void) | undefined;
  const directory = temporaryFolder();
  const recorder = recorderOn(directory, "batched", {
    ...slow.disk,
    sync: (file, done) => {
      if (finish === undefined) finish = done;
      else slow.disk.sync(file, done);
    },
  });
  recorder.recordIntent([end("a")]);
  const done = await eventually(() => finish);
  recorder.recordIntent([end("b")]);
  assert.equal(recorder.failure(), undefined);
  slow.state = "failing";
  done(Object.assign(new Error("i/o error"), { code: "EIO" }));
  await eventually(() => recorder.failure());
  assert.equal(recorder.failure(), "EIO");
  // A write that the system's memory takes proves nothing.
  recorder.recordOutcome(end("late"));
  await turn();
  await turn();
  assert.equal(recorder.failure(), "EIO");
  assert.throws(() => recorder.recordIntent([end("refused")]), GatewayError);
  slow.state = "well";
  await eventually(() => (recorder.failure() === undefined ? true : undefined));
  await recorder.close();
  const told = [];
  for await (const e of readEvents(directory))
    told.push(e.type === "session-end" ? e.reason : e.type === "recorder" ? e.state : "");
  assert.deepEqual(told, ["opened", "a", "b", "late", "resumed", "closed"]);
});

test("a sync that is asked for during another begins behind it: it covers what was written since", async () => {
  const begun: ((error: Error | null) => void)[] = [];
  const sink = new FileSink(`${temporaryFolder()}/00000001.jsonl`, {
    ...systemDisk,
    sync: (_, done) => void begun.push(done),
  });
  const first = sink.sync();
  sink.append(Buffer.from("a line\n"));
  const [second, third] = [sink.sync(), sink.sync()];
  assert.equal(second, third);
  assert.equal(begun.length, 1);
  begun[0]?.(Object.assign(new Error("i/o error"), { code: "EIO" }));
  await assert.rejects(first, /i\/o error/);
  await eventually(() => begun[1]);
  begun[1]?.(null);
  await second;
  assert.equal(begun.length, 2);
  await sink.close();
});
