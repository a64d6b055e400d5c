// obligations -> a text that is equal for equal obligations
import type { Obligations } from "../../engine/model/decision.ts";
import { type Mask, maskKey } from "../../engine/model/mask.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";

/** Obligations are often one object for many decisions: rendered once. */
const rendered = new WeakMap<Obligations, string>();

/** Rules don't take part: who demands a mask changes nothing in the statement that is run. */
export function obligationsKey(obligations: Obligations): string {
  const known = rendered.get(obligations);
  if (known !== undefined) return known;
  const key = render(obligations);
  rendered.set(obligations, key);
  return key;
}

function render({ masks, filters, limits }: Obligations): string {
  if (masks.size === 0 && filters.size === 0 && limits.length === 0) return "";
  return JSON.stringify([
    sorted(masks).map(([relation, columns]) => [
      relation,
      sorted(columns).map(([column, { mask }]) => [column, keyOfMask(mask)]),
    ]),
    sorted(filters).map(([relation, { predicate }]) => [relation, renderRowPredicate(predicate)]),
    limits
      .filter((limit) => limit.window === undefined || limit.counts !== undefined)
      .map(({ unit, max, window, counts = "" }) => (window ? `${counts} over time` : `${counts} ${unit} ${max}`))
      .sort(),
  ]);
}

/** Masks are constants of their rules: rendered once each. */
const maskKeys = new WeakMap<Mask, string>();

function keyOfMask(mask: Mask): string {
  let key = maskKeys.get(mask);
  if (key === undefined) {
    key = maskKey(mask);
    maskKeys.set(mask, key);
  }
  return key;
}

const sorted = <T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] =>
  [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
