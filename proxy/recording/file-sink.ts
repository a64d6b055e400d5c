// Bytes -> append-only file. A write that fails halfway leaves nothing behind.
import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** What may fail or be slow; everything else of a sink is the same for each disk. All of them throw or give the system's error. */
export type Disk = {
  /** Number of bytes written. */
  readonly write: (file: number, bytes: Buffer, offset: number, length: number) => number;
  readonly syncNow: (file: number) => void;
  readonly sync: (file: number, done: (error: Error | null) => void) => void;
};

export const systemDisk: Disk = { write: writeSync, syncNow: fdatasyncSync, sync: fdatasync };

export class FileSink {
  readonly path: string;
  readonly #disk: Disk;
  readonly #file: number;
  /** Bytes that are known to be good. */
  #length: number;
  #isTorn = false;
  #running: Promise<void> | undefined;
  #following: Promise<void> | undefined;

  /** Opens or makes the file. @throws the system's error */
  constructor(path: string, disk: Disk = systemDisk) {
    this.path = path;
    this.#disk = disk;
    this.#file = openSync(path, constants.O_CREAT | constants.O_APPEND | constants.O_RDWR, 0o640);
    this.#length = fstatSync(this.#file).size;
    syncFolder(dirname(path));
  }

  get length(): number {
    return this.#length;
  }

  /** All of `bytes` or nothing. @throws the system's error, e.g. ENOSPC; a later call may succeed again */
  append(bytes: Buffer): void {
    if (this.#isTorn) this.#cutBack();
    let written = 0;
    try {
      while (written < bytes.length) written += this.#disk.write(this.#file, bytes, written, bytes.length - written);
    } catch (error) {
      this.#isTorn = true;
      try {
        this.#cutBack();
      } catch {
        // Stays torn: the next append cuts back first, or fails.
      }
      throw error;
    }
    this.#length += bytes.length;
  }

  syncNow(): void {
    this.#disk.syncNow(this.#file);
  }

  /** Off the event loop: what is written by now is on disk when it resolves. Calls during a sync share the one behind it. */
  sync(): Promise<void> {
    // The one under way began before what was written since.
    if (this.#running === undefined) return this.#begin();
    this.#following ??= this.#running
      .catch(() => undefined)
      .then(() => {
        this.#following = undefined;
        return this.#begin();
      });
    return this.#following;
  }

  async close(): Promise<void> {
    await (this.#following ?? this.#running)?.catch(() => undefined);
    closeSync(this.#file);
  }

  #begin(): Promise<void> {
    this.#running = new Promise<void>((resolve, reject) => {
      this.#disk.sync(this.#file, (error) => {
        this.#running = undefined;
        if (error) reject(error);
        else resolve();
      });
    });
    return this.#running;
  }

  #cutBack(): void {
    ftruncateSync(this.#file, this.#length);
    this.#isTorn = false;
  }
}

/** A new file's name is durable only after its folder is. */
function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
