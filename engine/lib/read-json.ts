// text -> JSON value, bounded and without a number that would change its value on the way through
import type { Json } from "./json.ts";
import { err, ok, type Result } from "./result.ts";

export type JsonObject = { readonly [key: string]: Json };

export type JsonFault = {
  readonly code: "json-malformed" | "json-too-deep" | "number-not-exact";
  readonly message: string;
};

/**
 * RFC 8259. Of duplicate keys the last one counts, and what we write has it once. An integer that a double can't hold
 * is refused: it would be decided as one number and forwarded as another.
 */
export function readJson(text: string, depthMax: number): Result<Json, JsonFault> {
  const shape = scan(text, depthMax);
  if (shape === "deep") {
    return err({ code: "json-too-deep", message: `the JSON is nested more than ${depthMax} levels deep` });
  }
  if (shape === "number") {
    return err({
      code: "number-not-exact",
      message: "a number in the JSON can't be held exactly: send it as a string",
    });
  }
  try {
    // SAFETY: JSON.parse without a reviver gives JSON values only.
    return ok(JSON.parse(text) as Json);
  } catch {
    return err({ code: "json-malformed", message: "this is not JSON" });
  }
}

/** Nesting and number tokens of the text, strings left out. Says nothing of its syntax. */
function scan(text: string, depthMax: number): "fine" | "deep" | "number" {
  let depth = 0;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c === quote) {
      i = endOfString(text, i);
    } else if (c === openBrace || c === openBracket) {
      depth += 1;
      if (depth > depthMax) return "deep";
    } else if (c === closeBrace || c === closeBracket) {
      depth -= 1;
    } else if (c === minus || (c >= zero && c <= nine)) {
      const start = i;
      while (i + 1 < text.length && isNumberPart(text.charCodeAt(i + 1))) i += 1;
      if (!isExact(text, start, i + 1)) return "number";
    }
  }
  return "fine";
}

const [quote, backslash, openBrace, closeBrace, openBracket, closeBracket] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d];
const [minus, plus, dot, zero, nine, lowerE, upperE] = [0x2d, 0x2b, 0x2e, 0x30, 0x39, 0x65, 0x45];

const isNumberPart = (c: number): boolean =>
  (c >= zero && c <= nine) || c === dot || c === lowerE || c === upperE || c === plus || c === minus;

function endOfString(text: string, from: number): number {
  let i = from + 1;
  while (i < text.length) {
    const c = text.charCodeAt(i);
    if (c === quote) return i;
    i += c === backslash ? 2 : 1;
  }
  return i;
}

/** Up to 15 digits are always exact. Of longer ones only integers are looked at: a fraction is a measure, not a name. */
function isExact(text: string, start: number, end: number): boolean {
  const token = end - start <= 15 ? "" : text.slice(start, end);
  if (token === "") return !hasExponent(text, start, end) || Number.isFinite(Number(text.slice(start, end)));
  const value = Number(token);
  if (!Number.isFinite(value)) return false;
  if (!/^-?\d+$/.test(token)) return true;
  return token.length <= 400 && BigInt(token) === BigInt(value);
}

function hasExponent(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if (c === lowerE || c === upperE) return true;
  }
  return false;
}

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An own property: `__proto__` and its like are names like any other. */
export const field = (object: JsonObject, name: string): Json | undefined =>
  Object.hasOwn(object, name) ? object[name] : undefined;

export const textField = (object: JsonObject, name: string): string | undefined => {
  const value = field(object, name);
  return typeof value === "string" ? value : undefined;
};

/** A copy with one property set; its place is kept where it had one. */
export const withField = (object: JsonObject, name: string, value: Json): JsonObject =>
  Object.fromEntries(
    Object.hasOwn(object, name)
      ? Object.entries(object).map(([key, old]) => [key, key === name ? value : old])
      : [...Object.entries(object), [name, value]],
  );

export const withoutField = (object: JsonObject, name: string): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));

/** Keys sorted at every level: equal for equal values. */
export function canonicalJson(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
}
