// Three weeks of generated traffic with known anomalies: what the monitor finds, how often it is wrong, what it costs.
import { Unknown } from "../engine/lib/truth.ts";
import type { Relation } from "../engine/model/catalog.ts";
import type { SqlAccess, SqlFacts, SqlVerb } from "../engine/model/statement.ts";
import { timeFactsIn } from "../proxy/gate/time-facts.ts";
import type { GateSession } from "../proxy/postgres/sql-gate.ts";
import { type Finding, Monitor } from "../proxy/telemetry/monitor.ts";
import { type Detector, detectors, type MonitorConfig } from "../proxy/telemetry/monitor-config.ts";
import { GateWatch } from "../proxy/telemetry/watch.ts";

/** mulberry32: the same traffic each time. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const minuteMs = 60_000;
const dayMinutes = 1_440;
/** A Monday. */
const startMs = Date.UTC(2026, 0, 5);
const days = 21;

const benchConfig: MonitorConfig = {
  channel: "#monitoring",
  surge: { factor: 4, atLeast: 50 },
  firstAccess: { tags: new Set(["pii"]) },
  bulk: { rows: 20_000, bytes: Number.POSITIVE_INFINITY, windowMs: 600_000 },
  offHours: { from: 420, to: 1_200, days: new Set(["mon", "tue", "wed", "thu", "fri"]), kinds: new Set(["human"]) },
  newShape: { after: 200 },
  denials: { count: 10, windowMs: 300_000 },
  canaries: { tables: new Set(["public.canary"]), columns: new Set(), rows: [] },
};

const relation = (name: string, tags: readonly string[] = []): Relation => ({
  kind: "table",
  schema: "public",
  name,
  oid: 0,
  columns: [],
  tags: new Set(tags),
  definition: undefined,
  parents: [],
  hasRules: false,
  hasTriggers: false,
  hasRowSecurity: false,
  constraints: [],
});
const tables = Array.from({ length: 12 }, (_, i) => relation(`t${i}`));
const patients = relation("patients", ["pii"]);
const canary = relation("canary");

const statements = new Map<string, SqlFacts>();
function statement(verb: SqlVerb, table: Relation, shape: string): SqlFacts {
  const key = `${verb} ${table.name} ${shape}`;
  const known = statements.get(key);
  if (known !== undefined) return known;
  const access: SqlAccess = {
    verb,
    kind: verb === "select" ? "read" : "write",
    relation: table,
    columns: [],
    hasWhere: true,
    whereAlwaysTrue: false,
    via: [],
  };
  const made: SqlFacts = {
    accesses: [access],
    verb,
    statements: 1,
    tables: [table],
    readTables: [table],
    writeTables: [],
    columnsRead: [],
    columnsWritten: [],
    columnsReturned: [],
    functions: new Set(),
    hasLimit: false,
    limit: undefined,
    joins: 0,
    estimatedRows: new Unknown("not asked"),
    text: "",
    fingerprint: key,
  };
  statements.set(key, made);
  return made;
}

type Kind = "human" | "service" | "agent";
type Actor = { readonly name: string; readonly kind: Kind; readonly session: GateSession; readonly home: number };

const actors: readonly Actor[] = Array.from({ length: 40 }, (_, i) => {
  const kind: Kind = i < 20 ? "human" : i < 30 ? "service" : "agent";
  const name = `${kind}-${i}`;
  return {
    name,
    kind,
    home: i % 12,
    session: {
      id: `ses_${i}`,
      identity: {
        sub: name,
        kind,
        groups: new Set(),
        email: undefined,
        ip: "10.0.0.1",
        mfa: true,
        on_behalf_of: undefined,
        claims: {},
      },
      connection: { name: "prod", env: "prod", tags: new Set() },
      startedAtMs: startMs,
      purpose: undefined,
      application: undefined,
      expiresAtS: undefined,
    },
  };
});

type BenchResult = {
  readonly detectors: readonly {
    readonly detector: Detector;
    readonly planted: number;
    readonly found: number;
    readonly falseAlarms: number;
  }[];
  readonly statements: number;
  readonly principalDays: number;
};

