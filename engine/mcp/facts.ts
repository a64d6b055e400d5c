// client's message -> facts, what the record calls it, what an approval is bound to. MCP 2025-11-25 and 2026-07-28.
import type { Json } from "../lib/json.ts";
import { canonicalJson, field, isObject, type JsonObject, textField, withoutField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { McpFacts } from "../model/request.ts";
import type { RpcNotification, RpcRequest } from "./json-rpc.ts";
import { isFrom, methodOf } from "./methods.ts";
import { taskIdOf } from "./tasks.ts";

export type McpFault = { readonly code: string; readonly message: string; readonly help: string | undefined };

export type McpAction = {
  readonly facts: McpFacts;
  /** Tool as the server calls it: `facts.tool` without the server's name. */
  readonly toolName: string | undefined;
  /** `tools/call crm.refund`: without values. */
  readonly access: string;
  /** With arguments, for approvers and auditors. */
  readonly text: string;
  /** Everything that the server may act on. */
  readonly binding: readonly string[];
  /** Id that the model gave its tool use, when the client says it: joins the record of the model channel. */
  readonly toolUseId: string | undefined;
};

/**
 * `server` goes before the name of a tool or prompt: `crm.refund`. Parameters that the method doesn't have are refused:
 * the server may act on them, and nobody decided them.
 */
export function readAction(message: RpcRequest | RpcNotification, server: string): Result<McpAction, McpFault> {
  const { method } = message;
  const row = methodOf(method);
  if (!row || !isFrom(row, "client") || row.form !== message.kind) {
    return fault("mcp-method-unknown", `\`${method}\` is not a method that a client may send here`);
  }
  const params = message.params ?? {};
  const members = membersOf[method];
  const odd = Object.keys(params).find((key) => key !== "_meta" && members !== undefined && !members.includes(key));
  if (odd !== undefined) return fault("mcp-params-unknown", `\`${method}\` has no parameter \`${odd.slice(0, 40)}\``);
  const named = readNames(method, params, server);
  if (!named.ok) return named;
  const { tool, toolName, resource, prompt, args } = named.value;
  const subject = tool ?? resource ?? prompt;
  const access = subject === undefined ? method : `${method} ${subject}`;
  return ok({
    facts: { server, method, tool, resource, prompt, args },
    toolName,
    access,
    text: isEmpty(args) ? access : `${access} ${canonicalJson(args)}`,
    binding: [method, subject ?? "", canonicalJson(boundParams(params))],
    toolUseId: toolUseIdOf(params),
  });
}

/** Of requests that carry data; the rest is plumbing, whose parameters grow with each revision. */
const membersOf: Readonly<Record<string, readonly string[]>> = {
  "tools/call": ["name", "arguments", "inputResponses", "requestState", "task"],
  "resources/read": ["uri", "inputResponses", "requestState"],
  "resources/subscribe": ["uri"],
  "resources/unsubscribe": ["uri"],
  "prompts/get": ["name", "arguments", "inputResponses", "requestState"],
  "completion/complete": ["ref", "argument", "context"],
  // SDK clients are seen to repeat a call's `task` here; it doesn't go on.
  "tasks/get": ["taskId", "task"],
  "tasks/result": ["taskId", "task"],
  "tasks/update": ["taskId", "inputResponses"],
  "tasks/cancel": ["taskId"],
  "tasks/list": ["cursor"],
  "tools/list": ["cursor"],
  "resources/list": ["cursor"],
  "resources/templates/list": ["cursor"],
  "prompts/list": ["cursor"],
};

type Names = {
  readonly args: Json;
  readonly tool?: string;
  readonly toolName?: string;
  readonly resource?: string;
  readonly prompt?: string;
};

function readNames(method: string, params: JsonObject, server: string): Result<AllNames, McpFault> {
  const args = field(params, "arguments") ?? {};
  switch (method) {
    case "tools/call": {
      const name = textField(params, "name");
      if (name === undefined || !isName(name)) return fault("mcp-name-invalid", "the tool's name is not a name");
      if (!isObject(args)) return fault("mcp-params-invalid", "`arguments` is an object");
      if (!isTaskAsk(field(params, "task"))) return fault("mcp-params-invalid", "`task` says for how long it is kept");
      return names({ tool: `${server}.${name}`, toolName: name, args });
    }
    case "prompts/get": {
      const name = textField(params, "name");
      if (name === undefined || !isName(name)) return fault("mcp-name-invalid", "the prompt's name is not a name");
      if (!isObject(args)) return fault("mcp-params-invalid", "`arguments` is an object");
      return names({ prompt: `${server}.${name}`, args });
    }
    case "resources/read":
    case "resources/subscribe":
    case "resources/unsubscribe": {
      const uri = readUri(field(params, "uri"));
      return uri.ok ? names({ resource: uri.value, args: {} }) : uri;
    }
    case "completion/complete":
      return readCompletion(params, server);
    case "tasks/get":
    case "tasks/result":
    case "tasks/update":
    case "tasks/cancel":
      if (taskIdOf(params) === undefined) return fault("mcp-params-invalid", "`taskId` is not the id of a task");
      return names({ args: withoutField(params, "_meta") });
    default:
      return names({ args: withoutField(params, "_meta") });
  }
}

type AllNames = { readonly [K in Exclude<keyof Names, "args">]-?: string | undefined } & { readonly args: Json };

const names = (given: Names): Result<AllNames, McpFault> =>
  ok({ tool: undefined, toolName: undefined, resource: undefined, prompt: undefined, ...given });

function readCompletion(params: JsonObject, server: string): Result<AllNames, McpFault> {
  const ref = field(params, "ref");
  const argument = field(params, "argument");
  if (!isObject(ref) || !isObject(argument)) return fault("mcp-params-invalid", "`ref` and `argument` are objects");
  const args: JsonObject = { argument, ...contextOf(params) };
  const name = textField(ref, "name");
  if (textField(ref, "type") === "ref/prompt" && name !== undefined && isName(name)) {
    return names({ prompt: `${server}.${name}`, args });
  }
  if (textField(ref, "type") === "ref/resource") {
    const uri = readUri(field(ref, "uri"));
    return uri.ok ? names({ resource: uri.value, args }) : uri;
  }
  return fault("mcp-params-invalid", "`ref` names a prompt or a resource");
}

function contextOf(params: JsonObject): JsonObject {
  const context = field(params, "context");
  return context === undefined ? {} : { context };
}

/** Printable ASCII without what patterns and quoting use. MCP asks for fewer characters; servers are seen to use these. */
export const isName = (text: string): boolean => /^[A-Za-z0-9_.:/@-]{1,128}$/.test(text);

/** `task` of a call (2025-11-25): nothing but how long its result is wanted, in ms. */
function isTaskAsk(task: Json | undefined): boolean {
  if (task === undefined) return true;
  if (!isObject(task) || Object.keys(task).some((key) => key !== "ttl")) return false;
  const ttl = field(task, "ttl");
  return ttl === undefined || ttl === null || (typeof ttl === "number" && ttl >= 0);
}

/** A URI that every reader takes for the same resource: else a pattern (`file:///public/*`) and a server come to differ. */
function readUri(value: Json | undefined): Result<string, McpFault> {
  if (typeof value !== "string" || !/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e\u00a0-\uffff]{0,2000}$/.test(value)) {
    return fault("mcp-uri-invalid", "the resource's URI is not a URI");
  }
  const why = otherSpelling(value);
  return why === undefined
    ? ok(value)
    : fault("mcp-uri-ambiguous", `the resource's URI has ${why}`, "write it in one way: RFC 3986, section 6.2.2");
}

