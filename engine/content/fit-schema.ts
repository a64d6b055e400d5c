// a JSON document with a schema, masks -> the masked document, which still is one of its schema
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, withoutField } from "../lib/read-json.ts";
import { compileSchema } from "../mcp/json-schema.ts";
import { joinMasks, type Mask } from "../model/mask.ts";
import { maskNestedText } from "./json-stream.ts";
import { maskJsonValue } from "./mask-value.ts";
import { type ContentMasks, maskNumberText, maskText } from "./masker.ts";
import { elementPlace, fieldPlace, type Place, rootPlace } from "./path-states.ts";
import { elementPlaceOf, isDescribed, propertyPlace, type SchemaPlace } from "./schema-place.ts";

/** `isUnfit`: of some place no neutral value was found that its schema allows. */
export type Fitted = { readonly document: Json; readonly isUnfit: boolean };

/**
 * What a mask puts in place is kept where it fits; else a neutral value of the schema stands there. `described` is the
 * schema as its author wrote it, for masks of tags: what it doesn't describe is left out under them.
 */
export function maskWithSchema(
  document: Json,
  schema: JsonObject,
  masks: ContentMasks,
  described: SchemaPlace | undefined,
): Fitted {
  const visitor = new Visitor(masks, schemasIn(schema));
  const tagged = masks.tags.length === 0 ? undefined : described;
  const masked = visitor.visit(document, { schema, place: rootPlace(masks.paths), tagged });
  return { document: masked, isUnfit: visitor.isUnfit };
}

/** Where the visitor stands. `tagged`: undefined where no mask of tags applies. */
type At = {
  readonly schema: JsonObject | undefined;
  readonly place: Place;
  readonly tagged: SchemaPlace | undefined;
};

class Visitor {
  readonly #masks: ContentMasks;
  readonly #schemas: Schemas;
  isUnfit = false;

  constructor(masks: ContentMasks, schemas: Schemas) {
    this.#masks = masks;
    this.#schemas = schemas;
  }

  visit(value: Json, { schema, place, tagged }: At): Json {
    const masks = this.#masks;
    const mask = maskAt(place, tagged, masks);
    // Only the root comes here to be removed, and there is nothing that it could be taken out of.
    if (mask?.kind === "remove") this.isUnfit = true;
    if (mask !== undefined) return this.#fitted(maskJsonValue(value, mask, masks.key), schema);
    if (typeof value === "string") {
      const masked = maskNestedText(value, masks, 0);
      return masked === value ? value : this.#fitted(masked, schema);
    }
    if (typeof value === "number")
      return maskNumberText(String(value), masks) === String(value) ? value : this.#fitted(0, schema);
    if (Array.isArray(value)) {
      let isShortened = false;
      const shown = value.flatMap((item: Json, i): readonly Json[] => {
        const inner = tagged && elementPlaceOf(tagged, i);
        const at = { schema: this.#schemas.items(schema), place: elementPlace(place, i), tagged: inner };
        const isGone = maskAt(at.place, inner, masks)?.kind === "remove";
        isShortened ||= isGone;
        return isGone || isLeftOut(tagged, inner, item) ? [] : [this.visit(item, at)];
      });
      return isShortened ? this.#shortened(shown, value, schema) : shown;
    }
    if (!isObject(value)) return value;
    let isShortened = false;
    const shown = Object.fromEntries(
      Object.entries(value).flatMap(([key, item]): readonly (readonly [string, Json])[] => {
        const inner = tagged && propertyPlace(tagged, key);
        const at = { schema: this.#schemas.property(schema, key), place: fieldPlace(place, key), tagged: inner };
        const isGone = maskAt(at.place, inner, masks)?.kind === "remove";
        isShortened ||= isGone;
        return isGone || isLeftOut(tagged, inner, item) ? [] : [[maskText(key, masks), this.visit(item, at)]];
      }),
    );
    return isShortened ? this.#shortened(shown, value, schema) : shown;
  }

  /** What the schema requires has no neutral value that isn't there. What wasn't of its schema before needn't be now. */
  #shortened(shown: Json, value: Json, schema: JsonObject | undefined): Json {
    if (schema !== undefined && this.#schemas.fits(value, schema) && !this.#schemas.fits(shown, schema)) {
      this.isUnfit = true;
    }
    return shown;
  }

  #fitted(masked: Json, schema: JsonObject | undefined): Json {
    if (schema === undefined || this.#schemas.fits(masked, schema)) return masked;
    const found = neutral(schema, this.#schemas, 0).find((candidate) => this.#schemas.fits(candidate, schema));
    if (found === undefined) this.isUnfit = true;
    return found ?? masked;
  }
}

function maskAt({ mask }: Place, tagged: SchemaPlace | undefined, { tags }: ContentMasks): Mask | undefined {
  if (tagged === undefined || tagged.tags.size === 0) return mask;
  const ofTags = tags.filter(({ tag }) => tagged.tags.has(tag)).map((each) => each.mask);
  return joinMasks(mask === undefined ? ofTags : [mask, ...ofTags]);
}

/** Under masks of tags only what a schema describes is shown: nobody can tell of anything else whether it is tagged. */
const isLeftOut = (outer: SchemaPlace | undefined, inner: SchemaPlace | undefined, value: Json): boolean =>
  outer !== undefined && (inner === undefined || inner.isOpaque || !isDescribed(inner, value));

const objectOf = (value: Json | undefined): JsonObject | undefined =>
  value !== undefined && isObject(value) ? value : undefined;

/** A schema that is part of another one, whose `$defs` its references point into. */
class Schemas {
  readonly #defs: JsonObject | undefined;
  readonly #checks = new WeakMap<JsonObject, (value: Json) => boolean>();
  /** Found before: documents repeat their names, and a check is made once for each. */
  readonly #parts = new WeakMap<JsonObject, Map<string, JsonObject | undefined>>();

  constructor(root: JsonObject) {
    this.#defs = objectOf(field(root, "$defs"));
  }

  fits(value: Json, schema: JsonObject): boolean {
    let check = this.#checks.get(schema);
    if (check === undefined) {
      const whole = this.#defs === undefined ? schema : { ...schema, $defs: this.#defs };
      const compiled = compileSchema(whole);
      check = compiled.ok ? (v) => compiled.value(v) === undefined : () => true;
      this.#checks.set(schema, check);
    }
    return check(value);
  }

  /** With what it refers to in place, for whoever looks for a value that may fit. */
  opened(schema: JsonObject, depth = 0): JsonObject {
    const reference = field(schema, "$ref");
    if (typeof reference !== "string" || !reference.startsWith("#/$defs/") || depth > depthMax) return schema;
    const target = this.#defs && objectOf(field(this.#defs, reference.slice("#/$defs/".length)));
    return target === undefined ? schema : { ...this.opened(target, depth + 1), ...withoutField(schema, "$ref") };
  }

  items = (schema: JsonObject | undefined): JsonObject | undefined =>
    this.#remembered(schema, "", (own) => objectOf(field(own, "items")));

  property = (schema: JsonObject | undefined, key: string): JsonObject | undefined =>
    this.#remembered(schema, `.${key}`, (own) => {
      const properties = objectOf(field(own, "properties"));
      return (properties && objectOf(field(properties, key))) ?? objectOf(field(own, "additionalProperties"));
    });

