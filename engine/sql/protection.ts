// obligations + catalog -> what must be done to a relation wherever it is read.
import type { Catalog, Relation } from "../model/catalog.ts";
import type { Obligations } from "../model/decision.ts";
import { joinMasks, type Mask, withoutSearch } from "../model/mask.ts";
import type { RowPredicate } from "../model/row-predicate.ts";
import { keyOf } from "./bind-context.ts";
import { ancestorsOf, descendantsOf } from "./family.ts";
import { generatedInputs } from "./generated-inputs.ts";
import { temporarySchema } from "./settings.ts";
import { systemFilter, systemMasks } from "./system-catalog.ts";

export type Protection = {
  readonly masks: ReadonlyMap<string, Mask>;
  readonly filter: RowPredicate | undefined;
  /** Constants for columns of the system catalogs, as SQL. */
  readonly system: Readonly<Record<string, string>> | undefined;
  /** Rows of a system relation that the built-in policy shows. */
  readonly systemRows?: RowPredicate;
};

const none: Protection = { masks: new Map(), filter: undefined, system: undefined };

export const isProtected = (p: Protection): boolean =>
  p.masks.size > 0 || p.filter !== undefined || p.system !== undefined || p.systemRows !== undefined;

/** Protection of a relation by the policy (not the built-in one over the catalogs). */
export const isReduced = (p: Protection): boolean => p.masks.size > 0 || p.filter !== undefined;

/**
 * A policy on a parent holds for its children; what a child's own policy hides is hidden when it is read through the
 * parent (section 4.6). Generated columns are hidden where an input is.
 */
export function protectionOf(relation: Relation, obligations: Obligations, catalog: Catalog): Protection {
  // What it holds was masked and filtered when it was put in; the rest is the client's own.
  if (relation.schema === temporarySchema) return none;
  const system = systemMasks(relation);
  const systemRows = systemFilter(relation);
  if (systemRows) return { ...none, system, systemRows };
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
    const own = masks.get(column.name);
    // Whether the result is NULL may hang on the value: `CASE WHEN wage > 5000 THEN …`.
    if (inputs.length > 0 && !own) masks.set(column.name, { kind: "nullify" });
    // What is computed from a value answers questions about it.
    if (own?.searchable && inputs.some((i) => !masks.get(i)?.searchable)) masks.set(column.name, withoutSearch(own));
  }
  const filters = family.flatMap((r) => obligations.filters.get(keyOf(r))?.predicate ?? []);
  const [first] = filters;
  const filter = filters.length > 1 ? { kind: "and" as const, parts: filters } : first;
  return { masks, filter, system };
}

/** Columns that a filter reads. */
export function filterColumns(p: RowPredicate): readonly string[] {
  switch (p.kind) {
    case "constant":
      return [];
    case "compare":
    case "in":
    case "is-null":
    case "json":
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
