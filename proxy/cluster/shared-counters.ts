// Policy counters of several processes: what each adds goes through one ordered log, and each holds all of it in memory.
import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { CounterMeasure } from "../../engine/model/policy.ts";
import type { Clock } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { Contribution } from "../gate/contributions.ts";
import { type Counters, WindowCounters } from "../gate/counters.ts";
import { openSqlite } from "../sqlite.ts";

/**
 * `addition` is the log; rows that everybody has seen are folded: one row per window and bucket. Folding never takes the
 * newest row, so that a process that was stopped for a while finds a gap in the numbers rather than nothing.
 */
const schema = `
  CREATE TABLE IF NOT EXISTS addition (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL,
    window_ms INTEGER NOT NULL, measure TEXT NOT NULL, amount REAL NOT NULL, items TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS folded (
    name TEXT NOT NULL, key TEXT NOT NULL, window_ms INTEGER NOT NULL, measure TEXT NOT NULL, bucket INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, ends_ms INTEGER NOT NULL, amount REAL NOT NULL, items TEXT,
    PRIMARY KEY (name, key, window_ms, measure, bucket)) STRICT, WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS folded_ends ON folded (ends_ms);
`;

type Row = Record<string, SQLOutputValue>;
type Addition = Contribution & { readonly atMs: number };

/** @throws GatewayError `counters-unavailable` */
export function openCounterLog(path: string): DatabaseSync {
  try {
    // As before a restart, counts may be lost in a power cut; a process that dies loses none.
    const database = openSqlite(path, { synchronous: "OFF", schema, busyTimeoutMs: 1_000 });
    database.exec("PRAGMA busy_timeout = 0;");
    return database;
  } catch (error) {
    throw new GatewayError(
      "counters-unavailable",
      `the counters \`${path}\` can't be opened: ${causeCode(error)}`,
      "check the folder's permissions; if the file is damaged, remove it: all counters then start at zero",
      error,
    );
  }
}

/**
 * From the first read to the end of the event handler that made it, one process at a time: what a decision read is
 * still true when it is counted. A decision, its record and its counting are one handler's work without a wait.
 */
export class SharedCounters implements Counters {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insert: StatementSync;
  readonly #newer: StatementSync;
  #windows: WindowCounters;
  /** While others' additions are taken in, their time. */
  #replayedMs: number | undefined;
  #cursor = 0;
  #isLocked = false;
  /** What is in memory may not be what is in the log. */
  #isStale = false;
  /** Counted here, not yet in the log. */
  #unwritten: Addition[] = [];
  /** In the log when the lock is released. */
  #uncommitted: Addition[] = [];

  constructor(path: string, clock: Clock) {
    this.#clock = clock;
    this.#database = openCounterLog(path);
    this.#begin = this.#database.prepare("BEGIN IMMEDIATE");
    this.#commit = this.#database.prepare("COMMIT");
    this.#insert = this.#database.prepare(
      "INSERT INTO addition (at_ms, name, key, window_ms, measure, amount, items) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    this.#newer = this.#database.prepare("SELECT * FROM addition WHERE seq > ? ORDER BY seq");
    this.#windows = this.#emptyWindows();
    this.#reload();
  }

  /** Unknown while the log can't be had or written: a rule on it then denies. */
  read(name: string, key: string, pending: readonly Contribution[] = []): Fact<number> {
    return this.#lock() ? this.#windows.read(name, key, pending) : new Unknown("the shared counters can't be used");
  }

  count({ name, key, windowMs, amount, measure, items }: Contribution): void {
    this.add(name, key, windowMs, amount, measure, items);
  }

  add(
    name: string,
    key: string,
    windowMs: number,
    amount: number,
    measure: CounterMeasure = "sum",
    items: readonly string[] = [],
  ): void {
    this.#windows.add(name, key, windowMs, amount, measure, items);
    this.#log({ atMs: this.#clock.nowMs(), name, key, windowMs, amount, measure, items });
  }

  /** A process that dies leaves what it reserved in the window until that is over. */
  reserve(name: string, key: string, windowMs: number, amount: number, atMs: number): void {
    this.#windows.reserve(name, key, windowMs, amount, atMs);
    this.#log({ atMs, name, key, windowMs, amount });
  }

