// a JSON Schema, followed beside a document -> what its author says about the place where the reader stands
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject } from "../lib/read-json.ts";
import { linearRegex } from "../lib/regex.ts";
import { schemaTags } from "../lib/schema-tags.ts";

/**
 * Every schema that may say something about the place: those of all branches of `allOf`, `anyOf`, `oneOf` and `if` count,
 * so a tag in one of them is a tag of the place.
 */
export type SchemaPlace = {
  /** What `$ref` points into: a schema by itself, or the whole OpenAPI document. */
  readonly document: Json;
  readonly schemas: readonly JsonObject[];
  readonly tags: ReadonlySet<string>;
  /** Something about the place can't be followed: `$dynamicRef`, a `$ref` out of the document, a schema of what is in a text. */
  readonly isOpaque: boolean;
  /** Places below, found before: documents repeat their names. */
  readonly known: Map<string | number, SchemaPlace | undefined>;
};

const knownMax = 1_000;
const schemasMax = 1_000;

export const schemaPlace = (document: Json, schema: Json): SchemaPlace => placeOf(document, [schema]);

/** Undefined: no schema describes a property of that name. */
export function propertyPlace(place: SchemaPlace, name: string): SchemaPlace | undefined {
  return remembered(place, name, () => describedProperty(place, name));
}

/** Undefined: no schema describes the element. */
export function elementPlaceOf(place: SchemaPlace, index: number): SchemaPlace | undefined {
  const hasTuple = place.schemas.some((s) => field(s, "prefixItems") !== undefined || Array.isArray(field(s, "items")));
  return remembered(place, hasTuple ? index : 0, () => describedElement(place, index));
}

function remembered(
  place: SchemaPlace,
  key: string | number,
  find: () => readonly Json[] | undefined,
): SchemaPlace | undefined {
  if (place.known.has(key)) return place.known.get(key);
  const schemas = find();
  const found = schemas && placeOf(place.document, schemas);
  if (place.known.size < knownMax) place.known.set(key, found);
  return found;
}

function describedProperty({ schemas }: SchemaPlace, name: string): readonly Json[] | undefined {
  const found: Json[] = [];
  const others: Json[] = [];
  for (const schema of schemas) {
    let isOwn = false;
    const own = objectAt(schema, "properties");
    const ofName = own && field(own, name);
    if (ofName !== undefined && ofName !== false) {
      found.push(ofName);
      isOwn = true;
    }
    for (const [pattern, part] of Object.entries(objectAt(schema, "patternProperties") ?? {})) {
      if (!matches(pattern, name)) continue;
      found.push(part);
      isOwn = true;
    }
    const rest = field(schema, "additionalProperties");
    if (!isOwn && describes(rest)) found.push(rest);
    const unevaluated = field(schema, "unevaluatedProperties");
    if (describes(unevaluated)) others.push(unevaluated);
  }
  return found.length > 0 ? found : others.length > 0 ? others : undefined;
}

function describedElement({ schemas }: SchemaPlace, index: number): readonly Json[] | undefined {
  const found: Json[] = [];
  const others: Json[] = [];
  for (const schema of schemas) {
    const items = field(schema, "items");
    const tuple = Array.isArray(items) ? items : field(schema, "prefixItems");
    const rest = Array.isArray(items) ? field(schema, "additionalItems") : items;
    const own = Array.isArray(tuple) ? (tuple as readonly Json[])[index] : undefined;
    if (own !== undefined && own !== false) found.push(own);
    else if (own === undefined && describes(rest)) found.push(rest);
    const contains = field(schema, "contains");
    if (describes(contains)) found.push(contains);
    const unevaluated = field(schema, "unevaluatedItems");
    if (describes(unevaluated)) others.push(unevaluated);
  }
  return found.length > 0 ? found : others.length > 0 ? others : undefined;
}

/** `true` and `{}` allow everything and describe nothing. */
const describes = (schema: Json | undefined): schema is JsonObject =>
  schema !== undefined && isObject(schema) && Object.keys(schema).length > 0;

const objectAt = (schema: JsonObject, name: string): JsonObject | undefined => {
  const value = field(schema, name);
  return value !== undefined && isObject(value) ? value : undefined;
};

const patterns = new Map<string, { readonly test: (text: string) => boolean } | undefined>();

/** A pattern that can't be read may be meant. */
function matches(pattern: string, name: string): boolean {
  if (!patterns.has(pattern)) {
    if (patterns.size > knownMax) patterns.clear();
    try {
      patterns.set(pattern, linearRegex(pattern, "u"));
    } catch {
      patterns.set(pattern, undefined);
    }
  }
  return patterns.get(pattern)?.test(name) ?? true;
}

/** Applied to the same value as the schema that holds them. */
const listsInPlace = ["allOf", "anyOf", "oneOf"];
const schemasInPlace = ["if", "then", "else"];
const unfollowed = ["$dynamicRef", "$recursiveRef", "contentSchema"];

