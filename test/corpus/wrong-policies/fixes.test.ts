// A quick fix mends what it is offered for.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compileBundle } from "../../../dsl/bundle.ts";
import type { Diagnostic } from "../../../dsl/diagnostic.ts";
import { lintBundle } from "../../../dsl/lint/lint.ts";
import { shopCatalog } from "../../dsl/shop-catalog.ts";

const diagnosticsOf = (text: string): readonly Diagnostic[] => {
  const files = new Map([
    ["a.policy", text],
    ["prod-pg.json", shopCatalog],
  ]);
  const { checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
  return diagnostics.some((d) => d.severity === "error") ? diagnostics : [...diagnostics, ...lintBundle(checked)];
};

let fixes = 0;
for (const file of globSync("{syntax,meaning,lint}/*.txt", { cwd: import.meta.dirname }).sort()) {
  const golden = readFileSync(join(import.meta.dirname, file), "utf8");
  const text = `${golden.slice(0, golden.indexOf("\n-----\n"))}\n`;
  for (const diagnostic of diagnosticsOf(text)) {
    for (const fix of diagnostic.fixes) {
      fixes += 1;
      test(`"${fix.title}" mends ${file}`, () => {
        const mended = text.slice(0, fix.span.start) + fix.replacement + text.slice(fix.span.end);
        const left = diagnosticsOf(mended).filter(
          (d) => d.code === diagnostic.code && d.message === diagnostic.message,
        );
        const before = diagnosticsOf(text).filter(
          (d) => d.code === diagnostic.code && d.message === diagnostic.message,
        );
        assert.ok(left.length < before.length, mended);
      });
    }
  }
}

test("the corpus has fixes to try", () => assert.ok(fixes > 40, `${fixes}`));
