// One message's bytes -> its fields. Every read is checked against the end of the message.
import { isUtf8 } from "node:buffer";

/** A message doesn't have the layout that its type asks for. Caught by the decoders of this folder. */
export class LayoutFault extends Error {
  override readonly name = "LayoutFault";
}

/** Reads fields off one message in order. Every method throws LayoutFault where the bytes don't suffice. */
export class Cursor {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get position(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#end - this.#at;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  int16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  /** Signed: lengths use -1 for NULL. */
  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  /** A view, not a copy. */
  bytes(length: number): Buffer {
    if (length < 0) throw new LayoutFault("a length is negative");
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** The bytes up to the next NUL, which is skipped. */
  cstringBytes(): Buffer {
    const nul = this.#bytes.indexOf(0, this.#at);
    if (nul === -1 || nul >= this.#end) throw new LayoutFault("a string has no end");
    const view = this.#bytes.subarray(this.#at, nul);
    this.#at = nul + 1;
    return view;
  }

  cstring(): string {
    // The unnamed statement or portal: most names are empty.
    if (this.#at < this.#end && this.#bytes[this.#at] === 0) {
      this.#at += 1;
      return "";
    }
    const view = this.cstringBytes();
    if (!isUtf8(view)) throw new LayoutFault("a string is not valid UTF-8");
    return view.toString("utf8");
  }

  /** @throws LayoutFault when bytes are left over, as pq_getmsgend does. */
  end(): void {
    if (this.#at !== this.#end) throw new LayoutFault("the message is longer than its fields");
  }

  #advance(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw new LayoutFault("the message is shorter than its fields");
    this.#at = at + length;
    return at;
  }
}
