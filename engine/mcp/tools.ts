// tools/list -> tools with types, pins and the headers that their arguments go into
import { createHash } from "node:crypto";
import { schemaPlace, standalone } from "../content/schema-place.ts";
import type { Describing } from "../content/tag-masker.ts";
import type { Json } from "../lib/json.ts";
import { canonicalJson, field, isObject, type JsonObject, textField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { isName } from "./facts.ts";
import { type CheckValue, compileSchema } from "./json-schema.ts";

export type Tool = {
  /** As the server calls it. */
  readonly name: string;
  /** As the server describes it, whole. */
  readonly definition: JsonObject;
  /** `sha256:` over the definition, keys sorted: what a model is told of the tool, schemas included. */
  readonly pin: string;
  /** What doesn't fit of the arguments of a call. */
  readonly checkArguments: CheckValue;
  /** Of `structuredContent`; undefined when the tool declares nothing. */
  readonly checkResult: CheckValue | undefined;
  /** For masks of tags: the output schema; undefined when the tool declares none. */
  readonly output: Describing | undefined;
  /** `Mcp-Param-…` headers of 2026-07-28 and the arguments they repeat. */
  readonly headers: readonly { readonly name: string; readonly path: readonly string[] }[];
};

export const pinOf = (definition: JsonObject): string =>
  `sha256:${createHash("sha256").update(canonicalJson(definition)).digest("hex")}`;

/** A tool whose arguments can't be typed can't be decided: the error says why it isn't offered. */
export function readTool(value: Json): Result<Tool, string> {
  if (!isObject(value)) return err("a tool is an object");
  const name = textField(value, "name");
  if (name === undefined || !isName(name)) return err("a tool's name is not a name");
  const inputSchema = field(value, "inputSchema");
  if (!isObject(inputSchema)) return err(`\`${name}\` has no input schema`);
  const input = compileSchema(inputSchema);
  if (!input.ok) return err(`\`${name}\`: ${input.error}`);
  const outputSchema = field(value, "outputSchema");
  if (outputSchema !== undefined && !isObject(outputSchema)) return err(`\`${name}\`: the output schema is no schema`);
  const output = outputSchema === undefined ? undefined : compileSchema(outputSchema);
  if (output && !output.ok) return err(`\`${name}\`: output: ${output.error}`);
  return ok({
    name,
    definition: value,
    pin: pinOf(value),
    checkArguments: input.value,
    checkResult: output?.value,
    output: outputSchema && {
      schema: standalone(outputSchema, outputSchema),
      described: schemaPlace(outputSchema, outputSchema),
    },
    headers: headersOf(inputSchema),
  });
}

/** `x-mcp-header` on properties that are reached through `properties` alone (2026-07-28, Streamable HTTP). */
function headersOf(schema: JsonObject, path: readonly string[] = []): Tool["headers"] {
  const properties = field(schema, "properties");
  if (!isObject(properties) || path.length > 8) return [];
  return Object.entries(properties).flatMap(([key, property]) => {
    if (!isObject(property)) return [];
    const name = textField(property, "x-mcp-header");
    const below = headersOf(property, [...path, key]);
    if (name === undefined || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/.test(name)) return below;
    return [{ name: `mcp-param-${name.toLowerCase()}`, path: [...path, key] }, ...below];
  });
}

/** What `Mcp-Name` repeats. */
const mirrored: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

/** Names and values of the headers that repeat what a request says. Proxies route by them, so we write them anew. */
export function mirrorHeaders(
  method: string,
  params: JsonObject | undefined,
  version: string,
  tool: Tool | undefined,
): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [
    ["mcp-protocol-version", version],
    ["mcp-method", method],
  ];
  const source = mirrored[method];
  const name = source === undefined ? undefined : textField(params ?? {}, source);
  if (name !== undefined) found.push(["mcp-name", headerValue(name)]);
  for (const header of tool?.headers ?? []) {
    const value = header.path.reduce<Json | undefined>(
      (at, key) => (isObject(at) ? field(at, key) : undefined),
      field(params ?? {}, "arguments"),
    );
    if (typeof value === "string" || typeof value === "boolean" || typeof value === "number") {
      found.push([header.name, headerValue(String(value))]);
    }
  }
  return found;
}

/** What isn't plain ASCII, or could be taken for the encoding, is encoded. */
export const headerValue = (text: string): string =>
  /^[!-~](?:[ -~]*[!-~])?$/.test(text) && !(text.startsWith("=?base64?") && text.endsWith("?="))
    ? text
    : `=?base64?${Buffer.from(text, "utf8").toString("base64")}?=`;
