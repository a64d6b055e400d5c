// what the parser stumbled over -> what the author reads
import { type Span, spanOf } from "../engine/lib/span.ts";
import { type Diagnostic, diagnose } from "./diagnostic.ts";

export type Word = { readonly text: string; readonly span: Span; readonly kind: string };

/** A place where the grammar and the text part ways. */
export type SyntaxProblem = {
  /** Names of the grammar rules that were being read, outermost first. */
  readonly rules: readonly string[];
  /** What could have stood here, in the words of `tokens.ts`. */
  readonly expected: readonly string[];
  /** `kind` is `end` after the last word. */
  readonly found: Word;
  readonly previous: Word | undefined;
  readonly next: Word | undefined;
};

type Source = { readonly path: string; readonly text: string };

export function describeProblem(source: Source, problem: SyntaxProblem): Diagnostic {
  const found = problem.found.kind === "end" ? "the end of the file" : `\`${problem.found.text}\``;
  const expected = problem.expected.slice(0, 6);
  return diagnose({
    code: "P0013",
    path: source.path,
    span:
      problem.found.kind === "end" ? spanOf(problem.found.span.start, problem.found.span.start) : problem.found.span,
    message: `expected ${expected.join(" or ")}, found ${found}`,
    label: "not expected here",
  });
}
