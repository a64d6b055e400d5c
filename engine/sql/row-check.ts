// WITH CHECK: a row that is inserted into a filtered relation must be one that its writer could see.
import type { InsertStmt, Node, SelectStmt } from "@pgsql/types";
import type { Column } from "../model/catalog.ts";
import type { RowPredicate } from "../model/row-predicate.ts";
import { keyOf } from "./bind-context.ts";
import type { TargetUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { filterNode } from "./filter-node.ts";
import { generated } from "./masks.ts";
import { filterColumns } from "./protection.ts";
import { columnRef, mapTree, stringNode } from "./tree.ts";

/**
 * Puts a check around each value that the filter reads: a value that it doesn't let through ends the statement with an
 * error. `after` is the statement with its reads rewritten.
 * @throws FaultError `row-outside-filter` where a column of the filter isn't given, or the filter relates two columns.
 */
export function withRowCheck(after: InsertStmt, target: TargetUse, filter: RowPredicate): InsertStmt {
  if (after.onConflictClause)
    refuse(
      "filter-not-applicable",
      `ON CONFLICT is not supported on \`${keyOf(target.relation)}\`: its rows are filtered`,
    );
  const select = after.selectStmt && "SelectStmt" in after.selectStmt ? after.selectStmt.SelectStmt : undefined;
  const all = target.relation.columns.map((c) => c.name);
  const named = (after.cols ?? []).map((c) => ("ResTarget" in c ? (c.ResTarget.name ?? "") : ""));
  if (!select || (after.cols ?? []).some((c) => "ResTarget" in c && c.ResTarget.indirection?.length))
    return refuseRow(target, filter);
  const names = named.length > 0 ? named : all.filter((n) => target.write.columns.has(n));
  const checks = checksOf(filter, target, names);
  const checked: SelectStmt = select.valuesLists?.length
    ? { ...select, valuesLists: select.valuesLists.map((row) => checkedRow(row, names, checks, target, filter)) }
    : checkedQuery(select, names, checks);
  return { ...after, selectStmt: { SelectStmt: checked } };
}

type Check = { readonly column: Column; readonly parts: RowPredicate[] };

/** The conjuncts of the filter by their one column. */
function checksOf(filter: RowPredicate, target: TargetUse, names: readonly string[]): ReadonlyMap<string, Check> {
  const checks = new Map<string, Check>();
  for (const part of filter.kind === "and" ? flatten(filter) : [filter]) {
    const columns = [...new Set(filterColumns(part))];
    const [name] = columns;
    const column = target.relation.columns.find((c) => c.name === name);
    if (columns.length !== 1 || name === undefined || !column || !names.includes(name))
      return refuseRow(target, filter);
    const check = checks.get(name) ?? { column, parts: [] };
    check.parts.push(part);
    checks.set(name, check);
  }
  return checks;
}

const flatten = (p: RowPredicate): readonly RowPredicate[] => (p.kind === "and" ? p.parts.flatMap(flatten) : [p]);

function checkedRow(
  row: Node,
  names: readonly string[],
  checks: ReadonlyMap<string, Check>,
  target: TargetUse,
  filter: RowPredicate,
): Node {
  const items = "List" in row ? (row.List.items ?? []) : [];
  return {
    List: {
      items: items.map((item, i) => {
        const check = checks.get(names[i] ?? "");
        if (!check) return item;
        return "SetToDefault" in item ? refuseRow(target, filter) : checkedValue(item, check);
      }),
    },
  };
}

/** `SELECT a, check(b) FROM (query) AS gw_rows (a, b)` */
function checkedQuery(select: SelectStmt, names: readonly string[], checks: ReadonlyMap<string, Check>): SelectStmt {
  return {
    targetList: names.map((name) => {
      const check = checks.get(name);
      const value = columnRef("gw_rows", name);
      return { ResTarget: { val: check ? checkedValue(value, check) : value } };
    }),
    fromClause: [
      {
        RangeSubselect: {
          subquery: { SelectStmt: select },
          alias: { aliasname: "gw_rows", colnames: names.map(stringNode) },
        },
      },
    ],
    limitOption: "LIMIT_OPTION_DEFAULT",
    op: "SETOP_NONE",
  };
}

/**
 * `(SELECT CASE WHEN filter THEN v ELSE error END FROM (SELECT value AS v) …)`: the value is computed once. The error is
 * the cast of a text that holds the value, so that no planner computes it beforehand.
 */
function checkedValue(value: Node, { column, parts }: Check): Node {
  const name = column.name;
  const quoted = `"${name.replaceAll('"', '""')}"`;
  const type = column.type.sql;
  const template = generated(
    `(SELECT CASE WHEN gw_check THEN gw_row.${quoted} ELSE CAST(CAST(CAST(('new row is outside of the row filter: ' OPERATOR(pg_catalog.||) COALESCE(CAST(gw_row.${quoted} AS pg_catalog.text), '')) AS pg_catalog.int4) AS pg_catalog.text) AS ${type}) END FROM (SELECT CAST(gw_value AS ${type}) AS ${quoted}) AS gw_row)`,
  );
  const condition = filterNode({ kind: "and", parts }, { columns: [column] }, "gw_row");
  return mapTree(template, (node) => {
    if (!("ColumnRef" in node)) return undefined;
    const [first] = (node as Extract<Node, { ColumnRef: unknown }>).ColumnRef.fields ?? [];
    const text = first && "String" in first ? first.String.sval : undefined;
    return text === "gw_check" ? condition : text === "gw_value" ? value : undefined;
  });
}

function refuseRow(target: TargetUse, filter: RowPredicate): never {
  const columns = filterColumns(filter).map((c) => `\`${c}\``);
  refuse(
    "row-outside-filter",
    `new rows of \`${keyOf(target.relation)}\` must lie inside of the row filter of the policy`,
    { help: `give a value for ${columns.join(", ")}` },
  );
}
