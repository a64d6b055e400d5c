// obligations + catalog -> what must be done to a relation wherever it is read.
import type { Catalog, Relation } from "../model/catalog.ts";
import type { Obligations } from "../model/decision.ts";
import { joinMasks, type Mask } from "../model/mask.ts";
import type { RowPredicate } from "../model/row-predicate.ts";
import { keyOf } from "./bind-context.ts";
import { generatedInputs } from "./bind-from.ts";
import { systemMasks } from "./system-catalog.ts";

export type Protection = {
  readonly masks: ReadonlyMap<string, Mask>;
  readonly filter: RowPredicate | undefined;
  /** Constants for columns of the system catalogs, as SQL. */
  readonly system: Readonly<Record<string, string>> | undefined;
};

const none: Protection = { masks: new Map(), filter: undefined, system: undefined };

export const isProtected = (p: Protection): boolean =>
  p.masks.size > 0 || p.filter !== undefined || p.system !== undefined;

/** Protection of a relation by the policy (not the built-in one over the catalogs). */
export const isReduced = (p: Protection): boolean => p.masks.size > 0 || p.filter !== undefined;

/**
 * A policy on a parent holds for its children; what a child's own policy hides is hidden when it is read through the
 * parent (section 4.6). Generated columns are hidden where an input is.
 */
export function protectionOf(relation: Relation, obligations: Obligations, catalog: Catalog): Protection {
  const system = systemMasks(relation);
  if (obligations.masks.size === 0 && obligations.filters.size === 0) return system ? { ...none, system } : none;
  const family = [relation, ...ancestorsOf(relation, catalog), ...descendantsOf(relation, catalog)];
  const masks = new Map<string, Mask>();
  for (const column of relation.columns) {
    const found = family.flatMap((r) => obligations.masks.get(keyOf(r))?.get(column.name)?.mask ?? []);
    const mask = joinMasks(found);
    if (mask) masks.set(column.name, mask);
  }
  for (const column of relation.columns) {
    const inputs = generatedInputs(relation, column.generated).filter((i) => masks.has(i));
    if (inputs.length > 0 && !masks.has(column.name)) masks.set(column.name, { kind: "redact" });
  }
  const filters = family.flatMap((r) => obligations.filters.get(keyOf(r))?.predicate ?? []);
  const [first] = filters;
  const filter = filters.length > 1 ? { kind: "and" as const, parts: filters } : first;
  return { masks, filter, system };
}

export function ancestorsOf(relation: Relation, catalog: Catalog): readonly Relation[] {
  return relation.parents.flatMap((key) => {
    const parent = catalog.relations.get(key);
    return parent ? [parent, ...ancestorsOf(parent, catalog)] : [];
  });
}

const childrenOf = new WeakMap<Catalog, ReadonlyMap<string, readonly Relation[]>>();

export function descendantsOf(relation: Relation, catalog: Catalog): readonly Relation[] {
  const children = childrenIn(catalog).get(keyOf(relation)) ?? [];
  return children.flatMap((child) => [child, ...descendantsOf(child, catalog)]);
}

function childrenIn(catalog: Catalog): ReadonlyMap<string, readonly Relation[]> {
  const known = childrenOf.get(catalog);
  if (known) return known;
  const found = new Map<string, Relation[]>();
  for (const relation of catalog.relations.values())
    for (const parent of relation.parents) {
      const list = found.get(parent) ?? [];
      list.push(relation);
      found.set(parent, list);
    }
  childrenOf.set(catalog, found);
  return found;
}

/** Columns that a filter reads. */
export function filterColumns(p: RowPredicate): readonly string[] {
  switch (p.kind) {
    case "constant":
      return [];
    case "compare":
    case "in":
    case "is-null":
      return [p.column];
    case "compare-columns":
      return [p.left, p.right];
    case "not":
      return filterColumns(p.part);
    case "and":
    case "or":
      return p.parts.flatMap(filterColumns);
  }
}