  #remembered(
    schema: JsonObject | undefined,
    name: string,
    pick: (schema: JsonObject) => JsonObject | undefined,
  ): JsonObject | undefined {
    if (schema === undefined) return undefined;
    const known = this.#parts.get(schema) ?? new Map<string, JsonObject | undefined>();
    if (known.has(name)) return known.get(name);
    const part = this.#part(schema, pick, 0);
    if (known.size < partsMax) this.#parts.set(schema, known.set(name, part));
    return part;
  }

  /** All that is said of a part, as one schema. */
  #part(
    schema: JsonObject | undefined,
    pick: (schema: JsonObject) => JsonObject | undefined,
    depth: number,
  ): JsonObject | undefined {
    if (schema === undefined || depth > depthMax) return undefined;
    const open = this.opened(schema);
    const own = pick(open);
    const below = (name: string): readonly JsonObject[] => {
      const parts = field(open, name);
      return (Array.isArray(parts) ? (parts as readonly Json[]) : []).flatMap((part): readonly JsonObject[] => {
        const found = this.#part(objectOf(part), pick, depth + 1);
        return found === undefined ? [] : [found];
      });
    };
    const all = [...(own === undefined ? [] : [own]), ...below("allOf")];
    const any = [...below("oneOf"), ...below("anyOf")];
    if (any.length === 1 && any[0] !== undefined) all.push(any[0]);
    else if (any.length > 1) all.push({ anyOf: any });
    return all.length > 1 ? { allOf: all } : all[0];
  }
}

const partsMax = 1_000;
const schemasOf = new WeakMap<JsonObject, Schemas>();

function schemasIn(root: JsonObject): Schemas {
  const known = schemasOf.get(root) ?? new Schemas(root);
  schemasOf.set(root, known);
  return known;
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
function neutral(written: JsonObject, schemas: Schemas, depth: number): readonly Json[] {
  if (depth > depthMax) return [];
  const schema = schemas.opened(written);
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
    if (type === "array") values.push(neutralArray(schema, schemas, depth));
    if (type === "object") values.push(neutralObject(schema, schemas, depth));
  }
  if (types.includes("null") || field(schema, "nullable") === true) values.push(null);
  for (const name of ["allOf", "oneOf", "anyOf"]) {
    const parts = field(schema, name);
    for (const part of Array.isArray(parts) ? parts : []) {
      const inner = objectOf(part as Json);
      if (inner) values.push(...neutral(inner, schemas, depth + 1));
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

function neutralArray(schema: JsonObject, schemas: Schemas, depth: number): Json {
  const count = Math.min(numberField(schema, "minItems") ?? 0, 1_000);
  const items = schemas.items(schema);
  const [item = null] = items === undefined ? [] : choose(items, schemas, depth);
  return Array.from({ length: count }, () => item);
}

function neutralObject(schema: JsonObject, schemas: Schemas, depth: number): Json {
  const required = field(schema, "required");
  const names = Array.isArray(required) ? required.filter((name) => typeof name === "string") : [];
  return Object.fromEntries(
    names.map((name) => {
      const inner = schemas.property(schema, name);
      const [value = null] = inner === undefined ? [] : choose(inner, schemas, depth);
      return [name, value];
    }),
  );
}

const choose = (schema: JsonObject, schemas: Schemas, depth: number): readonly Json[] =>
  neutral(schema, schemas, depth + 1).filter((candidate) => schemas.fits(candidate, schema));

function numberField(schema: JsonObject, name: string): number | undefined {
  const value = field(schema, name);
  return typeof value === "number" ? value : undefined;
}
