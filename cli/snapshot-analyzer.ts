// SQL of a policy test -> facts, by the analysis of live traffic with a catalog snapshot in the place of the server's
import type { SqlFaultFacts } from "../dsl/testing/given.ts";
import { limits } from "../engine/limits.ts";
import type { Catalog } from "../engine/model/catalog.ts";
import type { SqlFacts } from "../engine/model/statement.ts";
import { analyzeSql } from "../engine/sql/analyze.ts";
import type { SqlContext } from "../engine/sql/types.ts";
import { StatementCache } from "../proxy/gate/statement-cache.ts";
import { createSqlEngine } from "./sql-engine.ts";

export type SnapshotAnalyzer = (sql: string, connection: string) => readonly SqlFacts[] | SqlFaultFacts;

/** Unqualified names are looked up in `public`; a connection without a snapshot knows no table. */
export function snapshotAnalyzer(catalogs: ReadonlyMap<string, Catalog>): SnapshotAnalyzer {
  return (sql, connection) => {
    const analyzed = analyzeSql(sql, contextOf(catalogs.get(connection) ?? emptyCatalog));
    return analyzed.ok ? analyzed.value.map((statement) => statement.facts) : analyzed.error;
  };
}

/** The same, remembered as a running gateway remembers it: for very many statements. */
export function rememberingAnalyzer(catalogs: ReadonlyMap<string, Catalog>): SnapshotAnalyzer {
  const cache = new StatementCache(createSqlEngine(new Uint8Array()), limits);
  const contexts = new Map([...catalogs].map(([connection, catalog]) => [connection, contextOf(catalog)]));
  const none = contextOf(emptyCatalog);
  return (sql, connection) => {
    const analyzed = cache.analyze(sql, contexts.get(connection) ?? none);
    return analyzed.ok ? analyzed.value.map((statement) => statement.facts) : analyzed.error;
  };
}

export const contextOf = (catalog: Catalog): SqlContext => ({
  catalog,
  searchPath: ["public"].filter((schema) => catalog.schemas.has(schema)),
  user: "gateway",
  parameterTypes: [],
  allowedFunctions: new Set(
    [...catalog.functions.values()].flat().flatMap((f) => (f.isAllowed === true ? [`${f.schema}.${f.name}`] : [])),
  ),
  temporary: new Map(),
});

const emptyCatalog: Catalog = {
  version: "empty",
  database: "none",
  serverVersion: 0,
  schemas: new Set(),
  relations: new Map(),
  relationsByOid: new Map(),
  functions: new Map(),
  types: new Map(),
};
