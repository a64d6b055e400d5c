// A SQLite file that several processes may open at the same moment.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { limits } from "../engine/limits.ts";

export type SqliteOptions = {
  /** `FULL`: what was committed survives a power cut. `OFF`: it survives the end of the process only. */
  readonly synchronous: "FULL" | "OFF";
  /** Statements that may run again on a file that has them. */
  readonly schema: string;
  /** How long a statement waits for another process's lock, in ms. */
  readonly busyTimeoutMs: number;
  /** How long other processes that open it are waited for, in ms. */
  readonly openMs?: number;
};

/** Made readable to the owner and the group only. @throws Error of `node:sqlite` or of the file system */
export function openSqlite(path: string, options: SqliteOptions): DatabaseSync {
  const { synchronous, schema, busyTimeoutMs, openMs = limits.sqliteOpenMs } = options;
  mkdirSync(dirname(path), { recursive: true, mode: 0o750 });
  closeSync(openSync(path, "a", 0o640));
  const database = new DatabaseSync(path, { timeout: busyTimeoutMs });
  try {
    whenFree(openMs, () => database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous};`));
    whenFree(openMs, () => database.exec(schema));
  } catch (error) {
    database.close();
    throw error;
  }
  return database;
}

/**
 * SQLite's own time-out is not enough here: while a file becomes write-ahead logged, or its log is made or removed, it
 * reports a lock at once where waiting could be a deadlock (https://sqlite.org/c3ref/busy_handler.html).
 */
function whenFree(waitMs: number, run: () => void): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const endsAt = performance.now() + waitMs;
  for (;;) {
    try {
      run();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > endsAt) throw error;
    }
    Atomics.wait(pause, 0, 0, 1 + Math.random() * 10);
  }
}

/** The primary result code of an extended one is its low byte. */
const isBusy = (error: unknown): boolean =>
  error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === sqliteBusy;

/** https://sqlite.org/rescode.html#busy */
const sqliteBusy = 5;