/** RFC 3986, section 6.2.2, and what servers are seen to fold besides. */
function otherSpelling(uri: string): string | undefined {
  if (/(?:^|[/:])\.{1,2}(?:[/?#;]|$)|%(?:2e|2f|5c|25|00)|\\/i.test(uri)) {
    return "dot segments, backslashes or an encoded separator";
  }
  if (/%(?:[3][0-9]|[46][1-9a-f]|[57][0-9a]|2d|5f|7e)/i.test(uri)) return "encoded letters that need no encoding";
  if (/%(?![0-9A-F]{2})/.test(uri)) return "percent signs without two digits, capital letters among them";
  if (/[^\x21-\x7e]/.test(uri)) return "characters that are not encoded";
  if (uri.includes("#")) return "a fragment";
  const [, scheme = "", rest = ""] = /^([^:]*):(.*)$/s.exec(uri) ?? [];
  if (/[A-Z]/.test(scheme)) return "a scheme in capital letters";
  if (scheme === "file")
    return /^\/\/\/(?!\/)(?!.*\/\/)[^?]*$/.test(rest) ? undefined : "another form than `file:///path`";
  const authority = /^\/\/([^/?]*)/.exec(rest)?.[1] ?? "";
  return /^https?$/.test(scheme) && /[A-Z@]|:(?:80|443)?$|\.(?::|$)/.test(authority)
    ? "a host that is spelled in another way"
    : undefined;
}

const isEmpty = (args: Json): boolean => isObject(args) && Object.keys(args).length === 0;

/** Members of `_meta` that differ from one call to its repeat, and say nothing to the tool. */
const volatile: ReadonlySet<string> = new Set([
  "progressToken",
  "claudecode/toolUseId",
  "traceparent",
  "tracestate",
  "baggage",
]);

function boundParams(params: JsonObject): JsonObject {
  const meta = field(params, "_meta");
  if (!isObject(meta)) return params;
  const bound = Object.entries(meta).filter(
    ([key]) => !volatile.has(key) && !key.startsWith("io.modelcontextprotocol/"),
  );
  return { ...withoutField(params, "_meta"), _meta: Object.fromEntries(bound) };
}

export function toolUseIdOf(params: JsonObject | undefined): string | undefined {
  const meta = params && field(params, "_meta");
  const id = isObject(meta) ? textField(meta, "claudecode/toolUseId") : undefined;
  return id !== undefined && /^[\w-]{1,100}$/.test(id) ? id : undefined;
}

const fault = (code: string, message: string, help?: string): { readonly ok: false; readonly error: McpFault } =>
  err({ code, message, help });
