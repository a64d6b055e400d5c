import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import fc from "fast-check";
import { definitionKinds } from "../../engine/sql/definitions.ts";
import { faultStates } from "../../engine/sql/fault.ts";
import { checkTree, isNodeKind, nodeKinds } from "../../engine/sql/node-kinds.ts";
import { parseSql } from "../../engine/sql/pg-parser.ts";
import { printStatement } from "../../engine/sql/print-statement.ts";
import { sameTree } from "../../engine/sql/tree.ts";

const codeOf = (text: string): string | undefined => {
  const result = parseSql(text);
  return result.ok ? undefined : result.error.code;
};

describe("the door to the parser", () => {
  const bad: readonly (readonly [what: string, text: string, code: string])[] = [
    ["a NUL character, which would end the text early", "SELECT 1\0; DROP TABLE x", "text-not-valid"],
    ["a lone surrogate", "SELECT '\ud800'", "text-not-valid"],
    ["10,000 nested parentheses", `SELECT ${"(".repeat(10_000)}1${")".repeat(10_000)}`, "too-complex"],
    ["a text of 20 MB", `SELECT '${"x".repeat(20_000_000)}'`, "text-too-long"],
    ["what isn't SQL", "SELEC 1", "syntax-error"],
  ];
  for (const [what, text, code] of bad)
    test(`refuses ${what}`, () => {
      assert.equal(codeOf(text), code);
      assert.equal(codeOf("SELECT 1"), undefined);
    });

  test("survives deep nesting without brackets and goes on", () => {
    for (const text of [
      `SELECT ${"NOT ".repeat(100_000)}true`,
      `SELECT ${"- ".repeat(100_000)}1`,
      `SELECT 1${" + 1".repeat(100_000)}`,
      `SELECT ${"CASE WHEN true THEN ".repeat(20_000)}1${" END".repeat(20_000)}`,
    ])
      parseSql(text);
  });

  test("is there again after a trap", async () => {
    for (let i = 0; i < 50 && codeOf("SELECT 1") !== undefined; i++) await new Promise((r) => setTimeout(r, 20));
    assert.equal(codeOf("SELECT 1"), undefined);
  });

  test("gives the position of a syntax error in characters", () => {
    const result = parseSql("SELECT 'äöü😀' FROM FROM");
    assert.equal(result.ok ? undefined : result.error.position, "SELECT 'äöü😀' FROM ".length);
  });

  test("never throws", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => void parseSql(text)));
  });
});

describe("the allowlist of nodes", () => {
  const types = readFileSync("node_modules/@pgsql/types/types.d.ts", "utf8");
  const union = [...types.matchAll(/^(?:\} \| |export type Node = )\{\n {4}(\w+): \w+;$/gm)].map((m) => m[1] ?? "");
  /** Fields of an interface as the parser's own types declare them. */
  const fieldsOf = (kind: string): readonly string[] =>
    [...(new RegExp(`export interface ${kind} \\{([^}]*)\\}`).exec(types)?.[1] ?? "").matchAll(/^ {4}(\w+)\?:/gm)].map(
      (m) => m[1] ?? "",
    );

  test("names only kinds and fields that the parser has", () => {
    const wrong: string[] = [];
    for (const [kind, fields] of nodeKinds) {
      const known = fieldsOf(kind);
      for (const field of fields.keys())
        if (field !== "location" && !known.includes(field)) wrong.push(`${kind}.${field}`);
    }
    assert.deepEqual(wrong, []);
  });

  test("has a decided behaviour for every node of the parser", () => {
    assert.ok(union.length > 250);
    for (const kind of union) {
      if (isNodeKind(kind) || definitionKinds.has(kind)) continue;
      assert.throws(() => checkTree({ [kind]: {} }), { name: "FaultError", message: "unsupported-node" });
    }
  });

  test("refuses a field that it doesn't name", () => {
    assert.throws(() => checkTree({ SelectStmt: { newClause: true } }), { message: "unsupported-node" });
  });

  test("has a line in docs/error-codes.md for every code of a fault", () => {
    const text = readFileSync("docs/error-codes.md", "utf8");
    assert.deepEqual(
      Object.keys(faultStates).filter((code) => !text.includes(`\`${code}\``)),
      [],
    );
  });
});

