// Cost of understanding a statement: parse, bind, facts, rewrite, print, parse again, compare. Run: node bench/sql.bench.ts
import type { Catalog, Column, Relation } from "../engine/model/catalog.ts";
import { noObligations, type Obligations, type RuleId } from "../engine/model/decision.ts";
import { analyzeSql } from "../engine/sql/analyze.ts";
import { rewriteSql } from "../engine/sql/rewrite.ts";
import type { SqlContext } from "../engine/sql/types.ts";

const column = (name: string, number: number, sql: string, type: string): Column => ({
  name,
  number,
  type: { sql, name: type, schema: "pg_catalog", oid: 25, modifier: -1, category: "S" },
  isNullable: true,
  generated: undefined,
  hasDefault: false,
  tags: new Set(),
});

const relation = (name: string, oid: number): Relation => ({
  kind: "table",
  schema: "public",
  name,
  oid,
  columns: Array.from({ length: 20 }, (_, i) =>
    i === 0 ? column("id", 1, "integer", "int4") : column(`c${i}`, i + 1, "text", "text"),
  ),
  tags: new Set(),
  definition: undefined,
  parents: [],
  hasRules: false,
  hasTriggers: false,
  hasRowSecurity: false,
  constraints: [],
});

const relations = ["a", "b", "c", "d", "e"].map((name, i) => relation(name, i + 1));
const catalog: Catalog = {
  version: "bench",
  database: "bench",
  serverVersion: 180000,
  schemas: new Set(["public"]),
  relations: new Map(relations.map((r) => [`public.${r.name}`, r])),
  relationsByOid: new Map(),
  functions: new Map(),
  types: new Map(),
};
const context: SqlContext = {
  catalog,
  searchPath: ["public"],
  user: "gw",
  parameterTypes: [],
  allowedFunctions: new Set(),
  temporary: new Map(),
};
// SAFETY: a rule's name in a benchmark needs no policy behind it.
const rules = ["bench.rule" as RuleId] as const;
const reduced: Obligations = {
  masks: new Map([["public.b", new Map([["c1", { mask: { kind: "hash", salt: "s" }, rules }]])]]),
  filters: new Map([
    [
      "public.c",
      { predicate: { kind: "compare", column: "c2", op: "=", value: { type: "string", value: "acme" } }, rules },
    ],
  ]),
  limits: [],
};

const texts: Readonly<Record<string, (i: number) => string>> = {
  "look-up by key": (i) => `SELECT * FROM a WHERE id = ${i}`,
  "join of five tables": (i) =>
    `SELECT a.id, b.c1, c.c2, d.c3, count(*) FROM a JOIN b ON b.id = a.id LEFT JOIN c ON c.id = b.id JOIN d USING (id) JOIN e ON e.c5 = d.c5 WHERE a.c1 = 'x${i}' AND b.c2 IN ('p', 'q') AND lower(e.c7) LIKE 'z%' GROUP BY 1, 2, 3, 4 HAVING count(*) > ${i} ORDER BY 5 DESC LIMIT 20`,
};

const percentile = (sorted: readonly number[], p: number): number => sorted[Math.floor(sorted.length * p)] ?? 0;

function measure(text: (i: number) => string, obligations: Obligations): readonly number[] {
  const times: number[] = [];
  for (let i = 0; i < 3_000; i++) {
    const sql = text(i);
    const start = performance.now();
    const analyzed = analyzeSql(sql, context);
    if (!analyzed.ok || !analyzed.value[0]) throw new Error(analyzed.ok ? "empty" : analyzed.error.message);
    const rewritten = rewriteSql(analyzed.value[0], obligations, context, { maskKey: "key" });
    if (!rewritten.ok) throw new Error(rewritten.error.message);
    if (i >= 500) times.push((performance.now() - start) * 1000);
  }
  return times.sort((x, y) => x - y);
}

for (const [name, text] of Object.entries(texts))
  for (const [what, obligations] of [
    ["as it is", noObligations],
    ["masked and filtered", reduced],
  ] as const) {
    const times = measure(text, obligations);
    console.log(
      `${name}, ${what}: p50 ${percentile(times, 0.5).toFixed(0)} µs, p99 ${percentile(times, 0.99).toFixed(0)} µs`,
    );
  }
