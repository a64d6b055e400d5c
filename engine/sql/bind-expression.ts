// expression -> the same expression with every name bound; columns are noted as read.
import type { A_Expr, ColumnRef, FuncCall, Node, SubLink } from "@pgsql/types";
import type { Column } from "../model/catalog.ts";
import { type Binder, type Ctes, touch } from "./bind-context.ts";
import { bindInputCheck, bindNextval, bindSettingFunction } from "./bind-functions.ts";
import { bindQuery } from "./bind-query.ts";
import type { RelationUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { sizeFunctions } from "./functions.ts";
import { Hole } from "./holes.ts";
import { kindOf } from "./node-kinds.ts";
import {
  canonicalExpression,
  checkAttribute,
  checkBareOperator,
  resolveCollation,
  resolveFunction,
  resolveOperator,
  resolveType,
} from "./resolve-names.ts";
import { findColumns, findSource, isOpenScope, type Scope, type ScopeColumn, type Source } from "./scope.ts";
import { systemColumns } from "./system-catalog.ts";
import { stringNode, stringOf, stringsOf } from "./tree.ts";

export type Place = { readonly scope: Scope | undefined; readonly ctes: Ctes | undefined };

export function bindAll(b: Binder, nodes: readonly Node[] | undefined, at: Place): void {
  for (const node of nodes ?? []) bindExpression(b, node, at);
}

/** Kinds without names of their own: their children are bound, nothing else. */
const plain: ReadonlySet<string> = new Set([
  "A_Const",
  "ParamRef",
  "BoolExpr",
  "NamedArgExpr",
  "A_Indices",
  "A_ArrayExpr",
  "RowExpr",
  "CaseExpr",
  "CaseWhen",
  "CoalesceExpr",
  "MinMaxExpr",
  "NullTest",
  "BooleanTest",
  "SQLValueFunction",
  "GroupingFunc",
  "SetToDefault",
  "XmlExpr",
  "MergeSupportFunc",
  "List",
  "Integer",
  "Float",
  "String",
  "Boolean",
  "GroupingSet",
  "ResTarget",
  "JsonValueExpr",
  "JsonKeyValue",
  "JsonObjectConstructor",
  "JsonArrayConstructor",
  "JsonAggConstructor",
  "JsonObjectAgg",
  "JsonArrayAgg",
  "JsonIsPredicate",
  "JsonParseExpr",
  "JsonScalarExpr",
  "JsonSerializeExpr",
  "JsonBehavior",
  "JsonArgument",
  "JsonFuncExpr",
]);

/** @throws FaultError for what isn't understood or allowed. */
export function bindExpression(b: Binder, node: Node | undefined, at: Place): void {
  if (!node) return;
  if ("ColumnRef" in node) {
    bindColumnRef(b, node.ColumnRef, at.scope);
    return;
  }
  if ("FuncCall" in node) {
    bindFunctionCall(b, node, at);
    return;
  }
  if ("A_Expr" in node) {
    bindOperation(b, node.A_Expr, at);
    return;
  }
  if ("TypeCast" in node) {
    resolveType(b, node.TypeCast.typeName);
    const { arg } = node.TypeCast;
    if (arg && "ParamRef" in arg)
      noteParameter(b, arg.ParamRef.number, stringsOf(node.TypeCast.typeName?.names).join("."));
    else bindExpression(b, arg, at);
    return;
  }
  if ("SubLink" in node) {
    bindSubLink(b, node.SubLink, at);
    return;
  }
  if ("A_Indirection" in node) {
    bindIndirection(b, node, at);
    return;
  }
  if ("CollateClause" in node) {
    bindExpression(b, node.CollateClause.arg, at);
    resolveCollation(b.sql, node.CollateClause);
    return;
  }
  if ("SortBy" in node) {
    if (node.SortBy.useOp?.length) node.SortBy.useOp = resolveOperator(b, node.SortBy.useOp, node.SortBy.location);
    bindExpression(b, node.SortBy.node, at);
    return;
  }
  if ("SelectStmt" in node) {
    bindQuery(b, node.SelectStmt, at);
    return;
  }
  if ("JsonArrayQueryConstructor" in node) {
    bindExpression(b, node.JsonArrayQueryConstructor.query, at);
    bindBelow(b, { output: node.JsonArrayQueryConstructor.output }, at);
    return;
  }
  if ("ParamRef" in node) noteParameter(b, node.ParamRef.number, "");
  const kind = kindOf(node);
  if (kind === "") return;
  if (!plain.has(kind)) refuse("unsupported-node", `\`${kind}\` is not supported here`);
  bindBelow(b, node, at);
}

function noteParameter(b: Binder, number: number | undefined, type: string): void {
  const known = b.bindings.parameterCasts.get(number ?? 0);
  if (known) known.add(type);
  else b.bindings.parameterCasts.set(number ?? 0, new Set([type]));
}

/** `column = $1`, `column IN ($1, $2)`, `column BETWEEN $1 AND $2`: the parameter takes the column's type. */
function noteComparison(b: Binder, column: Node | undefined, other: Node | undefined): void {
  if (!column || !("ColumnRef" in column) || !other) return;
  const base = b.bindings.columnUses.get(column.ColumnRef) ?? b.bindings.targetRefs.get(column.ColumnRef);
  const found = base?.use.relation.columns.find((c) => c.name === base.column);
  if (found) for (const item of "List" in other ? (other.List.items ?? []) : [other]) noteAssigned(b, item, found);
}

/** The value of a column's own: of INSERT, of SET, of a comparison. */
export function noteAssigned(b: Binder, value: Node | undefined, column: Column): void {
  if (!value || !("ParamRef" in value)) return;
  const { parameterColumns } = b.bindings;
  const number = value.ParamRef.number ?? 0;
  parameterColumns.set(number, new Set([...(parameterColumns.get(number) ?? []), column.type.name]));
}

/** Binds every node and type name inside of a plain node. */
function bindBelow(b: Binder, value: object, at: Place): void {
  for (const [key, child] of Object.entries(value)) {
    if (typeof child !== "object" || child === null || child instanceof Hole) continue;
    if (key === "typeName") resolveType(b, child as NonNullable<Parameters<typeof resolveType>[1]>);
    else if (key === "over") bindWindow(b, child as NonNullable<FuncCall["over"]>, at);
    else if (isNode(key, child)) bindExpression(b, child as Node, at);
    else bindBelow(b, child, at);
  }
}

/** A wrapped node has one key, a kind; embedded messages have lower-case fields. Constants hold `ival`, `sval` …. */
const isNode = (key: string, child: object): boolean =>
  !Array.isArray(child) && key !== "" && /^[A-Z]/.test(kindOf(child));

export function bindWindow(b: Binder, w: NonNullable<FuncCall["over"]>, at: Place): void {
  bindAll(b, w.partitionClause, at);
  bindAll(b, w.orderClause, at);
  bindExpression(b, w.startOffset, at);
  bindExpression(b, w.endOffset, at);
}

function bindFunctionCall(b: Binder, node: { FuncCall: FuncCall }, at: Place): void {
  const f = node.FuncCall;
  const { schema, name } = resolveFunction(b, f);
  bindAll(b, f.args, at);
  bindAll(b, f.agg_order, at);
  bindExpression(b, f.agg_filter, at);
  if (f.over) bindWindow(b, f.over, at);
  if (schema !== "pg_catalog") return;
  if (name === "set_config" || name === "current_setting") {
    const guarded = bindSettingFunction(b, f, name);
    if (guarded) replaceBody(node, () => guarded);
  } else if (name === "nextval" || name === "setval") bindNextval(b, f, name);
  else if (name === "pg_input_is_valid" || name === "pg_input_error_info") bindInputCheck(b, f);
  else if (sizeFunctions.has(name)) replaceBody(node, unknownSize);
}

/** CASE keeps the column name that the call would have had. */
const unknownSize = (): Node => ({
  TypeCast: {
    arg: { A_Const: { isnull: true } },
    typeName: { names: [stringNode("pg_catalog"), stringNode("int8")], typemod: -1 },
  },
});

function replaceBody(node: object, other: () => Node): void {
  for (const key of Object.keys(node)) delete (node as Record<string, unknown>)[key];
  Object.assign(node, other());
}

function bindOperation(b: Binder, e: A_Expr, at: Place): void {
  canonicalExpression(e);
  bindExpression(b, e.lexpr, at);
  bindExpression(b, e.rexpr, at);
  noteComparison(b, e.lexpr, e.rexpr);
  noteComparison(b, e.rexpr, e.lexpr);
  switch (e.kind) {
    case "AEXPR_OP":
    case "AEXPR_OP_ANY":
    case "AEXPR_OP_ALL":
      e.name = resolveOperator(b, e.name, e.location);
      return;
    case "AEXPR_DISTINCT":
    case "AEXPR_NOT_DISTINCT":
    case "AEXPR_NULLIF":
    case "AEXPR_IN":
      for (const symbol of stringsOf(e.name)) checkBareOperator(b, symbol, e.location);
      return;
    case "AEXPR_BETWEEN":
    case "AEXPR_NOT_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
    case "AEXPR_NOT_BETWEEN_SYM":
      for (const symbol of ["<", "<=", ">", ">="]) checkBareOperator(b, symbol, e.location);
      return;
    default:
      refuse("unsupported-node", `an expression of kind \`${e.kind}\` is not supported`);
  }
}

function bindSubLink(b: Binder, s: SubLink, at: Place): void {
  bindExpression(b, s.testexpr, at);
  bindExpression(b, s.subselect, at);
  if (s.operName?.length) s.operName = resolveOperator(b, s.operName, s.location);
  else if (s.subLinkType === "ANY_SUBLINK") checkBareOperator(b, "=", s.location);
}

function bindIndirection(b: Binder, node: { A_Indirection: { arg?: Node; indirection?: Node[] } }, at: Place): void {
  bindExpression(b, node.A_Indirection.arg, at);
  for (const part of node.A_Indirection.indirection ?? []) {
    const name = stringOf(part);
    if (name !== undefined) checkAttribute(b, name, undefined);
    else if ("A_Indices" in part) bindExpression(b, part, at);
    else if (!("A_Star" in part)) refuse("unsupported-node", `\`${kindOf(part)}\` is not supported here`);
  }
}

/** `a`, `t.a`, `s.t.a`, `t.*`, `t`. @throws FaultError `unknown-column`. */
function bindColumnRef(b: Binder, ref: ColumnRef, scope: Scope | undefined): void {
  const fields = ref.fields ?? [];
  const isStar = fields.some((f) => "A_Star" in f);
  const path = fields.filter((f) => !("A_Star" in f)).map((f) => stringOf(f) ?? "");
  if (isStar) {
    path.length === 0 ? bindBareStar(b, ref, scope) : bindRow(b, ref, path, scope);
    return;
  }
  if (path.length === 1) {
    bindUnqualified(b, ref, path[0] ?? "", scope);
    return;
  }
  const column = path[path.length - 1] ?? "";
  const source = sourceOf(b, path.slice(0, -1), scope, ref.location);
  bindFieldOf(b, ref, source, column);
  ref.fields = [stringNode(source.name), stringNode(column)];
}

function sourceOf(b: Binder, path: readonly string[], scope: Scope | undefined, at: number | undefined): Source {
  const name = path[path.length - 1] ?? "";
  const schema = path[path.length - 2];
  const database = path[path.length - 3];
  if (database !== undefined && database !== b.sql.catalog.database)
    refuse("other-database", "cross-database references are not supported", { position: at });
  const found = findSource(scope, name, schema);
  if (!found) refuse("unknown-column", `missing FROM-clause entry for table \`${name}\``, { position: at });
  // It is printed without its schema: nothing nearer may answer to the name.
  if (findSource(scope, name, undefined)?.source !== found.source)
    refuse("unsupported-clause", `\`${name}\` names several things here`, { position: at, help: "give each an alias" });
  return found.source;
}

function bindFieldOf(b: Binder, ref: ColumnRef, source: Source, name: string): void {
  const found = source.columns.filter((c) => c.name === name);
  if (found.length > 0) {
    for (const column of found) touch(b, column);
    noteColumn(b, ref, found, source);
    noteTarget(b, ref, source, name);
    return;
  }
  if (systemColumns.has(name) && source.use && bindSystemColumn(b, source.use, name)) {
    noteTarget(b, ref, source, name);
    return;
  }
  if (!source.isOpen)
    refuse("unknown-column", `column \`${name}\` of \`${source.name}\` does not exist or is not known`, {
      position: ref.location,
    });
  checkAttribute(b, name, ref.location);
}

/** Views have no system columns. */
function bindSystemColumn(_b: Binder, use: RelationUse, name: string): boolean {
  if (use.relation.kind === "view") return false;
  use.systemColumns.add(name);
  return true;
}

/** The first base of a relation's own column is that column; generated columns add their inputs behind it. */
function noteColumn(b: Binder, ref: ColumnRef, found: readonly ScopeColumn[], source: Source | undefined): void {
  const base = found.length === 1 ? found[0]?.bases[0] : undefined;
  if (base && source?.use !== undefined && base.use === source.use) b.bindings.columnUses.set(ref, base);
}

function noteTarget(b: Binder, ref: ColumnRef, source: Source, column: string | undefined, isStar = false): void {
  if (source.isTarget && source.use)
    b.bindings.targetRefs.set(ref, { use: source.use, column, row: source.name, isStar });
}

function bindUnqualified(b: Binder, ref: ColumnRef, name: string, scope: Scope | undefined): void {
  const found = findColumns(scope, name);
  if (found.length > 0) {
    for (const column of found) touch(b, column);
    for (let s = scope; s; s = s.parent) {
      if (!s.columns.some((c) => c.name === name)) continue;
      const holders = s.sources.filter((x) => x.columns.some((c) => c.name === name));
      for (const source of holders) if (source.isTarget) noteTarget(b, ref, source, name);
      if (holders.length === 1) noteColumn(b, ref, found, holders[0]);
      break;
    }
    return;
  }
  if (systemColumns.has(name)) {
    for (let s = scope; s; s = s.parent) {
      const uses = s.sources.filter((x) => x.use && x.use.relation.kind !== "view");
      for (const source of uses) {
        if (source.use) bindSystemColumn(b, source.use, name);
        noteTarget(b, ref, source, name);
      }
      if (uses.length > 0) return;
    }
  }
  const row = findSource(scope, name, undefined);
  if (row) {
    bindWhole(b, ref, row.source, false);
    return;
  }
  if (!isOpenScope(scope))
    refuse("unknown-column", `column \`${name}\` does not exist or is not known`, { position: ref.location });
}

function bindRow(b: Binder, ref: ColumnRef, path: readonly string[], scope: Scope | undefined): void {
  const source = sourceOf(b, path, scope, ref.location);
  bindWhole(b, ref, source, true);
  ref.fields = [stringNode(source.name), { A_Star: {} }];
}

function bindWhole(b: Binder, ref: ColumnRef, source: Source, isStar: boolean): void {
  for (const column of source.columns) touch(b, column);
  if (source.use) source.use.isWhole = true;
  noteTarget(b, ref, source, undefined, isStar);
}

function bindBareStar(b: Binder, ref: ColumnRef, scope: Scope | undefined): void {
  for (const column of scope?.columns ?? []) touch(b, column);
  for (const source of scope?.sources ?? []) {
    if (source.use) source.use.isWhole = true;
    noteTarget(b, ref, source, undefined, true);
  }
}
