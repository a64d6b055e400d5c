// WHERE of a query level -> conjuncts that see the real value of a `searchable` column, and what is left.
// Nothing but equality of the column itself with a constant or parameter, of a table that the level holds directly.
import type { A_Expr, Node } from "@pgsql/types";
import { searchableTypes } from "../model/mask.ts";
import type { RelationUse } from "./bindings.ts";
import { conjuncts, isSimple } from "./leakproof.ts";
import type { Protection } from "./protection.ts";
import type { Rewriting } from "./rewrite.ts";
import { allOf, stringsOf } from "./tree.ts";

export type Searches = {
  /** Conjuncts that move into the masked image of their relation. */
  readonly byUse: ReadonlyMap<RelationUse, readonly Node[]>;
  readonly rest: Node | undefined;
};

/** `from` is the FROM of the same level. Without a search, `rest` is `where` itself. */
export function searchesOf(r: Rewriting, where: Node | undefined, from: readonly Node[]): Searches {
  const byUse = new Map<RelationUse, Node[]>();
  const uses = where ? from.flatMap((item) => certainUses(r, item)).filter((use) => hasSearchable(r, use)) : [];
  if (uses.length === 0) return { byUse, rest: where };
  const rest: Node[] = [];
  for (const conjunct of flat(where)) {
    const use = uses.find((u) => isSearch(r, conjunct, u, r.protection(u.relation)));
    if (use) byUse.set(use, [...(byUse.get(use) ?? []), conjunct]);
    else rest.push(conjunct);
  }
  if (byUse.size === 0) return { byUse, rest: where };
  return { byUse, rest: rest.length === 0 ? undefined : allOf(rest) };
}

/** Conjuncts of AND at any depth. */
export const flat = (where: Node | undefined): readonly Node[] => {
  const parts = conjuncts(where);
  return parts.length === 1 && parts[0] === where ? parts : parts.flatMap(flat);
};

/**
 * Relations whose rows no outer join fills up with NULL: only there a condition of the WHERE may be evaluated before
 * the join instead of behind it.
 */
function certainUses(r: Rewriting, item: Node): readonly RelationUse[] {
  if ("RangeVar" in item) {
    const use = r.bindings.reads.get(item.RangeVar);
    return use ? [use] : [];
  }
  if (!("JoinExpr" in item)) return [];
  const { jointype, larg, rarg } = item.JoinExpr;
  const left = larg && (jointype === "JOIN_INNER" || jointype === "JOIN_LEFT") ? certainUses(r, larg) : [];
  const right = rarg && (jointype === "JOIN_INNER" || jointype === "JOIN_RIGHT") ? certainUses(r, rarg) : [];
  return [...left, ...right];
}

/** What a view or a stored result shows was computed from masked values: there is nothing to search. */
const hasSearchable = (r: Rewriting, use: RelationUse): boolean =>
  (use.relation.kind === "table" || use.relation.kind === "partitioned-table") &&
  use.via.length === 0 &&
  [...r.protection(use.relation).masks.values()].some((mask) => mask.searchable);

/** `column = constant`, `constant = column` or `column IN (constants)`, on a searchable column of this very use. */
export function isSearch(r: Rewriting, node: Node, use: RelationUse, p: Protection): boolean {
  if (!("A_Expr" in node) || !hasSearchable(r, use)) return false;
  const e = node.A_Expr;
  const [left, right] = [searchedColumn(r, e.lexpr, use, p), searchedColumn(r, e.rexpr, use, p)];
  if (e.kind === "AEXPR_IN") {
    const items = e.rexpr && "List" in e.rexpr ? (e.rexpr.List.items ?? []) : [];
    return left !== undefined && isEquality(e) && items.length > 0 && items.every((i) => isSimple(r, i, left));
  }
  if (e.kind !== "AEXPR_OP" || !isEquality(e)) return false;
  if (left) return isSimple(r, e.rexpr, left);
  return right !== undefined && isSimple(r, e.lexpr, right);
}

/** IN has no schema: binding has checked that its `=` is PostgreSQL's own. */
function isEquality(e: A_Expr): boolean {
  const name = stringsOf(e.name);
  return name.at(-1) === "=" && (name.length === 1 ? e.kind === "AEXPR_IN" : name[0] === "pg_catalog");
}

function searchedColumn(r: Rewriting, node: Node | undefined, use: RelationUse, p: Protection) {
  if (!node || !("ColumnRef" in node)) return undefined;
  const bound = r.bindings.columnUses.get(node.ColumnRef);
  if (!bound || bound.use !== use || !p.masks.get(bound.column)?.searchable) return undefined;
  const column = use.relation.columns.find((c) => c.name === bound.column);
  return column?.type.schema === "pg_catalog" && searchableTypes.has(column.type.name) ? column : undefined;
}
