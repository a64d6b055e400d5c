// The givens of a test -> requests. What a test does not give is not known, and says so when it is read.

import type { Json } from "../../engine/lib/json.ts";
import { type Fact, isKnown, Unknown } from "../../engine/lib/truth.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts, PrincipalKind, SessionFacts, TimeFacts, Weekday } from "../../engine/model/principal.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { SqlFacts } from "../../engine/model/statement.ts";
import { newContext } from "../../engine/program.ts";
import type { Checked, CheckedGiven, Core, Local, Value } from "../checked.ts";
import { Walker } from "../interpret.ts";
import { elementsOf, isPlainRecord } from "../values.ts";

/** A statement that can't be analysed. `code` is that of the SQL engine: `syntax-error`, `unknown-relation` … */
export type SqlFaultFacts = { readonly code: string; readonly message: string; readonly help?: string | undefined };

/** The SQL engine with the bundle's catalog snapshots: handed in, because the language doesn't know it. */
export type AnalyzeSql = (sql: string, connection: string) => readonly SqlFacts[] | SqlFaultFacts;

/** A fact that the test left out. */
export class NotGiven extends Unknown {
  readonly path: string;
  constructor(path: string) {
    super(`the test does not give \`${path}\``);
    this.path = path;
  }
}

/** One test row made ready: one request per SQL statement, else one. */
export type Prepared = {
  readonly requests: readonly PolicyRequest[];
  readonly fault: SqlFaultFacts | undefined;
  readonly data: ReadonlyMap<string, Value>;
};

/** Where a test names no connection and the bundle has not exactly one catalog. */
const defaultConnection = "test";

/** A Wednesday noon, UTC: what a `given time` leaves out is taken from it. */
const referenceMs = Date.UTC(2026, 0, 7, 12, 0, 0);

type Record_ = { readonly [key: string]: unknown };

export function prepare(
  checked: Checked,
  givens: readonly CheckedGiven[],
  analyzeSql: AnalyzeSql,
  locals: ReadonlyMap<Local, Value> = new Map(),
): Prepared {
  const evaluate = (core: Core): Value => evalConstant(checked, core, locals);
  const roots = new Map<string, Record_>();
  const counters = new Map<string, number>();
  const data = new Map<string, Value>();
  const approved = new Set<RuleId>();
  let action: CheckedGiven | undefined;
  let rows: Fact<number | undefined> = new NotGiven("estimated_rows");
  for (const given of givens) {
    switch (given.kind) {
      case "identity":
      case "time":
      case "session":
      case "connection": {
        const value = evaluate(given.value);
        roots.set(given.kind, isPlainRecord(value) ? value : {});
        break;
      }
      case "counter":
        counters.set(given.counter, Number(evaluate(given.value)));
        break;
      case "data":
        data.set(given.data, asTyped(evaluate(given.value), given.type.kind));
        break;
      case "approval":
        approved.add(given.rule);
        break;
      case "estimated_rows":
        rows = Number(evaluate(given.value));
        break;
      default:
        action = given;
    }
  }
  const name = action?.at ?? textOf(roots.get("connection")?.name) ?? onlyConnection(checked);
  const common = {
    identity: identityOf(roots.get("identity")),
    session: sessionOf(roots.get("session")),
    time: timeOf(roots.get("time")),
    connection: {
      name,
      env: field(roots.get("connection"), "connection", "env", textOf),
      tags: field(roots.get("connection"), "connection", "tags", setOf),
      durability: field(roots.get("connection"), "connection", "durability", textOf),
    },
    // A test is a fresh world: what it does not count has not happened.
    counter: (counter: string): Fact<number> => counters.get(counter) ?? 0,
    approved,
  };
  const made = action ? actionsOf(action, name, evaluate, analyzeSql) : [];
  if (!Array.isArray(made)) return { requests: [], fault: made as SqlFaultFacts, data };
  const requests = made.map((a): PolicyRequest => ({ ...common, ...withRows(a, rows) }));
  return { requests, fault: undefined, data };
}

/** No planner is at hand in a test. */
const withRows = (action: Action, estimatedRows: Fact<number | undefined>): Action =>
  action.protocol === "sql" && !isKnown(action.sql.estimatedRows)
    ? { ...action, sql: { ...action.sql, estimatedRows } }
    : action;

