// a list that a server tells -> the entries that this principal may use, in an order that doesn't change
import { compareCodePoints } from "../../engine/lib/code-points.ts";
import type { Json } from "../../engine/lib/json.ts";
import { field, isObject, type JsonObject, textField, withField } from "../../engine/lib/read-json.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { isName } from "../../engine/mcp/facts.ts";
import type { McpFacts } from "../../engine/model/request.ts";
import type { McpConnection } from "./mediator.ts";

export type MayUse = (facts: McpFacts, text: string) => boolean;
export type ListMethod = "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list";

/** Every page, also after `list_changed`. What isn't in a list can't be called either: calls are decided by themselves. */
export function filterList(
  method: ListMethod,
  result: JsonObject,
  server: string,
  connection: Pick<McpConnection, "book" | "onToolChange">,
  mayUse: MayUse,
): JsonObject {
  const { member, key } = lists[method];
  const entries = field(result, member);
  const list: readonly Json[] = Array.isArray(entries) ? entries : [];
  const known = method === "tools/list" ? knownTools(list, connection) : undefined;
  const kept = list.filter(isObject).filter((entry) => {
    const name = textField(entry, key);
    if (name === undefined || (known && !known.has(name))) return false;
    const facts = factsOf(method, name, server);
    return facts !== undefined && mayUse(facts, `${facts.method} ${name}`);
  });
  const sorted = kept.toSorted((a, b) => compareCodePoints(textField(a, key) ?? "", textField(b, key) ?? ""));
  return withField(result, member, sorted);
}

const lists: Readonly<Record<ListMethod, { readonly member: string; readonly key: string }>> = {
  "tools/list": { member: "tools", key: "name" },
  "resources/list": { member: "resources", key: "uri" },
  "resources/templates/list": { member: "resourceTemplates", key: "uriTemplate" },
  "prompts/list": { member: "prompts", key: "name" },
};

/** Tools that have types, and that nobody must look at first. Of two with one name it can't be told which is called. */
function knownTools(page: readonly Json[], { book, onToolChange }: Pick<McpConnection, "book" | "onToolChange">) {
  const names = page.map((entry) => (isObject(entry) ? textField(entry, "name") : undefined));
  const list = page.filter((_, i) => names.indexOf(names[i]) === names.lastIndexOf(names[i]));
  const learnt = book.learn(list).filter(({ isChanged }) => !isChanged || onToolChange === "alert");
  return new Set(learnt.map(({ tool }) => tool.name));
}

function factsOf(method: ListMethod, name: string, server: string): McpFacts | undefined {
  const base = {
    server,
    tool: undefined,
    resource: undefined,
    prompt: undefined,
    args: new Unknown("nobody asked yet"),
  };
  switch (method) {
    case "tools/list":
      return isName(name) ? { ...base, method: "tools/call", tool: `${server}.${name}` } : undefined;
    case "prompts/list":
      return isName(name) ? { ...base, method: "prompts/get", prompt: `${server}.${name}` } : undefined;
    case "resources/list":
    case "resources/templates/list":
      return { ...base, method: "resources/read", resource: name };
    default:
      return method satisfies never;
  }
}
