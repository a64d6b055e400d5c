// A real database, its catalog, and the two verbs of engine/sql on top of it.
import assert from "node:assert/strict";
import type pg from "pg";
import type { Catalog } from "../../engine/model/catalog.ts";
import { noObligations, type Obligations, type RuleId } from "../../engine/model/decision.ts";
import type { Mask } from "../../engine/model/mask.ts";
import type { RowPredicate } from "../../engine/model/row-predicate.ts";
import { analyzeSql } from "../../engine/sql/analyze.ts";
import { rewriteSql } from "../../engine/sql/rewrite.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext, SqlFault } from "../../engine/sql/types.ts";
import { loadCatalog } from "../../proxy/postgres/catalog-loader.ts";
import { type TestServer, testDatabase, withClient } from "../support/postgres.ts";

export type World = { readonly server: TestServer & { readonly database: string }; readonly catalog: Catalog };

export async function makeWorld(sql: string): Promise<World> {
  const server = await testDatabase(sql);
  const { catalog } = await withClient(server, (c) => loadCatalog(async (q) => (await c.query(q)).rows));
  return { server, catalog };
}

export const contextOf = (catalog: Catalog, more: Partial<SqlContext> = {}): SqlContext => ({
  catalog,
  searchPath: ["public"],
  user: "gw",
  parameterTypes: [],
  allowedFunctions: new Set(),
  temporary: new Map(),
  ...more,
});

const rules: readonly [RuleId] = ["test.rule" as RuleId];

/** `{ "clinic.patients": { email: mask } }` and `{ "clinic.visits": predicate }` */
export function obligationsOf(
  masks: Readonly<Record<string, Readonly<Record<string, Mask>>>>,
  filters: Readonly<Record<string, RowPredicate>> = {},
  limits: Obligations["limits"] = [],
): Obligations {
  return {
    masks: new Map(
      Object.entries(masks).map(([key, columns]) => [
        key,
        new Map(Object.entries(columns).map(([name, mask]) => [name, { mask, rules }])),
      ]),
    ),
    filters: new Map(Object.entries(filters).map(([key, predicate]) => [key, { predicate, rules }])),
    limits,
  };
}

export function analyzed(text: string, context: SqlContext): AnalyzedStatement {
  const result = analyzeSql(text, context);
  if (!result.ok) assert.fail(`${text}: ${result.error.code}: ${result.error.message}`);
  const [statement] = result.value;
  assert.ok(statement);
  return statement;
}

export function faultOf(
  text: string,
  context: SqlContext,
  obligations: Obligations = noObligations,
): SqlFault | undefined {
  const result = analyzeSql(text, context);
  if (!result.ok) return result.error;
  for (const statement of result.value) {
    const rewritten = rewriteSql(statement, obligations, context, { maskKey: "k" });
    if (!rewritten.ok) return rewritten.error;
  }
  return undefined;
}

export function rewritten(
  text: string,
  context: SqlContext,
  obligations: Obligations = noObligations,
  maskKey = "k",
): RewrittenSql {
  const result = rewriteSql(analyzed(text, context), obligations, context, { maskKey });
  if (!result.ok) assert.fail(`${text}: ${result.error.code}: ${result.error.message}`);
  return result.value;
}

/** Runs the rewritten statement on the real server; rows as arrays. */
export async function rowsOf(
  client: pg.Client,
  text: string,
  context: SqlContext,
  obligations?: Obligations,
): Promise<unknown[][]> {
  const { text: sql } = rewritten(text, context, obligations);
  return (await client.query<unknown[]>({ text: sql, rowMode: "array" })).rows;
}
