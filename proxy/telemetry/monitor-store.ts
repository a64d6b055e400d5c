// what the monitor has learned <-> a SQLite file: it survives a restart, and the processes of one gateway share it
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { limits } from "../../engine/limits.ts";
import { openSqlite } from "../sqlite.ts";

/** Something that a principal has used before: a fingerprint, or a table with a sensitive tag. */
export type KnownItem = { readonly person: string; readonly kind: "shape" | "table"; readonly item: string };
/** Sums and baselines of one process, as JSON. */
export type SavedState = { readonly kind: "person" | "baseline"; readonly key: string; readonly value: string };
export type Saved = { readonly items: readonly KnownItem[]; readonly states: readonly SavedState[] };
export type SharedState = SavedState & { readonly worker: string };

const schema = `
CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, person TEXT NOT NULL, kind TEXT NOT NULL, item TEXT NOT NULL,
  UNIQUE (person, kind, item)) STRICT;
CREATE TABLE IF NOT EXISTS state (worker TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
  version INTEGER NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (worker, kind, key)) STRICT;
CREATE INDEX IF NOT EXISTS state_version ON state (version);`;

/** One process's hold of the file. Every call may throw what `node:sqlite` throws: the monitor goes on without it. */
export class MonitorStore {
  readonly #database: DatabaseSync;
  readonly #worker: string;
  readonly #putItem: StatementSync;
  readonly #putState: StatementSync;
  readonly #itemsAfter: StatementSync;
  readonly #statesAfter: StatementSync;
  #lastItem = 0;
  #lastVersion = 0;

  /** `worker`: "" for a gateway of one process. */
  constructor(path: string, worker: string) {
    // What is lost with the power is learned again; a flush must not wait for a disk.
    this.#database = openSqlite(path, { synchronous: "OFF", schema, busyTimeoutMs: limits.monitorStoreWaitMs });
    this.#worker = worker;
    const prepare = (sql: string): StatementSync => this.#database.prepare(sql);
    this.#putItem = prepare("INSERT OR IGNORE INTO item (person, kind, item) VALUES (?, ?, ?)");
    this.#putState = prepare(
      `INSERT INTO state (worker, kind, key, value, version, at_ms)
       VALUES (?, ?, ?, ?, (SELECT coalesce(max(version), 0) + 1 FROM state), ?)
       ON CONFLICT (worker, kind, key) DO UPDATE SET value = excluded.value, version = excluded.version, at_ms = excluded.at_ms`,
    );
    this.#itemsAfter = prepare("SELECT id, person, kind, item FROM item WHERE id > ? ORDER BY id LIMIT ?");
    this.#statesAfter = prepare(
      "SELECT worker, kind, key, value, version FROM state WHERE version > ? ORDER BY version LIMIT ?",
    );
  }

  /** One transaction. What is older than a month, or more than the file may hold, goes. */
  save({ items, states }: Saved, nowMs: number): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      for (const { person, kind, item } of items) this.#putItem.run(person, kind, item);
      for (const { kind, key, value } of states) this.#putState.run(this.#worker, kind, key, value, nowMs);
      this.#database.exec("COMMIT");
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  prune(nowMs: number): void {
    this.#database.prepare("DELETE FROM state WHERE at_ms < ?").run(nowMs - limits.monitorStateMaxAgeMs);
    this.#database
      .prepare("DELETE FROM item WHERE id <= (SELECT coalesce(max(id), 0) FROM item) - ?")
      .run(limits.monitorItemsMax);
  }

  /** What came since the last call, of this process too: at the start all of it. */
  news(): { readonly items: readonly KnownItem[]; readonly states: readonly SharedState[]; readonly isMore: boolean } {
    const max = limits.monitorFlushRowsMax;
    const items = this.#itemsAfter.all(this.#lastItem, max).map((row) => {
      this.#lastItem = Number(row.id);
      const kind = row.kind === "table" ? ("table" as const) : ("shape" as const);
      return { person: String(row.person), kind, item: String(row.item) };
    });
    const states = this.#statesAfter.all(this.#lastVersion, max).map((row) => {
      this.#lastVersion = Number(row.version);
      const kind = row.kind === "person" ? ("person" as const) : ("baseline" as const);
      return { worker: String(row.worker), kind, key: String(row.key), value: String(row.value) };
    });
    return { items, states, isMore: items.length === max || states.length === max };
  }

  isOwn({ worker }: SharedState): boolean {
    return worker === this.#worker;
  }

  close(): void {
    this.#database.close();
  }
}
