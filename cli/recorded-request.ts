// a recorded statement -> the request that the policies saw, as far as it was recorded

import { queryFacts } from "../engine/http/facts.ts";
import { readTarget } from "../engine/http/target.ts";
import type { Json } from "../engine/lib/json.ts";
import { readJson } from "../engine/lib/read-json.ts";
import { type Fact, isKnown, Unknown } from "../engine/lib/truth.ts";
import { limits } from "../engine/limits.ts";
import type { IdentityFacts, PrincipalKind, TimeFacts } from "../engine/model/principal.ts";
import type { HttpFacts, LlmFacts, McpFacts, PolicyRequest } from "../engine/model/request.ts";
import type { RecordedFacts, SessionEvent } from "../engine/model/session-event.ts";
import type { SqlFacts } from "../engine/model/statement.ts";
import type { SnapshotAnalyzer } from "./snapshot-analyzer.ts";

export type RecordedStart = Extract<SessionEvent, { readonly type: "session-start" }>;
export type RecordedStatement = Extract<SessionEvent, { readonly type: "statement" }>;

export type RecordedRequest = Pick<PolicyRequest, "identity" | "connection" | "session" | "time" | "approved"> &
  (
    | { readonly protocol: "sql"; readonly sql: SqlFacts }
    | { readonly protocol: "http"; readonly http: HttpFacts }
    | { readonly protocol: "mcp"; readonly mcp: McpFacts }
    | { readonly protocol: "llm"; readonly llm: LlmFacts }
  );

const notRecorded = new Unknown("it is not recorded");

/** Sessions that are open in a recording, and their statements as requests. */
export class RecordedRequests {
  readonly #analyze: SnapshotAnalyzer;
  readonly #timeFacts: (atMs: number) => TimeFacts;
  readonly #sessions = new Map<string, Session>();
  readonly #analyzed = new Map<string, SqlFacts | undefined>();

  constructor(analyze: SnapshotAnalyzer, timeFacts: (atMs: number) => TimeFacts) {
    this.#analyze = analyze;
    this.#timeFacts = timeFacts;
  }

