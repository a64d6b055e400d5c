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

export class FileSink {
  readonly path: string;
  readonly #file: number;
  /** Bytes that are known to be good. */
  #length: number;
  #isTorn = false;
  #syncs: Promise<void> | undefined;

  /** Opens or makes the file. @throws the system's error */
  constructor(path: string) {
    this.path = path;
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
      while (written < bytes.length) written += writeSync(this.#file, bytes, written, bytes.length - written);
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
    fdatasyncSync(this.#file);
  }

  /** Off the event loop; calls during a sync share it. */
  sync(): Promise<void> {
    this.#syncs ??= new Promise<void>((resolve, reject) => {
      fdatasync(this.#file, (error) => {
        this.#syncs = undefined;
        if (error) reject(error);
        else resolve();
      });
    });
    return this.#syncs;
  }

  async close(): Promise<void> {
    await this.#syncs?.catch(() => undefined);
    closeSync(this.#file);
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
