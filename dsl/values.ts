// Values while a policy runs: what the interpreter and the compiler do alike with them.
import { compareCodePoints } from "../engine/lib/code-points.ts";
import type { Json } from "../engine/lib/json.ts";
import { Unknown } from "../engine/lib/truth.ts";
import type { Relation } from "../engine/model/catalog.ts";
import type { ColumnRef } from "../engine/model/statement.ts";
import type { ComparisonKind, Value } from "./checked.ts";
import { type Cidr, isInCidr, parseIp } from "./ip.ts";
import type { Type } from "./types.ts";

export const isPlainRecord = (value: unknown): value is { readonly [key: string]: unknown } =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Set);

export const isRelation = (value: unknown): value is Pick<Relation, "schema" | "name"> =>
  isPlainRecord(value) && typeof value.schema === "string" && typeof value.name === "string";

export const isColumnRef = (value: unknown): value is ColumnRef =>
  isPlainRecord(value) && typeof value.column === "string" && isRelation(value.relation);

/** Elements of a set or list, keys of a map. */
export function elementsOf(value: Value): readonly Value[] {
  if (Array.isArray(value)) return value;
  if (value instanceof Set) return [...value];
  return isPlainRecord(value) ? Object.keys(value) : [];
}

/** Equal for equal values, whatever they are. */
export function keyTextOf(value: Value): string {
  if (isColumnRef(value)) return JSON.stringify([value.relation.schema, value.relation.name, value.column]);
  if (isRelation(value)) return JSON.stringify([value.schema, value.name]);
  return String(value);
}

export function equalValues(a: Value, b: Value): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (isColumnRef(a) && isColumnRef(b)) return a.column === b.column && equalValues(a.relation, b.relation);
  if (isRelation(a) && isRelation(b)) return a.schema === b.schema && a.name === b.name;
  if (a instanceof Set && b instanceof Set) return a.size === b.size && [...a].every((item) => includes(b, item));
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => equalValues(item, b[i]));
  return false;
}

/** `collection` is a set or a list. */
export function includes(collection: Value, item: Value): boolean {
  if (collection instanceof Set && (typeof item !== "object" || collection.has(item))) return collection.has(item);
  return elementsOf(collection).some((each) => equalValues(each, item));
}

/** Strings by code point, as section 5 says. */
export function isLess(a: Value, b: Value): boolean {
  if (typeof a === "number" && typeof b === "number") return a < b;
  return typeof a === "string" && typeof b === "string" && compareCodePoints(a, b) < 0;
}

export type Range = { readonly from: number; readonly to: number; readonly isHalfOpen: boolean };
export type Pattern = { readonly matches: (text: string) => boolean };

/** Operands are known and present; their types fit, as the checker saw to it. */
export function compareValues(how: ComparisonKind, left: Value, right: Value): boolean {
  switch (how) {
    case "equal":
      return equalValues(left, right);
    case "less":
      return isLess(left, right);
    case "less-or-equal":
      return !isLess(right, left);
    case "in":
      return includes(right, left);
    case "in-range": {
      const range = right as Range;
      const value = Number(left);
      return value >= range.from && (range.isHalfOpen ? value < range.to : value <= range.to);
    }
    case "in-cidr": {
      const ip = parseIp(String(left));
      return ip !== undefined && isInCidr(ip, right as Cidr);
    }
    case "contains-text":
      return String(left).includes(String(right));
    case "startswith":
      return String(left).startsWith(String(right));
    case "endswith":
      return String(left).endsWith(String(right));
    case "like":
    case "matches":
      return (right as Pattern).matches(String(left));
    default:
      return how satisfies never;
  }
}

/** Numbers are safe integers or finite floats; a result outside is a rule error. */
export function arithmetic(how: "+" | "-" | "*" | "/" | "%", a: number, b: number, isWhole: boolean): Value {
  const result = how === "+" ? a + b : how === "-" ? a - b : how === "*" ? a * b : how === "/" ? a / b : a % b;
  if (isWhole ? Number.isSafeInteger(result) : Number.isFinite(result)) return Object.is(result, -0) ? 0 : result;
  return new Unknown(`\`${how}\` overflows`);
}

