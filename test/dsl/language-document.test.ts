import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { snapshotAnalyzer } from "../../cli/snapshot-analyzer.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import { formatPolicy } from "../../dsl/format.ts";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { runTests } from "../../dsl/testing/run.ts";
import { shopCatalog } from "./shop-catalog.ts";
import { languageDocument, withTables } from "./write-language-tables.ts";

/** Of the example with an API. */
const openApi = JSON.stringify({
  openapi: "3.1.0",
  paths: {
    "/v1/transfers": {
      post: {
        requestBody: {
          content: {
            "application/json": {
              schema: {
                type: "object",
                required: ["amount", "currency"],
                properties: { amount: { type: "integer" }, currency: { enum: ["EUR", "USD"] } },
              },
            },
          },
        },
      },
    },
  },
});

const markdown = readFileSync(languageDocument, "utf8");
const blocks = [...markdown.matchAll(/```policy\n([\s\S]*?)```/g)].map((block) => block[1] ?? "");

for (const block of blocks) {
  const title = /^package (\S+)/.exec(block)?.[1] ?? "without a package";
  test(`the example ${title} of docs/language.md compiles, is formatted, and its tests pass`, () => {
    const catalog = block.includes("\ncatalog ")
      ? ""
      : 'package shop.catalog\n\ncatalog "prod-pg" from "./prod-pg.json"\n';
    const files = new Map([
      ["example.policy", block],
      ["prod-pg.json", shopCatalog],
      ["openapi.json", openApi],
      ...(catalog === "" ? [] : [["catalog.policy", catalog] as const]),
    ]);
    const { checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
    const errors = diagnostics.filter((d) => d.severity === "error");
    assert.equal(renderDiagnostics(errors, new Sources(files)), "");
    const report = runTests(checked, { analyzeSql: snapshotAnalyzer(checked.catalogs), nowMs: () => 0 });
    const problems = report.results.flatMap((r) => r.problems.map((p) => p.diagnostic));
    assert.equal(renderDiagnostics(problems, new Sources(files)), "");
    const formatted = formatPolicy("example.policy", block);
    assert.ok(formatted.ok);
    assert.equal(formatted.value, block);
  });
}

test("docs/language.md has a page of examples", () => assert.ok(blocks.length >= 10));

test("the tables of docs/language.md are those of the source", () => assert.equal(withTables(markdown), markdown));
