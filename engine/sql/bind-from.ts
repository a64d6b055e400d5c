// FROM -> sources in scope. Relations are resolved, CTEs found, views opened, functions checked.
import type { JoinExpr, JsonTable, Node, RangeFunction, RangeTableFunc, RangeVar } from "@pgsql/types";
import type { Relation } from "../model/catalog.ts";
import { addUse, type Binder, collect, findCte, touch } from "./bind-context.ts";
import { bindAll, bindExpression, type Place } from "./bind-expression.ts";
import { bindQuery } from "./bind-query.ts";
import type { RelationUse, Place as StatementPlace } from "./bindings.ts";
import { ancestorsOf, descendantsOf } from "./family.ts";
import { refuse } from "./fault.ts";
import { figureName } from "./figure-name.ts";
import { functionColumns, openFunctions } from "./functions.ts";
import { generatedInputs } from "./generated-inputs.ts";
import { kindOf } from "./node-kinds.ts";
import { checkBareOperator, resolveCollation, resolveRelation, resolveType } from "./resolve-names.ts";
import {
  addItem,
  type FromItem,
  itemOf,
  joinColumns,
  newScope,
  renameColumns,
  type Scope,
  type ScopeColumn,
} from "./scope.ts";
import { isSystemSchema } from "./system-catalog.ts";
import { stringsOf } from "./tree.ts";
import { bindView } from "./views.ts";

/** Binds the items in order and adds them to `scope`: what is LATERAL sees those before it. */
export function bindFrom(b: Binder, items: readonly Node[], outside: Place, place: StatementPlace, scope: Scope): void {
  for (const item of items) addItem(scope, bindFromItem(b, item, outside, place, scope));
  b.bindings.joins += Math.max(0, items.length - 1);
}

/** `beside` holds what stands to the left, for LATERAL items. */
export function bindFromItem(b: Binder, node: Node, outside: Place, place: StatementPlace, beside: Scope): FromItem {
  if ("RangeVar" in node) return bindRangeVar(b, node.RangeVar, outside, place);
  if ("JoinExpr" in node) return bindJoin(b, node.JoinExpr, outside, place, beside);
  if ("RangeSubselect" in node) {
    const { subquery, alias, lateral } = node.RangeSubselect;
    if (!subquery || !("SelectStmt" in subquery)) refuse("unsupported-node", "this subquery is not supported");
    const output = bindQuery(b, subquery.SelectStmt, { scope: lateral ? beside : outside.scope, ctes: outside.ctes });
    return itemOf({
      name: alias?.aliasname ?? "",
      schema: undefined,
      columns: renameColumns(output.columns, stringsOf(alias?.colnames)),
      isOpen: output.isOpen,
      use: undefined,
      isTarget: false,
    });
  }
  if ("JsonTable" in node) return bindJsonTable(b, node.JsonTable, { scope: beside, ctes: outside.ctes });
  if ("RangeTableFunc" in node) return bindXmlTable(b, node.RangeTableFunc, { scope: beside, ctes: outside.ctes });
  if ("RangeFunction" in node) return bindRangeFunction(b, node.RangeFunction, { scope: beside, ctes: outside.ctes });
  if ("RangeTableSample" in node) {
    const { relation, args, repeatable } = node.RangeTableSample;
    const method = stringsOf(node.RangeTableSample.method).at(-1) ?? "";
    if (!["system", "bernoulli"].includes(method))
      refuse("unsupported-clause", `sampling method \`${method}\` is not supported`);
    if (!relation) refuse("unsupported-node", "this TABLESAMPLE is not supported");
    const item = bindFromItem(b, relation, outside, place, beside);
    bindAll(b, args, { scope: beside, ctes: outside.ctes });
    bindExpression(b, repeatable, { scope: beside, ctes: outside.ctes });
    for (const source of item.sources) if (source.use) source.use.isSampled = true;
    return item;
  }
  return refuse("unsupported-node", `\`${kindOf(node)}\` is not supported in FROM`);
}

