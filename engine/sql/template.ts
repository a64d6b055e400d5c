// statement + its literals -> a template, and template + other literals -> the statement that analysis would have given.
// Why this is sound: docs/decisions/literal-templates.md.
import type { Obligations } from "../model/decision.ts";
import { analyzeSql } from "./analyze.ts";
import { HoleWatch, splitAtHoles } from "./holes.ts";
import type { CutText, Literal } from "./literals.ts";
import { fingerprintSql, parseSql } from "./pg-parser.ts";
import { type RewriteOptions, rewriteSql } from "./rewrite.ts";
import { isBoundStatement } from "./statement.ts";
import { type Template, TemplateTree } from "./template-tree.ts";
import { sameTree } from "./tree.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext } from "./types.ts";

/** A rewritten text with gaps for the literals. */
export type TemplateForm = {
  readonly rewritten: RewrittenSql;
  readonly pieces: readonly string[];
  readonly slots: readonly number[];
};

/** Undefined where nothing would be won, or where what was seen of `text` can't be said of others like it. */
export function templateOf(text: string, cut: CutText, context: SqlContext): Template | undefined {
  const holes = new HoleWatch(cut);
  const analyzed = analyzeSql(text, context, holes);
  if (!analyzed.ok || analyzed.value.length !== 1) return undefined;
  const [statement] = analyzed.value;
  if (!statement || !isBoundStatement(statement.tree) || statement.effects.length > 0) return undefined;
  const { form, parameters } = statement.tree;
  if ((form !== "query" && form !== "write") || parameters || statement.parameters) return undefined;
  if (holes.looked.size === cut.literals.length || !readsOthersAlike(text, cut, statement.facts.fingerprint))
    return undefined;
  const before = text.indexOf(statement.facts.text);
  const first = cut.literals[0];
  const last = cut.literals.at(-1);
  const behind = text.length - before - statement.facts.text.length;
  if (!first || !last || before < 0 || first.start < before || last.end > text.length - behind) return undefined;
  const fixed = [...holes.looked].map((slot) => ({ slot, value: holes.values[slot] ?? "" }));
  return { statement, holes, fixed, guards: [...holes.guards], before, behind };
}

/**
 * The parser and its fingerprint are the two steps that no hole watches. Another text with this skeleton must give the same
 * tree but for the values, each in its place, and the same fingerprint.
 */
function readsOthersAlike(text: string, cut: CutText, fingerprint: string): boolean {
  const values = cut.literals.map(otherValue);
  const holes = new HoleWatch(cut);
  const own = parseSql(text);
  if (!own.ok) return false;
  holes.plant(own.value, text);
  let other = "";
  let at = 0;
  for (const [slot, { start, end, value }] of cut.literals.entries()) {
    const isFree = !holes.looked.has(slot);
    other += text.slice(at, start) + (isFree ? holes.written(slot, values[slot]) : text.slice(start, end));
    if (!isFree) values[slot] = value;
    at = end;
  }
  other += text.slice(at);
  const parsed = parseSql(other);
  if (!parsed.ok || !holes.withValues(values, () => sameTree(own.value, parsed.value))) return false;
  const again = fingerprintSql(other);
  return again.ok && again.value === fingerprint;
}

function otherValue({ kind, value }: Literal): string {
  if (kind === "integer") return value === "1987654321" ? "7" : "1987654321";
  if (kind === "decimal") return value === "20.75" ? "3000000000" : "20.75";
  return value === "o'ther" ? "x" : "o'ther";
}

export function fits(template: Template, literals: readonly Literal[]): boolean {
  for (const { slot, value } of template.fixed) if (literals[slot]?.value !== value) return false;
  for (const { slot, test, outcome } of template.guards) {
    const value = literals[slot]?.value;
    if (value === undefined || test(value) !== outcome) return false;
  }
  return true;
}

/** What analysing `text` gives. `literals` are those of `text`, and fit. */
export function fromTemplate(template: Template, text: string, literals: readonly Literal[]): AnalyzedStatement {
  const { statement, before, behind } = template;
  return {
    ...statement,
    facts: { ...statement.facts, text: before + behind === 0 ? text : text.slice(before, text.length - behind) },
    tree: new TemplateTree(template, literals),
  };
}

/** Undefined where the rewriting looks at a literal that may differ, or can't be done: then each text goes its own way. */
export function formOf(
  template: Template,
  obligations: Obligations,
  context: SqlContext,
  options: RewriteOptions,
): TemplateForm | undefined {
  const { holes, statement } = template;
  // No text of a client's: what would take its words from there comes to nothing.
  const textless = { ...statement, facts: { ...statement.facts, text: "\0" } };
  let rewritten: ReturnType<typeof rewriteSql> | undefined;
  const isBlind = holes.isBlind(() => {
    rewritten = rewriteSql(textless, obligations, context, options);
  });
  if (!isBlind || !rewritten?.ok) return undefined;
  const { pieces, slots } = splitAtHoles(rewritten.value.text);
  const isApart = pieces.every(
    (p, i) => (i === 0 || !glued.test(p.slice(0, 1))) && (i === pieces.length - 1 || !glued.test(p.slice(-1))),
  );
  return isApart ? { rewritten: rewritten.value, pieces, slots } : undefined;
}

/** What would become one token with a literal beside it. */
const glued = /[\w$.'"&\\\u0080-\uffff]/;

export function fillForm({ holes }: Template, form: TemplateForm, literals: readonly Literal[]): RewrittenSql {
  let text = form.pieces[0] ?? "";
  for (const [i, slot] of form.slots.entries()) text += holes.written(slot, literals[slot]?.value) + form.pieces[i + 1];
  return { ...form.rewritten, text };
}
