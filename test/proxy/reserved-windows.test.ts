// What is reserved in a window counts, what is taken back doesn't: in one process, and over the log that several share.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { foldCounters, openCounterLog, SharedCounters } from "../../proxy/cluster/shared-counters.ts";
import { WindowCounters } from "../../proxy/gate/counters.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const hourMs = 3_600_000;

test("a window holds what is reserved until it is taken back", () => {
  let nowMs = hourMs;
  const counters = new WindowCounters({ nowMs: () => nowMs });
  counters.add("rows", "ann", hourMs, 2);
  counters.reserve("rows", "ann", hourMs, 5, nowMs);
  assert.equal(counters.read("rows", "ann"), 7);
  nowMs += 600_000;
  counters.reserve("rows", "ann", hourMs, -5, hourMs);
  assert.equal(counters.read("rows", "ann"), 2);
  counters.reserve("rows", "bob", hourMs, -5, hourMs);
  assert.equal(counters.read("rows", "bob"), 0);
});

test("what has left the window is not taken back from what came after", () => {
  let nowMs = hourMs;
  const counters = new WindowCounters({ nowMs: () => nowMs });
  counters.reserve("rows", "ann", hourMs, 5, nowMs);
  nowMs += 2 * hourMs;
  counters.add("rows", "ann", hourMs, 3);
  counters.reserve("rows", "ann", hourMs, -5, hourMs);
  assert.equal(counters.read("rows", "ann"), 3);
});

test("whatever is reserved and taken back, no more is forgotten than was reserved", () => {
  const step = fc.record({ waitMs: fc.nat(hourMs), used: fc.nat(9), reserved: fc.nat(9), lastsMs: fc.nat(2 * hourMs) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let nowMs = 10 * hourMs;
      const counters = new WindowCounters({ nowMs: () => nowMs });
      const plain = new WindowCounters({ nowMs: () => nowMs });
      const open: { readonly amount: number; readonly atMs: number; readonly endsMs: number }[] = [];
      for (const { waitMs, used, reserved, lastsMs } of steps) {
        nowMs += waitMs;
        for (const o of open.splice(0)) {
          if (o.endsMs <= nowMs) counters.reserve("rows", "ann", hourMs, -o.amount, o.atMs);
          else open.push(o);
        }
        for (const each of [counters, plain]) each.add("rows", "ann", hourMs, used);
        counters.reserve("rows", "ann", hourMs, reserved, nowMs);
        open.push({ amount: reserved, atMs: nowMs, endsMs: nowMs + lastsMs });
        assert.ok(Number(counters.read("rows", "ann")) >= Number(plain.read("rows", "ann")));
      }
      for (const o of open) counters.reserve("rows", "ann", hourMs, -o.amount, o.atMs);
      assert.equal(counters.read("rows", "ann"), plain.read("rows", "ann"));
    }),
  );
});

test("processes see each other's reservations, after folding and a restart too", async () => {
  const path = join(temporaryFolder(), "counters.sqlite");
  let nowMs = hourMs;
  const clock = { nowMs: () => nowMs };
  const [a, b] = [new SharedCounters(path, clock), new SharedCounters(path, clock)];
  a.add("rows", "ann", hourMs, 2);
  a.reserve("rows", "ann", hourMs, 5, nowMs);
  a.add("rows", "bob", hourMs, 1);
  await nextTurn();
  assert.equal(b.read("rows", "ann"), 7);
  await nextTurn();
  nowMs += 900_000;
  const log = openCounterLog(path);
  foldCounters(log, nowMs);
  log.close();
  a.reserve("rows", "ann", hourMs, -5, hourMs);
  await nextTurn();
  assert.equal(b.read("rows", "ann"), 2);
  await nextTurn();
  const again = new SharedCounters(path, clock);
  assert.equal(again.read("rows", "ann"), 2);
  await nextTurn();
  for (const each of [a, b, again]) each.close();
});
