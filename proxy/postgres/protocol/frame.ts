// chunks -> frames. A frame is one tagged message: type byte, int32 length (which counts itself), body.

/** A whole message, header included. `bytes` is a view of the chunk where the message lay in one chunk. */
export type Frame = { readonly type: number; readonly bytes: Buffer };

export type FrameFault = { readonly code: "length-too-small" | "length-too-large"; readonly declared: number };

export type FrameStep =
  | { readonly kind: "frame"; readonly frame: Frame }
  /** A piece of a message of a streamed type, in order; the first piece begins with its header. */
  | { readonly kind: "piece"; readonly type: number; readonly bytes: Buffer; readonly isLast: boolean }
  | { readonly kind: "more" }
  | { readonly kind: "fault"; readonly fault: FrameFault };

export type FrameRules = {
  /** Largest total message (length word's value) for a type, bytes. */
  readonly lengthMax: (type: number) => number;
  /** Messages that are handed on in pieces, never collected: their content is not decided upon. */
  readonly isStreamed: (type: number, totalBytes: number) => boolean;
};

const headerBytes = 5;
const more: FrameStep = { kind: "more" };

/**
 * Cuts a byte stream into frames, whatever its chunks. Keeps views of the chunks; copies only a message that spans
 * several of them. A length is judged before anything is collected for it, and memory grows with the bytes that came,
 * not with the length that was claimed.
 */
export class FrameReader {
  readonly #rules: FrameRules;
  #chunk: Buffer = empty;
  #at = 0;
  /** A message whose bytes are not all there: collected in a buffer that doubles. */
  #held: Buffer | undefined;
  #heldBytes = 0;
  #streamType = 0;
  #streamLeft = 0;
  #fault: FrameStep | undefined;

  constructor(rules: FrameRules) {
    this.#rules = rules;
  }

  /** Bytes that wait for the rest of their message, or to be read. */
  get waitingBytes(): number {
    return this.#heldBytes + this.#chunk.length - this.#at;
  }

  /** The next chunk. All frames of the one before must have been read (`next` gave `more`), else they are joined. */
  push(chunk: Buffer): void {
    if (this.#at < this.#chunk.length) this.#chunk = Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    else this.#chunk = chunk;
    this.#at = 0;
  }

  /** The chunk's memory is about to be used again: what is unread of it is copied. */
  release(): void {
    this.#chunk = this.#at < this.#chunk.length ? Buffer.from(this.#chunk.subarray(this.#at)) : empty;
    this.#at = 0;
  }

  next(): FrameStep {
    if (this.#fault) return this.#fault;
    if (this.#streamLeft > 0) return this.#nextPiece();
    if (this.#held) return this.#continueHeld(this.#held);
    const rest = this.#chunk.length - this.#at;
    if (rest < headerBytes) return this.#hold(rest);
    const type = this.#chunk.readUInt8(this.#at);
    const length = this.#chunk.readUInt32BE(this.#at + 1);
    const fault = this.#judge(type, length);
    if (fault) return fault;
    const total = length + 1;
    if (total <= rest) {
      const bytes = this.#chunk.subarray(this.#at, this.#at + total);
      this.#at += total;
      return { kind: "frame", frame: { type, bytes } };
    }
    if (this.#rules.isStreamed(type, total)) {
      this.#streamType = type;
      this.#streamLeft = total;
      return this.#nextPiece();
    }
    return this.#hold(rest);
  }

  /**
   * The whole messages of one type that lie next to each other at the front, as one view: the path of bulk results.
   * `undefined` where the next message is another one or isn't whole.
   */
  takeRun(type: number): { readonly bytes: Buffer; readonly count: number } | undefined {
    if (this.#held || this.#streamLeft > 0 || this.#fault) return undefined;
    const chunk = this.#chunk;
    const start = this.#at;
    let at = start;
    let count = 0;
    while (at + headerBytes <= chunk.length && chunk[at] === type) {
      const length = chunk.readUInt32BE(at + 1);
      if (length < 4 || at + 1 + length > chunk.length) break;
      at += 1 + length;
      count += 1;
    }
    if (count === 0) return undefined;
    this.#at = at;
    return { bytes: chunk.subarray(start, at), count };
  }

  /** All bytes not yet cut into frames: what must be empty when a stream changes its meaning. */
  takeRest(): Buffer {
    const held = this.#held?.subarray(0, this.#heldBytes) ?? empty;
    const rest = Buffer.concat([held, this.#chunk.subarray(this.#at)]);
    this.#held = undefined;
    this.#heldBytes = 0;
    this.#chunk = empty;
    this.#at = 0;
    return rest;
  }

  #judge(type: number, length: number): FrameStep | undefined {
    if (length >= 4 && length <= this.#rules.lengthMax(type)) return undefined;
    const code = length < 4 ? "length-too-small" : "length-too-large";
    this.#fault = { kind: "fault", fault: { code, declared: length } };
    return this.#fault;
  }

  #nextPiece(): FrameStep {
    const rest = this.#chunk.length - this.#at;
    if (rest === 0) return more;
    const taken = Math.min(rest, this.#streamLeft);
    const bytes = this.#chunk.subarray(this.#at, this.#at + taken);
    this.#at += taken;
    this.#streamLeft -= taken;
    return { kind: "piece", type: this.#streamType, bytes, isLast: this.#streamLeft === 0 };
  }

  #hold(rest: number): FrameStep {
    if (rest === 0) return more;
    this.#held = Buffer.allocUnsafe(Math.max(256, rest * 2));
    this.#heldBytes = 0;
    this.#collect(rest);
    return more;
  }

  #continueHeld(held: Buffer): FrameStep {
    if (this.#heldBytes < headerBytes) {
      this.#collect(Math.min(headerBytes - this.#heldBytes, this.#chunk.length - this.#at));
      if (this.#heldBytes < headerBytes) return more;
    }
    const header = this.#held ?? held;
    const type = header.readUInt8(0);
    const length = header.readUInt32BE(1);
    const fault = this.#judge(type, length);
    if (fault) return fault;
    const total = length + 1;
    if (this.#rules.isStreamed(type, total)) {
      // Only a header, or part of one, was held: the rest of a streamed message never is.
      this.#chunk = Buffer.concat([header.subarray(0, this.#heldBytes), this.#chunk.subarray(this.#at)]);
      this.#at = 0;
      this.#held = undefined;
      this.#heldBytes = 0;
      this.#streamType = type;
      this.#streamLeft = total;
      if (total > this.#chunk.length) return this.#nextPiece();
      this.#streamLeft = 0;
      this.#at = total;
      return { kind: "frame", frame: { type, bytes: this.#chunk.subarray(0, total) } };
    }
    this.#collect(Math.min(total - this.#heldBytes, this.#chunk.length - this.#at));
    if (this.#heldBytes < total) return more;
    const bytes = (this.#held ?? held).subarray(0, total);
    this.#held = undefined;
    this.#heldBytes = 0;
    return { kind: "frame", frame: { type, bytes } };
  }

  #collect(count: number): void {
    const needed = this.#heldBytes + count;
    if (this.#held === undefined || this.#held.length < needed) {
      const grown = Buffer.allocUnsafe(Math.max(needed, (this.#held?.length ?? 0) * 2));
      this.#held?.copy(grown, 0, 0, this.#heldBytes);
      this.#held = grown;
    }
    this.#chunk.copy(this.#held, this.#heldBytes, this.#at, this.#at + count);
    this.#heldBytes = needed;
    this.#at += count;
  }
}

const empty: Buffer = Buffer.alloc(0);
