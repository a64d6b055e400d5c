// what a reader is told of an expression that can be read and still is wrong
import { type Span, spanOf } from "../engine/lib/span.ts";
import { limits } from "../engine/limits.ts";
import type { Expr } from "./ast.ts";
import { type CstToken, spanOfToken } from "./cst-read.ts";
import { type Diagnostic, diagnose } from "./diagnostic.ts";
import type { TextSource } from "./lower-text.ts";

/** What other languages call the absence of a value. */
export const nothings: ReadonlySet<string> = new Set(["null", "nil", "undefined", "None", "NULL"]);

export const noNull = (path: string, span: Span, word: string): Diagnostic =>
  diagnose({
    code: "P0005",
    path,
    span,
    message: `there is no \`${word}\``,
    label: "absence is no value here",
    help: [
      "to ask whether something is there write `x is present` or `x is absent`",
      "to give it a value write `x ?? …`",
    ],
  });

export function mixedLogic(source: TextSource, operands: readonly Expr[], operators: readonly CstToken[]): Diagnostic {
  const textOf = (span: Span): string => source.text.slice(span.start, span.end).replace(/\s+/g, " ");
  // the first run of `and` is what a reader takes to bind first
  const firstAnd = operators.findIndex((o) => o.image === "and");
  let lastAnd = firstAnd;
  while (operators[lastAnd + 1]?.image === "and") lastAnd += 1;
  const run = operands.slice(firstAnd, lastAnd + 2);
  const start = run[0]?.span.start ?? 0;
  const end = run.at(-1)?.span.end ?? start;
  const whole = spanOf(operands[0]?.span.start ?? start, operands.at(-1)?.span.end ?? end);
  const grouped = `(${textOf(spanOf(start, end))})`;
  const before = start > whole.start ? "… or " : "";
  const after = end < whole.end ? " or …" : "";
  return diagnose({
    code: "E0012",
    path: source.path,
    span: whole,
    message: "`and` and `or` are mixed without parentheses",
    label: "which one binds first?",
    help: [`write \`${before}${grouped}${after}\``],
    fixes: [
      {
        title: `write \`${before}${grouped}${after}\``,
        span: spanOf(start, end),
        replacement: `(${source.text.slice(start, end)})`,
      },
    ],
  });
}

export const chainedRange = (path: string, op: CstToken): Diagnostic =>
  diagnose({
    code: "P0012",
    path,
    span: spanOfToken(op),
    message: "a range has two ends",
    label: "a second `..`",
    help: ["write `x in 1..10`"],
  });

export const tooDeep = (path: string, span: Span): Diagnostic =>
  diagnose({
    code: "P0018",
    path,
    span,
    message: `this is nested more than ${limits.policyNestingMax} levels deep`,
    label: "the nesting goes too deep here",
    help: ["name a part of it with `let` and use the name"],
  });