describe("the printer", () => {
  const texts = [
    "SELECT DISTINCT ON (a) a.b[1][2:3], -1, - a, -5.5, 'it''s', E'\\n', U&'\\0041', b'01', x'ff', $1, NULL, true FROM a",
    "SELECT NOT a AND (b OR c) AND NOT (d AND e), a <> ALL (SELECT 1), (a, b) IN (SELECT 1, 2), ARRAY[[1,2],[3,4]], ROW(1), ROW(a.*)",
    "SELECT count(*) FILTER (WHERE x) OVER (w ROWS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE TIES) FROM t WINDOW w AS (PARTITION BY a ORDER BY b DESC NULLS LAST)",
    "SELECT a FROM t GROUP BY GROUPING SETS ((a), ROLLUP (b, (c, d)), CUBE (e), ()) HAVING grouping(a) = 0 ORDER BY a USING < LIMIT ALL OFFSET 3",
    "(SELECT 1 ORDER BY 1 LIMIT 1) UNION ALL (SELECT 2 EXCEPT SELECT 3) INTERSECT VALUES (1), (2)",
    "SELECT * FROM (a NATURAL FULL JOIN b) AS j (x), ONLY c CROSS JOIN d LEFT JOIN e USING (f) AS g, LATERAL (SELECT 1) h",
    'SELECT * FROM ROWS FROM (f(1), g(2) AS (a int)) WITH ORDINALITY AS z (p, q), generate_series(1, 2) y, h() AS (b text COLLATE "C")',
    "WITH RECURSIVE a (b) AS NOT MATERIALIZED (SELECT 1 UNION SELECT b + 1 FROM a) SEARCH BREADTH FIRST BY b SET c CYCLE b SET d TO 'y' DEFAULT 'n' USING e SELECT * FROM a ORDER BY 1 FETCH FIRST 2 ROWS WITH TIES",
    "SELECT string_agg(DISTINCT a, ',' ORDER BY a), percentile_cont(0.5) WITHIN GROUP (ORDER BY b), f(VARIADIC c), g(x => 1) FROM t",
    "SELECT CASE a WHEN 1 THEN 2 END, COALESCE(a, b), GREATEST(a, b), NULLIF(a, b), a IS NOT DISTINCT FROM b, a BETWEEN SYMMETRIC 1 AND 2, a IS UNKNOWN, current_timestamp(3)",
    "SELECT a::numeric(10, 2)[], interval '1' day, CAST(a AS varchar(3)), 'x'::char(2), a COLLATE \"de_DE\", (a).b.c, (a).*",
    "SELECT json_value(a, '$.b' PASSING 1 AS x RETURNING int DEFAULT 3 ON EMPTY ERROR ON ERROR), json_object('a': 1 ABSENT ON NULL WITH UNIQUE KEYS), json_arrayagg(x ORDER BY y), a IS JSON OBJECT",
    "SELECT * FROM a, JSON_TABLE(a.x, '$[*]' AS r PASSING 1 AS p COLUMNS (b int PATH '$.b' DEFAULT 3 ON EMPTY, n FOR ORDINALITY, e bool EXISTS PATH '$.e', f jsonb FORMAT JSON PATH '$.f' WITH WRAPPER, NESTED PATH '$.g' COLUMNS (h text))) AS j (k)",
    "INSERT INTO a AS b (c[1], d.e) OVERRIDING USER VALUE VALUES (1, DEFAULT) ON CONFLICT (c) WHERE x DO UPDATE SET (c, d) = (SELECT 1, 2) WHERE y RETURNING WITH (OLD AS o) o.c, *",
    "INSERT INTO a DEFAULT VALUES ON CONFLICT ON CONSTRAINT k DO NOTHING",
    "UPDATE ONLY a SET b = DEFAULT, c[2] = 3, (d, e) = ROW(1, 2) FROM f WHERE CURRENT OF g",
    "DELETE FROM a USING b WHERE a.x = b.x RETURNING 1",
    "MERGE INTO a USING b ON a.x = b.x WHEN MATCHED AND z THEN UPDATE SET y = 1 WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN INSERT (x) VALUES (1) RETURNING merge_action()",
    "SELECT 1 FROM a FOR NO KEY UPDATE OF a SKIP LOCKED FOR SHARE",
    "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE",
    "COMMIT AND CHAIN",
    "ROLLBACK TO SAVEPOINT a",
    "SET LOCAL search_path TO a, 'B', \"c\"",
    "SET statement_timeout = -1",
    "RESET ALL",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "DECLARE a NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
    "FETCH BACKWARD ALL FROM a",
    "FETCH NEXT FROM a",
    "MOVE ABSOLUTE -3 FROM a",
    "CLOSE ALL",
    "PREPARE a (int, text[]) AS SELECT $1, $2",
    "DEALLOCATE ALL",
    "EXPLAIN (VERBOSE, COSTS OFF, FORMAT json) SELECT 1",
    "COPY a (b, c) FROM STDIN WITH (FORMAT csv, HEADER, DELIMITER ';')",
    "COPY (SELECT 1) TO STDOUT",
    "LOCK TABLE a, ONLY b IN ACCESS SHARE MODE NOWAIT",
    "DISCARD ALL",
  ];
  for (const text of texts)
    test(`writes what the parser reads as the same tree: ${text.slice(0, 60)}`, () => {
      const parsed = parseSql(text);
      assert.ok(parsed.ok, text);
      const stmt = parsed.value[0]?.stmt;
      assert.ok(stmt);
      // Forms that the binder makes plain before anything is printed.
      const plain = JSON.parse(
        JSON.stringify(stmt)
          .replaceAll("COERCE_SQL_SYNTAX", "COERCE_EXPLICIT_CALL")
          .replaceAll(/AEXPR_(I?LIKE|SIMILAR)/g, "AEXPR_OP"),
      );
      const again = parseSql(printStatement(plain));
      assert.ok(again.ok, printStatement(plain));
      assert.ok(sameTree(again.value[0]?.stmt, plain), printStatement(plain));
    });
});
