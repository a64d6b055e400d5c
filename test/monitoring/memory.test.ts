// What the monitor has learned survives a restart, and the processes of one gateway share it.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { SqlFacts } from "../../engine/model/statement.ts";
import { timeFactsIn } from "../../proxy/gate/time-facts.ts";
import { silentLog } from "../../proxy/log.ts";
import type { GateSession } from "../../proxy/postgres/sql-gate.ts";
import { Baseline, SlidingSum } from "../../proxy/telemetry/baseline.ts";
import { Monitor } from "../../proxy/telemetry/monitor.ts";
import type { MonitorConfig } from "../../proxy/telemetry/monitor-config.ts";
import { openMonitorMemory } from "../../proxy/telemetry/monitor-memory.ts";
import { relationOf, sqlFactsOf } from "../support/sql-facts.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const config: MonitorConfig = {
  channel: "#soc",
  surge: { factor: 4, atLeast: 20 },
  firstAccess: { tags: new Set(["pii"]) },
  bulk: { rows: 1_000, bytes: Number.POSITIVE_INFINITY, windowMs: 600_000 },
  newShape: { after: 3 },
  denials: { count: 4, windowMs: 300_000 },
};
const session: GateSession = {
  id: "ses_1",
  identity: {
    ...{ sub: "batch", kind: "service", groups: new Set(), email: undefined, ip: "10.0.0.1", mfa: true },
    ...{ on_behalf_of: undefined, claims: {} },
  },
  connection: { name: "prod", env: "prod", tags: new Set() },
  startedAtMs: 0,
  ...{ purpose: undefined, application: undefined, expiresAtS: undefined },
};
const people = relationOf("people", ["pii"]);
const minuteMs = 60_000;
const startMs = Date.UTC(2026, 0, 5);

/** One process with its own clock; `path` is the file that it shares. */
function startProcess(path: string, worker = "") {
  let nowMs = startMs;
  let count = 0;
  const found: string[] = [];
  const clock = { nowMs: () => nowMs };
  const monitor = new Monitor(config, {
    found: ({ detector }) => found.push(detector),
    timeFacts: timeFactsIn("UTC"),
    nowMs: clock.nowMs,
  });
  const memory = openMonitorMemory(monitor, { path, worker, clock, log: silentLog });
  const act = (sql: SqlFacts, rows: number, effect: "allow" | "deny" = "allow"): void => {
    count += 1;
    const common = { atMs: nowMs, decisionId: `dec_${worker}_${count}`, session };
    monitor.decided({
      ...{ ...common, protocol: "sql", effect, decision: undefined, sql, access: undefined },
      ...{ policyHash: "", revision: "" },
    });
    if (effect === "deny") return;
    const numbers = { outcome: "ok", tag: `UPDATE ${rows}`, sqlstate: undefined, rows, bytes: rows, durationUs: 1 };
    monitor.completed({ ...common, ...numbers });
  };
  return { monitor, memory, found, act, at: (ms: number) => (nowMs = ms) };
}

const select = (shape: string): SqlFacts => sqlFactsOf("select", people, shape);
const update = sqlFactsOf("update", relationOf("stock"), "u");

test("after a restart a usual job is usual, a known table isn't first, a known shape isn't new", () => {
  const path = join(temporaryFolder(), "monitor.sqlite");
  const before = startProcess(path);
  before.act(select("a"), 1);
  // Every night at three for a week 400 rows in a minute; a row each hour besides.
  for (let hour = 0; hour < 7 * 24; hour += 1) {
    before.at(startMs + hour * 60 * minuteMs);
    before.act(update, hour % 24 === 3 ? 400 : 1);
  }
  before.memory.close();
  const job = startMs + (7 * 24 + 3) * 60 * minuteMs;
  const after = startProcess(path);
  after.at(job);
  after.act(update, 420);
  after.act(select("a"), 1);
  assert.deepEqual(after.found, []);
  after.act(select("never seen"), 1);
  after.memory.close();
  assert.deepEqual(after.found, ["new-shape"]);
  const forgetful = startProcess(join(temporaryFolder(), "monitor.sqlite"));
  forgetful.at(job);
  forgetful.act(update, 420);
  forgetful.act(select("a"), 1);
  forgetful.memory.close();
  assert.deepEqual(forgetful.found, ["surge", "first-access"]);
});

test("sums of a window survive a restart while the window lasts", () => {
  const path = join(temporaryFolder(), "monitor.sqlite");
  const before = startProcess(path);
  for (let i = 0; i < 3; i += 1) before.act(select("a"), 0, "deny");
  before.memory.close();
  const after = startProcess(path);
  assert.equal(after.monitor.amount(session, "denials"), 3);
  after.act(select("a"), 0, "deny");
  assert.deepEqual(after.found, ["repeated-denials"]);
  after.at(startMs + 6 * minuteMs);
  assert.equal(after.monitor.amount(session, "denials"), 0);
  after.memory.close();
});

test("processes know each other's sums, tables and shapes after an exchange", () => {
  const path = join(temporaryFolder(), "monitor.sqlite");
  const one = startProcess(path, "worker-1");
  const two = startProcess(path, "worker-2");
  one.act(select("a"), 600);
  for (let i = 0; i < 2; i += 1) one.act(select("a"), 0, "deny");
  one.memory.exchange();
  two.memory.exchange();
  assert.deepEqual(
    (["rows", "denials"] as const).map((fact) => two.monitor.amount(session, fact)),
    [600, 2],
  );
  two.act(select("a"), 600);
  for (let i = 0; i < 2; i += 1) two.act(select("a"), 0, "deny");
  assert.deepEqual(
    { one: one.found, two: two.found },
    { one: ["first-access"], two: ["bulk-export", "repeated-denials"] },
  );
  // Own sums aren't read back as another's.
  two.memory.exchange();
  two.memory.exchange();
  assert.equal(two.monitor.amount(session, "rows"), 1_200);
  one.memory.close();
  two.memory.close();
});

test("a file that can't be used costs the memory, not the monitor", () => {
  const path = join(temporaryFolder(), "monitor.sqlite");
  writeFileSync(path, "this is no database, and long enough that SQLite looks at it: ".repeat(20));
  const process = startProcess(path);
  process.act(select("a"), 1);
  process.memory.exchange();
  process.memory.close();
  assert.deepEqual(process.found, ["first-access"]);
});

test("what is saved of a baseline and of a sum is all of it, and nonsense is none", () => {
  const baseline = new Baseline(0, 3);
  for (let minute = 0; minute < 4_000; minute += 1) baseline.add(minute, Math.floor(minute / 60) % 168, minute % 7);
  const again = Baseline.from(JSON.parse(JSON.stringify(baseline.save())));
  assert.deepEqual(again?.save(), baseline.save());
  for (let hour = 0; hour < 168; hour += 1) assert.equal(again?.usual(hour), baseline.usual(hour));
  for (const nonsense of [undefined, {}, [], ["x"], [1, 2], "[]", [null, {}, 1, 2, 3, 4, "x"]])
    assert.equal(Baseline.from(nonsense), undefined);
  const sum = new SlidingSum(1_000);
  sum.add(5_000, 7);
  assert.equal(SlidingSum.from(1_000, sum.save()).total(5_500), 7);
  assert.equal(SlidingSum.from(2_000, sum.save()).total(5_500), 0);
  assert.equal(SlidingSum.from(1_000, "nonsense").total(5_500), 0);
});