function bindRangeVar(b: Binder, name: RangeVar, outside: Place, place: StatementPlace): FromItem {
  const alias = name.alias?.aliasname;
  const columnNames = stringsOf(name.alias?.colnames);
  const cte = name.schemaname === undefined ? findCte(outside.ctes, name.relname ?? "") : undefined;
  if (cte) {
    if (cte.isPending)
      refuse("unsupported-clause", `\`${name.relname}\` is used before it is defined`, { position: name.location });
    return itemOf({
      name: alias ?? name.relname ?? "",
      schema: undefined,
      columns: renameColumns(cte.columns, columnNames),
      isOpen: cte.isOpen,
      use: undefined,
      isTarget: false,
    });
  }
  const relation = resolveRelation(b.sql, name);
  const use = addUse(b, relation, "select", place);
  const family = addFamily(b, relation, name.inh === true, place);
  b.bindings.reads.set(name, use);
  return itemOf({
    name: alias ?? relation.name,
    schema: alias === undefined ? relation.schema : undefined,
    columns: renameColumns(withFamily(columnsOf(b, name, use), family), columnNames),
    isOpen: false,
    use,
    isTarget: false,
  });
}

/** Columns of a relation; using a view's column also uses what it is made of, a generated column its inputs. */
function columnsOf(b: Binder, name: RangeVar, use: RelationUse): readonly ScopeColumn[] {
  const relation = use.relation;
  const own = relationColumns(use);
  const opens = (relation.kind === "view" || relation.kind === "materialized-view") && !isSystemSchema(relation.schema);
  if (!opens) return own;
  const output = bindView(b, name, use);
  return own.map((c, i) => ({ ...c, bases: [...c.bases, ...(output.columns[i]?.bases ?? [])] }));
}

export function relationColumns(use: RelationUse): readonly ScopeColumn[] {
  return use.relation.columns.map((c) => ({
    name: c.name,
    bases: [{ use, column: c.name }, ...generatedInputs(use.relation, c.generated).map((column) => ({ use, column }))],
    type: c.type.schema === "pg_catalog" ? c.type.oid : 0,
  }));
}

function bindJoin(b: Binder, j: JoinExpr, outside: Place, place: StatementPlace, beside: Scope): FromItem {
  if (!j.larg || !j.rarg) refuse("unsupported-node", "this join is not supported");
  b.bindings.joins++;
  const left = bindFromItem(b, j.larg, outside, place, beside);
  const lateral = newScope(beside.parent, []);
  lateral.sources.push(...beside.sources);
  lateral.columns.push(...beside.columns);
  lateral.isOpen = beside.isOpen;
  addItem(lateral, left);
  const right = bindFromItem(b, j.rarg, outside, place, lateral);
  const using = j.isNatural
    ? left.columns.map((c) => c.name).filter((n) => right.columns.some((c) => c.name === n))
    : stringsOf(j.usingClause);
  // With columns that we can't name, NATURAL may compare any of them.
  const isAny = j.isNatural === true && (left.isOpen || right.isOpen);
  if (using.length > 0 || isAny) checkBareOperator(b, "=", undefined);
  for (const column of [...left.columns, ...right.columns]) if (isAny || using.includes(column.name)) touch(b, column);
  bindExpression(b, j.quals, { scope: newScope(outside.scope, [left, right]), ctes: outside.ctes });
  const columns = joinColumns(left.columns, right.columns, using);
  const isOpen = left.isOpen || right.isOpen;
  if (j.alias) {
    const named = renameColumns(columns, stringsOf(j.alias.colnames));
    return itemOf({
      name: j.alias.aliasname ?? "",
      schema: undefined,
      columns: named,
      isOpen,
      use: undefined,
      isTarget: false,
    });
  }
  const merged = j.join_using_alias
    ? [
        {
          name: j.join_using_alias.aliasname ?? "",
          schema: undefined,
          columns: columns.slice(0, using.length),
          isOpen: false,
          use: undefined,
          isTarget: false,
        },
      ]
    : [];
  return { sources: [...left.sources, ...right.sources, ...merged], columns, isOpen };
}

