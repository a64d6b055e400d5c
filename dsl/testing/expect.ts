// Decisions of a test row against what it expects: nothing, or expected and actual in words.

import { relationKey } from "../../engine/model/catalog.ts";
import type { Cause, Decision, Obligations, RuleId } from "../../engine/model/decision.ts";
import { noObligations } from "../../engine/model/decision.ts";
import { type Mask, shapeKey } from "../../engine/model/mask.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";
import type { CheckedExpect, Core, Value } from "../checked.ts";

export type Mismatch = { readonly expected: string; readonly actual: string };

/** The statements of one message as one outcome: the strictest. */
export function combinedEffect(decisions: readonly Decision[]): Decision["effect"] {
  if (decisions.length === 0 || decisions.some((d) => d.effect === "deny")) return "deny";
  return decisions.some((d) => d.effect === "approval") ? "approval" : "allow";
}

export const causesOf = (decisions: readonly Decision[]): readonly Cause[] =>
  decisions.flatMap((d) => (d.effect === "deny" ? d.causes : []));

export function compare(
  expect: CheckedExpect,
  decisions: readonly Decision[],
  evaluate: (core: Core) => Value,
): Mismatch | undefined {
  const { what } = expect;
  const not = expect.isNegated ? "not " : "";
  switch (what.kind) {
    case "effect": {
      const effect = String(evaluate(what.effect));
      const because = what.because && String(evaluate(what.because));
      const isMet = meetsEffect(decisions, effect, what.by, because);
      if (isMet !== expect.isNegated) return undefined;
      const by = what.by === undefined ? "" : ` by ${what.by}`;
      const text = because === undefined ? "" : ` because ${JSON.stringify(because)}`;
      return { expected: `${not}${effect}${by}${text}`, actual: describe(decisions) };
    }
    case "mask":
      return compareMask(expect, what, decisions, not);
    case "content-mask":
      return compareContentMask(expect, what, decisions, not);
    case "item-filter": {
      const found = obligationsOf(decisions).flatMap((o) => (o.items ?? []).filter((i) => i.path === what.path));
      const texts = found.map((f) => renderRowPredicate(f.predicate));
      return compareTexts(expect, decisions, `filter json ${JSON.stringify(what.path)}`, what.as, texts);
    }
    case "filter": {
      const found = obligationsOf(decisions)
        .flatMap((o) => [...o.filters])
        .filter(([key]) => matchesKey(what.table, key));
      const texts = found.map(([, f]) => renderRowPredicate(f.predicate));
      return compareTexts(expect, decisions, `filter ${what.table.text}`, what.as, texts);
    }
    case "limit": {
      const limits = obligationsOf(decisions).flatMap((o) => o.limits.map((l) => l.rule));
      if (limits.includes(what.rule) !== expect.isNegated) return undefined;
      return { expected: `${not}limit ${what.rule}`, actual: withEffect(decisions, listed("limit", limits)) };
    }
    case "alert": {
      const alerts = decisions.flatMap((d) => d.alerts.map((a) => a.rule));
      const isMet = what.rule === undefined ? alerts.length > 0 : alerts.includes(what.rule);
      if (isMet !== expect.isNegated) return undefined;
      return {
        expected: `${not}alert${what.rule === undefined ? "" : ` ${what.rule}`}`,
        actual: listed("alert", alerts),
      };
    }
    default:
      return what satisfies never;
  }
}

const listed = (what: string, rules: readonly RuleId[]): string =>
  rules.length === 0 ? `no ${what}` : rules.map((r) => `${what} ${r}`).join(", ");

const withEffect = (decisions: readonly Decision[], text: string): string =>
  combinedEffect(decisions) === "deny" ? describe(decisions) : text;

const obligationsOf = (decisions: readonly Decision[]): readonly Obligations[] =>
  decisions.map((d) => (d.effect === "deny" ? noObligations : d.obligations));

function meetsEffect(
  decisions: readonly Decision[],
  effect: string,
  by: RuleId | undefined,
  because: string | undefined,
): boolean {
  if (combinedEffect(decisions) !== effect) return false;
  if (by !== undefined && !decisions.some((d) => d.effect === effect && d.rules.includes(by))) return false;
  if (because === undefined) return true;
  const messages =
    effect === "deny"
      ? causesOf(decisions)
          .filter((c) => by === undefined || ("rule" in c && c.rule === by))
          .map((c) => c.message)
      : decisions.flatMap((d) => (d.effect === "approval" ? d.requirements.map((r) => r.message) : []));
  return messages.some((message) => message.includes(because));
}

