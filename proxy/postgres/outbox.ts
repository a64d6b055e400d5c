// many messages -> one write. A stall between two small writes costs a client 40 ms, and each write a system call.
import type { Writable } from "node:stream";
import { kept } from "./shared-reads.ts";

/** Room for all that comes of one read, and the gateway's own words around it. */
const pageBytes = 98_304;

/** What is written is put together here: the parts are views of memory that the next read overwrites. */
let page = Buffer.allocUnsafeSlow(pageBytes);
/** Pages that slow sockets have drained: made anew for each stalled write, they would be garbage faster than it is collected. */
const spare: (typeof page)[] = [];
const sparePagesMax = 32;

/** Gathers what goes to one socket. Views that lie next to each other in one chunk become one again. */
export class Outbox {
  readonly #socket: Writable;
  #parts: Buffer[] = [];
  /** Begins the last part, which is `#openBytes` long and grows while views lie right behind it. */
  #open: Buffer | undefined;
  #openBytes = 0;
  #bytes = 0;
  /** All of `#parts` is memory of the outbox's own. */
  #isKept = false;
  /** Pages that the socket still reads from. */
  #left: (typeof page)[] = [];

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  get isEmpty(): boolean {
    return this.#open === undefined && this.#parts.length === 0;
  }

  add(bytes: Buffer): void {
    const open = this.#open;
    this.#bytes += bytes.length;
    // The offset first: asking a view for its memory is a call out of compiled code.
    if (open && open.byteOffset + this.#openBytes === bytes.byteOffset && open.buffer === bytes.buffer) {
      this.#openBytes += bytes.length;
      return;
    }
    this.#close();
    this.#open = bytes;
    this.#openBytes = bytes.length;
  }

  #close(): void {
    const open = this.#open;
    if (open === undefined) return;
    const isWhole = open.length === this.#openBytes;
    this.#parts.push(isWhole ? open : Buffer.from(open.buffer, open.byteOffset, this.#openBytes));
    this.#open = undefined;
  }

  /** It is written later than the memory that it lies in is used again: copied. */
  keep(): void {
    this.#close();
    this.#parts = this.#bytes <= pageBytes ? [Buffer.concat(this.#parts, this.#bytes)] : this.#parts.map(kept);
    this.#isKept = true;
  }

  /** Forgets what wasn't written. */
  clear(): void {
    this.#parts = [];
    this.#open = undefined;
    this.#bytes = 0;
    this.#isKept = false;
  }

  /** Writes it all at once. False when the socket's buffer is full: read no more from the other side until `drain`. */
  flush(): boolean {
    this.#close();
    const parts = this.#parts;
    if (parts.length === 0) return !this.#socket.writableNeedDrain;
    const bytes = this.#bytes;
    const [first] = parts;
    const isKept = this.#isKept && parts.length === 1;
    this.clear();
    if (!this.#socket.writable) return true;
    if (isKept && first) return this.#socket.write(first);
    if (bytes <= page.length) return this.#writeJoined(parts, bytes);
    this.#socket.cork();
    let canTakeMore = true;
    for (const part of parts) canTakeMore = this.#socket.write(kept(part));
    this.#socket.uncork();
    return canTakeMore;
  }

  #writeJoined(parts: readonly Buffer[], bytes: number): boolean {
    let at = 0;
    for (const part of parts) {
      page.set(part, at);
      at += part.length;
    }
    const canTakeMore = this.#socket.write(page.subarray(0, bytes));
    if (this.#socket.writableLength > 0) this.#leavePage(canTakeMore);
    return canTakeMore;
  }

  /** What the kernel didn't take at once is still to be read from the page: until the socket has drained it is nobody's. */
  #leavePage(canTakeMore: boolean): void {
    const left = page;
    page = spare.pop() ?? Buffer.allocUnsafeSlow(pageBytes);
    if (canTakeMore) return;
    this.#left.push(left);
    if (this.#left.length > 1) return;
    this.#socket.once("drain", () => {
      for (const drained of this.#left) if (spare.length < sparePagesMax) spare.push(drained);
      this.#left = [];
    });
  }
}
