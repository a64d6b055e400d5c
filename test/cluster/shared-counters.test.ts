// Counters of several processes: exact under a race, whole after folding, kept over a restart.
import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { foldCounters, openCounterLog, SharedCounters } from "../../proxy/cluster/shared-counters.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const hourMs = 3_600_000;
const clockAt = (nowMs: number) => ({ nowMs: () => nowMs });
const file = (): string => join(temporaryFolder(), "counters.sqlite");

test("processes that read, decide and count at the same time never pass a limit, and lose nothing", async () => {
  const path = file();
  openCounterLog(path).close();
  const racers: ChildProcess[] = Array.from({ length: 3 }, () => fork("test/cluster/counter-racer.ts", [path, "500"]));
  const admitted = await Promise.all(racers.map(async (racer) => Number((await once(racer, "message"))[0])));
  assert.equal(
    admitted.reduce((a, b) => a + b),
    500,
  );
});

test("one process sees what another counted, of every measure", async () => {
  const path = file();
  const [a, b] = [new SharedCounters(path, clockAt(hourMs)), new SharedCounters(path, clockAt(hourMs))];
  a.add("writes", "olga", hourMs, 3);
  a.add("largest", "olga", hourMs, 7, "max");
  a.add("tables", "olga", hourMs, 0, "distinct", ["t", "u"]);
  a.add("unknown", "olga", hourMs, Number.POSITIVE_INFINITY, "max");
  await nextTurn();
  b.add("tables", "olga", hourMs, 0, "distinct", ["u", "v"]);
  assert.deepEqual(
    ["writes", "largest", "tables"].map((name) => b.read(name, "olga")),
    [3, 7, 3],
  );
  assert.equal(typeof b.read("unknown", "olga"), "object");
  await nextTurn();
  assert.equal(a.read("tables", "olga"), 3);
  await nextTurn();
  a.close();
  b.close();
});

test("folding keeps every number, also for a process that slept through it and for one that starts later", async () => {
  const path = file();
  let nowMs = hourMs;
  const clock = { nowMs: () => nowMs };
  const [busy, asleep] = [new SharedCounters(path, clock), new SharedCounters(path, clock)];
  for (let i = 0; i < 1_200; i += 1) busy.add("writes", `key ${i % 3}`, hourMs, 1);
  busy.add("tables", "olga", hourMs, 0, "distinct", ["t", "u"]);
  await nextTurn();
  nowMs += 60_000;
  const log = openCounterLog(path);
  while (foldCounters(log, nowMs));
  assert.deepEqual(
    {
      ...log.prepare("SELECT (SELECT count(*) FROM addition) AS single, (SELECT count(*) FROM folded) AS folded").get(),
    },
    { single: 1, folded: 3 },
  );
  for (const counters of [busy, asleep, new SharedCounters(path, clock)]) {
    assert.deepEqual(
      ["key 0", "key 1", "key 2"].map((key) => counters.read("writes", key)),
      [400, 400, 400],
    );
    assert.equal(counters.read("tables", "olga"), 2);
    await nextTurn();
  }
  // What is out of its window is gone, from the file as well.
  nowMs += 4 * hourMs;
  while (foldCounters(log, nowMs));
  assert.equal(busy.read("writes", "key 0"), 0);
  await nextTurn();
  assert.deepEqual({ ...log.prepare("SELECT count(*) AS n FROM folded").get() }, { n: 0 });
});

test("while another process keeps the log locked, numbers are unknown and nothing that was counted is lost", async () => {
  const path = file();
  const counters = new SharedCounters(path, clockAt(hourMs));
  const other = new DatabaseSync(path);
  other.exec("BEGIN IMMEDIATE");
  counters.add("writes", "olga", hourMs, 5);
  const unread = counters.read("writes", "olga");
  assert.equal(typeof unread, "object");
  other.exec("ROLLBACK");
  assert.equal(counters.read("writes", "olga"), 5);
  await nextTurn();
  assert.equal(new SharedCounters(path, clockAt(hourMs)).read("writes", "olga"), 5);
  await nextTurn();
});
