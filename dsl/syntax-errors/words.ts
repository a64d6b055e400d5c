// What messages about syntax say of places and words.
import { type Span, spanOf } from "../../engine/lib/span.ts";
import type { Diagnostic } from "../diagnostic.ts";

/** `kind` is the token's name in `tokens.ts`, or `end` after the last word. */
export type Word = { readonly text: string; readonly span: Span; readonly kind: string };

/** A place where the grammar and the text part ways. */
export type SyntaxProblem = {
  /** Names of the grammar rules that were being read, outermost first. */
  readonly rules: readonly string[];
  /** What could have stood here, in the words of `tokens.ts`. */
  readonly expected: readonly string[];
  readonly found: Word;
  /** The words before it, nearest first; a few. */
  readonly before: readonly Word[];
  readonly next: Word | undefined;
  readonly isInPlaceholder: boolean;
  /** The innermost bracket that is open here. */
  readonly opener: Word | undefined;
};

export type Source = { readonly path: string; readonly text: string };

export type Said = Pick<Diagnostic, "code" | "message"> & Partial<Diagnostic>;

/** Answers when the mistake is the one it knows. The first that answers is heard. */
export type Describe = (source: Source, problem: SyntaxProblem) => Said | undefined;

export const ruleOf = (problem: SyntaxProblem): string => problem.rules.at(-1) ?? "File";

export const isAtTop = (problem: SyntaxProblem): boolean => ruleOf(problem) === "File" || ruleOf(problem) === "Decl";

export const previousOf = (problem: SyntaxProblem): Word | undefined => problem.before[0];

export const isEnd = (word: Word): boolean => word.kind === "end";

export const isReserved = (word: Word): boolean => word.kind.startsWith("Kw");

export const isName = (word: Word | undefined): boolean => word?.kind === "Identifier";

export const isText = (word: Word | undefined): boolean => word?.kind === "QUOTED" || word?.kind === "RAW";

export const foundText = (problem: SyntaxProblem): string =>
  isEnd(problem.found)
    ? problem.isInPlaceholder
      ? "the end of the placeholder"
      : "the end of the file"
    : `\`${short(problem.found.text)}\``;

export const short = (text: string): string => {
  const line = text.split("\n")[0] ?? "";
  return line.length > 40 ? `${line.slice(0, 39)}…` : line;
};

/** The end of the file is shown on the last line that has something on it. */
export const spanAtEnd = (source: Source, problem: SyntaxProblem): Span => {
  if (!isEnd(problem.found)) return problem.found.span;
  const end = source.text.trimEnd().length;
  const last = previousOf(problem);
  return last ? spanOf(Math.max(last.span.end, 0), Math.max(last.span.end, 0)) : spanOf(end, end);
};

export const startsLine = (source: Source, word: Word): boolean =>
  /(?:^|\n)[ \t]*$/.test(source.text.slice(Math.max(0, word.span.start - 200), word.span.start));

export const restOfLine = (source: Source, from: number): string => {
  const end = source.text.indexOf("\n", from);
  return source.text.slice(from, end === -1 ? undefined : end).trim();
};

export const orList = (items: readonly string[]): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} or ${items.at(-1)}`;
