import type { Span } from "../../engine/lib/span.ts";
import type { Checked } from "../checked.ts";
import type { Diagnostic } from "../diagnostic.ts";

export type Finding = {
  readonly path: string;
  readonly span: Span;
  readonly message: string;
} & Partial<Pick<Diagnostic, "label" | "notes" | "help" | "related" | "fixes">>;

/** Reads a bundle without errors, says what is worth a second look. */
export type LintRule = {
  /** As it stands in the configuration. */
  readonly name: string;
  readonly code: string;
  readonly find: (checked: Checked) => readonly Finding[];
};
