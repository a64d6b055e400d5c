// Requests as the gateway makes them, and some that it can't know everything about.
import fc from "fast-check";
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import type { Catalog, Relation } from "../../engine/model/catalog.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { kindOfVerb, type SqlAccess, type SqlVerb } from "../../engine/model/statement.ts";

const groups = ["ops", "sales", "pii-readers", "dba"];
const subs = ["bot", "olga", "sam"];
const verbs: readonly SqlVerb[] = ["select", "insert", "update", "delete", "drop", "grant", "begin", "set", "unknown"];

/** Mostly known: an unknown now and then finds what a rule does with it. */
const fact = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Fact<T>> =>
  fc.oneof(
    { weight: 9, arbitrary: value },
    { weight: 1, arbitrary: fc.constant(new Unknown("not known in this case")) },
  );

export const anyIdentity: fc.Arbitrary<IdentityFacts> = fc.record({
  sub: fact(fc.constantFrom(...subs)),
  kind: fact(fc.constantFrom("human", "agent", "service")),
  groups: fact(fc.subarray(groups).map((list) => new Set(list))),
  email: fact(fc.constantFrom(undefined, "a@b.example")),
  ip: fact(fc.constantFrom("10.1.2.3", "192.0.2.1", "2001:db8::1")),
  mfa: fact(fc.boolean()),
  on_behalf_of: fact(fc.constantFrom(undefined, "olga")),
  claims: fact(fc.constantFrom({}, { tenant: "acme" }, { tenant: 7 })),
});

const anyAccess = (relations: readonly Relation[]): fc.Arbitrary<SqlAccess> =>
  fc
    .record({
      verb: fc.constantFrom(...verbs),
      relation: fc.option(fc.constantFrom(...relations), { nil: undefined, freq: 5 }),
      hasWhere: fc.boolean(),
      whereAlwaysTrue: fact(fc.boolean()),
      pick: fc.array(fc.boolean(), { minLength: 16, maxLength: 16 }),
    })
    .map(({ verb, relation, hasWhere, whereAlwaysTrue, pick }) => ({
      verb,
      kind: kindOfVerb[verb],
      relation,
      columns: relation?.columns.map((c) => c.name).filter((_, at) => pick[at % pick.length]) ?? [],
      hasWhere,
      whereAlwaysTrue,
      via: [],
    }));

export const anySqlRequest = (catalog: Catalog): fc.Arbitrary<PolicyRequest> => {
  const relations = [...catalog.relations.values()];
  return fc
    .record({
      identity: anyIdentity,
      accesses: fc.array(anyAccess(relations), { minLength: 1, maxLength: 3 }),
      connection: fc.constantFrom("prod-pg", "prod-eu", "dev"),
      statements: fc.integer({ min: 1, max: 2 }),
      joins: fc.integer({ min: 0, max: 4 }),
      functions: fc.subarray(["lower", "pg_sleep", "app.f"]),
      estimatedRows: fact(fc.option(fc.integer({ min: 0, max: 100_000 }), { nil: undefined })),
      hour: fact(fc.integer({ min: 0, max: 23 })),
      purpose: fact(fc.constantFrom(undefined, "support")),
      count: fact(fc.integer({ min: 0, max: 20 })),
      approved: fc.subarray(["gen.r0", "gen.r1", "gen.r2", "gen.r3", "gen.extra"]),
    })
    .map((r): PolicyRequest => {
      const tables = r.accesses.flatMap((a) => a.relation ?? []);
      const columns = r.accesses.flatMap((a) =>
        a.columns.flatMap((column) => (a.relation ? [{ relation: a.relation, column }] : [])),
      );
      return {
        protocol: "sql",
        sql: {
          accesses: r.accesses,
          verb: r.accesses[0]?.verb ?? "unknown",
          statements: r.statements,
          tables,
          readTables: tables,
          writeTables: [],
          columnsRead: columns,
          columnsWritten: [],
          columnsReturned: columns,
          functions: new Set(r.functions),
          hasLimit: false,
          limit: undefined,
          joins: r.joins,
          estimatedRows: r.estimatedRows,
          text: "select 1",
          fingerprint: "0000000000000000",
        },
        identity: r.identity,
        connection: { name: r.connection, env: r.connection.slice(0, 3), tags: new Set<string>() },
        session: { id: "s1", age: 60_000, purpose: r.purpose },
        time: { now: 1_767_787_200_000, hour: r.hour, minute: 5, weekday: "wed" },
        counter: () => r.count,
        approved: new Set(r.approved.map((id) => id as RuleId)),
      };
    });
};

/** The same request with everything that can be unknown about it unknown, where `isHidden` says so. */
export function knowLess(request: PolicyRequest, isHidden: (name: string) => boolean): PolicyRequest {
  const hidden = new Unknown("hidden");
  const hide = <T>(name: string, value: Fact<T>): Fact<T> => (isHidden(name) ? hidden : value);
  const { identity, session, time } = request;
  const common = {
    identity: {
      sub: hide("sub", identity.sub),
      kind: hide("kind", identity.kind),
      groups: hide("groups", identity.groups),
      email: hide("email", identity.email),
      ip: hide("ip", identity.ip),
      mfa: hide("mfa", identity.mfa),
      on_behalf_of: hide("on_behalf_of", identity.on_behalf_of),
      claims: hide("claims", identity.claims),
    },
    session: { ...session, purpose: hide("purpose", session.purpose) },
    time: { ...time, hour: hide("hour", time.hour) },
    counter: (name: string, key: string): Fact<number> => hide("counter", request.counter(name, key)),
  };
  if (request.protocol === "http") {
    const { query, headers, body, bodySize } = request.http;
    const http = {
      ...request.http,
      query: hide("query", query),
      headers: hide("headers", headers),
      body: hide("body", body),
      bodySize: hide("size", bodySize),
    };
    return { ...request, ...common, http };
  }
  if (request.protocol === "mcp") {
    const { tool, resource, prompt, args } = request.mcp;
    const mcp = {
      ...request.mcp,
      tool: hide("tool", tool),
      resource: hide("resource", resource),
      prompt: hide("prompt", prompt),
      args: hide("args", args),
    };
    return { ...request, ...common, mcp };
  }
  if (request.protocol === "llm") {
    const { tools, toolUse, inputTokens, maxTokens } = request.llm;
    const llm = {
      ...request.llm,
      tools: hide("tools", tools),
      toolUse: hide("toolUse", toolUse),
      inputTokens: hide("tokens", inputTokens),
      maxTokens: hide("max", maxTokens),
    };
    return { ...request, ...common, llm };
  }
  const accesses = request.sql.accesses.map((a) => ({ ...a, whereAlwaysTrue: hide("where", a.whereAlwaysTrue) }));
  return {
    ...request,
    ...common,
    sql: { ...request.sql, accesses, estimatedRows: hide("rows", request.sql.estimatedRows) },
  };
}