function onlyConnection(checked: Checked): string {
  const [only, ...more] = checked.catalogs.keys();
  return only !== undefined && more.length === 0 ? only : defaultConnection;
}

/** Fixtures and cells read no facts: the request they are evaluated against is never looked at. */
export function evalConstant(checked: Checked, core: Core, locals: ReadonlyMap<Local, Value>): Value {
  const program = { candidates: () => ({ rules: [], alerts: [] }), defaultMessage: () => undefined, localsMax: 0 };
  const context = newContext(program, nobody);
  return new Walker(checked, undefined, {}, context, locals).eval(core);
}

type Action =
  | { readonly protocol: "sql"; readonly sql: SqlFacts }
  | Pick<Extract<PolicyRequest, { protocol: "http" }>, "protocol" | "http">
  | Pick<Extract<PolicyRequest, { protocol: "mcp" }>, "protocol" | "mcp">
  | Pick<Extract<PolicyRequest, { protocol: "llm" }>, "protocol" | "llm">;

function actionsOf(
  given: CheckedGiven,
  connection: string,
  evaluate: (core: Core) => Value,
  analyzeSql: AnalyzeSql,
): readonly Action[] | SqlFaultFacts {
  switch (given.kind) {
    case "sql": {
      const value = evaluate(given.text);
      const facts = analyzeSql(isPlainRecord(value) ? String(value.text) : String(value), connection);
      return isFault(facts) ? facts : facts.map((sql): Action => ({ protocol: "sql", sql }));
    }
    case "http":
      return [
        {
          protocol: "http",
          http: httpOf(given.method, String(evaluate(given.path)), given.record ? evaluate(given.record) : undefined),
        },
      ];
    case "mcp": {
      const name = String(evaluate(given.name));
      const only = (selector: string): string | undefined => (given.selector === selector ? name : undefined);
      const method =
        { tool: "tools/call", resource: "resources/read", prompt: "prompts/get" }[given.selector] ?? given.selector;
      const args = asJson(given.record ? evaluate(given.record) : {});
      return [
        {
          protocol: "mcp",
          mcp: {
            server: connection,
            method,
            tool: only("tool"),
            resource: only("resource"),
            prompt: only("prompt"),
            args,
          },
        },
      ];
    }
    case "llm": {
      const name = String(evaluate(given.name));
      const isTool = given.selector === "tool";
      const record = given.record ? evaluate(given.record) : {};
      const llm = isPlainRecord(record) ? record : {};
      return [
        {
          protocol: "llm",
          llm: {
            provider: textOf(llm.provider) ?? connection,
            model: isTool ? (textOf(llm.model) ?? "") : name,
            tools: field(llm, "llm", "tools", setOf),
            toolUse: isTool ? name : undefined,
            ...(llm.tool_input === undefined ? {} : { toolInput: asJson(llm.tool_input) }),
            inputTokens: field(llm, "llm", "input_tokens", numberOf),
            inputTokensBound: field(llm, "llm", "input_tokens_bound", numberOf),
            maxTokens: numberOf(llm.max_tokens),
          },
        },
      ];
    }
    default:
      return [];
  }
}

const isFault = (facts: readonly SqlFacts[] | SqlFaultFacts): facts is SqlFaultFacts => !Array.isArray(facts);

function httpOf(method: string, target: string, record: Value): Extract<PolicyRequest, { protocol: "http" }>["http"] {
  const given = isPlainRecord(record) ? record : {};
  const [path = "/", search = ""] = target.split("?", 2);
  const query = Object.fromEntries(new URLSearchParams(search));
  const body = given.body === undefined ? undefined : asJson(given.body);
  const headers = Object.entries(isPlainRecord(given.headers) ? given.headers : {}).map(([k, v]) => [
    k.toLowerCase(),
    String(v),
  ]);
  return {
    method,
    host: textOf(given.host) ?? "localhost",
    path: normalizePath(path),
    query: isPlainRecord(given.query) ? { ...query, ...(given.query as Record<string, string>) } : query,
    headers: Object.fromEntries(headers),
    body,
    bodySize: body === undefined ? 0 : Buffer.byteLength(JSON.stringify(body)),
  };
}

