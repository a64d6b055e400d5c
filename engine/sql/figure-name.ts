// Name of an output column without AS, as FigureColname in parse_target.c chooses it.
import type { Node } from "@pgsql/types";
import { stringOf, stringsOf } from "./tree.ts";

type Figured = { readonly name: string; readonly strength: 0 | 1 | 2 };
const none: Figured = { name: "?column?", strength: 0 };
const strong = (name: string): Figured => ({ name, strength: 2 });

export const figureName = (node: Node | undefined): string => figure(node).name;

function figure(node: Node | undefined): Figured {
  if (!node) return none;
  if ("ColumnRef" in node) return lastName(node.ColumnRef.fields) ?? none;
  if ("A_Indirection" in node) return lastName(node.A_Indirection.indirection) ?? figure(node.A_Indirection.arg);
  if ("FuncCall" in node) return strong(stringsOf(node.FuncCall.funcname).at(-1) ?? "");
  if ("A_Expr" in node) return node.A_Expr.kind === "AEXPR_NULLIF" ? strong("nullif") : none;
  if ("TypeCast" in node) {
    const inner = figure(node.TypeCast.arg);
    if (inner.strength > 1) return inner;
    const type = stringsOf(node.TypeCast.typeName?.names).at(-1);
    return type === undefined ? inner : { name: type, strength: 1 };
  }
  if ("CollateClause" in node) return figure(node.CollateClause.arg);
  if ("CaseExpr" in node) {
    const inner = figure(node.CaseExpr.defresult);
    return inner.strength > 1 ? inner : { name: "case", strength: 1 };
  }
  if ("SubLink" in node) return figureSubLink(node.SubLink.subLinkType, node.SubLink.subselect);
  if ("SQLValueFunction" in node) return strong(valueFunctionName(node.SQLValueFunction.op ?? ""));
  for (const [kind, name] of fixed) if (kind in node) return strong(name);
  if ("MinMaxExpr" in node) return strong(node.MinMaxExpr.op === "IS_LEAST" ? "least" : "greatest");
  if ("XmlExpr" in node) return strong((node.XmlExpr.op ?? "").replace(/^IS_/, "").toLowerCase());
  if ("JsonFuncExpr" in node) return strong((node.JsonFuncExpr.op ?? "").replace(/_OP$/, "").toLowerCase());
  return none;
}

const fixed: readonly (readonly [string, string])[] = [
  ["GroupingFunc", "grouping"],
  ["A_ArrayExpr", "array"],
  ["RowExpr", "row"],
  ["CoalesceExpr", "coalesce"],
  ["MergeSupportFunc", "merge_action"],
  ["JsonParseExpr", "json"],
  ["JsonScalarExpr", "json_scalar"],
  ["JsonSerializeExpr", "json_serialize"],
  ["JsonObjectConstructor", "json_object"],
  ["JsonArrayConstructor", "json_array"],
  ["JsonArrayQueryConstructor", "json_array"],
  ["JsonObjectAgg", "json_objectagg"],
  ["JsonArrayAgg", "json_arrayagg"],
];

function lastName(fields: readonly Node[] | undefined): Figured | undefined {
  const name = (fields ?? []).map(stringOf).findLast((n) => n !== undefined);
  return name === undefined ? undefined : strong(name);
}

function figureSubLink(kind: string | undefined, query: Node | undefined): Figured {
  if (kind === "EXISTS_SUBLINK") return strong("exists");
  if (kind === "ARRAY_SUBLINK") return strong("array");
  if (kind !== "EXPR_SUBLINK" || !query || !("SelectStmt" in query)) return none;
  const first = query.SelectStmt.targetList?.[0];
  if (!first || !("ResTarget" in first)) return none;
  return first.ResTarget.name === undefined ? figure(first.ResTarget.val) : strong(first.ResTarget.name);
}

const valueFunctionName = (op: string): string =>
  op
    .replace(/^SVFOP_/, "")
    .replace(/_N$/, "")
    .toLowerCase();