function placeOf(document: Json, given: readonly Json[]): SchemaPlace {
  const seen = new Set<JsonObject>();
  const tags = new Set<string>();
  let isOpaque = false;
  const open: Json[] = [...given];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (!isObject(node) || seen.has(node)) continue;
    if (seen.size >= schemasMax) {
      isOpaque = true;
      break;
    }
    seen.add(node);
    const schema = node;
    const own = schemaTags(schema);
    for (const tag of own ?? []) tags.add(tag);
    isOpaque ||= own === undefined || unfollowed.some((key) => field(schema, key) !== undefined);
    // Below an identifier of its own, references mean other places than those of the document.
    isOpaque ||= schema !== document && typeof field(schema, "$id") === "string";
    const reference = field(schema, "$ref");
    if (reference !== undefined) {
      const target = typeof reference === "string" ? pointedAt(document, reference) : undefined;
      if (target === undefined) isOpaque = true;
      else open.push(target);
    }
    for (const key of listsInPlace) {
      const parts = field(schema, key);
      if (Array.isArray(parts)) open.push(...(parts as readonly Json[]));
    }
    for (const key of schemasInPlace) open.push(field(schema, key) ?? true);
    for (const key of ["dependentSchemas", "dependencies"]) open.push(...Object.values(objectAt(schema, key) ?? {}));
    // Whose names are tagged, is hidden as a whole.
    const names = field(schema, "propertyNames");
    if (describes(names)) for (const tag of placeOf(document, [names]).tags) tags.add(tag);
  }
  return { document, schemas: [...seen], tags, isOpaque, known: new Map() };
}

/** RFC 6901 in a fragment; undefined for what is not in the document. */
function pointedAt(document: Json, reference: string): Json | undefined {
  if (reference === "#") return document;
  if (!reference.startsWith("#/")) return undefined;
  let node: Json | undefined = document;
  for (const part of reference.slice(2).split("/")) {
    let name: string;
    try {
      name = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
    } catch {
      return undefined;
    }
    if (Array.isArray(node)) node = (node as readonly Json[])[Number(name)];
    else node = node !== undefined && isObject(node) ? field(node, name) : undefined;
  }
  return node;
}

/** Follows a reference where an OpenAPI document has an object: path items, responses, media types. */
export function referred(document: Json, value: Json | undefined, depth = 0): JsonObject | undefined {
  if (value === undefined || !isObject(value) || depth > 16) return undefined;
  const reference = field(value, "$ref");
  return typeof reference === "string" ? referred(document, pointedAt(document, reference), depth + 1) : value;
}

/**
 * A schema of a document as one that stands by itself: what it refers to is in `$defs`. References out of the document stay,
 * and nobody can check a value by them.
 */
export function standalone(document: Json, schema: JsonObject): JsonObject {
  const names = new Map<string, string>();
  const open: string[] = [];
  const copy = (node: Json): Json => {
    if (Array.isArray(node)) return (node as readonly Json[]).map(copy);
    if (!isObject(node)) return node;
    return Object.fromEntries(
      Object.entries(node).map(([key, value]) => {
        if (key !== "$ref" || typeof value !== "string" || pointedAt(document, value) === undefined)
          return [key, copy(value)];
        if (!names.has(value)) open.push(value);
        names.set(value, names.get(value) ?? `s${names.size}`);
        return [key, `#/$defs/${names.get(value)}`];
      }),
    );
  };
  const own = copy(schema) as JsonObject;
  const defs: [string, Json][] = [];
  for (let reference = open.pop(); reference !== undefined; reference = open.pop()) {
    defs.push([names.get(reference) ?? "", copy(pointedAt(document, reference) ?? true)]);
  }
  return defs.length === 0 ? own : { ...own, $defs: Object.fromEntries(defs) };
}

const typeOfKeyword: readonly (readonly [type: string, keywords: readonly string[]])[] = [
  ["object", ["properties", "patternProperties", "additionalProperties", "required", "propertyNames"]],
  ["array", ["items", "prefixItems", "additionalItems", "contains"]],
];

/** Types that a schema speaks of; [] for one that says nothing about the type. */
function typesOf(schema: JsonObject): readonly string[] {
  const type = field(schema, "type");
  const said = typeof type === "string" ? [type] : Array.isArray(type) ? type.filter((t) => typeof t === "string") : [];
  if (said.length > 0) return said;
  const values = field(schema, "enum");
  const constant = field(schema, "const");
  if (Array.isArray(values)) return (values as readonly Json[]).map(typeOf);
  if (constant !== undefined) return [typeOf(constant)];
  return typeOfKeyword.flatMap(([name, keywords]) => (keywords.some((k) => Object.hasOwn(schema, k)) ? [name] : []));
}

const typeOf = (value: Json): string =>
  value === null ? "null" : Array.isArray(value) ? "array" : typeof value === "object" ? "object" : typeof value;

/** Whether the schemas speak of a value of this kind at all: a text where they describe an object is described by none. */
export function isDescribed({ schemas }: SchemaPlace, value: Json): boolean {
  const types = schemas.flatMap(typesOf);
  if (types.length === 0 || value === null) return true;
  const type = typeOf(value);
  return types.includes(type) || (type === "number" && types.includes("integer"));
}
