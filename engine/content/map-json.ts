// a JSON document, a path -> the document with what stands at the path's places replaced
import type { Json } from "../lib/json.ts";
import type { JsonPath } from "../lib/json-path.ts";

type JsonObject = { readonly [key: string]: Json };

const isObject = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * A copy in which `replace` had its say about every place that the path names; parts without one are shared. As deep as
 * the document, which its reader has bounded.
 */
export function mapJson(document: Json, path: JsonPath, replace: (value: Json) => Json): Json {
  const [step, ...rest] = path;
  if (step === undefined) return replace(document);
  const below = (value: Json): Json => mapJson(value, rest, replace);
  switch (step.kind) {
    case "field":
      return isObject(document)
        ? mapFields(document, (key, value) => (key === step.name ? below(value) : value))
        : document;
    case "element":
      return isArray(document) ? document.map((value, i) => (i === step.index ? below(value) : value)) : document;
    case "any":
      if (isArray(document)) return document.map(below);
      return isObject(document) ? mapFields(document, (_, value) => below(value)) : document;
    case "anywhere":
      return mapAnywhere(document, step.name, below);
    default:
      return step satisfies never;
  }
}

const isArray = (value: Json): value is readonly Json[] => Array.isArray(value);

function mapAnywhere(document: Json, name: string, below: (value: Json) => Json): Json {
  if (isArray(document)) return document.map((value) => mapAnywhere(value, name, below));
  if (!isObject(document)) return document;
  return mapFields(document, (key, value) => {
    const inner = mapAnywhere(value, name, below);
    return key === name ? below(inner) : inner;
  });
}

/** `__proto__` is a name like any other. */
const mapFields = (object: JsonObject, map: (key: string, value: Json) => Json): Json =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(key, value)]));
