// a socket during login -> bytes on demand. Afterwards the relay takes the socket over.
import type { Duplex } from "node:stream";

/**
 * Reads a socket only while somebody waits for bytes, so that a peer that talks ahead is held by TCP. One reader at a
 * time. Never rejects: a closed or broken socket ends the stream.
 */
export class ByteSource {
  readonly #socket: Duplex;
  #buffered: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex, first?: Buffer) {
    this.#socket = socket;
    if (first) this.#buffered = first;
    socket.pause();
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onEnd);
    socket.on("error", this.#onEnd);
  }

  get buffered(): Buffer {
    return this.#buffered;
  }

  /** Waits for more bytes; false when none will come. */
  async more(): Promise<boolean> {
    if (this.#isEnded) return false;
    const before = this.#buffered.length;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#socket.resume();
    });
    return this.#buffered.length > before;
  }

  consume(count: number): Buffer {
    const taken = this.#buffered.subarray(0, count);
    this.#buffered = this.#buffered.subarray(count);
    return taken;
  }

  /** Stops reading. The error listener stays: an unheard `error` would end the process. */
  detach(): Buffer {
    this.#socket.pause();
    this.#socket.removeListener("data", this.#onData);
    this.#socket.removeListener("end", this.#onEnd);
    this.#socket.removeListener("close", this.#onEnd);
    return this.consume(this.#buffered.length);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    this.#socket.pause();
    this.#awake();
  };

  readonly #onEnd = (): void => {
    this.#isEnded = true;
    this.#awake();
  };

  #awake(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** One whole tagged message, header included; `undefined` when the stream ends or the message is over `bytesMax`. */
export async function readMessage(source: ByteSource, bytesMax: number): Promise<Buffer | undefined> {
  while (source.buffered.length < 5) if (!(await source.more())) return undefined;
  const length = source.buffered.readUInt32BE(1);
  if (length < 4 || length > bytesMax) return undefined;
  while (source.buffered.length < length + 1) if (!(await source.more())) return undefined;
  return source.consume(length + 1);
}
