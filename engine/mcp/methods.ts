// Every method of MCP that we pass, both eras: who sends it, and how it is judged. What isn't here is refused.

/**
 * `plumbing` keeps a connection alive and `list` tells what there is (entry by entry, as policies allow): neither
 * needs an allow, both still meet a deny. `access` needs an allow.
 */
export type MethodClass = "plumbing" | "list" | "access";

type Row = {
  readonly from: "client" | "server" | "both";
  readonly form: "request" | "notification";
  readonly as: MethodClass;
};

const client = (as: MethodClass): Row => ({ from: "client", form: "request", as });
const server = (as: MethodClass): Row => ({ from: "server", form: "request", as });
const told = (from: Row["from"]): Row => ({ from, form: "notification", as: "plumbing" });

export const methods: Readonly<Record<string, Row>> = {
  initialize: client("plumbing"),
  ping: { from: "both", form: "request", as: "plumbing" },
  "server/discover": client("plumbing"),
  "logging/setLevel": client("plumbing"),
  "subscriptions/listen": client("plumbing"),
  "tools/list": client("list"),
  "resources/list": client("list"),
  "resources/templates/list": client("list"),
  "prompts/list": client("list"),
  "tools/call": client("access"),
  "resources/read": client("access"),
  "resources/subscribe": client("access"),
  "resources/unsubscribe": client("plumbing"),
  "prompts/get": client("access"),
  "completion/complete": client("access"),
  // Of a task that a decided call made, and whose call would still be let through: no allow of their own.
  "tasks/get": client("plumbing"),
  "tasks/result": client("plumbing"),
  "tasks/update": client("plumbing"),
  "tasks/cancel": client("plumbing"),
  "tasks/list": client("list"),
  "sampling/createMessage": server("access"),
  "elicitation/create": server("access"),
  "roots/list": server("access"),
  "notifications/initialized": told("client"),
  "notifications/roots/list_changed": told("client"),
  "notifications/cancelled": told("both"),
  "notifications/progress": told("both"),
  "notifications/message": told("server"),
  "notifications/resources/updated": told("server"),
  "notifications/resources/list_changed": told("server"),
  "notifications/tools/list_changed": told("server"),
  "notifications/prompts/list_changed": told("server"),
  "notifications/elicitation/complete": told("server"),
  "notifications/tasks/status": told("server"),
  "notifications/tasks": told("server"),
  "notifications/subscriptions/acknowledged": told("server"),
};

export const methodOf = (name: string): Row | undefined => (Object.hasOwn(methods, name) ? methods[name] : undefined);

export const isFrom = (row: Row, side: "client" | "server"): boolean => row.from === side || row.from === "both";

/** Lets through without an allow of its own; deny rules still see it. */
export const needsNoAllow = (method: string): boolean => {
  const row = methodOf(method);
  return row !== undefined && row.as !== "access";
};
