// What is read while a rule runs, and what becomes of what is absent or unknown: the same for closures, generated functions and
// the interpreter.
import type { Json } from "../engine/lib/json.ts";
import { Unknown } from "../engine/lib/truth.ts";
import { limits } from "../engine/limits.ts";
import type { Value } from "./checked.ts";
import type { Type } from "./types.ts";
import { castJson, elementsOf, isPlainRecord } from "./values.ts";

/** A `let` that was not asked yet. */
export const unset = Symbol("unset");
const tooMany = new Unknown(`a collection has more than ${limits.policySetElementsMax} elements`);
export const absent = new Unknown("a value that the rule needs is absent");

/** An absent value where one is needed is a rule error: the checker lets it happen only after an unknown. */
export const isBad = (value: Value): value is Unknown | undefined => value === undefined || value instanceof Unknown;
export const badness = (value: Unknown | undefined): Unknown => value ?? absent;

/** A field of a record, or of JSON, where anything but an object has none. */
export function fieldOf(value: Value, name: string, isJson: boolean): Value {
  if (value instanceof Unknown) return value;
  if (value === undefined) return isJson ? undefined : absent;
  if (!isPlainRecord(value)) return undefined;
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

/** A claim whose type is declared: of another type, or missing though needed, it is not known. */
export function claimOf(claims: Value, name: string, type: Type): Value {
  if (claims instanceof Unknown) return claims;
  const raw = isPlainRecord(claims) && Object.hasOwn(claims, name) ? (claims[name] as Json) : undefined;
  if (raw instanceof Unknown) return raw;
  if (type.kind === "option" && (raw === undefined || raw === null)) return undefined;
  const value = castJson(raw, type);
  if (value !== undefined) return value;
  return new Unknown(
    raw === undefined ? `the token has no claim \`${name}\`` : `the claim \`${name}\` has another type than declared`,
  );
}

export function lookup(object: Value, key: Value): Value {
  if (isBad(object)) return badness(object);
  if (isBad(key)) return badness(key);
  if (Array.isArray(object)) return typeof key === "number" ? object[key] : undefined;
  if (typeof key !== "string" || !isPlainRecord(object)) return undefined;
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Elements to range over, or why not. */
export function rangeOver(value: Value): readonly Value[] | Unknown {
  if (isBad(value)) return badness(value);
  const items = elementsOf(value);
  return items.length > limits.policySetElementsMax ? tooMany : items;
}
