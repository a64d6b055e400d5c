// Materialized views and sequences hold what was computed from other relations: by lineage, or not at all (section 4.6).
import type { Node } from "@pgsql/types";
import { keyOf } from "./bind-context.ts";
import type { RelationUse, ViewExpansion } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { isReduced, type Protection } from "./protection.ts";
import type { Rewriting } from "./rewrite.ts";

/**
 * Protection of a materialized view: its own, and the mask of each base column that it shows as it is.
 * @throws FaultError `mask-not-applicable` where hidden rows or masked values went into its content in any other way.
 */
export function storedProtection(
  r: Rewriting,
  use: RelationUse,
  view: ViewExpansion | undefined,
  own: Protection,
): Protection {
  if (use.relation.kind !== "materialized-view" || !view) return own;
  const hidden = view.uses.filter((u) => isReduced(r.protection(u.relation)));
  if (hidden.length === 0) return own;
  if (hidden.some((u) => r.protection(u.relation).filter !== undefined) || !isPlain(view)) refuseStored(use);
  const masks = new Map(own.masks);
  use.relation.columns.forEach((column, i) => {
    const bases = (view.lineage[i] ?? []).filter((b) => r.protection(b.use.relation).masks.has(b.column));
    const [base] = bases;
    if (!base) return;
    const mask = r.protection(base.use.relation).masks.get(base.column);
    // Whether what was computed is NULL may hang on the value.
    if (!mask || bases.length > 1 || !isColumn(view, i)) masks.set(column.name, { kind: "nullify" });
    else if (!masks.has(column.name)) masks.set(column.name, mask);
  });
  // A masked column that isn't shown took part in choosing, joining or ordering the rows.
  const shown = view.lineage.flat();
  for (const u of hidden)
    for (const column of u.columns)
      if (r.protection(u.relation).masks.has(column) && !shown.some((b) => b.use === u && b.column === column))
        refuseStored(use);
  return { ...own, masks };
}

/** One SELECT without grouping: each of its rows stands for itself. */
function isPlain(view: ViewExpansion): boolean {
  const q = view.query;
  return (
    (q.op === undefined || q.op === "SETOP_NONE") &&
    !q.groupClause?.length &&
    !q.distinctClause?.length &&
    !q.havingClause &&
    !q.withClause &&
    !hasAggregate(q.targetList ?? [])
  );
}

/** Any call in the select list may be an aggregate. */
const hasAggregate = (nodes: readonly Node[]): boolean => JSON.stringify(nodes).includes('"FuncCall"');

function isColumn(view: ViewExpansion, index: number): boolean {
  const target = view.query.targetList?.[index];
  return (
    target !== undefined &&
    "ResTarget" in target &&
    target.ResTarget.val !== undefined &&
    "ColumnRef" in target.ResTarget.val
  );
}

function refuseStored(use: RelationUse): never {
  refuse(
    "mask-not-applicable",
    `materialized view \`${keyOf(use.relation)}\` was computed from rows or values that a policy hides`,
    { help: "read the tables that it is made of" },
  );
}
