// a JSON answer, item filters -> the answer with the items that may be seen
import { unreachable } from "../lib/assert.ts";
import { compareCodePoints } from "../lib/code-points.ts";
import type { Json } from "../lib/json.ts";
import { parseJsonPath } from "../lib/json-path.ts";
import { andTruth, notTruth, orTruth, type Truth, Unknown } from "../lib/truth.ts";
import type { ItemFilter } from "../model/decision.ts";
import type { CompareOp, JsonScalar, RowPredicate, SqlLiteral } from "../model/row-predicate.ts";
import { mapJson } from "./map-json.ts";

/**
 * Of every list at a filter's path only the items for which its condition is true stay, as rows do in SQL. Unknown when the
 * path names something that is no list: what can't be filtered must not be answered.
 */
export function keepItems(document: Json, filters: readonly ItemFilter[]): Json | Unknown {
  let kept = document;
  for (const filter of filters) {
    const path = parseJsonPath(filter.path);
    if (!path.ok) return new Unknown(`\`${filter.path}\` is no path`);
    let isList = true;
    kept = mapJson(kept, path.value, (value) => {
      if (Array.isArray(value)) return value.filter((item: Json) => holdsFor(filter.predicate, item) === true);
      isList = false;
      return null;
    });
    if (!isList) return new Unknown(`what stands at \`${filter.path}\` of the answer is no list`);
  }
  return kept;
}

const nothing = new Unknown("the item has no such value");

/** SQL's logic: a comparison with what is absent is neither true nor false. */
export function holdsFor(p: RowPredicate, item: Json): Truth {
  switch (p.kind) {
    case "constant":
      return p.value;
    case "json":
      return holdsAt(p, item);
    case "not":
      return notTruth(holdsFor(p.part, item));
    case "and":
      return p.parts.reduce<Truth>((truth, part) => andTruth(truth, holdsFor(part, item)), true);
    case "or":
      return p.parts.reduce<Truth>((truth, part) => orTruth(truth, holdsFor(part, item)), false);
    // Columns belong to rows.
    case "compare":
    case "compare-columns":
    case "in":
    case "is-null":
      return nothing;
    default:
      return unreachable(p);
  }
}

function holdsAt(p: RowPredicate & { kind: "json" }, item: Json): Truth {
  const value = readAs(valueAt(item, p.path), p.as);
  const { test } = p;
  if (test.op === "present") return value !== undefined;
  if (value === undefined) return nothing;
  return test.op === "in"
    ? test.values.some((each) => compares("=", value, each))
    : compares(test.op, value, test.value);
}

function valueAt(item: Json, path: readonly string[]): Json | undefined {
  let value: Json | undefined = item;
  for (const name of path) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined;
    value = (value as { readonly [key: string]: Json })[name];
  }
  return value;
}

/** Of another type: absent, as `as` says it everywhere. */
function readAs(value: Json | undefined, as: JsonScalar): Json | undefined {
  switch (as) {
    case "json":
      return value;
    case "string":
      return typeof value === "string" ? value : undefined;
    case "bool":
      return typeof value === "boolean" ? value : undefined;
    case "int":
      return Number.isSafeInteger(value) ? value : undefined;
    case "float":
      return typeof value === "number" && Number.isFinite(value) ? value : undefined;
    default:
      return unreachable(as);
  }
}

function compares(op: CompareOp, left: Json, { value: right }: SqlLiteral): boolean {
  const order =
    typeof left === "string" && typeof right === "string"
      ? compareCodePoints(left, right)
      : typeof left === typeof right && left !== null
        ? Number(left) - Number(right)
        : Number.NaN;
  switch (op) {
    case "=":
      return order === 0;
    case "<>":
      return order !== 0;
    case "<":
      return order < 0;
    case "<=":
      return order <= 0;
    case ">":
      return order > 0;
    case ">=":
      return order >= 0;
    default:
      return unreachable(op);
  }
}