/** In one line: what happened and why. */
export function describe(decisions: readonly Decision[]): string {
  const effect = combinedEffect(decisions);
  if (effect === "deny") {
    const causes = causesOf(decisions).map((c) =>
      "rule" in c ? `by ${c.rule} because ${JSON.stringify(c.message)}` : `because ${JSON.stringify(c.message)}`,
    );
    return causes.length === 0 ? "deny" : `deny ${[...new Set(causes)].join("; ")}`;
  }
  const rules = new Set(decisions.filter((d) => d.effect === effect).flatMap((d) => d.rules));
  return `${effect} by ${[...rules].join(", ")}`;
}

function matchesKey(
  pattern: { readonly kind: "tagged" } | { readonly kind: "named"; readonly schema: string; readonly table: string },
  key: string,
): boolean {
  return pattern.kind === "named" && key === relationKey(pattern.schema, pattern.table);
}

type MaskExpect = Extract<CheckedExpect["what"], { kind: "mask" }>;

function compareMask(
  expect: CheckedExpect,
  what: MaskExpect,
  decisions: readonly Decision[],
  not: string,
): Mismatch | undefined {
  const { column, using } = what;
  const masks = obligationsOf(decisions)
    .flatMap((o) => [...o.masks])
    .flatMap(([key, byColumn]) => {
      const mask = column.kind === "named" && matchesKey(column, key) ? byColumn.get(column.column) : undefined;
      return mask ? [mask] : [];
    });
  const isMet = masks.some(({ mask }) => isMask(mask, using));
  if (isMet !== expect.isNegated) return undefined;
  const found = masks.map(({ mask, rules }) => `mask ${column.text} using ${mask.kind} by ${rules.join(", ")}`);
  return {
    expected: `${not}mask ${column.text}${using === undefined ? "" : ` using ${using.name}`}`,
    actual: withEffect(decisions, found.length === 0 ? `no mask of ${column.text}` : found.join("; ")),
  };
}

function compareContentMask(
  expect: CheckedExpect,
  what: Extract<CheckedExpect["what"], { kind: "content-mask" }>,
  decisions: readonly Decision[],
  not: string,
): Mismatch | undefined {
  const { format, pattern, using } = what;
  const masks = obligationsOf(decisions)
    .flatMap((o) => o.content ?? [])
    .filter(({ content }) => content.format === format && content.patterns.includes(pattern));
  if (masks.some(({ mask }) => isMask(mask, using)) !== expect.isNegated) return undefined;
  const place = `mask ${format === "tagged" ? "json tagged" : format} ${JSON.stringify(pattern)}`;
  const found = masks.map(({ mask, rule }) => `${place} using ${mask.kind} by ${rule}`);
  return {
    expected: `${not}${place}${using === undefined ? "" : ` using ${using.name}`}`,
    actual: withEffect(decisions, found.length === 0 ? `no ${place}` : found.join("; ")),
  };
}

const isMask = (mask: Mask, using: MaskExpect["using"]): boolean =>
  using === undefined ||
  (mask.kind === using.name && (using.mask === undefined || shapeKey(using.mask) === shapeKey(mask)));

/** Some filter is there, or one with this text. */
function compareTexts(
  expect: CheckedExpect,
  decisions: readonly Decision[],
  what: string,
  as: string | undefined,
  texts: readonly string[],
): Mismatch | undefined {
  const isMet = as === undefined ? texts.length > 0 : texts.includes(as);
  if (isMet !== expect.isNegated) return undefined;
  const actual =
    texts.length === 0
      ? `no ${what.replace(/^filter /, "filter of ")}`
      : `filter as ${texts.map((t) => JSON.stringify(t)).join(", ")}`;
  const wanted = `${expect.isNegated ? "not " : ""}${what}${as === undefined ? "" : ` as ${JSON.stringify(as)}`}`;
  return { expected: wanted, actual: withEffect(decisions, actual) };
}
