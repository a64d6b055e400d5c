// `a == b`, `x in xs`, `s matches "…"`: section 5, rules 2 and 8.
import type { Expr } from "../ast.ts";
import type { ComparisonKind, Core } from "../checked.ts";
import { parseGlob } from "../glob.ts";
import { parseRegex } from "../regex.ts";
import {
  bool,
  comparable,
  fits,
  isOrdered,
  poison,
  setOf,
  showType,
  string,
  type Type,
  withoutOption,
} from "../types.ts";
import { type Env, report, sourceOf, wrong } from "./context.ts";
import { checkExpr, decided, mismatch } from "./expressions.ts";
import { reportAbsent } from "./options.ts";

type Comparison = Expr & { readonly kind: "compare" };

export function checkComparison(env: Env, expr: Comparison): Core {
  const core = checkPositive(env, expr);
  if (core.type.kind === "poison" || (!expr.isNegated && expr.op !== "!=")) return core;
  return { op: "not", operand: core, span: expr.span, type: bool };
}

function checkPositive(env: Env, expr: Comparison): Core {
  switch (expr.op) {
    case "==":
    case "!=":
      return checkEquality(env, expr);
    case "<":
    case "<=":
    case ">":
    case ">=":
      return checkOrder(env, expr);
    case "in":
      return checkMembership(env, expr, expr.left, expr.right);
    case "contains":
      return checkContains(env, expr);
    case "startswith":
    case "endswith":
      return checkTextTest(env, expr, expr.op);
    case "like":
    case "matches":
      return checkPattern(env, expr, expr.op);
    default:
      return expr.op satisfies never;
  }
}

const compare = (expr: Comparison, how: ComparisonKind, left: Core, right: Core): Core => ({
  op: "compare",
  how,
  left,
  right,
  span: expr.span,
  type: bool,
});

/** Columns of a filter have a type only where a catalog tells it. */
const isPoisoned = (core: Core): boolean => core.type.kind === "poison" && core.op !== "row";

/** A side that may be absent is an error of its own: an absent side would quietly make the comparison false. */
function decideSide(env: Env, expr: Comparison, side: Expr, other: Expr, core: Core): Core {
  if (core.type.kind !== "option") return core;
  reportAbsent(env, side, core.type, side === expr.left ? { op: expr.op, span: expr.span, other } : undefined);
  return wrong(side.span);
}

/** A bare enum value can be on either side: the other side says which enum. */
function checkSides(env: Env, expr: Comparison): readonly [Core, Core] {
  const isBareLeft = expr.left.kind === "name" && expr.right.kind !== "name";
  if (isBareLeft) {
    const right = decideSide(env, expr, expr.right, expr.left, checkExpr(env, expr.right));
    return [decideSide(env, expr, expr.left, expr.right, checkExpr(env, expr.left, right.type)), right];
  }
  const left = decideSide(env, expr, expr.left, expr.right, checkExpr(env, expr.left));
  // A column of unknown type is not wrong: a bare name beside it is still looked up, and reported.
  const isUntyped = left.op === "row" && left.type.kind === "poison";
  const isCollection = left.type.kind === "set" || left.type.kind === "list";
  const expected = isUntyped ? undefined : isCollection ? left.type : withoutOption(left.type);
  return [left, decideSide(env, expr, expr.right, expr.left, checkExpr(env, expr.right, expected))];
}

function checkEquality(env: Env, expr: Comparison): Core {
  const [left, right] = checkSides(env, expr);
  if (isPoisoned(left) || isPoisoned(right)) return wrong(expr.span);
  if (comparable(left.type, right.type)) return compare(expr, "equal", left, right);
  const isUnitLess = unitHelp(left.type, right, env);
  if (isUnitLess) return reportIncomparable(env, expr, left, right);
  const isMember = (left.type.kind === "set" || left.type.kind === "list") && fits(right.type, left.type.of);
  const bareEnum = enumInQuotes(left, right) ?? enumInQuotes(right, left);
  report(env, "E0217", expr.span, "these two can never be equal", {
    label: `\`${showType(left.type)}\` compared with \`${showType(right.type)}\``,
    help:
      readAsHelp(env, left, right) ??
      (isMember
        ? [`to test membership write \`${sourceOf(env, expr.left.span)} contains ${sourceOf(env, expr.right.span)}\``]
        : bareEnum === undefined
          ? []
          : [`values of this kind are written without quotes: \`${bareEnum}\``]),
  });
  return wrong(expr.span);
}

