import type { Relation } from "../model/catalog.ts";
import { relationKey } from "../model/catalog.ts";
import type { SqlVerb } from "../model/statement.ts";
import type { Base, Bindings, Lineage, Place, RelationUse } from "./bindings.ts";
import type { ScopeColumn } from "./scope.ts";
import type { SqlContext } from "./types.ts";

/** What a CTE's name stands for. */
export type Cte = {
  readonly columns: readonly ScopeColumn[];
  readonly isOpen: boolean;
  /** Named in WITH RECURSIVE, not defined yet at this point. */
  readonly isPending: boolean;
};
export type Ctes = { readonly names: Map<string, Cte>; readonly parent: Ctes | undefined };

/** State of one binding pass over one statement (or one view's definition). */
export type Binder = {
  readonly sql: SqlContext;
  readonly bindings: Bindings;
  readonly via: readonly string[];
  /** A touched column counts as read. Off for the select list of a view, whose columns count when they are used. */
  isCommitting: boolean;
  /** Where the bases of the expression being bound are gathered. */
  collector: Base[] | undefined;
};

export const newBinder = (sql: SqlContext, bindings: Bindings, via: readonly string[] = []): Binder => ({
  sql,
  bindings,
  via,
  isCommitting: true,
  collector: undefined,
});

/** Notes that the value of a column is used at the place being bound. */
export function touch(b: Binder, column: ScopeColumn): void {
  for (const base of column.bases) {
    if (b.isCommitting) base.use.columns.add(base.column);
    b.collector?.push(base);
  }
}

/** Runs `bind` and says which base columns it touched. */
export function collect(b: Binder, bind: () => void): Lineage {
  const outer = b.collector;
  const own: Base[] = [];
  b.collector = own;
  bind();
  b.collector = outer;
  for (const base of own) outer?.push(base);
  return own;
}

export function addUse(
  b: Binder,
  relation: Relation,
  verb: SqlVerb,
  place: Place,
  options: { readonly implied?: "family" | "constraint"; readonly via?: readonly string[] } = {},
): RelationUse {
  const use: RelationUse = {
    relation,
    verb,
    via: options.via ?? b.via,
    columns: new Set(),
    place,
    implied: options.implied,
    systemColumns: new Set(),
    isSampled: false,
    isWhole: false,
  };
  b.bindings.uses.push(use);
  return use;
}

export const keyOf = (relation: Relation): string => relationKey(relation.schema, relation.name);

export function findCte(ctes: Ctes | undefined, name: string): Cte | undefined {
  for (let c = ctes; c; c = c.parent) {
    const found = c.names.get(name);
    if (found) return found;
  }
  return undefined;
}
