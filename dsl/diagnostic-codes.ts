// Every code that the language can answer with, in one table: docs/errors/ is written from it.
import type { CodeTable } from "./code-row.ts";
import { checkCodes } from "./codes-check.ts";
import { lintCodes } from "./codes-lint.ts";
import { syntaxCodes } from "./codes-syntax.ts";

export const diagnosticCodes: CodeTable = { ...syntaxCodes, ...checkCodes, ...lintCodes };

/** The page of a code, in Markdown: `gw policy explain E0204` and docs/errors/E0204.md show it. */
export function codePage(code: string): string | undefined {
  const entry = diagnosticCodes[code];
  if (!entry) return undefined;
  const block = (text: string): string => `\`\`\`\n${text}\n\`\`\``;
  const wrong = entry.wrong === undefined ? [] : ["Answered with this code:", block(entry.wrong)];
  const right = entry.right === undefined ? [] : ["Mended:", block(entry.right)];
  const parts = [`# ${code}: ${entry.title}`, entry.explanation, ...wrong, ...right];
  return `${parts.join("\n\n")}\n`;
}
