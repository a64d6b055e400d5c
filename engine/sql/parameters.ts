// bound values of a statement -> JSON, by the types that they certainly have: the fact `sql.parameters`.
import type { Node } from "@pgsql/types";
import type { Json } from "../lib/json.ts";
import { type Fact, isKnown, Unknown } from "../lib/truth.ts";
import type { Bindings } from "./bindings.ts";
import { stringsOf } from "./tree.ts";
import type { SqlContext } from "./types.ts";

/** What is known of `$1`, `$2` … of a statement before it has values. */
export type Parameter = {
  /** Name of its type in pg_type; undefined where only the server can tell. */
  readonly type: string | undefined;
  /** Written as a cast. A type that follows from a column's is right for text, and not relied upon for bytes. */
  readonly isCast: boolean;
};

const untyped: Parameter = { type: undefined, isCast: false };

/** One entry for each parameter, `$1` first; [] where there are none. */
export function parametersOf(bindings: Bindings): readonly Parameter[] {
  const { parameterCasts, parameterColumns } = bindings;
  if (parameterCasts.size === 0) return [];
  return Array.from({ length: Math.max(...parameterCasts.keys()) }, (_, i): Parameter => {
    const casts = [...(parameterCasts.get(i + 1) ?? [])];
    const [cast] = casts;
    if (casts.length === 1 && cast !== undefined && cast !== "")
      return { type: cast.replace(/^pg_catalog\./, ""), isCast: true };
    const columns = [...(parameterColumns.get(i + 1) ?? [])];
    return casts.includes("") && casts.length === 1 && columns.length === 1
      ? { type: columns[0], isCast: false }
      : untyped;
  });
}

const typesByOid: ReadonlyMap<number, string> = new Map([
  [16, "bool"],
  [20, "int8"],
  [21, "int2"],
  [23, "int4"],
  [25, "text"],
  [19, "name"],
  [114, "json"],
  [700, "float4"],
  [701, "float8"],
  [1042, "bpchar"],
  [1043, "varchar"],
  [1082, "date"],
  [1114, "timestamp"],
  [1184, "timestamptz"],
  [1700, "numeric"],
  [2950, "uuid"],
  [3802, "jsonb"],
]);

/**
 * The values of a Bind as a JSON list, `$1` first. Unknown as a whole where one of them can't be read with certainty: a guess
 * would let a rule about amounts be passed by another spelling of the number.
 */
export function parameterFact(
  parameters: readonly Parameter[],
  values: readonly (Uint8Array | null)[],
  context: Pick<SqlContext, "parameterTypes" | "parameterFormats">,
): Fact<Json> {
  if (values.length < parameters.length) return notBound;
  const list: Json[] = [];
  for (const [i, value] of values.entries()) {
    const format = context.parameterFormats ?? [];
    const isBinary = ((format.length === 1 ? format[0] : format[i]) ?? 0) !== 0;
    const oid = context.parameterTypes[i] ?? 0;
    const own = parameters[i] ?? untyped;
    const type = oid === 0 ? (isBinary && !own.isCast ? undefined : own.type) : typesByOid.get(oid);
    const read = value === null ? null : isBinary ? fromBinary(value, type) : fromText(value, type);
    if (!isKnown(read)) return new Unknown(`\`$${i + 1}\` ${read.why}`);
    list.push(read);
  }
  return list;
}

export const notBound = new Unknown("the statement has no values yet");
const noType = new Unknown("has a type that only the database can tell: declare it, or write a cast");
const tooPrecise = new Unknown("is a number that can't be kept exactly");
const malformed = new Unknown("is not a value of its type");

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

function fromText(bytes: Uint8Array, type: string | undefined): Fact<Json> {
  const text = decoded(bytes);
  return text === undefined ? malformed : ofText(text, type);
}

