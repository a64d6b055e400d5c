// SELECT, VALUES, set operations, WITH -> bound query and the columns it gives.
import type { CommonTableExpr, Node, SelectStmt, WithClause } from "@pgsql/types";
import { addUse, type Binder, type Cte, type Ctes, collect, touch } from "./bind-context.ts";
import { bindExpression, bindWindow, type Place } from "./bind-expression.ts";
import { bindFrom } from "./bind-from.ts";
import { bindWrite } from "./bind-write.ts";
import type { Lineage, RelationUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { figureName } from "./figure-name.ts";
import { kindOf } from "./node-kinds.ts";
import { resolveOperator } from "./resolve-names.ts";
import { typeOfReference } from "./row-shape.ts";
import { newScope, renameColumns, type Scope, type ScopeColumn } from "./scope.ts";
import { stringOf, stringsOf } from "./tree.ts";

/** What a query gives to the outside. */
export type Output = { readonly columns: readonly ScopeColumn[]; readonly isOpen: boolean };

export type QueryOptions = {
  /** Called with the output of the left arm before the right arm is bound: a recursive CTE can then see itself. */
  readonly afterLeft?: ((left: Output) => void) | undefined;
  /** The select list counts as read only where its columns are used (views). */
  readonly isListDeferred?: boolean;
};

/** @throws FaultError */
export function bindQuery(b: Binder, s: SelectStmt, at: Place, options: QueryOptions = {}): Output {
  if (s.intoClause)
    refuse("unsupported-clause", "SELECT INTO is not supported", { position: s.intoClause.rel?.location });
  const ctes = bindWith(b, s.withClause, at);
  const output =
    s.op !== undefined && s.op !== "SETOP_NONE"
      ? bindSetOperation(b, s, { scope: at.scope, ctes }, options)
      : s.valuesLists?.length
        ? bindValues(b, s, { scope: at.scope, ctes })
        : bindSelect(b, s, { scope: at.scope, ctes }, options);
  // LIMIT and OFFSET can't name columns of the query's own level.
  bindExpression(b, s.limitCount, { scope: at.scope, ctes });
  bindExpression(b, s.limitOffset, { scope: at.scope, ctes });
  return output;
}

function bindSetOperation(b: Binder, s: SelectStmt, at: Place, options: QueryOptions): Output {
  if (!s.larg || !s.rarg) refuse("unsupported-clause", "a set operation without operands is not supported");
  if (s.lockingClause?.length) refuse("unsupported-clause", "FOR UPDATE is not allowed with set operations");
  const left = bindQuery(b, s.larg, at);
  options.afterLeft?.(left);
  const right = bindQuery(b, s.rarg, at);
  const output: Output = {
    columns: left.columns.map((c, i) => ({
      name: c.name,
      bases: [...c.bases, ...(right.columns[i]?.bases ?? [])],
      type: c.type === right.columns[i]?.type ? c.type : undefined,
    })),
    isOpen: left.isOpen || right.isOpen,
  };
  bindOrder(b, s.sortClause, { scope: undefined, ctes: at.ctes }, output.columns);
  return output;
}

function bindValues(b: Binder, s: SelectStmt, at: Place): Output {
  const width = (s.valuesLists ?? []).map((row) => ("List" in row ? (row.List.items ?? []).length : 0));
  const bases: Lineage[] = [];
  for (const row of s.valuesLists ?? []) {
    const items = "List" in row ? (row.List.items ?? []) : [];
    items.forEach((item, i) => {
      bases[i] = [...(bases[i] ?? []), ...collect(b, () => bindExpression(b, item, at))];
    });
  }
  const columns = Array.from({ length: Math.max(0, ...width) }, (_, i) => ({
    name: `column${i + 1}`,
    bases: bases[i] ?? [],
  }));
  bindOrder(b, s.sortClause, at, columns);
  return { columns, isOpen: false };
}

function bindSelect(b: Binder, s: SelectStmt, at: Place, options: QueryOptions): Output {
  const place = { where: s.whereClause };
  const scope = newScope(at.scope, []);
  const usesBefore = b.bindings.uses.length;
  bindFrom(b, s.fromClause ?? [], { scope: at.scope, ctes: at.ctes }, place, scope);
  if (s.lockingClause?.length) lockRows(b, b.bindings.uses.slice(usesBefore));
  const inside: Place = { scope, ctes: at.ctes };
  bindExpression(b, s.whereClause, inside);
  const isDeferred = options.isListDeferred === true && b.isCommitting && !s.distinctClause?.length;
  if (isDeferred) b.isCommitting = false;
  const output = bindTargets(b, s.targetList ?? [], inside);
  if (isDeferred) b.isCommitting = true;
  for (const item of s.groupClause ?? []) bindGrouping(b, item, inside, output.columns);
  bindExpression(b, s.havingClause, inside);
  for (const w of s.windowClause ?? []) if ("WindowDef" in w) bindWindow(b, w.WindowDef, inside);
  bindOrder(b, s.sortClause, inside, output.columns);
  for (const item of s.distinctClause ?? []) if (kindOf(item) !== "") bindOutputOr(b, item, inside, output.columns);
  return output;
}

/**
 * FOR UPDATE and its kin stop every writer of the rows, which a read doesn't: an access of its own for all that the query
 * reads, whatever OF names. https://www.postgresql.org/docs/18/explicit-locking.html#LOCKING-ROWS
 */
function lockRows(b: Binder, uses: readonly RelationUse[]): void {
  for (const { relation, verb, place, implied, via } of uses) {
    if (verb === "select") addUse(b, relation, "lock", place, implied === undefined ? { via } : { implied, via });
  }
}

/** Select list or RETURNING list. `*` gives the columns in scope. */
export function bindTargets(b: Binder, targets: readonly Node[], at: Place): Output {
  const columns: ScopeColumn[] = [];
  let isOpen = false;
  for (const t of targets) {
    if (!("ResTarget" in t)) refuse("unsupported-node", "this select list is not supported");
    const { name, val } = t.ResTarget;
    const bases = collect(b, () => bindExpression(b, val, at));
    const star = starOf(val, at.scope);
    if (star) {
      columns.push(...star.columns);
      isOpen ||= star.isOpen;
    } else if (val && "A_Indirection" in val && (val.A_Indirection.indirection ?? []).some((i) => "A_Star" in i)) {
      isOpen = true;
    } else {
      const type = val && "ColumnRef" in val ? typeOfReference(val.ColumnRef, at.scope) : undefined;
      columns.push({ name: name ?? figureName(val), bases, type });
    }
  }
  return { columns, isOpen };
}

function starOf(val: Node | undefined, scope: Scope | undefined): Output | undefined {
  if (!val || !("ColumnRef" in val)) return undefined;
  const fields = val.ColumnRef.fields ?? [];
  if (!fields.some((f) => "A_Star" in f)) return undefined;
  if (fields.length === 1) return { columns: scope?.columns ?? [], isOpen: scope?.isOpen === true };
  const name = stringOf(fields[0]);
  for (let s = scope; s; s = s.parent) {
    const source = s.sources.find((x) => x.name === name);
    if (source) return { columns: source.columns, isOpen: source.isOpen };
  }
  return { columns: [], isOpen: true };
}

/** GROUP BY: a name is an input column first, an output column where there is none. */
function bindGrouping(b: Binder, node: Node, at: Place, outputs: readonly ScopeColumn[]): void {
  if ("GroupingSet" in node) {
    for (const item of node.GroupingSet.content ?? []) bindGrouping(b, item, at, outputs);
    return;
  }
  const name = plainName(node);
  const isInput = name !== undefined && at.scope?.columns.some((c) => c.name === name) === true;
  if (name !== undefined && !isInput && outputs.some((c) => c.name === name)) return;
  bindExpression(b, node, at);
}

/** ORDER BY: a name is an output column first. */
export function bindOrder(
  b: Binder,
  items: readonly Node[] | undefined,
  at: Place,
  outputs: readonly ScopeColumn[],
): void {
  for (const item of items ?? []) {
    if (!("SortBy" in item)) refuse("unsupported-node", "this ORDER BY is not supported");
    if (item.SortBy.useOp?.length) item.SortBy.useOp = resolveOperator(b, item.SortBy.useOp, item.SortBy.location);
    if (item.SortBy.node) bindOutputOr(b, item.SortBy.node, at, outputs);
  }
}

function bindOutputOr(b: Binder, node: Node, at: Place, outputs: readonly ScopeColumn[]): void {
  const name = plainName(node);
  const named = name === undefined ? [] : outputs.filter((c) => c.name === name);
  if (named.length === 0) {
    bindExpression(b, node, at);
    return;
  }
  for (const column of named) touch(b, column);
}

function plainName(node: Node): string | undefined {
  if (!("ColumnRef" in node) || node.ColumnRef.fields?.length !== 1) return undefined;
  return stringOf(node.ColumnRef.fields[0]);
}

/** Binds the CTEs of a WITH and gives the environment that its statement sees. */
export function bindWith(b: Binder, w: WithClause | undefined, at: Place): Ctes | undefined {
  if (!w) return at.ctes;
  const own: Ctes = { names: new Map(), parent: at.ctes };
  const ctes = (w.ctes ?? []).map((c) =>
    "CommonTableExpr" in c ? c.CommonTableExpr : refuse("unsupported-node", "this WITH is not supported"),
  );
  if (w.recursive)
    for (const c of ctes) own.names.set(c.ctename ?? "", { columns: [], isOpen: false, isPending: true });
  for (const c of ctes) bindCte(b, c, { scope: at.scope, ctes: own }, w.recursive === true);
  return own;
}

function bindCte(b: Binder, c: CommonTableExpr, at: Place, isRecursive: boolean): void {
  const names = stringsOf(c.aliascolnames);
  const define = (output: Output): void => {
    const cte: Cte = { columns: renameColumns(output.columns, names), isOpen: output.isOpen, isPending: false };
    at.ctes?.names.set(c.ctename ?? "", cte);
  };
  // SEARCH and CYCLE columns are visible in the recursive query's users; they come from the query's own rows.
  const extra = [
    c.search_clause?.search_seq_column,
    c.cycle_clause?.cycle_mark_column,
    c.cycle_clause?.cycle_path_column,
  ].filter((n) => n !== undefined);
  const output = bindCteQuery(b, c.ctequery, at, isRecursive ? define : undefined);
  bindExpression(b, c.cycle_clause?.cycle_mark_value, at);
  bindExpression(b, c.cycle_clause?.cycle_mark_default, at);
  const named = { columns: renameColumns(output.columns, names), isOpen: output.isOpen };
  const everything = named.columns.flatMap((x) => x.bases);
  // Round by round a value may wander from any column to any other.
  const isLoop = isRecursive && c.ctequery && "SelectStmt" in c.ctequery && c.ctequery.SelectStmt.larg !== undefined;
  const columns = isLoop ? named.columns.map((x) => ({ name: x.name, bases: everything })) : named.columns;
  define({
    columns: [...columns, ...extra.map((name) => ({ name, bases: everything }))],
    isOpen: named.isOpen,
  });
}

function bindCteQuery(
  b: Binder,
  query: Node | undefined,
  at: Place,
  afterLeft: ((left: Output) => void) | undefined,
): Output {
  if (!query) refuse("unsupported-node", "this WITH is not supported");
  if ("SelectStmt" in query) return bindQuery(b, query.SelectStmt, at, { afterLeft });
  return bindWrite(b, query, at);
}
