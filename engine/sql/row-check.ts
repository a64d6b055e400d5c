// WITH CHECK: a row that is inserted into a filtered relation must be one that its writer could see.
import type { InsertStmt, Node } from "@pgsql/types";
import type { RowPredicate, SqlLiteral } from "../model/row-predicate.ts";
import { keyOf } from "./bind-context.ts";
import { constantText } from "./bind-functions.ts";
import type { TargetUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { filterColumns } from "./protection.ts";
import { stringOf } from "./tree.ts";

/** Passes rows of VALUES whose constants satisfy the filter. @throws FaultError `row-outside-filter` for all else. */
export function checkRowLiterals(s: InsertStmt, target: TargetUse, filter: RowPredicate): void {
  const select = s.selectStmt && "SelectStmt" in s.selectStmt ? s.selectStmt.SelectStmt : undefined;
  const names = s.cols?.length
    ? s.cols.map((c) => ("ResTarget" in c ? (c.ResTarget.name ?? "") : ""))
    : target.relation.columns.map((c) => c.name);
  const rows = select?.valuesLists ?? [];
  if (rows.length === 0) refuseRow(target, filter);
  for (const row of rows) {
    const items = "List" in row ? (row.List.items ?? []) : [];
    const value = (column: string): Node | undefined => items[names.indexOf(column)];
    if (!satisfies(filter, value)) refuseRow(target, filter);
  }
}

function refuseRow(target: TargetUse, filter: RowPredicate): never {
  const columns = filterColumns(filter).map((c) => `\`${c}\``);
  refuse(
    "row-outside-filter",
    `new rows of \`${keyOf(target.relation)}\` must lie inside of the row filter of the policy`,
    {
      help: `give constants for ${columns.join(", ")} that the filter lets through`,
    },
  );
}

/** Certainly true for the row. Anything that isn't a plain constant is not certain. */
function satisfies(p: RowPredicate, value: (column: string) => Node | undefined): boolean {
  switch (p.kind) {
    case "constant":
      return p.value;
    case "and":
      return p.parts.every((q) => satisfies(q, value));
    case "or":
      return p.parts.some((q) => satisfies(q, value));
    case "in":
      return p.values.some((v) => equals(value(p.column), v));
    case "compare":
      return p.op === "=" && equals(value(p.column), p.value);
    case "is-null":
      return isNull(value(p.column));
    case "compare-columns":
    case "not":
      return false;
  }
}

const isNull = (node: Node | undefined): boolean =>
  node !== undefined && "A_Const" in node && node.A_Const.isnull === true;

function equals(node: Node | undefined, literal: SqlLiteral): boolean {
  if (!node || !("A_Const" in node) || stringOf(node) !== undefined) return false;
  const text = constantText(node);
  return text !== undefined && literal.type !== "time" && text === String(literal.value);
}
