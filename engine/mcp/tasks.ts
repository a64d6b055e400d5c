// Tasks: a call whose result comes later, by another request. MCP 2025-11-25 "Tasks"; the extension
// `io.modelcontextprotocol/tasks` of 2026-07-28.
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject, textField, withField } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** Requests about a task that exists; `tasks/list` (2025-11-25) is a list like others. */
const taskMethods: ReadonlySet<string> = new Set(["tasks/get", "tasks/result", "tasks/update", "tasks/cancel"]);

export const isTaskMethod = (method: string): boolean => taskMethods.has(method);

/** Servers make them; what has no such form could be read in two ways. */
const taskId = /^[\x21-\x7e]{1,256}$/;

export function taskIdOf(params: JsonObject | undefined): string | undefined {
  const id = params && textField(params, "taskId");
  return id !== undefined && taskId.test(id) ? id : undefined;
}

/** Of a call's result: the task that stands for it, if one does. An error: its id is no id. */
export function createdTask(result: JsonObject): Result<string | undefined, string> {
  const nested = field(result, "task");
  const isFlat = field(result, "resultType") === "task";
  const isNested = isObject(nested) && Object.hasOwn(nested, "taskId");
  if (!isFlat && !isNested) return ok(undefined);
  if (isFlat && isNested) return err("the answer names two tasks");
  const id = taskIdOf(isFlat || !isObject(nested) ? result : nested);
  return id === undefined ? err("the task's id is not an id") : ok(id);
}

/** Only what is passed of tasks is offered: a call that becomes one, list and cancel. */
export function offeredTasks(capability: Json | undefined): JsonObject | undefined {
  if (!isObject(capability)) return undefined;
  const requests = field(capability, "requests");
  const tools = isObject(requests) ? field(requests, "tools") : undefined;
  const call = isObject(tools) ? field(tools, "call") : undefined;
  let offered: JsonObject = {};
  for (const name of ["list", "cancel"]) if (isObject(field(capability, name))) offered = withField(offered, name, {});
  return isObject(call) ? withField(offered, "requests", { tools: { call: {} } }) : offered;
}

/** Those of a list for which `isOwn` says yes. */
export function ownTasks(result: JsonObject, isOwn: (id: string) => boolean): JsonObject {
  const tasks = field(result, "tasks");
  const kept = (Array.isArray(tasks) ? tasks : []).filter((task: Json) => {
    const id = isObject(task) ? taskIdOf(task) : undefined;
    return id !== undefined && isOwn(id);
  });
  return withField(result, "tasks", kept);
}
