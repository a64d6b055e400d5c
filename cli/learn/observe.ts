// recorded events -> what was allowed to whom
import { isSystemCatalogRead } from "../../engine/findings.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { needsNoAllow } from "../../engine/mcp/methods.ts";
import type { SqlAccess, SqlFacts } from "../../engine/model/statement.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { cutList, describeAccess } from "../../proxy/gate/session-events.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import type { RecordedRequest, RecordedRequests, RecordedStart } from "../recorded-request.ts";
import { type Caller, type Observed, type Thing, thingKey, type Use, type What } from "./observed.ts";
import { resourcePattern, shapeOfPath } from "./paths.ts";

export type ObserveOptions = {
  readonly requests: RecordedRequests;
  readonly fromMs: number;
  readonly untilMs: number;
  /** undefined: all. */
  readonly connections: ReadonlySet<string> | undefined;
  /** The route that the connection's OpenAPI document has for a path. */
  readonly documentedRoute: (connection: string, method: string, path: string) => string | undefined;
};

/** @throws GatewayError when there is more in it than a policy can be made of */
export async function observe(
  events: AsyncIterable<RecordedEvent> | Iterable<RecordedEvent>,
  { requests, fromMs, untilMs, connections, documentedRoute }: ObserveOptions,
): Promise<Observed> {
  const things = new Map<string, Thing>();
  const callers = new Map<string, Caller>();
  const counts = { learned: 0, denied: 0, held: 0, notUnderstood: 0, changed: 0, unnamed: 0 };
  for await (const event of events) {
    requests.see(event);
    if (event.type !== "statement" || event.atMs < fromMs || event.atMs > untilMs) continue;
    const start = requests.startOf(event);
    if (start !== undefined && connections?.has(start.connection) === false) continue;
    if (start !== undefined) remember(callers, callerOf(start));
    if (event.effect !== "allow") {
      counts[event.effect === "deny" ? "denied" : "held"] += 1;
      continue;
    }
    const request = requests.requestOf(event);
    if (start === undefined || request === undefined) {
      counts.notUnderstood += 1;
      continue;
    }
    if (request.protocol === "sql" && !isSame(event.accesses, cutList(request.sql.accesses.map(describeAccess)))) {
      counts.changed += 1;
      continue;
    }
    const found = thingsOf(request, documentedRoute);
    if (found === undefined) {
      counts.unnamed += 1;
      continue;
    }
    counts.learned += 1;
    const caller = callerOf(start).key;
    for (const { what, access } of found) {
      const key = thingKey(start.connection, what);
      const thing = things.get(key) ?? { key, connection: start.connection, what, uses: new Map() };
      if (!things.has(key)) put(things, thing);
      note(thing, caller, event.atMs, access, request);
    }
  }
  return { things, callers, ...counts };
}

export function callerOf({ principal }: RecordedStart): Caller {
  const { sub, kind, groups, onBehalfOf } = principal;
  const sorted = [...groups].sort();
  const isOnBehalf = onBehalfOf !== undefined;
  return { key: JSON.stringify([kind, sub, sorted, isOnBehalf]), sub, kind, groups: sorted, isOnBehalf };
}

function remember(callers: Map<string, Caller>, caller: Caller): void {
  if (callers.has(caller.key)) return;
  if (callers.size >= limits.learnedThingsMax) throw tooMuch("callers");
  callers.set(caller.key, caller);
}

function put(things: Map<string, Thing>, thing: Thing): void {
  if (things.size >= limits.learnedThingsMax) throw tooMuch("tables, routes, tools and models");
  things.set(thing.key, thing);
}

const tooMuch = (what: string): GatewayError =>
  new GatewayError(
    "config-invalid",
    `the recording has more than ${limits.learnedThingsMax} different ${what}`,
    "learn from one connection or a shorter time: `--connection NAME`, `--from 1d`",
  );

type Found = { readonly what: What; readonly access: SqlAccess | undefined };

/** What the request used and a rule has to allow. undefined: the language can't name all of it. */
export function thingsOf(
  request: RecordedRequest,
  documentedRoute: ObserveOptions["documentedRoute"],
): readonly Found[] | undefined {
  const one = (what: What | undefined): readonly Found[] | undefined => what && [{ what, access: undefined }];
  switch (request.protocol) {
    case "sql": {
      const accesses = request.sql.accesses.filter((a) => a.implied === undefined && !isSystemCatalogRead(a));
      const found = accesses.map((access) => ({ what: whatOf(access), access }));
      return found.every(hasWhat) ? found : undefined;
    }
    case "http": {
      const { method, path } = request.http;
      if (!/^[A-Z]{1,20}$/.test(method)) return undefined;
      const route = documentedRoute(request.connection.name, method, path);
      const shape = route ?? shapeOfPath(path);
      return one({ kind: "route", method, path: shape, isDocumented: route !== undefined });
    }
    case "mcp": {
      const { method, tool, resource, prompt } = request.mcp;
      if (needsNoAllow(method)) return [];
      if (isText(tool)) return isName(tool) ? one({ kind: "mcp", selector: "tool", name: tool, method }) : undefined;
      if (isText(prompt))
        return isName(prompt) ? one({ kind: "mcp", selector: "prompt", name: prompt, method }) : undefined;
      if (!isText(resource)) return one({ kind: "mcp-method", method });
      const name = resourcePattern(resource);
      return name === undefined ? undefined : one({ kind: "mcp", selector: "resource", name, method });
    }
    case "llm": {
      const { model, toolUse } = request.llm;
      if (isText(toolUse)) return isName(toolUse) ? one({ kind: "llm", selector: "tool", name: toolUse }) : undefined;
      if (model === "") return [];
      return isName(model) ? one({ kind: "llm", selector: "model", name: model }) : undefined;
    }
    default:
      return request satisfies never;
  }
}

const hasWhat = (found: {
  readonly what: What | undefined;
  readonly access: SqlAccess;
}): found is Found & { access: SqlAccess } => found.what !== undefined;

function whatOf({ verb, kind, relation, columns }: SqlAccess): What | undefined {
  if (verb === "unknown") return undefined;
  // A temporary table is its session's own, whatever it is called.
  if (relation === undefined || verb === "temporary") return { kind: "verb", verb };
  const isBare = kind !== "read" && columns.length === 0;
  return { kind: "table", verb, schema: relation.schema, table: relation.name, isBare };
}

const isText = (fact: unknown): fact is string => typeof fact === "string";
/** Nothing that a pattern would read as anything but itself. */
const isName = (text: string): boolean => /^[A-Za-z0-9_.:/@-]{1,200}$/.test(text);

function note(
  { uses }: Thing,
  caller: string,
  atMs: number,
  access: SqlAccess | undefined,
  request: RecordedRequest,
): void {
  const use: Use = uses.get(caller) ?? {
    count: 0,
    lastMs: 0,
    columns: new Set(),
    isBounded: true,
    isWithoutTables: true,
  };
  uses.set(caller, use);
  use.count += 1;
  use.lastMs = Math.max(use.lastMs, atMs);
  for (const column of access?.columns ?? []) use.columns.add(column);
  use.isBounded &&= access !== undefined && isBounded(access);
  use.isWithoutTables &&= request.protocol === "sql" && hasNoTables(request.sql);
}

const isBounded = ({ hasWhere, whereAlwaysTrue }: SqlAccess): boolean =>
  hasWhere && isKnown(whereAlwaysTrue) && !whereAlwaysTrue;

const hasNoTables = ({ tables }: SqlFacts): boolean => tables.length === 0;

const isSame = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((item, i) => item === b[i]);
