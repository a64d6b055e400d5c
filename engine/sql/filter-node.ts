// row predicate -> expression over the columns of one row.
import type { Node } from "@pgsql/types";
import { unreachable } from "../lib/assert.ts";
import type { Relation } from "../model/catalog.ts";
import type { JsonScalar, RowPredicate, SqlLiteral } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import {
  allOf,
  anyOf,
  booleanConst,
  call,
  cast,
  columnRef,
  not,
  nullConst,
  numberConst,
  operator,
  stringConst,
  stringNode,
  when,
} from "./tree.ts";

/** @throws FaultError `filter-not-applicable` when the relation lacks a column that the filter names. */
export function filterNode(p: RowPredicate, relation: Pick<Relation, "columns">, row: string): Node {
  const column = (name: string): Node => {
    if (!relation.columns.some((c) => c.name === name))
      refuse("filter-not-applicable", `the row filter of \`${row}\` names column \`${name}\`, which it doesn't have`);
    return columnRef(row, name);
  };
  const typeOf = (name: string): string => relation.columns.find((c) => c.name === name)?.type.name ?? "";
  const instant = (name: string, beside: string): Node =>
    typeOf(name) === "timestamptz" && withoutZone.has(typeOf(beside)) ? inUtc(column(name)) : column(name);
  const build = (q: RowPredicate): Node => {
    switch (q.kind) {
      case "constant":
        return booleanConst(q.value);
      case "compare":
        return operator(q.op, column(q.column), literal(q.value, typeOf(q.column)));
      case "compare-columns":
        return operator(q.op, instant(q.left, q.right), instant(q.right, q.left));
      case "in":
        return anyOf(q.values.map((v) => operator("=", column(q.column), literal(v, typeOf(q.column)))));
      case "is-null":
        return { NullTest: { arg: column(q.column), nulltesttype: "IS_NULL" } };
      case "json":
        if (typeOf(q.column) !== "jsonb")
          refuse("filter-not-applicable", `the row filter of \`${row}\` looks into \`${q.column}\`, which is no jsonb`);
        return jsonTest(q, column(q.column));
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

/** NULL where the place is missing or of another type. Every function is immutable, and none fails on any value. */
function jsonTest({ path, as, test }: RowPredicate & { kind: "json" }, column: Node): Node {
  const place = path.length === 0 ? column : call("jsonb_extract_path", column, ...path.map(stringConst));
  const value = jsonValue(place, as);
  if (test.op === "present") return { NullTest: { arg: value, nulltesttype: "IS_NOT_NULL" } };
  if (test.op === "in") return anyOf(test.values.map((v) => operator("=", value, literal(v, ""))));
  return operator(test.op, value, literal(test.value, ""));
}

/** The language's order of texts, whatever the database's is. */
const byCodePoint = (arg: Node): Node => ({
  CollateClause: { arg, collname: [stringNode("pg_catalog"), stringNode("C")] },
});

function jsonValue(place: Node, as: JsonScalar): Node {
  const ofType = (type: string, value: Node): Node =>
    when(operator("=", call("jsonb_typeof", place), stringConst(type)), value, nullConst);
  const number = cast(place, "numeric");
  switch (as) {
    case "json":
      return place;
    case "string":
      return ofType("string", byCodePoint(operator("#>>", place, cast(stringConst("{}"), "_text"))));
    case "bool":
      return ofType("boolean", cast(place, "bool"));
    case "float":
      return ofType("number", number);
    case "int": {
      const isWhole = operator("=", call("trunc", number), number);
      const isExact = operator("<=", call("abs", number), numberConst(Number.MAX_SAFE_INTEGER));
      return ofType("number", when(allOf([isWhole, isExact]), number, nullConst));
    }
    default:
      return unreachable(as);
  }
}

const withoutZone: ReadonlySet<string> = new Set(["timestamp", "date"]);

/** The client's TimeZone and DateStyle must not move a filter: what has no zone is in UTC, and texts are ISO 8601. */
const inUtc = (node: Node): Node => call("timezone", stringConst("UTC"), node);

const isoTime = /^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?$/;

function timeText(value: string, type: string): Node {
  const match = isoTime.exec(value);
  if (!match)
    refuse("filter-not-applicable", "a row filter compares a time with a text that is not an ISO 8601 date or time");
  return type === "timestamptz" && match[1] === undefined
    ? inUtc(cast(stringConst(value), "timestamp"))
    : cast(stringConst(value), type);
}

function literal(value: SqlLiteral, type: string): Node {
  switch (value.type) {
    case "string":
      return type === "timestamptz" || withoutZone.has(type) ? timeText(value.value, type) : stringConst(value.value);
    case "int":
    case "float":
      return numberConst(value.value);
    case "bool":
      return booleanConst(value.value);
    case "time": {
      const time = cast(stringConst(new Date(value.value).toISOString()), "timestamptz");
      return withoutZone.has(type) ? inUtc(time) : time;
    }
    case "date":
      return type === "timestamptz"
        ? inUtc(cast(stringConst(value.value), "timestamp"))
        : cast(stringConst(value.value), "date");
    default:
      return unreachable(value);
  }
}
