// docs/sql-coverage.md says what becomes of every kind of statement: the parser's list and the engine say the same.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { parseSql } from "../../engine/sql/pg-parser.ts";
import { TwinDatabases } from "../support/twin-databases.ts";
import { EngineSession } from "../support/twin-engine.ts";
import { readCatalog } from "../support/twin-worlds.ts";

type Row = { readonly node: string; readonly example: string; readonly behaviour: string };

const rows: readonly Row[] = readFileSync("docs/sql-coverage.md", "utf8")
  .split("\n")
  .flatMap((line) => {
    const [, node = "", example = "", behaviour = ""] = line.split("|").map((cell) => cell.trim());
    return node.endsWith("Stmt") ? [{ node, example: example.replaceAll("`", ""), behaviour }] : [];
  });

/** Every `…Stmt` of the parser's own type definitions. */
function statementNodes(): readonly string[] {
  const types = join(dirname(createRequire(import.meta.url).resolve("@pgsql/types")), "types.d.ts");
  const found = readFileSync(types, "utf8").matchAll(/export interface (\w+Stmt)\b/g);
  return [...new Set([...found].map((m) => m[1] ?? ""))].sort();
}

test("the table has one row for every statement node of the parser", () => {
  assert.deepEqual(rows.map((r) => r.node).sort(), statementNodes());
});

test("each example is a statement of its row's kind", () => {
  const wrong = rows.flatMap(({ node, example }) => {
    if (example === "") return [];
    const parsed = parseSql(example);
    const kind = parsed.ok ? Object.keys(parsed.value[0]?.stmt ?? {})[0] : parsed.error.message;
    return kind === node ? [] : [`${node}: ${example} is ${kind}`];
  });
  assert.deepEqual(wrong, []);
});

test("each kind of statement behaves as the table says", async () => {
  const databases = await TwinDatabases.create();
  const catalog = await readCatalog(await databases.schemaOnly());
  const seen = rows.map((row) => {
    if (row.example === "") return { ...row, behaviour: "no statement" };
    const session = new EngineSession(catalog);
    const [prepared] = session.gate("PREPARE q AS SELECT 1");
    if (prepared?.kind === "released") session.applied(prepared.statement);
    const [verdict] = session.gate(row.example);
    if (verdict?.kind === "released") return { ...row, behaviour: "let through" };
    const isDenied = verdict?.code === "denied";
    return { ...row, behaviour: isDenied ? `policy: ${verdict.message.split(" ")[0]}` : "refused" };
  });
  assert.deepEqual(seen, rows);
});
