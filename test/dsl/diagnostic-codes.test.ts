import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { diagnosticCodes } from "../../dsl/diagnostic-codes.ts";
import { lintBundle } from "../../dsl/lint/lint.ts";
import { shopCatalog } from "./shop-catalog.ts";
import { errorPages, errorPagesFolder } from "./write-error-pages.ts";

const codesOf = (text: string): readonly string[] => {
  const files = new Map([
    ["a.policy", `package a catalog "prod-pg" from "./prod-pg.json"\n${text}\n`],
    ["prod-pg.json", shopCatalog],
  ]);
  const { checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
  return [...diagnostics, ...lintBundle(checked)].map((d) => d.code);
};

for (const [code, entry] of Object.entries(diagnosticCodes)) {
  const { wrong, right } = entry;
  if (wrong === undefined || right === undefined) continue;
  test(`the examples of ${code} show ${entry.title}`, () => {
    assert.ok(codesOf(wrong).includes(code), `${wrong}\ngives ${codesOf(wrong).join(", ")}`);
    const left = codesOf(right).filter((other) => other === code || !other.startsWith("L"));
    assert.deepEqual(left, [], right);
  });
}

test("every code that the language's source mentions has a page", () => {
  const used = new Set(
    globSync("dsl/**/*.ts", { cwd: join(import.meta.dirname, "../..") })
      .filter((file) => !/codes-\w+\.ts$/.test(file))
      .flatMap((file) => [
        ...readFileSync(join(import.meta.dirname, "../..", file), "utf8").matchAll(/"([PETL]\d{4})"/g),
      ])
      .map((match) => match[1] ?? ""),
  );
  assert.deepEqual([...used].filter((code) => !(code in diagnosticCodes)).sort(), []);
});

test("docs/errors is written from the table of codes", () => {
  const written = new Map(
    globSync("*.md", { cwd: errorPagesFolder }).map((name) => [
      name,
      readFileSync(join(errorPagesFolder, name), "utf8"),
    ]),
  );
  assert.deepEqual(Object.fromEntries([...written].sort()), Object.fromEntries([...errorPages()].sort()));
});
