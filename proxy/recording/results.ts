// an answer on its way to the client -> as much of it as the recording takes, marked where it is cut
import { brotliDecompressSync, gunzipSync, inflateSync, constants as zlib } from "node:zlib";
import { limits } from "../../engine/limits.ts";
import type { RecordedResult, RecordedValue } from "../../engine/model/session-event.ts";
import { readableValue } from "./bind-values.ts";

/** `bytesMax` counts an answer's bytes as they go to the client: messages with their frames, bodies with their coding. */
export type ResultCaps = { readonly rowsMax: number; readonly bytesMax: number };

/** What a server says of a column; `type` is an OID, 0 where it isn't known. */
export type ResultColumn = { readonly name: string; readonly type: number };
export type RowLayout = {
  readonly columns: readonly ResultColumn[] | undefined;
  /** One for all columns, one for each, or [] for text. */
  readonly formats: readonly number[];
};

/** The first bytes of something longer. Copies: what it is given lies in memory that is used again. */
class Head {
  readonly bytesMax: number;
  #parts: Buffer[] = [];
  #kept = 0;
  total = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  add(bytes: Uint8Array): void {
    this.total += bytes.length;
    const room = this.bytesMax - this.#kept;
    if (room <= 0) return;
    const part = Buffer.from(bytes.subarray(0, room));
    this.#parts.push(part);
    this.#kept += part.length;
  }

  get isCut(): boolean {
    return this.total > this.#kept;
  }

  read(): Buffer {
    return Buffer.concat(this.#parts, this.#kept);
  }
}

const frameBytes = 5;
const copyData = 0x64;

/** DataRow and CopyData messages of one run. They are kept as they are and read once, at the end. */
export class RowCapture {
  readonly #head: Head;
  readonly #rowsMax: number;
  #rows = 0;

  constructor({ rowsMax, bytesMax }: ResultCaps) {
    this.#head = new Head(bytesMax);
    this.#rowsMax = rowsMax;
  }

  /** Whole messages or pieces of them, in order; `rows` end within these bytes. */
  add(bytes: Buffer, rows: number): void {
    if (this.#rows <= this.#rowsMax) this.#head.add(bytes);
    else this.#head.total += bytes.length;
    this.#rows += rows;
  }

  /** Undefined: it had no rows. */
  read({ columns, formats }: RowLayout): RecordedResult | undefined {
    const bytes = this.#head.read();
    if (bytes.length === 0) return undefined;
    if (bytes[0] === copyData) return this.#readCopy(bytes);
    const rows: (readonly RecordedValue[])[] = [];
    for (let at = 0; at < bytes.length && rows.length < this.#rowsMax; ) {
      // A header alone tells nothing of its row.
      if (bytes.length - at < frameBytes + 2) break;
      const end = at + 1 + bytes.readInt32BE(at + 1);
      rows.push(rowOf(bytes.subarray(at + frameBytes, end), columns, formats));
      at = end;
    }
    const isCut = this.#head.isCut || rows.length < this.#rows;
    const names = columns?.map(({ name }) => name);
    return { ...(names === undefined ? {} : { columns: names }), rows, ...(isCut ? { isCut } : {}) };
  }

  #readCopy(bytes: Buffer): RecordedResult {
    const parts: Buffer[] = [];
    let lines = 0;
    for (let at = 0; at < bytes.length && lines < this.#rowsMax; lines += 1) {
      if (bytes.length - at < frameBytes) break;
      const end = at + 1 + bytes.readInt32BE(at + 1);
      parts.push(bytes.subarray(at + frameBytes, end));
      at = end;
    }
    const data = Buffer.concat(parts);
    const whole = this.#head.total - frameBytes * this.#rows;
    const content = shown(data);
    if (data.length < whole) return { copy: { ...content, isCut: true, bytes: whole }, isCut: true };
    return { copy: "text" in content ? content.text : content };
  }
}

/** `message`: int16 count, then for each an int32 length (-1: NULL) and its bytes. It may end early. */
function rowOf(
  message: Buffer,
  columns: readonly ResultColumn[] | undefined,
  formats: readonly number[],
): readonly RecordedValue[] {
  const values: RecordedValue[] = [];
  const count = message.readUInt16BE(0);
  for (let i = 0, at = 2; i < count && message.length - at >= 4; i += 1) {
    const length = message.readInt32BE(at);
    at += 4;
    if (length < 0) {
      values.push(null);
      continue;
    }
    const bytes = message.subarray(at, at + length);
    at += length;
    const format = (formats.length === 1 ? formats[0] : formats[i]) ?? 0;
    if (bytes.length < length) {
      const content = format === 0 ? shown(bytes) : { hex: bytes.toString("hex") };
      values.push({ ...content, isCut: true, bytes: length });
    } else values.push(readableValue(bytes, columns?.[i]?.type ?? 0, format) ?? { hex: bytes.toString("hex") });
  }
  return values;
}

const wholeText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text where it is UTF-8, but for a character that a cut parted. */
function shown(bytes: Buffer): { readonly text: string } | { readonly hex: string } {
  try {
    return { text: wholeText.decode(bytes, { stream: true }) };
  } catch {
    return { hex: bytes.toString("hex") };
  } finally {
    resetDecoder();
  }
}

function resetDecoder(): void {
  try {
    wholeText.decode();
  } catch {
    // What a cut left of a character.
  }
}

/** A body on its way to the client. */
export class BodyCapture {
  readonly #head: Head;

  constructor({ bytesMax }: Pick<ResultCaps, "bytesMax">) {
    this.#head = new Head(bytesMax);
  }

  add(chunk: Uint8Array | string): void {
    this.#head.add(typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk);
  }

  /** `coding`: the Content-Encoding that the client got. Undefined: it was empty. */
  read(media: string | undefined, coding: string | undefined): RecordedResult | undefined {
    const { total, isCut, bytesMax } = this.#head;
    if (total === 0) return undefined;
    const kept = this.#head.read();
    const about = media === undefined ? {} : { media };
    const unpacked = coding === undefined || coding === "identity" ? kept : unpack(kept, coding);
    if (unpacked === undefined) {
      return { ...about, coding: coding ?? "", hex: kept.toString("hex"), ...cut(isCut, total) };
    }
    const content = shown(unpacked.subarray(0, bytesMax));
    return { ...about, ...content, ...cut(isCut || unpacked.length > bytesMax, total) };
  }
}

const cut = (isCut: boolean, bytes: number) => (isCut ? ({ isCut, bytes } as const) : {});

/** As far as the beginning can be unpacked; undefined: it can't, or grows beyond measure. */
function unpack(bytes: Buffer, coding: string): Buffer | undefined {
  const options = { finishFlush: zlib.Z_SYNC_FLUSH, maxOutputLength: limits.recordResultBytesMax * 32 };
  try {
    switch (coding.trim().toLowerCase()) {
      case "gzip":
      case "x-gzip":
        return gunzipSync(bytes, options);
      case "deflate":
        return inflateSync(bytes, options);
      case "br":
        return brotliDecompressSync(bytes, {
          finishFlush: zlib.BROTLI_OPERATION_FLUSH,
          maxOutputLength: options.maxOutputLength,
        });
      default:
        return undefined;
    }
  } catch {
    return undefined;
  }
}

/** A body that is there as a whole. */
export function bodyResult(
  body: Uint8Array | string,
  media: string | undefined,
  caps: ResultCaps,
): RecordedResult | undefined {
  const capture = new BodyCapture(caps);
  capture.add(body);
  return capture.read(media, undefined);
}
