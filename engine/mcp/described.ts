// a server's message under masks of tags -> what MCP and the tool's output schema describe of it, and nothing else
import type { Describing, MaskDescribed } from "../content/tag-masker.ts";
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";
import type { RpcMessage } from "./json-rpc.ts";
import type { Unmaskable } from "./mask-message.ts";
import { createdTask } from "./tasks.ts";

/** Their answers hold data that no schema describes, so there is none to give under a mask of tags. */
const undescribed: ReadonlySet<string> = new Set([
  "resources/read",
  "prompts/get",
  "completion/complete",
  "sampling/createMessage",
  "elicitation/create",
  "roots/list",
]);

export const isUndescribed = (method: string): boolean => undescribed.has(method);

/** What a server says of itself, its tools and resources: MCP's own form, not a tool's data. */
const toldOfItself: ReadonlySet<string> = new Set([
  "initialize",
  "server/discover",
  "tools/list",
  "resources/list",
  "resources/templates/list",
  "prompts/list",
]);

/** `method`: of the request that a result answers, or of the message itself. `by`: what describes the tool's result. */
export function describedOnly(
  message: RpcMessage,
  method: string,
  by: Describing | undefined,
  mask: MaskDescribed,
): Result<RpcMessage, Unmaskable> {
  switch (message.kind) {
    case "result": {
      const result = describedResult(message.result, method, by, mask);
      return result.ok ? ok({ ...message, result: result.value }) : result;
    }
    case "error":
      return ok({ ...message, message: "[withheld by the gateway: no schema describes it]", data: undefined });
    case "notification": {
      const names = notificationFields[message.method];
      if (names === undefined) return hides("words of the server's own");
      const { params } = message;
      return ok(params === undefined ? message : { ...message, params: plainFields(params, names) });
    }
    case "request":
      return message.method === "ping" ? ok({ ...message, params: undefined }) : hides("words of the server's own");
    default:
      return message satisfies never;
  }
}

const hides = (what: string): Result<never, Unmaskable> => err({ what });

function describedResult(
  result: JsonObject,
  method: string,
  by: Describing | undefined,
  mask: MaskDescribed,
): Result<JsonObject, Unmaskable> {
  if (Object.hasOwn(result, "inputRequests")) return hides("a question that no schema describes");
  if (toldOfItself.has(method)) return ok(result);
  switch (method) {
    case "tools/call": {
      const task = createdTask(result);
      if (task.ok && task.value !== undefined) return ok(describedTask(result));
      return toolResult(result, by, mask);
    }
    case "tasks/result":
      return toolResult(result, by, mask);
    case "tasks/get":
    case "tasks/cancel":
    case "tasks/update":
      return ok(describedTask(result));
    case "tasks/list": {
      const tasks = field(result, "tasks");
      const own = (Array.isArray(tasks) ? (tasks as readonly Json[]) : []).filter(isObject).map(describedTask);
      return ok({ ...plainFields(result, ["resultType", "nextCursor"]), tasks: own });
    }
    default:
      return isUndescribed(method) ? hides("data that no schema describes") : ok(plainFields(result, ["resultType"]));
  }
}

/** The text of a result repeats its data in words of the tool's own: it is written anew from the masked data. */
function toolResult(
  result: JsonObject,
  by: Describing | undefined,
  mask: MaskDescribed,
): Result<JsonObject, Unmaskable> {
  if (result.isError === true) return hides("an error of the tool's, which no schema describes");
  const data = field(result, "structuredContent");
  if (data === undefined || by === undefined) return hides("data that no output schema describes");
  const masked = mask(data, by);
  if (!masked.ok) return hides(masked.error);
  return ok({
    ...plainFields(result, ["resultType"]),
    content: [{ type: "text", text: JSON.stringify(masked.value) }],
    structuredContent: masked.value,
  });
}

const taskFields = [
  "taskId",
  "status",
  "createdAt",
  "lastUpdatedAt",
  "ttl",
  "ttlMs",
  "pollInterval",
  "pollIntervalMs",
  "resultType",
];

/** How a task stands, without what the server tells of it in words. */
function describedTask(value: JsonObject): JsonObject {
  const inner = field(value, "task");
  const own = plainFields(value, taskFields);
  return isObject(inner) ? { ...own, task: plainFields(inner, taskFields) } : own;
}

/** Of notifications what MCP itself describes, besides words for people; others don't pass. */
const notificationFields: Readonly<Record<string, readonly string[]>> = {
  "notifications/progress": ["progressToken", "progress", "total"],
  "notifications/cancelled": ["requestId"],
  "notifications/resources/updated": ["uri"],
  "notifications/resources/list_changed": [],
  "notifications/tools/list_changed": [],
  "notifications/prompts/list_changed": [],
  "notifications/subscriptions/acknowledged": ["notifications"],
  // What stands beside a task's result, which is read by itself.
  "notifications/tasks/status": taskFields,
  "notifications/tasks": taskFields,
};

/** What a client needs to find the request or the task that a message is about. */
const joining: readonly string[] = ["io.modelcontextprotocol/related-task", "io.modelcontextprotocol/subscriptionId"];

function plainFields(value: JsonObject, names: readonly string[]): JsonObject {
  const kept = Object.entries(value).filter(([name]) => names.includes(name));
  const meta = field(value, "_meta");
  const own = isObject(meta) ? joining.flatMap((key) => joinedBy(key, field(meta, key))) : [];
  return Object.fromEntries(own.length === 0 ? kept : [...kept, ["_meta", Object.fromEntries(own)]]);
}

function joinedBy(key: string, value: Json | undefined): readonly (readonly [string, Json])[] {
  if (typeof value === "string" || typeof value === "number") return [[key, value]];
  const taskId = value !== undefined && isObject(value) ? textField(value, "taskId") : undefined;
  return taskId === undefined ? [] : [[key, { taskId }]];
}