  #log(addition: Addition): void {
    if (this.#unwritten.length >= limits.counterKeysMax) return; // reads are unknown since long
    this.#unwritten.push(addition);
    if (this.#lock()) this.#write();
    else setTimeout(() => this.#lock() && this.#write(), 1_000).unref();
  }

  close(): void {
    if (this.#isLocked) this.#release();
    this.#database.close();
  }

  /** True with the log locked and all of it taken in. Waits for others for `counterWaitMs` at most. */
  #lock(): boolean {
    if (this.#isLocked) return this.#unwritten.length === 0 || this.#write();
    if (!this.#tryBegin()) return false;
    this.#isLocked = true;
    queueMicrotask(() => this.#release());
    try {
      this.#takeIn();
      return this.#write();
    } catch {
      return false;
    }
  }

  #tryBegin(): boolean {
    const untilMs = performance.now() + limits.counterWaitMs;
    for (;;) {
      try {
        this.#begin.run();
        return true;
      } catch {
        if (performance.now() > untilMs) return false;
        // Not a spin: on a busy machine the holder may be waiting for this very processor.
        Atomics.wait(pause, 0, 0, 0.05);
      }
    }
  }

  #release(): void {
    if (!this.#isLocked) return;
    this.#isLocked = false;
    try {
      this.#commit.run();
    } catch {
      // Nothing of it is in the log (a full disk): until it is, no number is known.
      this.#unwritten = [...this.#uncommitted, ...this.#unwritten];
      this.#isStale = true;
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
    }
    this.#uncommitted = [];
  }

  /** INVARIANT: under the lock. */
  #write(): boolean {
    try {
      for (const { atMs, name, key, windowMs, amount, measure, items } of this.#unwritten) {
        const list = items === undefined || items.length === 0 ? null : JSON.stringify(items);
        const { lastInsertRowid } = this.#insert.run(atMs, name, key, windowMs, measure ?? "sum", amount, list);
        this.#cursor = Number(lastInsertRowid);
      }
      this.#uncommitted.push(...this.#unwritten);
      this.#unwritten = [];
      return true;
    } catch {
      this.#isStale = true;
      return false;
    }
  }

  #takeIn(): void {
    const rows = this.#isStale ? [] : this.#newer.all(this.#cursor);
    if (this.#isStale || (rows[0] !== undefined && Number(rows[0].seq) !== this.#cursor + 1)) this.#reload();
    else for (const row of rows) this.#apply(row);
  }

  #reload(): void {
    this.#windows = this.#emptyWindows();
    this.#cursor = 0;
    for (const row of this.#database.prepare("SELECT * FROM folded ORDER BY at_ms").iterate()) this.#apply(row);
    for (const row of this.#database.prepare("SELECT * FROM addition ORDER BY seq").iterate()) this.#apply(row);
    for (const addition of this.#unwritten) this.#replay(addition);
    this.#isStale = false;
  }

  #apply(row: Row): void {
    this.#replay(additionOf(row));
    if (row.seq !== undefined) this.#cursor = Number(row.seq);
  }

  #replay(addition: Addition): void {
    this.#replayedMs = addition.atMs;
    const { name, key, windowMs, amount, atMs } = addition;
    if (amount < 0) this.#windows.reserve(name, key, windowMs, amount, atMs);
    else this.#windows.count(addition);
    this.#replayedMs = undefined;
  }

  #emptyWindows(): WindowCounters {
    return new WindowCounters({ nowMs: () => this.#replayedMs ?? this.#clock.nowMs() });
  }
}

const pause = new Int32Array(new SharedArrayBuffer(4));

function additionOf(row: Row): Addition {
  const measure = String(row.measure) as CounterMeasure; // written by `add` alone
  return {
    atMs: Number(row.at_ms),
    name: String(row.name),
    key: String(row.key),
    windowMs: Number(row.window_ms),
    amount: Number(row.amount),
    measure,
    items: typeof row.items === "string" ? (JSON.parse(row.items) as string[]) : [],
  };
}

const bucketsPerWindow = 60;
const foldBatch = 500;

/** Folds a batch of what is older than `counterFoldAgeMs`; true when there may be more. Others wait meanwhile. */
export function foldCounters(database: DatabaseSync, nowMs: number): boolean {
  database.exec("BEGIN IMMEDIATE");
  try {
    const rows = database
      .prepare(
        `SELECT * FROM addition WHERE at_ms < ? AND seq < (SELECT max(seq) FROM addition) ORDER BY seq LIMIT ${foldBatch}`,
      )
      .all(nowMs - limits.counterFoldAgeMs);
    const known = database.prepare(
      "SELECT amount, items, at_ms FROM folded WHERE name = ? AND key = ? AND window_ms = ? AND measure = ? AND bucket = ?",
    );
    const put = database.prepare("INSERT OR REPLACE INTO folded VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    for (const row of rows) {
      const { name, key, windowMs, measure = "sum", amount, items = [], atMs } = additionOf(row);
      const bucket = Math.floor(atMs / Math.max(1, Math.ceil(windowMs / bucketsPerWindow)));
      const before = known.get(name, key, windowMs, measure, bucket);
      const sum = before === undefined ? amount : combined(measure, Number(before.amount), amount);
      const seen = typeof before?.items === "string" ? (JSON.parse(before.items) as string[]) : [];
      const all = [...new Set([...seen, ...items])];
      const at = Math.max(atMs, Number(before?.at_ms ?? 0));
      const list = all.length === 0 ? null : JSON.stringify(all);
      put.run(name, key, windowMs, measure, bucket, at, at + 2 * windowMs, sum, list);
    }
    database.prepare("DELETE FROM addition WHERE seq <= ?").run(Number(rows.at(-1)?.seq ?? 0));
    database.prepare("DELETE FROM folded WHERE ends_ms < ?").run(nowMs);
    database.exec("COMMIT");
    return rows.length === foldBatch;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

const combined = (measure: CounterMeasure, a: number, b: number): number =>
  measure === "max" ? Math.max(a, b) : a + b;