/** Anomalies are planted in the third week; alarms count as false from the second on. */
function runTraffic(seed: number): BenchResult {
  const random = randomFrom(seed);
  const findings: Finding[] = [];
  let nowMs = startMs;
  const monitor = new Monitor(benchConfig, {
    found: (finding) => findings.push(finding),
    timeFacts: timeFactsIn("UTC"),
    nowMs: () => nowMs,
  });
  let count = 0;
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random() * items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  };
  const act = (actor: Actor, sql: SqlFacts, rows: number, effect: "allow" | "deny" = "allow"): void => {
    count += 1;
    const decisionId = `dec_${count}`;
    const common = { atMs: nowMs, decisionId, session: actor.session };
    monitor.decided({
      ...common,
      protocol: "sql",
      effect,
      decision: undefined,
      sql,
      access: undefined,
      policyHash: "",
      revision: "",
    });
    if (effect === "deny") return;
    monitor.completed({
      ...common,
      outcome: "ok",
      tag: `UPDATE ${rows}`,
      sqlstate: undefined,
      rows,
      bytes: rows * 100,
      durationUs: 500,
    });
  };
  const poisson = (mean: number): number => {
    let n = 0;
    for (let p = random(); p > Math.exp(-mean) && n < 1_000; p *= random()) n += 1;
    return n;
  };
  const tableOf = (i: number): Relation => tables[i % tables.length] ?? canary;

  const planted = plant(random);
  /** Humans who stay late today. */
  let late = new Set<string>();
  for (let minute = 0; minute < days * dayMinutes; minute += 1) {
    nowMs = startMs + minute * minuteMs + 1_000;
    const ofDay = minute % dayMinutes;
    const hour = Math.floor(ofDay / 60);
    const day = Math.floor(minute / dayMinutes);
    const isWorkday = day % 7 < 5;
    if (ofDay === 0) late = new Set(actors.filter((a) => a.kind === "human" && random() < 0.01).map((a) => a.name));
    for (const actor of actors) {
      const mine = tableOf(actor.home);
      if (actor.kind === "human") {
        const until = late.has(actor.name) ? 21 : 18;
        if (!isWorkday || hour < 8 || hour >= until || random() > 0.15) continue;
        for (let i = poisson(1.5); i > 0; i -= 1) {
          const shape = random() < 0.0008 ? `odd-${Math.floor(random() * 1e6)}` : `${Math.floor(random() * 30)}`;
          act(
            actor,
            statement("select", tableOf(actor.home + Math.floor(random() * 3)), shape),
            Math.floor(random() * 200),
          );
        }
        if (random() < 0.1) act(actor, statement("update", mine, "edit"), 1 + Math.floor(random() * 3));
        if (random() < 0.005) act(actor, statement("select", mine, "denied"), 0, "deny");
        // A report now and then.
        if (random() < 0.0008) act(actor, statement("select", mine, "1"), Math.floor(8_000 * random()));
      } else if (actor.kind === "service") {
        const busy = hour >= 7 && hour < 22 ? 6 : 1;
        for (let i = poisson(busy); i > 0; i -= 1) act(actor, statement("insert", mine, "add"), 1);
        if (random() < 0.5) act(actor, statement("select", mine, "poll"), 20);
        // The nightly job, at 03:00 or a few minutes later.
        if (hour === 3 && ofDay % 60 >= 5 && ofDay % 60 < 15)
          act(actor, statement("update", mine, "job"), 400 + poisson(60));
      } else {
        if (random() > 0.05) continue;
        for (let i = poisson(8); i > 0; i -= 1)
          act(actor, statement("select", mine, `${Math.floor(random() * 60)}`), poisson(20));
        for (let i = poisson(4); i > 0; i -= 1) act(actor, statement("update", mine, "step"), 1 + poisson(2));
        if (random() < 0.05) act(actor, statement("select", mine, "denied"), 0, "deny");
      }
    }
    for (const { actor, detector } of planted.get(minute) ?? []) misbehave(actor, detector);
  }

  function misbehave(actor: Actor, detector: Detector): void {
    const mine = tableOf(actor.home);
    switch (detector) {
      case "surge":
        for (let i = 0; i < 10; i += 1) act(actor, statement("update", mine, "step"), 60);
        return;
      case "bulk-export":
        for (let i = 0; i < 6; i += 1) act(actor, statement("select", mine, "2"), 5_000);
        return;
      case "new-shape":
        act(actor, statement("select", mine, `unseen-${Math.floor(random() * 1e9)}`), 5);
        return;
      case "repeated-denials":
        for (let i = 0; i < 15; i += 1) act(actor, statement("select", pick(tables), "denied"), 0, "deny");
        return;
      case "first-access":
        act(actor, statement("select", patients, "1"), 3);
        return;
      case "canary":
        act(actor, statement("select", canary, "1"), 0, "deny");
        return;
      case "off-hours":
        act(actor, statement("select", mine, "1"), 3);
        return;
      default:
        detector satisfies never;
    }
  }

  const isTrue = ({ detector, principal, atMs }: Finding): boolean => {
    const minute = Math.floor((atMs - startMs) / minuteMs);
    return (planted.get(minute) ?? []).some((p) => p.actor.name === principal && p.detector === detector);
  };
  const counted = findings.filter(({ atMs }) => atMs >= startMs + 7 * dayMinutes * minuteMs);
  return {
    detectors: detectors.map((detector) => ({
      detector,
      planted: [...planted.values()].flat().filter((p) => p.detector === detector).length,
      found: counted.filter((f) => f.detector === detector && isTrue(f)).length,
      falseAlarms: counted.filter((f) => f.detector === detector && !isTrue(f) && !isExpected(f, isAlsoPlanted)).length,
    })),
    statements: count,
    principalDays: actors.length * (days - 7),
  };

  function isAlsoPlanted(f: Finding): boolean {
    const minute = Math.floor((f.atMs - startMs) / minuteMs);
    return (planted.get(minute) ?? []).some((p) => p.actor.name === f.principal);
  }
}