  /** Every event, in order: statements are understood with what was said before them. */
  see(event: SessionEvent): void {
    if (event.type === "session-start") {
      makeRoom(this.#sessions, limits.replaySessionsMax);
      this.#sessions.set(event.session, { start: event, ...aroundOf(event), models: new Map() });
    } else if (event.type === "session-end") this.#sessions.delete(event.session);
  }

  startOf(event: RecordedStatement): RecordedStart | undefined {
    return this.#sessions.get(event.session)?.start;
  }

  /** undefined: too little of it is on record, or the catalogs don't have what it names. */
  requestOf(event: RecordedStatement): RecordedRequest | undefined {
    const session = this.#sessions.get(event.session);
    if (session === undefined || event.isCut || wasFault(event)) return undefined;
    const { start, identity, connection, session: facts } = session;
    const around = { identity, connection, session: facts, time: this.#timeFacts(event.atMs), approved: nobody };
    const [access = "", more] = event.accesses;
    if (start.protocol === "postgres") {
      const sql = this.#factsOf(event.statement, start.connection);
      const { estimatedRows } = event;
      return sql && { ...around, protocol: "sql", sql: estimatedRows === undefined ? sql : { ...sql, estimatedRows } };
    }
    if (more !== undefined || access === "" || access.endsWith("… (cut)")) return undefined;
    switch (start.protocol) {
      case "http": {
        const http = httpOf(access, event.statement);
        return http && { ...around, protocol: "http", http };
      }
      case "mcp":
        return { ...around, protocol: "mcp", mcp: mcpOf(access, event.statement, start.connection) };
      case "llm": {
        const llm = llmOf(access, event, session.models);
        return llm && { ...around, protocol: "llm", llm };
      }
      default:
        return start.protocol satisfies never;
    }
  }

  #factsOf(text: string, connection: string): SqlFacts | undefined {
    if (text === "") return undefined;
    const key = `${connection}\u0000${text}`;
    const known = this.#analyzed.get(key);
    if (known !== undefined || this.#analyzed.has(key)) return known;
    const found = this.#analyze(text, connection);
    const [only, second] = "code" in found ? [] : found;
    const facts = second === undefined ? only : undefined;
    makeRoom(this.#analyzed, limits.replayAnalysesMax);
    this.#analyzed.set(key, facts);
    return facts;
  }
}

type Session = ReturnType<typeof aroundOf> & {
  readonly start: RecordedStart;
  /** Decision id of a request to a model -> the model. */
  readonly models: Map<string, string>;
};

const nobody: ReadonlySet<never> = new Set();

/** The gateway itself refused it, whatever the policies said. */
export const wasFault = ({ causes }: RecordedStatement): boolean =>
  causes.some((cause) => typeof cause === "object" && cause !== null && Reflect.get(cause, "kind") === "fault");

function aroundOf({ connection, principal, client, session, env, tags, facts = {} }: RecordedStart) {
  const of = <T extends Json>(name: string, is: (value: Json) => value is T): Fact<T | undefined> => {
    const value = Object.hasOwn(facts, name) ? facts[name] : undefined;
    if (value === null) return undefined;
    return value !== undefined && is(value) ? value : notRecorded;
  };
  const mfa = of("mfa", (value) => typeof value === "boolean");
  const owners = of("owner_groups", (value): value is string[] => Array.isArray(value));
  const identity: IdentityFacts = {
    sub: principal.sub,
    kind: kindOf(principal.kind),
    groups: new Set(principal.groups),
    email: of("email", isText),
    ip: client === "unknown" ? notRecorded : client,
    mfa: mfa ?? notRecorded,
    on_behalf_of: principal.onBehalfOf,
    claims: claimsOf(facts),
    ...(isKnown(owners) && owners !== undefined ? { owner: { groups: new Set(owners) } } : {}),
  };
  return {
    identity,
    connection: {
      name: connection,
      env: env ?? notRecorded,
      tags: tags === undefined ? notRecorded : new Set(tags),
    },
    session: { id: session, age: notRecorded, purpose: of("purpose", isText) },
  };
}

const isText = (value: Json): value is string => typeof value === "string";

/** Those that are recorded; of every other claim nobody knows whether the token had it. */
function claimsOf(facts: RecordedFacts): Readonly<Record<string, Json>> {
  const recorded = new Map(
    Object.entries(facts).flatMap(([name, value]) => (name.startsWith("claims.") ? [[name.slice(7), value]] : [])),
  );
  const known = Object.fromEntries([...recorded].filter(([, value]) => value !== null));
  const isAbsent = (name: string | symbol): boolean => typeof name === "string" && recorded.get(name) === null;
  return new Proxy<Record<string, Json>>(known, {
    get: (claims, name) => (Object.hasOwn(claims, name) || isAbsent(name) ? Reflect.get(claims, name) : notRecorded),
    getOwnPropertyDescriptor: (claims, name) =>
      Object.getOwnPropertyDescriptor(claims, name) ??
      (isAbsent(name) ? undefined : { value: notRecorded, configurable: true, enumerable: false }),
  });
}

const kinds: readonly PrincipalKind[] = ["human", "agent", "service"];
const kindOf = (text: string): Fact<PrincipalKind> => kinds.find((kind) => kind === text) ?? notRecorded;

/** `GET /v1/users` and `GET /v1/users?limit=5`. */
function httpOf(access: string, text: string): HttpFacts | undefined {
  const [method, path] = splitOnce(access);
  if (path === undefined || !path.startsWith("/")) return undefined;
  const target = readTarget(splitOnce(text)[1] ?? "", ["recorded"]);
  return {
    method,
    host: notRecorded,
    path,
    query: target.ok ? queryFacts(target.value.query) : notRecorded,
    headers: notRecorded,
    body: notRecorded,
    bodySize: notRecorded,
    operation: notRecorded,
  };
}

/** `tools/call crm.refund` and `tools/call crm.refund {"id":7}`. */
function mcpOf(access: string, text: string, connection: string): McpFacts {
  const [method, subject] = splitOnce(access);
  const is = (...of: readonly string[]): string | undefined => (of.includes(method) ? subject : undefined);
  const isPrompt = method === "completion/complete" && !/^[A-Za-z][A-Za-z0-9+.-]*:/.test(subject ?? "");
  const rest = text.startsWith(access) ? text.slice(access.length).trim() : undefined;
  return {
    server: serverOf(subject) ?? connection,
    method,
    tool: is("tools/call"),
    resource: isPrompt ? undefined : is("resources/read", "resources/subscribe", "completion/complete"),
    prompt: isPrompt ? subject : is("prompts/get"),
    args: rest === "" ? {} : jsonOf(rest),
  };
}

/** A name has its server's before the first point; a URI hasn't. */
const serverOf = (subject: string | undefined): string | undefined =>
  subject === undefined || subject.includes(":") ? undefined : /^([A-Za-z0-9_-]+)\./.exec(subject)?.[1];

/** `model claude-…`, or `tool bash` with the text `tool_use bash {"command":"ls"}`. */
function llmOf(access: string, event: RecordedStatement, models: Map<string, string>): LlmFacts | undefined {
  const [what, name] = splitOnce(access);
  const common = { provider: notRecorded, tools: notRecorded, inputTokens: notRecorded, maxTokens: notRecorded };
  if (what === "model") {
    makeRoom(models, limits.replayModelsMax);
    models.set(event.id, name ?? "");
    return { ...common, model: name ?? "", toolUse: undefined };
  }
  if (what !== "tool" || name === undefined) return undefined;
  const used = `tool_use ${name} `;
  const toolInput = jsonOf(event.statement.startsWith(used) ? event.statement.slice(used.length) : undefined);
  return { ...common, model: models.get(event.refs?.request ?? "") ?? "", toolUse: name, toolInput };
}

function jsonOf(text: string | undefined): Fact<Json> {
  const read = text === undefined ? undefined : readJson(text, limits.mcpJsonDepthMax);
  return read?.ok ? read.value : notRecorded;
}

function splitOnce(text: string): readonly [string, string | undefined] {
  const space = text.indexOf(" ");
  return space < 0 ? [text, undefined] : [text.slice(0, space), text.slice(space + 1)];
}

/** The one that came first gives way. */
function makeRoom(map: Map<string, unknown>, max: number): void {
  if (map.size < max) return;
  const oldest = map.keys().next().value;
  if (oldest !== undefined) map.delete(oldest);
}
