// Writes the tables of docs/language.md that repeat the source: `node test/dsl/write-language-tables.ts`.
import { readFileSync, writeFileSync } from "node:fs";
import { builtins } from "../../dsl/builtins.ts";
import { diagnosticCodes } from "../../dsl/diagnostic-codes.ts";
import { lintRules } from "../../dsl/lint/lint.ts";
import { factSchema } from "../../engine/model/fact-schema.ts";

export const languageDocument = new URL("../../docs/language.md", import.meta.url);

const cell = (text: string): string => text.replaceAll("|", "\\|");
const where: Readonly<Record<string, string>> = {
  always: "everywhere",
  alert: "in `alert` rules",
  type: "as an element",
};

const factTables = Object.entries(factSchema)
  .map(([root, { doc, scope, fields }]) => {
    const rows = Object.entries(fields).map(([name, f]) => `| \`${root}.${name}\` | \`${cell(f.type)}\` | ${f.doc} |`);
    return `**${root}** (${where[scope] ?? `on \`${scope}\``}). ${doc}\n\n| fact | type | |\n|---|---|---|\n${rows.join("\n")}`;
  })
  .join("\n\n");
const functionTable = [
  "| function | |",
  "|---|---|",
  ...Object.values(builtins).map((b) => `| \`${cell(b.signature)}\` | ${b.doc} |`),
];
const lintTable = [
  "| rule | code | what it finds |",
  "|---|---|---|",
  ...lintRules.map(({ name, code }) => {
    const title = diagnosticCodes[code]?.title ?? "";
    return `| \`${name}\` | [${code}](errors/${code}.md) | ${title.slice(title.indexOf(": ") + 2)} |`;
  }),
];

const tables: Readonly<Record<string, string>> = {
  Facts: factTables,
  Functions: functionTable.join("\n"),
  Lint: lintTable.join("\n"),
};
const intros: Readonly<Record<string, string>> = {
  Lint: [
    "`gw policy lint` looks for what is allowed and yet worth a second look. Each rule can be switched off or made an error: for good under `lint` of\nthe bundle's manifest, for one run with `--rule untested-rule=error`. A finding that is an error ends the command with 1.",
    "```yaml\n# manifest.yaml\nlint:\n  untested-rule: error\n  not-indexed: off\n```",
  ].join("\n\n"),
};

/** The document with the sections whose content is a table of the source. */
export function withTables(markdown: string): string {
  return Object.entries(tables).reduce((text, [title, table]) => {
    const intro = intros[title] === undefined ? "" : `${intros[title]}\n\n`;
    return text.replace(
      new RegExp(`(## ${title}\n\n)[\\s\\S]*?(?=\n## )`),
      (_, head: string) => `${head}${intro}${table}\n`,
    );
  }, markdown);
}

if (import.meta.main) writeFileSync(languageDocument, withTables(readFileSync(languageDocument, "utf8")));