function bindRangeFunction(b: Binder, r: RangeFunction, at: Place): FromItem {
  const columns: ScopeColumn[] = [];
  let isOpen = false;
  if (r.functions) openUnnest(r);
  const items = r.functions ?? [];
  const alias = r.alias?.aliasname;
  for (const item of items) {
    const [call, defined] = "List" in item ? (item.List.items ?? []) : [];
    const bases = collect(b, () => bindExpression(b, call, at));
    const definitions = defined && "List" in defined ? (defined.List.items ?? []) : (r.coldeflist ?? []);
    if (definitions.length > 0) columns.push(...definitions.map((d) => ({ name: bindColumnDef(b, d), bases })));
    else if (call) {
      const found = resultColumns(call, items.length === 1 ? alias : undefined);
      columns.push(...found.names.map((name) => ({ name, bases })));
      isOpen ||= found.isOpen;
    }
  }
  if (r.ordinality) columns.push({ name: "ordinality", bases: [] });
  const first = items[0];
  const firstCall = first && "List" in first ? first.List.items?.[0] : undefined;
  return itemOf({
    name: alias ?? figureName(firstCall),
    schema: undefined,
    columns: renameColumns(columns, stringsOf(r.alias?.colnames)),
    isOpen,
    use: undefined,
    isTarget: false,
  });
}

/**
 * `unnest(a, b)` is syntax: no function takes two arrays, the server reads `ROWS FROM (unnest(a), unnest(b))`
 * (transformRangeFunction of parse_clause.c). A name with a schema is a function like any other.
 */
function openUnnest(r: RangeFunction): void {
  const opened = (r.functions ?? []).flatMap((item): readonly Node[] => {
    const [call, defined] = "List" in item ? (item.List.items ?? []) : [];
    if (!call || !("FuncCall" in call) || (defined && "List" in defined) || r.coldeflist?.length) return [item];
    const { funcname, args, agg_order, agg_filter, over, agg_star, agg_distinct, func_variadic } = call.FuncCall;
    const names = stringsOf(funcname);
    const isPlain = !agg_order?.length && !agg_filter && !over && !agg_star && !agg_distinct && !func_variadic;
    if (names.length !== 1 || names[0] !== "unnest" || !args || args.length < 2 || !isPlain) return [item];
    return args.map((arg) => ({
      List: { items: [{ FuncCall: { ...call.FuncCall, args: [arg] } }, ...(defined ? [defined] : [])] },
    }));
  });
  if (opened.length === r.functions?.length) return;
  r.functions = [...opened];
  r.is_rowsfrom = true;
}

/** JSON_TABLE sees what stands beside it, like a function. */
function bindJsonTable(b: Binder, t: JsonTable, at: Place): FromItem {
  const bases = collect(b, () => {
    for (const item of [{ JsonValueExpr: t.context_item ?? {} }, ...(t.passing ?? [])]) bindExpression(b, item, at);
    bindExpression(b, t.pathspec?.string, at);
    if (t.on_error) bindExpression(b, { JsonBehavior: t.on_error }, at);
  });
  const columns = jsonColumns(b, t.columns, at).map((name) => ({ name, bases }));
  return itemOf({
    name: t.alias?.aliasname ?? "json_table",
    schema: undefined,
    columns: renameColumns(columns, stringsOf(t.alias?.colnames)),
    isOpen: false,
    use: undefined,
    isTarget: false,
  });
}

