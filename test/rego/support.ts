// Requests, a small policy runner and an unlimited log for the Rego tests.
import { limits } from "../../engine/limits.ts";
import type { Relation } from "../../engine/model/catalog.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { SqlAccess, SqlFacts } from "../../engine/model/statement.ts";
import { readRegoBundle } from "../../engine/rego/bundle.ts";
import { RegoEvaluator } from "../../engine/rego/evaluator.ts";
import { noNeeds, regoPolicySet } from "../../engine/rego/policy-set.ts";
import { buildRego } from "../support/opa.ts";

/** 2026-03-02 10:30 UTC, a Monday. */
export const nowMs = Date.UTC(2026, 2, 2, 10, 30);

export function relation(
  key: string,
  columns: readonly string[],
  tags: Readonly<Record<string, readonly string[]>> = {},
): Relation {
  const [schema = "", name = ""] = key.split(".");
  return {
    kind: "table",
    schema,
    name,
    oid: 0,
    columns: columns.map((column, i) => ({
      name: column,
      number: i + 1,
      type: { sql: "text", name: "text", schema: "pg_catalog", oid: 25, modifier: -1, category: "S" },
      isNullable: true,
      generated: undefined,
      hasDefault: false,
      tags: new Set(tags[column] ?? []),
    })),
    tags: new Set(tags[""] ?? []),
    definition: undefined,
    parents: [],
    hasRules: false,
    hasTriggers: false,
    hasRowSecurity: false,
    constraints: [],
  };
}

export const customers = relation("public.customers", ["id", "name", "email", "region"], { email: ["pii"] });

export function access(part: Partial<SqlAccess> = {}): SqlAccess {
  return {
    verb: "select",
    kind: "read",
    relation: customers,
    columns: ["id", "email"],
    hasWhere: false,
    whereAlwaysTrue: true,
    via: [],
    ...part,
  };
}

export function sqlFacts(accesses: readonly SqlAccess[] = [access()], part: Partial<SqlFacts> = {}): SqlFacts {
  const tables = [...new Set(accesses.flatMap((a) => (a.relation ? [a.relation] : [])))];
  const columns = accesses.flatMap((a) =>
    a.relation ? a.columns.map((column) => ({ relation: a.relation ?? customers, column })) : [],
  );
  return {
    accesses,
    verb: accesses[0]?.verb ?? "select",
    statements: 1,
    tables,
    readTables: tables,
    writeTables: [],
    columnsRead: columns,
    columnsWritten: [],
    columnsReturned: columns,
    functions: new Set(),
    hasLimit: false,
    limit: undefined,
    joins: 0,
    estimatedRows: undefined,
    text: "select id, email from customers",
    fingerprint: "0123456789abcdef",
    ...part,
  };
}

type Sql = Extract<PolicyRequest, { readonly protocol: "sql" }>;

export function sqlRequest(part: Partial<Sql> = {}): PolicyRequest {
  return {
    protocol: "sql",
    sql: sqlFacts(),
    identity: {
      sub: "bot-7",
      kind: "agent",
      groups: new Set(["sales"]),
      email: undefined,
      ip: "10.0.0.7",
      mfa: false,
      on_behalf_of: "nina",
      claims: { region: "north" },
    },
    connection: { name: "shop-db", env: "prod", tags: new Set() },
    session: { id: "se_1", age: 1_000, purpose: undefined },
    time: { now: nowMs, hour: 10, minute: 30, weekday: "mon" },
    counter: () => 0,
    approved: new Set(),
    ...part,
  };
}

export function withSub(sub: string): PolicyRequest {
  const request = sqlRequest();
  return { ...request, identity: { ...request.identity, sub } };
}

/** Evaluates in this thread. @throws Error when the bundle is refused */
export function loadInProcess(
  archive: Uint8Array,
  entrypoint?: string,
): { readonly set: PolicySet; readonly evaluator: RegoEvaluator } {
  const bundle = readRegoBundle(archive, limits);
  if (!bundle.ok) throw new Error(bundle.error);
  const { module, data, hash, revision } = bundle.value;
  const evaluator = RegoEvaluator.load({ module, data, entrypoint, pagesMax: limits.regoMemoryPagesMax });
  if (!evaluator.ok) throw new Error(evaluator.error);
  const set = regoPolicySet({
    hash,
    revision,
    timeZone: "UTC",
    entrypoint: evaluator.value.entrypoint,
    evaluate: (input, now) => evaluator.value.evaluate(input, now),
    needs: { ...noNeeds, estimatedRows: bundle.value.namesEstimatedRows },
    tags: () => undefined,
    limits,
  });
  return { set, evaluator: evaluator.value };
}

/** Rego text of package `t`, whose entrypoint is `t/decision`. */
export const compileRego = (body: string, data: Readonly<Record<string, unknown>> = {}): Promise<Uint8Array> =>
  buildRego({ "policy.rego": `package t\n\n${body}\n`, "data.json": JSON.stringify(data) }, ["t/decision"]);

export const quietLog = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
