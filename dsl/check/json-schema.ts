// JSON Schema (of an OpenAPI document or an MCP tool) -> a type of the language; what has no such type is `json`
import type { Json } from "../../engine/lib/json.ts";
import { bool, float, int, json, optionOf, string, type Type } from "../types.ts";

type JsonObject = { readonly [key: string]: Json };

export const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** References deeper than this are taken as `json`: a schema may refer to itself. */
const depthMax = 16;

/** `document` holds what `$ref`s point into. */
export function typeOfSchema(schema: Json | undefined, document: Json, depth = 0): Type {
  if (depth > depthMax || !isObject(schema)) return json;
  if (typeof schema.$ref === "string") {
    const type = typeOfSchema(pointed(document, schema.$ref), document, depth + 1);
    return type.kind === "record" ? { ...type, name: schema.$ref.split("/").at(-1) } : type;
  }
  const inner = (part: Json | undefined): Type => typeOfSchema(part, document, depth + 1);
  const wrap = (type: Type): Type => (isNullable(schema) ? optionOf(type) : type);
  if (Array.isArray(schema.enum)) {
    const values = schema.enum.filter((value: Json) => typeof value === "string");
    return values.length === schema.enum.length && values.length > 0
      ? wrap({ kind: "enum", name: undefined, values })
      : json;
  }
  switch (nameOfType(schema)) {
    case "object":
      return wrap(objectType(schema, inner));
    case "array":
      return wrap({ kind: "list", of: inner(schema.items) });
    case "integer":
      return wrap(int);
    case "number":
      return wrap(float);
    case "boolean":
      return wrap(bool);
    case "string":
      return wrap(string);
    default:
      return json;
  }
}

/** The one type beside `null`. */
function nameOfType({ type }: JsonObject): string | undefined {
  if (typeof type === "string") return type;
  const names = Array.isArray(type) ? type.filter((name: Json) => name !== "null") : [];
  return names.length === 1 && typeof names[0] === "string" ? names[0] : undefined;
}

const isNullable = ({ type, nullable }: JsonObject): boolean =>
  nullable === true || (Array.isArray(type) && type.includes("null"));

function objectType(schema: JsonObject, inner: (part: Json | undefined) => Type): Type {
  const { properties, required, additionalProperties } = schema;
  if (!isObject(properties))
    return isObject(additionalProperties) ? { kind: "map", of: inner(additionalProperties) } : json;
  const needed = new Set<Json>(Array.isArray(required) ? required : []);
  const fields = Object.entries(properties).map(([name, part]): [string, Type] => {
    const type = inner(part);
    return [name, needed.has(name) ? type : optionOf(type)];
  });
  return { kind: "record", name: undefined, fields: new Map(fields) };
}

/** `#/components/schemas/Order`; undefined for what is not in the document. */
export function pointed(document: Json, reference: string): Json | undefined {
  if (!reference.startsWith("#/")) return undefined;
  let value: Json | undefined = document;
  for (const part of reference.slice(2).split("/")) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
    value = value[name];
  }
  return value;
}
