// The door to ajv: JSON Schema of a tool -> check of a value. Schemas come from servers that are not trusted.
import { Ajv } from "ajv";
import { Ajv2019 } from "ajv/dist/2019.js";
import { Ajv2020 } from "ajv/dist/2020.js";
import * as formats from "ajv-formats";
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField, withoutField } from "../lib/read-json.ts";
import { linearRegex } from "../lib/regex.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { limits } from "../limits.ts";

/** What doesn't fit, without the value: `/cents must be integer`; undefined when all does. */
export type CheckValue = (value: Json) => string | undefined;

/** The error is one sentence: such a tool can't be typed, so it can't be used. */
export function compileSchema(schema: JsonObject): Result<CheckValue, string> {
  const text = JSON.stringify(schema);
  if (text.length > limits.toolSchemaCharsMax) return err("the schema is too long");
  const cost = costOf(schema);
  if (cost > limits.toolSchemaStepsMax) return err("the schema refers to itself in too many ways");
  const dialect = textField(schema, "$schema");
  const make = dialects.find(({ pattern }) => dialect === undefined || pattern.test(dialect))?.make;
  if (!make) return err("the schema is of a dialect that isn't known here");
  try {
    const ajv = make();
    formats.default.default(ajv);
    const validate = ajv.compile(withoutField(schema, "$schema"));
    return ok((value) => {
      try {
        if (validate(value)) return undefined;
        const first = validate.errors?.[0];
        return `${first?.instancePath || "the value"} ${first?.message ?? "doesn't fit"}`;
      } catch {
        return "the value is too deep for its schema";
      }
    });
  } catch {
    return err("the schema can't be used");
  }
}

const options = {
  strict: false,
  validateSchema: false,
  addUsedSchema: false,
  logger: false,
  code: { regExp: linearRegex },
} as const;

/** The first is what MCP says a schema without `$schema` is (2025-11-25). */
const dialects: readonly { readonly pattern: RegExp; readonly make: () => Ajv | Ajv2020 | Ajv2019 }[] = [
  { pattern: /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/, make: () => new Ajv2020({ ...options }) },
  { pattern: /^https:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/, make: () => new Ajv2019({ ...options }) },
  { pattern: /^https?:\/\/json-schema\.org\/draft-0[67]\/schema#?$/, make: () => new Ajv({ ...options }) },
];

/**
 * Steps that checking one place of a value may take: subschemas that apply to the same place add up through
 * references, and a few lines of `allOf` over `$ref` would otherwise double with each line.
 */
function costOf(schema: JsonObject): number {
  const known = new Map<JsonObject, number>();
  const open = new Set<JsonObject>();
  const cost = (node: Json): number => {
    if (Array.isArray(node)) return node.reduce((sum: number, item) => sum + cost(item), 0);
    if (!isObject(node)) return 0;
    const done = known.get(node);
    if (done !== undefined) return done;
    // A reference to what is being counted: it descends into the value, or ends in a fault of the check.
    if (open.has(node)) return 1;
    open.add(node);
    let sum = 1;
    for (const [key, value] of Object.entries(node)) {
      if (key === "$ref" || key === "$dynamicRef") sum += cost(targetOf(schema, value) ?? null);
      else if (key !== "$defs" && key !== "definitions") sum += cost(value);
      if (sum > limits.toolSchemaStepsMax) break;
    }
    open.delete(node);
    known.set(node, sum);
    return sum;
  };
  return cost(schema);
}

function targetOf(root: JsonObject, ref: Json): Json | undefined {
  if (typeof ref !== "string" || !ref.startsWith("#")) return undefined;
  let node: Json | undefined = root;
  for (const part of ref.slice(1).split("/").slice(1)) {
    const name = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(node)) node = node[Number(name)];
    else node = isObject(node) ? field(node, name) : undefined;
  }
  return node;
}
