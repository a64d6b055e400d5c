// a JSON document with a schema, masks -> the masked document, which still is one of its schema
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject } from "../lib/read-json.ts";
import { compileSchema } from "../mcp/json-schema.ts";
import { maskNestedText } from "./json-stream.ts";
import { maskJsonValue } from "./mask-value.ts";
import { type ContentMasks, maskNumberText, maskText } from "./masker.ts";
import { elementPlace, fieldPlace, type Place, rootPlace } from "./path-states.ts";

/** What a mask puts in place is kept where it fits; else a neutral value of the schema stands there. */
export function maskWithSchema(document: Json, schema: JsonObject, masks: ContentMasks): Json {
  return visit(document, schema, rootPlace(masks.paths), masks);
}

function visit(value: Json, schema: JsonObject | undefined, place: Place, masks: ContentMasks): Json {
  if (place.mask !== undefined) return fitted(maskJsonValue(value, place.mask, masks.key), schema);
  if (typeof value === "string") {
    const masked = maskNestedText(value, masks, 0);
    return masked === value ? value : fitted(masked, schema);
  }
  if (typeof value === "number")
    return maskNumberText(String(value), masks) === String(value) ? value : fitted(0, schema);
  if (Array.isArray(value)) {
    return value.map((item: Json, i) => visit(item, itemsOf(schema), elementPlace(place, i), masks));
  }
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      maskText(key, masks),
      visit(item, propertyOf(schema, key), fieldPlace(place, key), masks),
    ]),
  );
}

const objectOf = (value: Json | undefined): JsonObject | undefined =>
  value !== undefined && isObject(value) ? value : undefined;

const itemsOf = (schema: JsonObject | undefined): JsonObject | undefined => schema && objectOf(field(schema, "items"));

function propertyOf(schema: JsonObject | undefined, key: string): JsonObject | undefined {
  if (schema === undefined) return undefined;
  const properties = objectOf(field(schema, "properties"));
  const own = properties && objectOf(field(properties, key));
  if (own !== undefined) return own;
  const all = field(schema, "allOf");
  for (const part of Array.isArray(all) ? all : []) {
    const found = propertyOf(objectOf(part as Json), key);
    if (found !== undefined) return found;
  }
  return objectOf(field(schema, "additionalProperties"));
}

const checks = new WeakMap<JsonObject, (value: Json) => boolean>();

function fits(value: Json, schema: JsonObject): boolean {
  let check = checks.get(schema);
  if (check === undefined) {
    const compiled = compileSchema(schema);
    check = compiled.ok ? (v) => compiled.value(v) === undefined : () => true;
    checks.set(schema, check);
  }
  return check(value);
}

function fitted(masked: Json, schema: JsonObject | undefined): Json {
  if (schema === undefined || fits(masked, schema)) return masked;
  return neutral(schema, 0).find((candidate) => fits(candidate, schema)) ?? masked;
}

const depthMax = 16;

const byFormat: Readonly<Record<string, string>> = {
  email: "hidden@example.invalid",
  "idn-email": "hidden@example.invalid",
  date: "1970-01-01",
  "date-time": "1970-01-01T00:00:00Z",
  time: "00:00:00Z",
  duration: "PT0S",
  uuid: "00000000-0000-0000-0000-000000000000",
  uri: "urn:hidden",
  "uri-reference": "hidden",
  hostname: "hidden.invalid",
  ipv4: "0.0.0.0",
  ipv6: "::",
  byte: "",
};

/** Values that the schema may allow, whatever the document holds: best first. */
function neutral(schema: JsonObject, depth: number): readonly Json[] {
  if (depth > depthMax) return [];
  const values: Json[] = [];
  const constant = field(schema, "const");
  if (constant !== undefined) values.push(constant);
  const choices = field(schema, "enum");
  if (Array.isArray(choices)) values.push(...(choices as readonly Json[]).slice(0, 1));
  const said = field(schema, "type");
  const types: readonly Json[] = Array.isArray(said) ? said : said === undefined ? [] : [said];
  for (const type of types) {
    if (type === "string") values.push(...neutralTexts(schema));
    if (type === "integer" || type === "number") values.push(...neutralNumbers(schema));
    if (type === "boolean") values.push(false);
    if (type === "array") values.push(neutralArray(schema, depth));
    if (type === "object") values.push(neutralObject(schema, depth));
  }
  if (types.includes("null") || field(schema, "nullable") === true) values.push(null);
  for (const name of ["allOf", "oneOf", "anyOf"]) {
    const parts = field(schema, name);
    for (const part of Array.isArray(parts) ? parts : []) {
      const inner = objectOf(part as Json);
      if (inner) values.push(...neutral(inner, depth + 1));
    }
  }
  return values;
}

function neutralTexts(schema: JsonObject): readonly string[] {
  const least = numberField(schema, "minLength") ?? 0;
  const most = numberField(schema, "maxLength") ?? 3;
  const format = field(schema, "format");
  const special = typeof format === "string" && Object.hasOwn(byFormat, format) ? byFormat[format] : undefined;
  const length = Math.min(Math.max(least, Math.min(3, most)), 10_000);
  const fills = ["*", "x", "0", "A"].map((c) => c.repeat(length));
  return special === undefined ? fills : [special, ...fills];
}

function neutralNumbers(schema: JsonObject): readonly number[] {
  const least = numberField(schema, "minimum") ?? numberField(schema, "exclusiveMinimum");
  const most = numberField(schema, "maximum") ?? numberField(schema, "exclusiveMaximum");
  const step = numberField(schema, "multipleOf");
  const near = [0, least, most, least === undefined ? undefined : least + 1, most === undefined ? undefined : most - 1];
  const steps = step === undefined || least === undefined ? [] : [Math.ceil(least / step) * step];
  const middle = least !== undefined && most !== undefined ? [(least + most) / 2] : [];
  return [...near.filter((n) => n !== undefined), ...steps, ...middle];
}

function neutralArray(schema: JsonObject, depth: number): Json {
  const count = Math.min(numberField(schema, "minItems") ?? 0, 1_000);
  const items = itemsOf(schema);
  const [item = null] = items === undefined ? [] : choose(items, depth);
  return Array.from({ length: count }, () => item);
}

function neutralObject(schema: JsonObject, depth: number): Json {
  const required = field(schema, "required");
  const names = Array.isArray(required) ? required.filter((name) => typeof name === "string") : [];
  return Object.fromEntries(
    names.map((name) => {
      const inner = propertyOf(schema, name);
      const [value = null] = inner === undefined ? [] : choose(inner, depth);
      return [name, value];
    }),
  );
}

const choose = (schema: JsonObject, depth: number): readonly Json[] =>
  neutral(schema, depth + 1).filter((candidate) => fits(candidate, schema));

function numberField(schema: JsonObject, name: string): number | undefined {
  const value = field(schema, name);
  return typeof value === "number" ? value : undefined;
}
