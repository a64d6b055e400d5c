// `where` -> RowPredicate: what doesn't read the row is computed, the rest stays for the database.
import { Unknown } from "../engine/lib/truth.ts";
import type { CompareOp, JsonTest, RowPredicate, SqlLiteral } from "../engine/model/row-predicate.ts";
import { someCore } from "./check/cost.ts";
import type { Core, Value } from "./checked.ts";
import type { Type } from "./types.ts";
import { elementsOf, type Range } from "./values.ts";

/** Computes a part that doesn't read the row. */
export type Compute = (core: Core) => Value;

const readsRow = (core: Core): boolean => someCore(core, (c) => c.op === "row");

/** Kleene's logic over predicates: a false part decides an `and`, a true one an `or`; else an unknown part is unknown. */
export function predicateOf(core: Core, compute: Compute): RowPredicate | Unknown {
  if (!readsRow(core)) return constant(compute(core));
  switch (core.op) {
    case "row":
      return compared(core, "=", { type: "bool", value: true });
    case "not": {
      const part = predicateOf(core.operand, compute);
      if (part instanceof Unknown) return part;
      if (part.kind === "not") return part.part;
      return part.kind === "constant" ? { kind: "constant", value: !part.value } : { kind: "not", part };
    }
    case "and":
    case "or":
      return combine(
        core.op,
        core.operands.map((operand) => predicateOf(operand, compute)),
      );
    case "present":
      return core.operand.op === "row"
        ? presence(core.operand)
        : new Unknown("`is present` of something that is no column");
    case "compare":
      return comparison(core, compute);
    default:
      return new Unknown(`\`${core.op}\` has no SQL form`);
  }
}

function constant(value: Value): RowPredicate | Unknown {
  if (value instanceof Unknown) return value;
  return typeof value === "boolean" ? { kind: "constant", value } : new Unknown("a part of `where` is absent");
}

function combine(kind: "and" | "or", parts: readonly (RowPredicate | Unknown)[]): RowPredicate | Unknown {
  const decisive = kind === "or";
  const isDecided = parts.some((p) => !(p instanceof Unknown) && p.kind === "constant" && p.value === decisive);
  if (isDecided) return { kind: "constant", value: decisive };
  const known: RowPredicate[] = [];
  for (const part of parts) {
    if (part instanceof Unknown) return part;
    if (part.kind !== "constant") known.push(part);
  }
  const [only, ...more] = known;
  if (!only) return { kind: "constant", value: !decisive };
  return more.length === 0 ? only : { kind, parts: [only, ...more] };
}

type Row = Core & { readonly op: "row" };

const atPlace = ({ column, path, as }: Row, test: JsonTest): RowPredicate => ({
  kind: "json",
  column,
  path: path ?? [],
  as: as ?? "json",
  test,
});

const compared = (row: Row, op: CompareOp, value: SqlLiteral): RowPredicate =>
  row.path ? atPlace(row, { op, value }) : { kind: "compare", column: row.column, op, value };

const presence = (row: Row): RowPredicate =>
  row.path && (row.path.length > 0 || row.as !== undefined || row.column === "")
    ? atPlace(row, { op: "present" })
    : { kind: "not", part: { kind: "is-null", column: row.column } };

const flipped: Readonly<Record<CompareOp, CompareOp>> = {
  "=": "=",
  "<>": "<>",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

function comparison(core: Core & { op: "compare" }, compute: Compute): RowPredicate | Unknown {
  const { left, right, how } = core;
  if (how === "in" && left.op === "row") return membership(left, right, left.type, compute);
  if (how === "in-range" && left.op === "row") return inRange(left, right, left.type, compute);
  const op: CompareOp | undefined =
    how === "equal" ? "=" : how === "less" ? "<" : how === "less-or-equal" ? "<=" : undefined;
  if (op === undefined) return new Unknown(`\`${how}\` has no SQL form`);
  if (left.op === "row" && right.op === "row" && !left.path && !right.path)
    return { kind: "compare-columns", left: left.column, op, right: right.column };
  const [row, other, side] = left.op === "row" ? [left, right, op] : [right, left, flipped[op]];
  if (row.op !== "row") return new Unknown("a comparison without a column");
  const value = literal(compute(other), other.type, row.type);
  return value instanceof Unknown ? value : compared(row, side, value);
}

function membership(row: Row, collection: Core, columnType: Type, compute: Compute): RowPredicate | Unknown {
  const value = compute(collection);
  if (value instanceof Unknown) return value;
  const { type } = collection;
  const of: Type = type.kind === "set" || type.kind === "list" ? type.of : type;
  const values: SqlLiteral[] = [];
  for (const item of elementsOf(value)) {
    const each = literal(item, of, columnType);
    if (each instanceof Unknown) return each;
    values.push(each);
  }
  // As a set: two policies that list the same values make the same predicate.
  values.sort((a, b) => (String(a.value) < String(b.value) ? -1 : 1));
  if (values.length === 0) return { kind: "constant", value: false };
  return row.path ? atPlace(row, { op: "in", values }) : { kind: "in", column: row.column, values };
}

function inRange(row: Row, range: Core, columnType: Type, compute: Compute): RowPredicate | Unknown {
  const value = compute(range);
  if (value instanceof Unknown) return value;
  const { from, to, isHalfOpen } = value as Range;
  const of: Type = range.type.kind === "range" ? range.type.of : range.type;
  const [low, high] = [literal(from, of, columnType), literal(to, of, columnType)];
  if (low instanceof Unknown) return low;
  if (high instanceof Unknown) return high;
  return {
    kind: "and",
    parts: [compared(row, ">=", low), compared(row, isHalfOpen ? "<" : "<=", high)],
  };
}

function literal(value: Value, type: Type, columnType: Type): SqlLiteral | Unknown {
  if (value instanceof Unknown) return value;
  if (typeof value === "string")
    return { type: type.kind === "date" || columnType.kind === "date" ? "date" : "string", value };
  if (typeof value === "boolean") return { type: "bool", value };
  if (typeof value === "number") {
    if (type.kind === "time") return { type: "time", value };
    return { type: Number.isSafeInteger(value) && type.kind !== "float" ? "int" : "float", value };
  }
  return new Unknown("a value of `where` is absent or has no SQL form");
}
