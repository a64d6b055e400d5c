// application/x-www-form-urlencoded <-> fields
import type { Json } from "../lib/json.ts";
import { encodeQueryPart, percentDecode } from "./percent.ts";
import type { Field } from "./request.ts";

/** Undefined for what isn't UTF-8, or has a `%` that escapes nothing. */
export function readForm(text: string): readonly Field[] | undefined {
  const fields: Field[] = [];
  for (const piece of text.split("&")) {
    if (piece === "") continue;
    const equals = piece.indexOf("=");
    const parts = [equals < 0 ? piece : piece.slice(0, equals), equals < 0 ? "" : piece.slice(equals + 1)];
    const [name, value] = parts.map((part) => percentDecode(part.replaceAll("+", "%20")));
    if (name === undefined || value === undefined) return undefined;
    fields.push([name, value]);
  }
  return fields;
}

export const renderForm = (fields: readonly Field[]): string =>
  fields.map(([name, value]) => `${encodeQueryPart(name)}=${encodeQueryPart(value)}`).join("&");

/** A repeated name has a list of values: a rule that wants one value finds none. */
export function fieldsJson(fields: readonly (readonly [string, Json])[]): Json {
  const values = new Map<string, Json[]>();
  for (const [name, value] of fields) values.set(name, [...(values.get(name) ?? []), value]);
  return Object.fromEntries(
    [...values].map(([name, all]): [string, Json] => [name, all.length === 1 ? (all[0] ?? null) : all]),
  );
}
