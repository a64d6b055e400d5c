// facts of a statement, without a parser: for what looks at them from behind
import { Unknown } from "../../engine/lib/truth.ts";
import type { Relation } from "../../engine/model/catalog.ts";
import { kindOfVerb, type SqlFacts, type SqlVerb } from "../../engine/model/statement.ts";

export const relationOf = (name: string, tags: readonly string[] = []): Relation => ({
  ...{ kind: "table", schema: "public", name, oid: 0, columns: [], tags: new Set(tags), definition: undefined },
  ...{ parents: [], hasRules: false, hasTriggers: false, hasRowSecurity: false, constraints: [] },
});

/** `shape` is its fingerprint. */
export const sqlFactsOf = (verb: SqlVerb, relation: Relation, shape: string): SqlFacts => ({
  accesses: [{ verb, kind: kindOfVerb[verb], relation, columns: [], hasWhere: true, whereAlwaysTrue: false, via: [] }],
  ...{ verb, statements: 1, tables: [relation], readTables: [relation], writeTables: [] },
  ...{ columnsRead: [], columnsWritten: [], columnsReturned: [], functions: new Set(), hasLimit: false },
  ...{ limit: undefined, joins: 0, estimatedRows: new Unknown("not asked"), text: "", fingerprint: shape },
});
