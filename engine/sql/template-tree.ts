// What stands in the place of the tree of a statement that came from a template. Needs no parser.
import type { Guard, HoleWatch } from "./holes.ts";
import type { Literal } from "./literals.ts";
import type { AnalyzedStatement, RewrittenSql } from "./types.ts";

/** Good for every text with its skeleton whose literals agree with `fixed` and `guards`. */
export type Template = {
  /** Analysed with holes in the place of literals. */
  readonly statement: AnalyzedStatement;
  readonly holes: HoleWatch;
  /** Values that something looked at: these only. */
  readonly fixed: readonly { readonly slot: number; readonly value: string }[];
  readonly guards: readonly Guard[];
  /** Code units of the text before and behind the statement's own. */
  readonly before: number;
  readonly behind: number;
};

/** The tree of a statement that came from a template holds somebody else's values: nobody may read it as this one's. */
export class TemplateTree {
  readonly template: Template;
  readonly literals: readonly Literal[];
  /** The latest rewriting, and the obligations that it was for: a prepared statement asks for the same each time. */
  latest: { readonly key: string; readonly rewritten: RewrittenSql } | undefined;
  constructor(template: Template, literals: readonly Literal[]) {
    this.template = template;
    this.literals = literals;
  }
}

/** The statement that all that come from one template share their facts with, but for their texts; else itself. */
export const originOf = (statement: AnalyzedStatement): AnalyzedStatement =>
  statement.tree instanceof TemplateTree ? statement.tree.template.statement : statement;

/** Made for one text: not worth remembering anything of. */
export const isFromTemplate = (statement: AnalyzedStatement | undefined): boolean =>
  statement?.tree instanceof TemplateTree;
