// operators: how they bind, and which compare
import type { CompareOp } from "./ast.ts";

/** How tightly an operator binds (higher first), and which way; the table of GRAMMAR.md. */
export const precedence: Readonly<
  Record<string, { readonly level: number; readonly side: "left" | "right" | "none" }>
> = {
  "??": { level: 4, side: "right" },
  "*": { level: 3, side: "left" },
  "/": { level: 3, side: "left" },
  "%": { level: 3, side: "left" },
  "+": { level: 2, side: "left" },
  "-": { level: 2, side: "left" },
  "..": { level: 1, side: "none" },
  "..<": { level: 1, side: "none" },
};

const compareOps: ReadonlySet<string> = new Set<CompareOp>([
  "==",
  "!=",
  "<",
  "<=",
  ">",
  ">=",
  "in",
  "contains",
  "startswith",
  "endswith",
  "like",
  "matches",
]);
export const isCompareOp = (text: string): text is CompareOp => compareOps.has(text);
