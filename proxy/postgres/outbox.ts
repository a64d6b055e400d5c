// many messages -> one write. A stall between two small writes costs a client 40 ms, and each write a system call.
import type { Writable } from "node:stream";

/** Up to this many bytes it is cheaper to join the parts than to hand the kernel a list. */
const joinedBytesMax = 16_384;

/** Gathers what goes to one socket. Views that lie next to each other in one chunk become one again. */
export class Outbox {
  readonly #socket: Writable;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  add(bytes: Buffer): void {
    const last = this.#parts.at(-1);
    this.#bytes += bytes.length;
    if (last && last.buffer === bytes.buffer && last.byteOffset + last.length === bytes.byteOffset) {
      this.#parts[this.#parts.length - 1] = Buffer.from(last.buffer, last.byteOffset, last.length + bytes.length);
    } else {
      this.#parts.push(bytes);
    }
  }

  /** Forgets what wasn't written. */
  clear(): void {
    this.#parts = [];
    this.#bytes = 0;
  }

  /** Writes it all at once. False when the socket's buffer is full: read no more from the other side until `drain`. */
  flush(): boolean {
    const parts = this.#parts;
    if (parts.length === 0) return !this.#socket.writableNeedDrain;
    const bytes = this.#bytes;
    this.clear();
    if (!this.#socket.writable) return true;
    const [first] = parts;
    if (parts.length === 1 && first) return this.#socket.write(first);
    if (bytes <= joinedBytesMax) return this.#socket.write(Buffer.concat(parts, bytes));
    this.#socket.cork();
    let canTakeMore = true;
    for (const part of parts) canTakeMore = this.#socket.write(part);
    this.#socket.uncork();
    return canTakeMore;
  }
}