/** XMLTABLE: as JSON_TABLE. */
function bindXmlTable(b: Binder, t: RangeTableFunc, at: Place): FromItem {
  const names: string[] = [];
  const bases = collect(b, () => {
    for (const item of t.namespaces ?? []) if ("ResTarget" in item) bindExpression(b, item.ResTarget.val, at);
    bindExpression(b, t.docexpr, at);
    bindExpression(b, t.rowexpr, at);
    for (const node of t.columns ?? []) {
      if (!("RangeTableFuncCol" in node)) refuse("unsupported-node", "this XMLTABLE column is not supported");
      const c = node.RangeTableFuncCol;
      resolveType(b, c.typeName);
      bindExpression(b, c.colexpr, at);
      bindExpression(b, c.coldefexpr, at);
      names.push(c.colname ?? "");
    }
  });
  return itemOf({
    name: t.alias?.aliasname ?? "xmltable",
    schema: undefined,
    columns: renameColumns(
      names.map((name) => ({ name, bases })),
      stringsOf(t.alias?.colnames),
    ),
    isOpen: false,
    use: undefined,
    isTarget: false,
  });
}

function jsonColumns(b: Binder, nodes: readonly Node[] | undefined, at: Place): readonly string[] {
  return (nodes ?? []).flatMap((node) => {
    if (!("JsonTableColumn" in node)) return refuse("unsupported-node", "this JSON_TABLE column is not supported");
    const c = node.JsonTableColumn;
    resolveType(b, c.typeName);
    bindExpression(b, c.pathspec?.string, at);
    for (const behaviour of [c.on_empty, c.on_error]) if (behaviour) bindExpression(b, { JsonBehavior: behaviour }, at);
    return c.coltype === "JTC_NESTED" ? jsonColumns(b, c.columns, at) : [c.name ?? ""];
  });
}

function bindColumnDef(b: Binder, node: Node): string {
  if (!("ColumnDef" in node)) refuse("unsupported-node", "this column definition is not supported");
  resolveType(b, node.ColumnDef.typeName);
  if (node.ColumnDef.collClause) resolveCollation(b.sql, node.ColumnDef.collClause);
  return node.ColumnDef.colname ?? "";
}

/** A scalar function's column takes the alias as its name. What can't be told is open. */
function resultColumns(
  call: Node,
  alias: string | undefined,
): { readonly names: readonly string[]; readonly isOpen: boolean } {
  const path = "FuncCall" in call ? stringsOf(call.FuncCall.funcname) : [];
  const name = path.at(-1) ?? figureName(call);
  const composite = functionColumns.get(name);
  if (composite)
    return {
      names: composite.length === 1 && alias !== undefined ? [alias] : composite,
      isOpen: composite.length === 1,
    };
  const isKnown = path[0] === "pg_catalog" && !openFunctions.has(name);
  return { names: [alias ?? name], isOpen: !isKnown };
}

/** A policy on a parent holds for its children, and what hides something of a child hides it in the parent's rows too. */
export function addFamily(
  b: Binder,
  relation: Relation,
  isWithChildren: boolean,
  place: StatementPlace,
): readonly RelationUse[] {
  const { catalog } = b.sql;
  const others = [
    ...ancestorsOf(relation, catalog),
    ...(isWithChildren ? descendantsOf(relation, catalog) : []),
    ...ownerOf(relation, catalog),
  ];
  return others.map((r) => addUse(b, r, "select", place, { implied: "family" }));
}

const ownerOf = (relation: Relation, catalog: Binder["sql"]["catalog"]): readonly Relation[] => {
  const owner = relation.ownedBy === undefined ? undefined : catalog.relations.get(relation.ownedBy);
  return owner ? [owner] : [];
};

/** Using a column uses the same column of every relation of the family. */
export const withFamily = (columns: readonly ScopeColumn[], family: readonly RelationUse[]): readonly ScopeColumn[] =>
  family.length === 0
    ? columns
    : columns.map((c) => ({
        ...c,
        bases: [
          ...c.bases,
          ...family
            .filter((u) => u.relation.columns.some((x) => x.name === c.name))
            .map((use) => ({ use, column: c.name })),
        ],
      }));
