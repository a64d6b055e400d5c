// What the binder finds out about a statement, beside the tree in which it has written names out in full.
import type { ColumnRef, Node, RangeVar, SelectStmt } from "@pgsql/types";
import type { Relation } from "../model/catalog.ts";
import type { SqlVerb } from "../model/statement.ts";

/** One place where a statement reaches a relation, and what it does there. */
export type RelationUse = {
  readonly relation: Relation;
  readonly verb: SqlVerb;
  /** Keys of the views through which it is reached, outermost first. */
  readonly via: readonly string[];
  readonly columns: Set<string>;
  /** The statement node that makes this use. Filled in when its WHERE has been seen. */
  readonly place: Place;
  /** The server reaches it by itself: see `SqlAccess.implied`. */
  readonly implied: "family" | "constraint" | undefined;
  /** System columns (`ctid` …) that are named. */
  readonly systemColumns: Set<string>;
  isSampled: boolean;
  /** `*` or the whole row is used. */
  isWhole: boolean;
};

/** A SELECT, UPDATE, DELETE … at any depth. */
export type Place = {
  readonly where: Node | undefined;
  /** The condition joins: rows that fail it still take part (WHEN NOT MATCHED). */
  readonly isJoin?: true;
};

/** Where a value comes from: base columns. */
export type Base = { readonly use: RelationUse; readonly column: string };
export type Lineage = readonly Base[];

/** A reference to a column of the target of an UPDATE, DELETE, INSERT or MERGE: a mask is put in its place. */
export type TargetRef = {
  readonly use: RelationUse;
  /** undefined: the whole row, or `t.*`. */
  readonly column: string | undefined;
  /** Name by which the row is addressed here: alias, relation name, `old`, `new`. */
  readonly row: string;
  readonly isStar: boolean;
};

export type ViewExpansion = {
  readonly query: SelectStmt;
  readonly uses: readonly RelationUse[];
  /** Where each output column comes from. */
  readonly lineage: readonly Lineage[];
};

export type Bindings = {
  readonly uses: RelationUse[];
  /** Relations in FROM. CTE references are not here. */
  readonly reads: Map<RangeVar, RelationUse>;
  /** Bound definition of each view in `reads`. */
  readonly views: Map<RangeVar, ViewExpansion>;
  readonly targets: Map<RangeVar, TargetUse>;
  readonly targetRefs: Map<ColumnRef, TargetRef>;
  /** References that certainly mean one column of one relation. */
  readonly columnUses: Map<ColumnRef, Base>;
  readonly functions: Set<string>;
  joins: number;
  /** Types that each parameter is cast to; "" where it stands without a cast. The first use decides its type. */
  readonly parameterCasts: Map<number, Set<string>>;
  /** Types of the columns that a parameter is compared with or assigned to. */
  readonly parameterColumns: Map<number, Set<string>>;
  /** Calls of `set_config('search_path', …)`: the gateway follows those that certainly run once. */
  pathChanges: number;
};

export type TargetUse = {
  readonly relation: Relation;
  readonly verb: "insert" | "update" | "delete" | "merge";
  readonly write: RelationUse;
  readonly read: RelationUse;
  /** Columns that ON CONFLICT DO UPDATE, or an UPDATE of a MERGE, sets in a row that is there already. */
  readonly changed?: Set<string>;
  /** A MERGE deletes. */
  isDeleting?: boolean;
};

export const newBindings = (): Bindings => ({
  uses: [],
  reads: new Map(),
  views: new Map(),
  targets: new Map(),
  targetRefs: new Map(),
  columnUses: new Map(),
  functions: new Set(),
  joins: 0,
  parameterCasts: new Map(),
  parameterColumns: new Map(),
  pathChanges: 0,
});