/** `.` and `..` resolved as RFC 3986 section 5.2.4 does. */
function normalizePath(path: string): string {
  const parts: string[] = [];
  const pieces = path.split("/").slice(1);
  for (const [i, piece] of pieces.entries()) {
    const isLast = i === pieces.length - 1;
    if (piece === "..") parts.pop();
    if (piece !== "." && piece !== "..") parts.push(piece);
    else if (isLast) parts.push("");
  }
  return `/${parts.join("/")}`;
}

/** A field of a root that was given in part, or not at all. */
function field<T>(
  root: Record_ | undefined,
  rootName: string,
  name: string,
  read: (value: unknown) => T | undefined,
): Fact<T> {
  const value = root && Object.hasOwn(root, name) ? read(root[name]) : undefined;
  return value ?? new NotGiven(`${rootName}.${name}`);
}

function optional<T>(
  root: Record_ | undefined,
  rootName: string,
  name: string,
  read: (value: unknown) => T | undefined,
): Fact<T | undefined> {
  return root && Object.hasOwn(root, name) ? read(root[name]) : new NotGiven(`${rootName}.${name}`);
}

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
const numberOf = (value: unknown): number | undefined => (typeof value === "number" ? value : undefined);
const boolOf = (value: unknown): boolean | undefined => (typeof value === "boolean" ? value : undefined);
const setOf = (value: unknown): ReadonlySet<string> | undefined =>
  value === undefined ? undefined : new Set(elementsOf(value).map(String));
const kinds: readonly PrincipalKind[] = ["human", "agent", "service"];
const weekdays: readonly Weekday[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

function identityOf(given: Record_ | undefined): IdentityFacts {
  const root = "identity";
  return {
    sub: field(given, root, "sub", textOf),
    kind: field(given, root, "kind", (value) => kinds.find((k) => k === value)),
    groups: field(given, root, "groups", setOf),
    email: optional(given, root, "email", textOf),
    ip: field(given, root, "ip", textOf),
    mfa: field(given, root, "mfa", boolOf),
    on_behalf_of: optional(given, root, "on_behalf_of", textOf),
    claims: field(given, root, "claims", (value) => {
      const json = asJson(value);
      return isPlainRecord(json) ? (json as Readonly<Record<string, Json>>) : undefined;
    }),
  };
}

function sessionOf(given: Record_ | undefined): SessionFacts {
  return {
    id: textOf(given?.id) ?? "test-session",
    age: field(given, "session", "age", numberOf),
    purpose: optional(given, "session", "purpose", textOf),
  };
}

function timeOf(given: Record_ | undefined): TimeFacts {
  if (!given) {
    const missing = (name: string): NotGiven => new NotGiven(`time.${name}`);
    return { now: missing("now"), hour: missing("hour"), minute: missing("minute"), weekday: missing("weekday") };
  }
  const at = new Date(numberOf(given.now) ?? referenceMs);
  const hour = numberOf(given.hour) ?? at.getUTCHours();
  const minute = numberOf(given.minute) ?? at.getUTCMinutes();
  const weekday = weekdays.find((w) => w === given.weekday) ?? weekdays[at.getUTCDay()] ?? "wed";
  return { now: numberOf(given.now) ?? at.setUTCHours(hour, minute), hour, minute, weekday };
}

/** Sets and records of the language as JSON documents hold them. */
export function asJson(value: Value): Json {
  if (value === undefined || value === null || value instanceof Unknown) return null;
  if (value instanceof Set || Array.isArray(value)) return elementsOf(value).map(asJson);
  if (isPlainRecord(value)) {
    return Object.fromEntries(Object.entries(value).flatMap(([k, v]) => (v === undefined ? [] : [[k, asJson(v)]])));
  }
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? value : null;
}

const asTyped = (value: Value, kind: string): Value =>
  kind === "set" && Array.isArray(value) ? new Set(value) : value;

const nowhere = new Unknown("fixtures read no facts");
const nobody: PolicyRequest = {
  protocol: "mcp",
  mcp: { server: "", method: "", tool: undefined, resource: undefined, prompt: undefined, args: null },
  identity: identityOf(undefined),
  session: sessionOf(undefined),
  time: timeOf(undefined),
  connection: { name: "", env: nowhere, tags: nowhere },
  counter: () => nowhere,
  approved: new Set(),
};
