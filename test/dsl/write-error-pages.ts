// Writes docs/errors/ from the table of codes: `node test/dsl/write-error-pages.ts`.
import { globSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { codePage, diagnosticCodes } from "../../dsl/diagnostic-codes.ts";

export const errorPagesFolder = join(import.meta.dirname, "../../docs/errors");

/** File name → content. */
export const errorPages = (): ReadonlyMap<string, string> => {
  const codes = Object.keys(diagnosticCodes).sort();
  const index = codes.map((code) => `| [${code}](${code}.md) | ${diagnosticCodes[code]?.title ?? ""} |`);
  const readme = [
    "# Codes of the policy language",
    "Written from `dsl/codes-*.ts` by `node test/dsl/write-error-pages.ts`. `P`: writing, `E`: meaning, `T`: tests, `L`: lint.",
    ["| code | about |", "|---|---|", ...index].join("\n"),
  ];
  return new Map([
    ["README.md", `${readme.join("\n\n")}\n`],
    ...codes.map((code): readonly [string, string] => [`${code}.md`, codePage(code) ?? ""]),
  ]);
};

if (import.meta.main) {
  mkdirSync(errorPagesFolder, { recursive: true });
  const pages = errorPages();
  for (const old of globSync("*.md", { cwd: errorPagesFolder }))
    if (!pages.has(old)) rmSync(join(errorPagesFolder, old));
  for (const [name, text] of pages) writeFileSync(join(errorPagesFolder, name), text);
}