/** A constant in the spelling of its type. https://www.postgresql.org/docs/18/datatype-numeric.html */
export function ofText(text: string, type: string | undefined): Fact<Json> {
  switch (type) {
    case "int2":
    case "int4":
    case "int8":
      return /^\s*[+-]?\d{1,19}\s*$/.test(text) ? exact(Number(text)) : malformed;
    case "numeric":
    case "float4":
    case "float8":
      return /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/.test(text) ? finite(Number(text)) : malformed;
    case "bool":
      return truths.get(text.trim().toLowerCase()) ?? malformed;
    case "json":
    case "jsonb":
      return parsed(text);
    case "text":
    case "varchar":
    case "bpchar":
    case "name":
    case "citext":
    case "date":
    case "timestamp":
    case "timestamptz":
      return text;
    case "uuid":
      return text.toLowerCase().replaceAll(/[{}\s]/g, "");
    default:
      return noType;
  }
}

const truths: ReadonlyMap<string, boolean> = new Map([
  ...["t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"].map((w) => [w, true] as const),
  ...["f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"].map((w) => [w, false] as const),
]);

const exact = (value: number): Fact<Json> => (Number.isSafeInteger(value) ? value : tooPrecise);
const finite = (value: number): Fact<Json> => (Number.isFinite(value) ? value : malformed);

function parsed(text: string): Fact<Json> {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return malformed;
  }
}

/** Big-endian, as the types' `recv` functions read them. */
function fromBinary(bytes: Uint8Array, type: string | undefined): Fact<Json> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sized = (length: number, read: () => Fact<Json>): Fact<Json> => (bytes.length === length ? read() : malformed);
  switch (type) {
    case "int2":
      return sized(2, () => view.getInt16(0));
    case "int4":
      return sized(4, () => view.getInt32(0));
    case "int8":
      return sized(8, () => exact(Number(view.getBigInt64(0))));
    case "float4":
      return sized(4, () => finite(view.getFloat32(0)));
    case "float8":
      return sized(8, () => finite(view.getFloat64(0)));
    case "bool":
      return sized(1, () => bytes[0] !== 0);
    case "uuid":
      return sized(16, () =>
        Buffer.from(bytes)
          .toString("hex")
          .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
      );
    case "numeric":
      return numericOf(view);
    case "json":
      return fromText(bytes, "json");
    case "jsonb":
      return bytes[0] === 1 ? fromText(bytes.subarray(1), "jsonb") : malformed;
    case "text":
    case "varchar":
    case "bpchar":
    case "name":
    case "citext":
      return fromText(bytes, "text");
    default:
      return noType;
  }
}

/** numeric_recv: count of digits to the base 10000, weight of the first, sign, scale for display, digits. */
function numericOf(view: DataView): Fact<Json> {
  if (view.byteLength < 8 || view.byteLength !== 8 + 2 * view.getUint16(0)) return malformed;
  const sign = view.getUint16(4);
  if (sign !== 0 && sign !== 0x4000) return malformed;
  const weight = view.getInt16(2);
  let digits = "";
  for (let i = 0; i < view.getUint16(0); i++) digits += String(view.getUint16(8 + 2 * i)).padStart(4, "0");
  const places = digits.length - 4 * (weight + 1);
  return finite(Number(`${sign === 0 ? "" : "-"}${digits === "" ? "0" : digits}e${-places}`));
}

/** The arguments of EXECUTE. `types` are those that PREPARE declares. */
export function constantsFact(values: readonly Node[]): Fact<Json> {
  const list: Json[] = [];
  for (const [i, value] of values.entries()) {
    const read = constantOf(value, undefined);
    if (!isKnown(read)) return new Unknown(`\`$${i + 1}\` ${read.why}`);
    list.push(read);
  }
  return list;
}

function constantOf(node: Node, type: string | undefined): Fact<Json> {
  if ("TypeCast" in node) {
    const { arg, typeName } = node.TypeCast;
    return arg && !typeName?.arrayBounds?.length ? constantOf(arg, stringsOf(typeName?.names).at(-1)) : noType;
  }
  if (!("A_Const" in node)) return noType;
  const c = node.A_Const;
  if (c.isnull) return null;
  if (c.ival) return exact(c.ival.ival ?? 0);
  if (c.fval) return finite(Number(c.fval.fval));
  if (c.boolval) return c.boolval.boolval === true;
  return c.sval ? ofText(c.sval.sval ?? "", type) : noType;
}