/** JSON is compared once its type is told. */
function readAsHelp(env: Env, left: Core, right: Core): readonly string[] | undefined {
  const [untyped, other] = left.type.kind === "json" ? [left, right] : [right, left];
  const isScalar = ["string", "int", "float", "bool"].includes(other.type.kind);
  if (untyped.type.kind !== "json" || !isScalar) return undefined;
  return [`say what type it has: \`${sourceOf(env, untyped.span)} as ${showType(other.type)}\``];
}

const enumInQuotes = (side: Core, other: Core): string | undefined =>
  side.type.kind === "enum" &&
  side.type.name !== undefined &&
  other.op === "const" &&
  typeof other.value === "string" &&
  side.type.values.includes(other.value)
    ? other.value
    : undefined;

function unitHelp(type: Type, number: Core, env: Env): string | undefined {
  if (number.type.kind !== "int") return undefined;
  const text = sourceOf(env, number.span);
  if (type.kind === "duration") return `give the number a unit: ${text}m, ${text}h`;
  if (type.kind === "size") return `give the number a unit: ${text}KiB, ${text}MB`;
  return undefined;
}

function reportIncomparable(env: Env, expr: Comparison, left: Core, right: Core): Core {
  const help = unitHelp(left.type, right, env) ?? unitHelp(right.type, left, env);
  report(env, "E0217", expr.span, `\`${showType(left.type)}\` and \`${showType(right.type)}\` cannot be compared`, {
    help: help === undefined ? [] : [help],
  });
  return wrong(expr.span);
}

function checkOrder(env: Env, expr: Comparison): Core {
  const [left, right] = checkSides(env, expr);
  if (isPoisoned(left) || isPoisoned(right)) return wrong(expr.span);
  const isUntyped = left.op === "row" || right.op === "row";
  if (!comparable(left.type, right.type) || (!isUntyped && !isOrdered(left.type))) {
    return reportIncomparable(env, expr, left, right);
  }
  const isSwapped = expr.op === ">" || expr.op === ">=";
  const how = expr.op === "<" || expr.op === ">" ? "less" : "less-or-equal";
  return isSwapped ? compare(expr, how, right, left) : compare(expr, how, left, right);
}

function checkMembership(env: Env, expr: Comparison, item: Expr, collection: Expr): Core {
  if (collection.kind === "range") return checkInRange(env, expr, item, collection);
  const left = decideSide(env, expr, item, collection, checkExpr(env, item));
  const right = decided(
    env,
    collection,
    checkExpr(env, collection, left.op === "row" ? undefined : setLike(left.type, collection)),
  );
  if (isPoisoned(left) || isPoisoned(right)) return wrong(expr.span);
  if (right.type.kind === "cidr") {
    if (left.type.kind === "ip") return compare(expr, "in-cidr", left, right);
    return mismatch(env, item, left.type, "`ip`");
  }
  if (right.type.kind !== "set" && right.type.kind !== "list") {
    return mismatch(env, collection, right.type, "a set, a list, a range or an address block");
  }
  const isUntyped = left.op === "row" && left.as === undefined;
  if (isUntyped || comparable(left.type, right.type.of)) return compare(expr, "in", left, foldSet(right));
  report(env, "E0217", expr.span, `\`${showType(left.type)}\` is never in \`${showType(right.type)}\``, {
    label: `elements are \`${showType(right.type.of)}\``,
  });
  return wrong(expr.span);
}

/** `[mon, tue]` after `x in` takes the type of `x`; names and facts have their own. */
const setLike = (type: Type, collection: Expr): Type | undefined =>
  collection.kind === "list" && type.kind === "poison"
    ? setOf(type)
    : collection.kind === "list" && type.kind === "enum" && type.name !== undefined
      ? setOf(type)
      : undefined;

/** A list of literals becomes a set once, not at each evaluation. */
function foldSet(core: Core): Core {
  if (core.op !== "collect" || !core.items.every((item) => item.op === "const" && typeof item.value !== "object"))
    return core;
  const values = new Set(core.items.map((item) => (item.op === "const" ? item.value : undefined)));
  return { op: "const", value: values, span: core.span, type: core.type };
}