/** `as T`: undefined for a value of another shape. Null stands for an absent optional field. */
export function castJson(value: Json | undefined, type: Type): Value {
  switch (type.kind) {
    case "json":
      return value;
    case "bool":
      return typeof value === "boolean" ? value : undefined;
    case "int":
    case "duration":
    case "size":
      return Number.isSafeInteger(value) ? value : undefined;
    case "float":
      return typeof value === "number" && Number.isFinite(value) ? value : undefined;
    case "string":
      return typeof value === "string" ? value : undefined;
    case "enum":
      return typeof value === "string" && type.values.includes(value) ? value : undefined;
    case "ip":
      return typeof value === "string" ? canonicalIp(value) : undefined;
    case "date":
      return typeof value === "string" && isDate(value) ? value : undefined;
    case "time":
      return typeof value === "string" ? parseTime(value) : undefined;
    case "set":
    case "list": {
      if (!Array.isArray(value)) return undefined;
      const items = value.map((item: Json) => castJson(item, type.of));
      if (items.includes(undefined)) return undefined;
      return type.kind === "set" ? new Set(items) : items;
    }
    case "map": {
      if (!isPlainRecord(value)) return undefined;
      const entries = Object.entries(value).map(([key, item]) => [key, castJson(item as Json, type.of)] as const);
      return entries.some(([, item]) => item === undefined) ? undefined : fromEntries(entries);
    }
    case "record": {
      if (!isPlainRecord(value)) return undefined;
      const entries: [string, Value][] = [];
      for (const [name, field] of type.fields) {
        const raw = Object.hasOwn(value, name) ? (value[name] as Json) : undefined;
        if (field.kind === "option") {
          if (raw === undefined || raw === null) continue;
          const cast = castJson(raw, field.of);
          if (cast === undefined) return undefined;
          entries.push([name, cast]);
        } else {
          const cast = castJson(raw, field);
          if (cast === undefined) return undefined;
          entries.push([name, cast]);
        }
      }
      return fromEntries(entries);
    }
    case "option":
      return value === null || value === undefined ? undefined : castJson(value, type.of);
    default:
      return undefined;
  }
}

/** Without a prototype: `constructor` is no field of a record. */
export function fromEntries(entries: readonly (readonly [string, Value])[]): { readonly [key: string]: Value } {
  const record: { [key: string]: Value } = Object.create(null);
  for (const [key, value] of entries) record[key] = value;
  return record;
}

/** Equal addresses have equal texts; undefined for what is no address. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  if (!ip) return undefined;
  if (ip.version === 4) return [24n, 16n, 8n, 0n].map((shift) => (ip.bits >> shift) & 255n).join(".");
  return [7n, 6n, 5n, 4n, 3n, 2n, 1n, 0n].map((i) => ((ip.bits >> (i * 16n)) & 0xffffn).toString(16)).join(":");
}

const datePattern = /^\d{4}-\d{2}-\d{2}$/;
export function isDate(text: string): boolean {
  const ms = datePattern.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

/** RFC 3339 with a zone; ms since the epoch. */
export function parseTime(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})$/.test(text)) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || !isDate(text.slice(0, 10)) ? undefined : ms;
}

/** What a placeholder puts into a message. */
export function showValue(value: Value, type: Type): string {
  if (value instanceof Unknown) return "(unknown)";
  if (value === undefined) return "(absent)";
  switch (type.kind) {
    case "duration":
      return showDuration(Number(value));
    case "time":
      return new Date(Number(value)).toISOString();
    case "table":
      return isRelation(value) ? `${value.schema}.${value.name}` : "no table";
    case "column":
      return isColumnRef(value) ? `${value.relation.schema}.${value.relation.name}.${value.column}` : "no column";
    case "cidr":
      return isPlainRecord(value) ? String(value.text) : String(value);
    case "set":
    case "list": {
      const items = elementsOf(value).map((item) => showValue(item, type.of));
      return (type.kind === "set" ? items.sort() : items).join(", ");
    }
    case "json":
    case "record":
    case "map":
      return JSON.stringify(value) ?? "(unknown)";
    case "option":
      return showValue(value, type.of);
    default:
      return String(value);
  }
}

const durationUnits = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** In the largest unit that divides it: `90m`, `24h` is `1d`. */
export function showDuration(ms: number): string {
  for (const [unit, size] of durationUnits) if (ms !== 0 && ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}
