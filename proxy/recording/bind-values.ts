// bind values -> what the recording says of them, bounded and marked where it is cut
import type { Json } from "../../engine/lib/json.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { RecordedValue } from "../../engine/model/session-event.ts";
import { type Parameter, parameterFact } from "../../engine/sql/parameters.ts";
import type { SqlContext } from "../../engine/sql/types.ts";

/** Values of one Bind, and what is known of how to read them. */
export type BindValues = {
  readonly values: readonly (Uint8Array | null)[];
  /** Undefined: nobody knows text from binary, and all are shown as bytes. */
  readonly context: Pick<SqlContext, "parameterTypes" | "parameterFormats"> | undefined;
  /** What the statement says of them. */
  readonly parameters: readonly Parameter[] | undefined;
};

type Typed = Pick<BindValues, "parameters"> & {
  readonly context: Pick<SqlContext, "parameterTypes"> | undefined;
};

/** Text as the client sent it; binary values as text where their type is certain, else as hexadecimal digits. */
export const recordedValues = (bound: BindValues): readonly RecordedValue[] =>
  bounded(bound.values.length, (i) => {
    const value = bound.values[i] ?? null;
    if (value === null) return null;
    const binary = isBinary(bound, i) ? fromBinary(bound, value, i) : undefined;
    const text = binary ?? (bound.context === undefined || isBinary(bound, i) ? undefined : textOf(value));
    return text === undefined ? { form: "hex", bytes: value } : { form: "text", bytes: Buffer.from(text) };
  });

/** What a server's or client's bytes of one value are, as text where that is certain. `format`: 0 is text. */
export function readableValue(value: Uint8Array, type: number, format: number): string | undefined {
  if (format === 0) return textOf(value);
  return fromBinary({ context: { parameterTypes: [type] }, parameters: undefined }, value, 0);
}

/** Values that are text already: arguments of a call. */
export const recordedTexts = (values: readonly (string | null)[]): readonly RecordedValue[] =>
  bounded(values.length, (i) => {
    const value = values[i] ?? null;
    return value === null ? null : { form: "text", bytes: Buffer.from(value) };
  });

type Shown = { readonly form: "text" | "hex"; readonly bytes: Uint8Array } | null;

function bounded(count: number, shownOf: (i: number) => Shown): readonly RecordedValue[] {
  const list: RecordedValue[] = [];
  let room = limits.recordValuesBytesMax;
  for (let i = 0; i < Math.min(count, limits.recordValuesMax); i += 1) {
    const shown = shownOf(i);
    if (shown === null) {
      list.push(null);
      continue;
    }
    const { form, bytes } = shown;
    const length = Math.min(bytes.length, limits.recordValueBytesMax, room);
    room -= length;
    const kept = bytes.subarray(0, length);
    const text = form === "hex" ? Buffer.from(kept).toString("hex") : cutText.decode(kept, { stream: true });
    // What a cut left of a character is dropped with the next call.
    cutText.decode();
    if (length < bytes.length) list.push({ [form]: text, isCut: true, bytes: bytes.length });
    else list.push(form === "text" ? text : { hex: text });
  }
  if (count > list.length) list.push({ isCut: true, more: count - list.length });
  return list;
}

const cutText = new TextDecoder("utf-8", { ignoreBOM: true });
const wholeText = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function isBinary({ context }: BindValues, i: number): boolean {
  const formats = context?.parameterFormats ?? [];
  return ((formats.length === 1 ? formats[0] : formats[i]) ?? 0) !== 0;
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return wholeText.decode(bytes);
  } catch {
    return undefined;
  }
}

function fromBinary({ context, parameters }: Typed, value: Uint8Array, i: number): string | undefined {
  const own = parameters?.[i];
  const types = { parameterTypes: [context?.parameterTypes[i] ?? 0], parameterFormats: [1] };
  const read = parameterFact(own === undefined ? [] : [own], [value], types);
  if (!isKnown(read) || !Array.isArray(read)) return undefined;
  const [only]: readonly Json[] = read;
  return typeof only === "string" ? only : JSON.stringify(only);
}
