import type { Span } from "../engine/lib/span.ts";

export type Severity = "error" | "warning";

/** A second place that the reader should see, e.g. the first definition of a name that is defined twice. */
export type RelatedPlace = { readonly path: string; readonly span: Span; readonly label: string };

/** An edit that mends the problem: what `help:` shows and the editor's quick fix applies. */
export type Fix = { readonly title: string; readonly span: Span; readonly replacement: string };

/**
 * What is wrong with a policy text. One per cause; sorted by position; the code has a page in docs/errors/.
 * `message` is one lower-case sentence without a final period, the author's text in back-ticks.
 */
export type Diagnostic = {
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  readonly path: string;
  readonly span: Span;
  /** Stands at the carets. */
  readonly label: string | undefined;
  readonly notes: readonly string[];
  readonly help: readonly string[];
  readonly related: readonly RelatedPlace[];
  readonly fixes: readonly Fix[];
};

/** Fills in what a diagnostic does not say; an error unless it says otherwise. */
export const diagnose = (
  given: Pick<Diagnostic, "code" | "message" | "path" | "span"> & Partial<Diagnostic>,
): Diagnostic => ({
  severity: "error",
  label: undefined,
  notes: [],
  help: [],
  related: [],
  fixes: [],
  ...given,
});

/** By place, then by code: the order in which every report is written. */
export const sortDiagnostics = (diagnostics: readonly Diagnostic[]): readonly Diagnostic[] =>
  [...diagnostics].sort(
    (a, b) =>
      (a.path < b.path ? -1 : a.path > b.path ? 1 : 0) ||
      a.span.start - b.span.start ||
      a.span.end - b.span.end ||
      (a.code < b.code ? -1 : a.code > b.code ? 1 : 0),
  );