function checkInRange(env: Env, expr: Comparison, item: Expr, range: Expr & { kind: "range" }): Core {
  const left = decideSide(env, expr, item, range, checkExpr(env, item));
  const from = decided(env, range.from, checkExpr(env, range.from));
  const to = decided(env, range.to, checkExpr(env, range.to));
  if ([left, from, to].some(isPoisoned)) return wrong(expr.span);
  const isNumeric = (t: Type): boolean => isOrdered(t) && t.kind !== "string" && t.kind !== "date";
  for (const side of [from, to]) {
    if (!comparable(left.type, side.type) || !isNumeric(side.type)) return reportIncomparable(env, expr, left, side);
  }
  if (from.op === "const" && to.op === "const" && Number(from.value) > Number(to.value)) {
    report(env, "E0212", range.span, "this range is empty", {
      label: "the first bound is greater than the second",
      notes: ["a condition that is never true makes its rule silent"],
      help: ["write the smaller bound first; for hours over midnight say `time.hour >= 22 or time.hour < 6`"],
    });
    return wrong(expr.span);
  }
  const isHalfOpen = range.isHalfOpen;
  const right: Core =
    from.op === "const" && to.op === "const"
      ? {
          op: "const",
          value: { from: from.value, to: to.value, isHalfOpen },
          span: range.span,
          type: { kind: "range", of: from.type },
        }
      : { op: "range", from, to, isHalfOpen, span: range.span, type: { kind: "range", of: from.type } };
  return compare(expr, "in-range", left, right);
}

function checkContains(env: Env, expr: Comparison): Core {
  const left = decideSide(env, expr, expr.left, expr.right, checkExpr(env, expr.left));
  if (isPoisoned(left)) return wrong(expr.span);
  if (left.type.kind === "set" || left.type.kind === "list") {
    const right = decided(env, expr.right, checkExpr(env, expr.right, left.type.of));
    if (isPoisoned(right)) return wrong(expr.span);
    if (comparable(left.type.of, right.type)) return compare(expr, "in", right, foldSet(left));
    report(env, "E0217", expr.span, `\`${showType(left.type)}\` never contains \`${showType(right.type)}\``, {
      label: `elements are \`${showType(left.type.of)}\``,
    });
    return wrong(expr.span);
  }
  if (!fits(left.type, string)) return mismatch(env, expr.left, left.type, "a set, a list or a text");
  return checkTextTest(env, expr, "contains-text");
}

function checkTextTest(env: Env, expr: Comparison, how: "startswith" | "endswith" | "contains-text"): Core {
  const left = decideSide(env, expr, expr.left, expr.right, checkExpr(env, expr.left));
  const right = decided(env, expr.right, checkExpr(env, expr.right));
  if (isPoisoned(left) || isPoisoned(right)) return wrong(expr.span);
  if (!fits(left.type, string)) return mismatch(env, expr.left, left.type, "`string`");
  if (!fits(right.type, string)) return mismatch(env, expr.right, right.type, "`string`");
  return compare(expr, how, left, right);
}

function checkPattern(env: Env, expr: Comparison, how: "like" | "matches"): Core {
  const left = decideSide(env, expr, expr.left, expr.right, checkExpr(env, expr.left));
  if (isPoisoned(left)) return wrong(expr.span);
  if (!fits(left.type, string)) return mismatch(env, expr.left, left.type, "`string`");
  const { right } = expr;
  if (right.kind !== "string") {
    report(env, "E0221", right.span, `the right side of \`${how}\` is a pattern in quotes`, {
      label: "not a literal",
      notes: ["patterns are checked when the policy is loaded, so that no request can bring its own"],
    });
    return wrong(expr.span);
  }
  const pattern = compilePattern(env, right, how);
  if (!pattern) return wrong(expr.span);
  return compare(expr, how, left, { op: "const", value: pattern, span: right.span, type: poison });
}

function compilePattern(
  env: Env,
  expr: Expr & { kind: "string" },
  how: "like" | "matches",
): { readonly matches: (text: string) => boolean } | undefined {
  const { raw } = expr.text;
  if (how === "like") return parseGlob(raw);
  const regex = parseRegex(raw);
  if (regex.ok) return regex.value;
  if (regex.error === "unreadable") {
    report(env, "E0223", expr.span, "this is not a regular expression", { label: "cannot be read" });
    return undefined;
  }
  report(env, "E0222", expr.span, "this pattern could take exponential time", {
    label: "nested repetition, back-reference or look-around",
    help: ["patterns are limited to the linear-time subset, so that no request can stall the gateway"],
  });
  return undefined;
}
