// row predicate -> expression over the columns of one row.
import type { Node } from "@pgsql/types";
import { unreachable } from "../lib/assert.ts";
import type { Relation } from "../model/catalog.ts";
import type { RowPredicate, SqlLiteral } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import { allOf, anyOf, booleanConst, cast, columnRef, not, numberConst, operator, stringConst } from "./tree.ts";

/** @throws FaultError `filter-not-applicable` when the relation lacks a column that the filter names. */
export function filterNode(p: RowPredicate, relation: Pick<Relation, "columns">, row: string): Node {
  const column = (name: string): Node => {
    if (!relation.columns.some((c) => c.name === name))
      refuse("filter-not-applicable", `the row filter of \`${row}\` names column \`${name}\`, which it doesn't have`);
    return columnRef(row, name);
  };
  const build = (q: RowPredicate): Node => {
    switch (q.kind) {
      case "constant":
        return booleanConst(q.value);
      case "compare":
        return operator(q.op, column(q.column), literal(q.value));
      case "compare-columns":
        return operator(q.op, column(q.left), column(q.right));
      case "in":
        return anyOf(q.values.map((v) => operator("=", column(q.column), literal(v))));
      case "is-null":
        return { NullTest: { arg: column(q.column), nulltesttype: "IS_NULL" } };
      case "not":
        return not(build(q.part));
      case "and":
        return allOf(q.parts.map(build));
      case "or":
        return anyOf(q.parts.map(build));
      default:
        return unreachable(q);
    }
  };
  return build(p);
}

function literal(value: SqlLiteral): Node {
  switch (value.type) {
    case "string":
      return stringConst(value.value);
    case "int":
    case "float":
      return numberConst(value.value);
    case "bool":
      return booleanConst(value.value);
    case "time":
      return cast(stringConst(new Date(value.value).toISOString()), "timestamptz");
    case "date":
      return cast(stringConst(value.value), "date");
    default:
      return unreachable(value);
  }
}
