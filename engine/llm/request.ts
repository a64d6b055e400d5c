// body of POST /v1/messages -> what is asked of the model, and what would run at the provider. Anthropic Messages API.
import { createHash } from "node:crypto";
import type { Json } from "../lib/json.ts";
import { canonicalJson, field, isObject, type JsonObject, textField, withField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { type Fact, isKnown, Unknown } from "../lib/truth.ts";
import { limits } from "../limits.ts";
import type { LlmFacts } from "../model/request.ts";
import { inputBound } from "./input-bound.ts";
import { noUsage, type Usage } from "./usage.ts";

export type LlmFault = { readonly code: string; readonly message: string; readonly help: string | undefined };

export type ModelRequest = {
  readonly body: JsonObject;
  /** The body, keys sorted: what an approval is bound to. */
  readonly canonical: string;
  readonly inputTokensBound: Fact<number>;
  readonly model: string;
  readonly isStream: boolean;
  readonly maxTokens: number | undefined;
  /** Names of everything offered to the model. */
  readonly tools: ReadonlySet<string>;
  /** What runs at the provider before any answer is seen: server tools, MCP servers, containers, fetched sources. */
  readonly atProvider: readonly string[];
  /** Tool results that came with the newest message. */
  readonly results: readonly ToolResult[];
  /** For the record: sizes and digests, no content. */
  readonly summary: string;
};

export type ToolResult = { readonly id: string; readonly chars: number; readonly isError: boolean };

export function readModelRequest(body: Json): Result<ModelRequest, LlmFault> {
  if (!isObject(body)) return fault("the body is a JSON object");
  const model = textField(body, "model");
  if (model === undefined || !/^[A-Za-z0-9][\w.:@/-]{0,200}$/.test(model)) return fault("`model` names a model");
  const messages = field(body, "messages");
  if (!Array.isArray(messages) || !messages.every(isObject)) return fault("`messages` is a list of messages");
  const tools = field(body, "tools") ?? [];
  if (!Array.isArray(tools) || !tools.every(isObject)) return fault("`tools` is a list of tools");
  const stream = field(body, "stream");
  if (stream !== undefined && typeof stream !== "boolean") return fault("`stream` is true or false");
  const maxTokens = field(body, "max_tokens");
  const newest = newestOf(messages);
  const results = newest.flatMap(resultsOf);
  const atProvider = [
    ...new Set([...tools.flatMap(serverTool), ...providerParts(body), ...sourcesOf(messages)]),
  ].sort();
  const canonical = canonicalJson(body);
  return ok({
    body,
    canonical,
    inputTokensBound: inputBound(body, canonical, atProvider.length > 0),
    model,
    isStream: stream === true,
    maxTokens: typeof maxTokens === "number" ? maxTokens : undefined,
    tools: new Set(tools.map(nameOfTool)),
    atProvider,
    results,
    summary: summaryOf(tools, messages.length, newest, results),
  });
}

const fault = (message: string): { readonly ok: false; readonly error: LlmFault } =>
  err({ code: "llm-request-malformed", message, help: undefined });

const nameOfTool = (tool: JsonObject): string => textField(tool, "name") ?? textField(tool, "type") ?? "unnamed";

/** Types of tools that the client runs. All others, also those that nobody knows yet, are taken to run at the provider. */
const clientTypes = /^(?:custom$|bash_|text_editor_|computer_|memory_)/;

function serverTool(tool: JsonObject): readonly string[] {
  const type = field(tool, "type");
  if (type === undefined || type === null || (typeof type === "string" && clientTypes.test(type))) return [];
  return [nameOfTool(tool)];
}

function providerParts(body: JsonObject): readonly string[] {
  const servers = field(body, "mcp_servers");
  const container = field(body, "container");
  return [
    ...(servers === undefined || servers === null || (Array.isArray(servers) && servers.length === 0)
      ? []
      : ["mcp_servers"]),
    ...(container === undefined || container === null ? [] : ["container"]),
  ];
}

/** Content that the provider fetches by itself: by URL, or from its store of files. */
function sourcesOf(value: Json): readonly string[] {
  const found = new Set<string>();
  const walk = (at: Json): void => {
    if (Array.isArray(at)) for (const item of at) walk(item);
    else if (isObject(at)) {
      const source = field(at, "source");
      const type = isObject(source) ? textField(source, "type") : undefined;
      if (type === "url") found.add("url_source");
      if (type === "file" || textField(at, "type") === "container_upload") found.add("file_source");
      const content = field(at, "content");
      if (content !== undefined) walk(content);
      if (isObject(source) && field(source, "content") !== undefined) walk(field(source, "content") ?? null);
    }
  };
  walk(value);
  return [...found];
}

/** Messages since the model's last answer: the whole history is sent again each turn. */
function newestOf(messages: readonly JsonObject[]): readonly JsonObject[] {
  const last = messages.findLastIndex((message) => textField(message, "role") === "assistant");
  return messages.slice(last + 1);
}

function resultsOf(message: JsonObject): readonly ToolResult[] {
  const content = field(message, "content");
  if (!Array.isArray(content)) return [];
  return content.filter(isObject).flatMap((block) => {
    const id = textField(block, "tool_use_id");
    if (textField(block, "type") !== "tool_result" || id === undefined) return [];
    return [
      { id, chars: JSON.stringify(field(block, "content") ?? null).length, isError: field(block, "is_error") === true },
    ];
  });
}

/** Of the first tools: what is said of all of them is the digest. */
function namesOf(tools: readonly JsonObject[]): string {
  if (tools.length === 0) return "";
  const names = tools.slice(0, limits.llmToolNamesMax).map((tool) =>
    nameOfTool(tool)
      .replaceAll(/[^\w.-]/g, "?")
      .slice(0, 64),
  );
  const more = tools.length - names.length;
  return ` (${names.join(", ")}${more > 0 ? ` and ${more} more` : ""})`;
}

function summaryOf(
  tools: readonly JsonObject[],
  messages: number,
  newest: readonly JsonObject[],
  results: readonly ToolResult[],
): string {
  const digest = createHash("sha256").update(canonicalJson(tools)).digest("hex").slice(0, 16);
  const chars = JSON.stringify(newest).length;
  const answered = results.map(({ id, chars: size, isError }) => `${id} ${size} chars${isError ? " error" : ""}`);
  return [
    `${messages} messages, ${newest.length} new (${chars} chars)`,
    `${tools.length} tools ${digest}${namesOf(tools)}`,
    ...(answered.length === 0 ? [] : [`results ${answered.join(", ")}`]),
  ].join("; ");
}

export const factsOfRequest = (request: ModelRequest, provider: string): LlmFacts => ({
  provider,
  model: request.model,
  tools: request.tools,
  toolUse: undefined,
  inputTokens: new Unknown("the model counts them while it answers"),
  inputTokensBound: request.inputTokensBound,
  maxTokens: request.maxTokens,
});

/**
 * What a request may come to before anybody counts it: all the output that it asks for, and its input at four bytes a
 * token, or none where its length says nothing.
 */
export const expectedUsage = ({ inputTokensBound, maxTokens }: ModelRequest): Usage => ({
  ...noUsage,
  input: isKnown(inputTokensBound) ? Math.ceil(inputTokensBound / 4) : 0,
  output: Math.max(0, maxTokens ?? 0),
});

/** A rule about models doesn't cover what runs at the provider: it must be named. */
export const factsAtProvider = (what: string, provider: string): LlmFacts => ({
  provider,
  model: "",
  tools: new Set(),
  toolUse: what,
  inputTokens: 0,
  maxTokens: undefined,
});

export const deniedTool = "gateway_denied";

/** A denied tool use, as the model made it, and what it is told. */
export type DeniedUse = { readonly name: string; readonly input: Json; readonly text: string };

/** In place of `gateway_denied` the model finds again what it asked for, and the denial as the result of it. */
export function restoreDenied(body: JsonObject, deniedOf: (toolUseId: string) => DeniedUse | undefined): JsonObject {
  const messages = field(body, "messages");
  if (!Array.isArray(messages)) return body;
  let hasChanged = false;
  const restore = (block: Json): Json => {
    if (!isObject(block)) return block;
    const type = textField(block, "type");
    const id =
      type === "tool_use"
        ? textField(block, "id")
        : type === "tool_result"
          ? textField(block, "tool_use_id")
          : undefined;
    const denied = id === undefined ? undefined : deniedOf(id);
    if (denied === undefined) return block;
    if (type === "tool_use" && textField(block, "name") !== deniedTool) return block;
    hasChanged = true;
    return type === "tool_use"
      ? withField(withField(block, "name", denied.name), "input", denied.input)
      : withField(withField(block, "content", denied.text), "is_error", true);
  };
  const restored = messages.map((message: Json): Json => {
    const content = isObject(message) ? field(message, "content") : undefined;
    return isObject(message) && Array.isArray(content) ? withField(message, "content", content.map(restore)) : message;
  });
  return hasChanged ? withField(body, "messages", restored) : body;
}
