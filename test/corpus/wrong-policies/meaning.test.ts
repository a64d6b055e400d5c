// Policies whose meaning is wrong or doubtful, and exactly what their author is told. Each file is `a.policy` of a bundle
// with the catalog of test/dsl/shop-catalog.ts.
// `GW_UPDATE_GOLDEN=1 node --test <this file>` rewrites the answers; read the difference before committing it.
import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { compileBundle } from "../../../dsl/bundle.ts";
import { sortDiagnostics } from "../../../dsl/diagnostic.ts";
import { lintBundle } from "../../../dsl/lint/lint.ts";
import { renderDiagnostics, Sources } from "../../../dsl/render-diagnostic.ts";
import { shopCatalog } from "../../dsl/shop-catalog.ts";

const divider = "\n-----\n";

for (const kind of ["meaning", "lint"] as const) {
  const folder = join(import.meta.dirname, kind);
  for (const file of globSync("*.txt", { cwd: folder }).sort()) {
    test(`a reader is helped with ${kind}: ${basename(file, ".txt").replaceAll("-", " ")}`, () => {
      const golden = readFileSync(join(folder, file), "utf8");
      const text = `${golden.slice(0, golden.indexOf(divider))}\n`;
      const files = new Map([
        ["a.policy", text],
        ["prod-pg.json", shopCatalog],
      ]);
      const { checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
      const errors = diagnostics.filter((d) => d.severity === "error");
      const shown = kind === "meaning" ? errors : sortDiagnostics([...diagnostics, ...lintBundle(checked)]);
      const rendered = `${renderDiagnostics(shown, new Sources(files))}\n`;
      if (process.env.GW_UPDATE_GOLDEN) writeFileSync(join(folder, file), text.trimEnd() + divider + rendered);
      else assert.equal(rendered, golden.slice(golden.indexOf(divider) + divider.length));
      assert.ok(shown.length > 0, "a wrong policy was accepted");
    });
  }
}
