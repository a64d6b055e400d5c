// Policy texts with a mistake in their writing, and exactly what their author is told.
// `GW_UPDATE_GOLDEN=1 node --test <this file>` rewrites the answers; read the difference before committing it.
import assert from "node:assert/strict";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import { parsePolicy } from "../../../dsl/parser.ts";
import { renderDiagnostics, Sources } from "../../../dsl/render-diagnostic.ts";

const folder = join(import.meta.dirname, "syntax");
const divider = "\n-----\n";

for (const file of globSync("*.txt", { cwd: folder }).sort()) {
  const name = basename(file, ".txt");
  test(`a reader is helped with: ${name.replaceAll("-", " ")}`, () => {
    const golden = readFileSync(join(folder, file), "utf8");
    const text = `${golden.slice(0, golden.indexOf(divider))}\n`;
    const path = "a.policy";
    const { diagnostics } = parsePolicy(path, text);
    const rendered = `${renderDiagnostics(diagnostics, new Sources([[path, text]]))}\n`;
    if (process.env.GW_UPDATE_GOLDEN) writeFileSync(join(folder, file), text.trimEnd() + divider + rendered);
    else assert.equal(rendered, golden.slice(golden.indexOf(divider) + divider.length));
    assert.ok(diagnostics.length > 0, "a wrong policy was accepted");
    assert.doesNotMatch(rendered, /\b(?:Kw[A-Z]|[A-Z][a-z]+(?:Decl|Pat|Call|Clause)|LParen|RParen|EOF|NoViable)/);
  });
}