/** What a planted anomaly trips besides its own detector is no false alarm: a canary is a new shape, too. */
const isExpected = (finding: Finding, isPlanted: (finding: Finding) => boolean): boolean => isPlanted(finding);

/** 20 of each kind, in the third week, by whom it is an anomaly. */
function plant(random: () => number): Map<number, { actor: Actor; detector: Detector }[]> {
  const planted = new Map<number, { actor: Actor; detector: Detector }[]>();
  const fresh = actors.map((actor) => actor);
  for (const detector of detectors) {
    for (let i = 0; i < 20; i += 1) {
      const day = 14 + Math.floor(random() * 5);
      const hour = detector === "off-hours" ? Math.floor(random() * 5) : 9 + Math.floor(random() * 8);
      const minute = day * dayMinutes + hour * 60 + Math.floor(random() * 60);
      // The first access of each is planted once; humans work off hours; agents write.
      const among = detector === "first-access" ? fresh.slice(i, i + 1) : actors.filter(fits(detector));
      const actor = among[Math.floor(random() * among.length)];
      if (actor !== undefined) planted.set(minute, [...(planted.get(minute) ?? []), { actor, detector }]);
    }
  }
  return planted;
}

const fits =
  (detector: Detector) =>
  ({ kind }: Actor): boolean =>
    detector === "off-hours" || detector === "new-shape"
      ? kind === "human"
      : detector === "surge"
        ? kind === "agent"
        : true;

/** ns per statement on the request's path, and behind it. */
function measureCost(): { readonly put: number; readonly watch: number; readonly facts: number } {
  const monitor = new Monitor(benchConfig, {
    found: () => undefined,
    timeFacts: timeFactsIn("UTC"),
    nowMs: () => startMs,
  });
  const watch = new GateWatch(1_000_000, (error) => {
    throw error;
  });
  watch.add(monitor);
  const n = 200_000;
  const sql = statement("select", patients, "1");
  const put: number[] = [];
  const behind: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    let puttingMs = 0;
    let watchingMs = 0;
    // A busy turn of the event loop has about this many.
    for (let first = 0; first < n; first += 50) {
      const began = performance.now();
      for (let i = first; i < first + 50; i += 1) {
        const actor = actors[i % actors.length];
        if (actor === undefined) continue;
        const common = { atMs: startMs + i, decisionId: `dec_${i}`, session: actor.session };
        watch.decided({
          ...common,
          protocol: "sql",
          effect: "allow",
          decision: undefined,
          sql,
          access: undefined,
          policyHash: "",
          revision: "",
        });
        watch.completed({
          ...common,
          outcome: "ok",
          tag: "SELECT 3",
          sqlstate: undefined,
          rows: 3,
          bytes: 100,
          durationUs: 10,
        });
      }
      const queued = performance.now();
      watch.flush();
      watchingMs += performance.now() - queued;
      puttingMs += queued - began;
    }
    behind.push((watchingMs / n) * 1e6);
    put.push((puttingMs / n) * 1e6);
  }
  const session = actors[0]?.session;
  const began = performance.now();
  let sum = 0;
  for (let i = 0; i < n && session !== undefined; i += 1) {
    const denials = monitor.factsOf(session, sql).denials;
    if (typeof denials === "number") sum += denials;
  }
  const facts = ((performance.now() - began) / n) * 1e6 + sum * 0;
  return { put: median(put), watch: median(behind), facts };
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;

const began = performance.now();
const runs = [1, 2, 3].map(runTraffic);
const seconds = (performance.now() - began) / 1_000;
const total = runs.reduce((sum, { statements: n }) => sum + n, 0);
const daysWatched = runs.reduce((sum, { principalDays }) => sum + principalDays, 0);
console.log(`${total} statements of 40 principals, 3 runs of 21 days, in ${seconds.toFixed(1)} s\n`);
console.log("| detector | planted | found | false alarms per principal and day |\n|---|---|---|---|");
for (const [i, detector] of detectors.entries()) {
  const rows = runs.map((run) => run.detectors[i]);
  const sum = (key: "planted" | "found" | "falseAlarms"): number => rows.reduce((n, row) => n + (row?.[key] ?? 0), 0);
  console.log(
    `| ${detector} | ${sum("planted")} | ${sum("found")} | ${(sum("falseAlarms") / daysWatched).toFixed(4)} (${sum("falseAlarms")}) |`,
  );
}
const { put, watch, facts } = measureCost();
console.log(
  `\nper statement: ${put.toFixed(0)} ns on its way, ${watch.toFixed(0)} ns behind it, ${facts.toFixed(0)} ns to read a fact`,
);
