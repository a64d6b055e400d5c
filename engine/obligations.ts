// obligations of many rules -> what is enforced. Functions of the set: order and repetition don't matter.
import { isNonEmpty } from "./lib/non-empty.ts";
import type { ColumnMask, ItemFilter, LimitObligation, Obligations, RuleId, TableFilter } from "./model/decision.ts";
import { joinMasks, type Mask } from "./model/mask.ts";
import { type RowPredicate, renderRowPredicate } from "./model/row-predicate.ts";

/** Masks of each column of each relation, with the rules that ask for them. */
export function joinMasksOf(
  masks: ReadonlyMap<string, ReadonlyMap<string, { masks: Mask[]; rules: Set<RuleId> }>>,
): Obligations["masks"] {
  const all = new Map<string, ReadonlyMap<string, ColumnMask>>();
  for (const [key, byColumn] of masks) {
    const joined = new Map<string, ColumnMask>();
    for (const [column, { masks: list, rules }] of byColumn) {
      const mask = list.length === 1 ? list[0] : joinMasks(list);
      const ids = [...rules].sort();
      if (mask && isNonEmpty(ids)) joined.set(column, { mask, rules: ids });
    }
    all.set(key, joined);
  }
  return all;
}

/** AND over the rules in the order of their names; the same predicate of one rule once. */
export function conjoin(
  filters: ReadonlyMap<string, ReadonlyMap<RuleId, readonly RowPredicate[]>>,
): Obligations["filters"] {
  const all = new Map<string, TableFilter>();
  for (const [key, byRule] of filters) {
    const rules = [...byRule.keys()].sort();
    if (!isNonEmpty(rules)) continue;
    const parts = new Map<string, RowPredicate>();
    for (const rule of rules) {
      const rendered = (byRule.get(rule) ?? []).map((p) => [renderRowPredicate(p), p] as const);
      for (const [text, p] of rendered.sort(([a], [b]) => (a < b ? -1 : 1))) parts.set(text, p);
    }
    const [only, ...more] = parts.values();
    if (!only) continue;
    all.set(key, { predicate: more.length === 0 ? only : { kind: "and", parts: [only, ...more] }, rules });
  }
  return all;
}

/** MIN over limits of the same unit, window and key, returned and changed rows apart; of equal ones the first by name. */
export function leastLimits(limits: readonly LimitObligation[]): readonly LimitObligation[] {
  if (limits.length === 1) return limits;
  const least = new Map<string, LimitObligation>();
  for (const limit of limits) {
    // A rate has a window of its own: its use is counted under its rule.
    const key = `${limit.counts ?? ""} ${limit.window ? `${limit.rule} ${limit.window.key}` : limit.unit}`;
    const known = least.get(key);
    if (!known || limit.max < known.max || (limit.max === known.max && limit.rule < known.rule)) least.set(key, limit);
  }
  return [...least.values()].sort((a, b) =>
    a.rule === b.rule ? ((a.counts ?? "") ? 1 : -1) : a.rule < b.rule ? -1 : 1,
  );
}

/** As a set: one rule by way of two routes may say the same twice. */
export function sortItems(items: readonly ItemFilter[]): readonly ItemFilter[] {
  const byText = new Map(items.map((i) => [`${i.rule} ${i.path} ${renderRowPredicate(i.predicate)}`, i]));
  return [...byText].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => item);
}
