// The ceiling of changed rows as text: what is sent, and what is refused by name.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LimitObligation, RuleId } from "../../engine/model/decision.ts";
import { contextOf, faultOf, makeWorld, obligationsOf, rewritten } from "./support.ts";

const world = await makeWorld(`
  CREATE TABLE t (id int PRIMARY KEY, n int);
  CREATE TABLE u (id int PRIMARY KEY);
`);
const context = contextOf(world.catalog);

const limit = (max: number, more: Partial<LimitObligation> = {}): LimitObligation => ({
  rule: "test.few" as RuleId,
  unit: "rows",
  max,
  window: undefined,
  counts: "changed",
  ...more,
});
const ceiling = obligationsOf({}, {}, [limit(3)]);
const { counts: _, ...returned } = limit(2);
const page = obligationsOf({}, {}, [returned]);

describe("a ceiling of changed rows", () => {
  test("stands in the LIMIT of a query around the write", () => {
    const { text, ceiling: told, shape } = rewritten("DELETE FROM t WHERE id > 5", context, ceiling);
    assert.equal(
      text,
      `WITH "gw_changed" AS (DELETE FROM "public"."t" WHERE ("id" OPERATOR("pg_catalog".>) 5) RETURNING 1) SELECT CAST("pg_catalog"."count"(*) AS "pg_catalog"."text") FROM "gw_changed" LIMIT CAST(CASE WHEN ((SELECT "pg_catalog"."count"(*) FROM "gw_changed") OPERATOR("pg_catalog".>) 3) THEN CAST('more rows than the gateway''s policies let one statement change' AS "pg_catalog"."text") END AS "pg_catalog"."int8")`,
    );
    assert.deepEqual([told, shape], [{ tag: "DELETE", isCountOnly: true }, undefined]);
  });

  test("keeps the names and the order of what RETURNING gives", () => {
    const { ceiling: told, shape } = rewritten("UPDATE t SET n = 1 RETURNING n, id AS n, 1", context, ceiling);
    assert.deepEqual(told, { tag: "UPDATE", isCountOnly: false });
    assert.deepEqual(
      shape?.columns.map((c) => c.name),
      ["n", "n", "?column?"],
    );
  });

  test("is left out where the statement can't go over it, or isn't a write", () => {
    for (const sql of [
      "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)",
      "INSERT INTO t VALUES (1, 1 + 1)",
      "INSERT INTO t VALUES (generate_series(1, 2), 1), (9, 9)", // PostgreSQL refuses it
      "INSERT INTO t DEFAULT VALUES",
      "SELECT id FROM t",
      "EXPLAIN DELETE FROM t",
      "PREPARE p AS DELETE FROM t",
    ])
      assert.equal(rewritten(sql, context, ceiling).text, rewritten(sql, context).text, sql);
  });

  test("counts a single row of VALUES that a function may make many of", () => {
    for (const sql of [
      "INSERT INTO t VALUES (generate_series(1, 50), 1)",
      "INSERT INTO t VALUES (1 + abs(generate_series(1, 50)), 1)",
      "INSERT INTO t (id) VALUES (CASE WHEN true THEN generate_series(1, 50) END) ON CONFLICT DO NOTHING RETURNING id",
    ])
      assert.equal(rewritten(sql, context, ceiling).ceiling?.tag, "INSERT 0", sql);
  });

  test("of rows that are returned holds for RETURNING, and for nothing else of a write", () => {
    assert.equal(rewritten("DELETE FROM t", context, page).ceiling, undefined);
    assert.deepEqual(rewritten("DELETE FROM t RETURNING id", context, page).ceiling, {
      tag: "DELETE",
      isCountOnly: false,
    });
    assert.match(rewritten("DELETE FROM t RETURNING id", context, page).text, /OPERATOR\("pg_catalog"\.>\) 2\)/);
  });

  test("counts what every part of a WITH changes", () => {
    const { text } = rewritten(
      "WITH a AS (DELETE FROM u), b AS (DELETE FROM t RETURNING id) SELECT id FROM b LIMIT 7",
      context,
      ceiling,
    );
    assert.match(
      text,
      /LIMIT COALESCE\(CAST\(CASE WHEN \(\(\(SELECT "pg_catalog"\."count"\(\*\) FROM "a"\) OPERATOR\("pg_catalog"\.\+\) \(SELECT "pg_catalog"\."count"\(\*\) FROM "b"\)\) OPERATOR\("pg_catalog"\.>\) 3\)/,
    );
  });

  const refused: readonly (readonly [why: string, sql: string, obligations: typeof ceiling])[] = [
    ["TRUNCATE", "TRUNCATE t", ceiling],
    ["COPY FROM", "COPY t FROM STDIN", ceiling],
    ["WITH TIES", "WITH d AS (DELETE FROM t) SELECT id FROM u ORDER BY id FETCH FIRST 2 ROWS WITH TIES", ceiling],
    [
      "a WITH under a limit per time",
      "WITH d AS (DELETE FROM t) SELECT 1",
      obligationsOf({}, {}, [limit(3, { window: { ms: 1_000, key: "k" } })]),
    ],
  ];
  for (const [why, sql, obligations] of refused) {
    test(`refuses ${why}`, () => assert.equal(faultOf(sql, context, obligations)?.code, "limit-not-applicable"));
  }

  test("refuses MERGE on a server that can't count it", () => {
    const merge = "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE";
    const older = contextOf({ ...world.catalog, serverVersion: 160_004 });
    assert.equal(faultOf(merge, older, ceiling)?.code, "limit-not-applicable");
    assert.deepEqual(rewritten(merge, context, ceiling).ceiling, { tag: "MERGE", isCountOnly: true });
  });
});
