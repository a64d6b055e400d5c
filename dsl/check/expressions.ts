// Expr -> Core: names resolved, types decided, options decided.
import { unreachable } from "../../engine/lib/assert.ts";
import type { Expr, Text } from "../ast.ts";
import type { Core, Local } from "../checked.ts";
import {
  bool,
  fits,
  float,
  int,
  isNumber,
  isPrintable,
  json,
  optionOf,
  setOf,
  showType,
  string,
  type Type,
  withoutOption,
} from "../types.ts";
import { castJson } from "../values.ts";
import { checkArithmetic } from "./arithmetic.ts";
import { checkCall } from "./calls.ts";
import { checkElements, checkList, checkRecord, isHashable } from "./collections.ts";
import { checkComparison } from "./comparisons.ts";
import { caretSpan, type Env, keyOf, presentIf, report, sourceOf, withName, withPresent, wrong } from "./context.ts";
import { checkCast, checkIndex } from "./json-access.ts";
import { checkField, checkName } from "./names.ts";
import { reportAbsent } from "./options.ts";
import { checkTagged } from "./tagged-literals.ts";

/** `expected` lets enum values, record and list literals take the type of their place; it is not enforced here. */
export function checkExpr(env: Env, expr: Expr, expected?: Type): Core {
  switch (expr.kind) {
    case "string":
      return checkText(env, expr.text, expected);
    case "int":
      if (!Number.isSafeInteger(expr.value)) {
        report(env, "E0210", expr.span, `\`${expr.raw}\` is too large`, {
          label: "integers are exact within ±(2^53 - 1)",
        });
        return wrong(expr.span);
      }
      return { op: "const", value: expr.value, span: expr.span, type: expected?.kind === "float" ? float : int };
    case "float":
      return { op: "const", value: expr.value, span: expr.span, type: float };
    case "duration":
    case "size":
      return { op: "const", value: expr.value, span: expr.span, type: { kind: expr.kind } };
    case "bool":
      return { op: "const", value: expr.value, span: expr.span, type: bool };
    case "tagged":
      return checkTagged(env, expr);
    case "name":
      return checkName(env, expr, expected);
    case "field":
      return checkField(env, expr, expected);
    case "index":
      return checkIndex(env, expr);
    case "call":
      return checkCall(env, expr);
    case "not": {
      const operand = checkCondition(env, expr.operand, "not");
      return { op: "not", operand, span: expr.span, type: bool };
    }
    case "negate": {
      const operand = decided(env, expr.operand, checkExpr(env, expr.operand));
      if (operand.type.kind === "poison") return wrong(expr.span);
      if (!isNumber(operand.type) && operand.type.kind !== "duration") {
        return mismatch(env, expr.operand, operand.type, "a number");
      }
      if (operand.op === "const" && typeof operand.value === "number") {
        return { ...operand, value: -operand.value, span: expr.span };
      }
      return { op: "negate", operand, span: expr.span, type: operand.type };
    }
    case "and":
    case "or": {
      let inner = env;
      const operands = expr.operands.map((operand) => {
        const core = checkCondition(inner, operand, expr.kind);
        inner = withPresent(inner, presentIf(operand, expr.kind === "and"));
        return core;
      });
      return { op: expr.kind, operands, span: expr.span, type: bool };
    }
    case "compare":
      return checkComparison(env, expr);
    case "is":
      return checkIs(env, expr);
    case "arithmetic":
      return checkArithmetic(env, expr);
    case "coalesce":
      return checkCoalesce(env, expr, expected);
    case "range":
      report(env, "E0203", expr.span, "a range has no value of its own", {
        label: "stands only after `in`",
        help: ["write `x in 1..10`"],
      });
      return wrong(expr.span);
    case "cast":
      return checkCast(env, expr);
    case "if":
      return checkIf(env, expr, expected);
    case "quantifier": {
      const over = checkElements(env, expr.over);
      const local: Local = { name: expr.variable.text };
      const inner = withName(env, local.name, { kind: "local", local, type: over.element });
      const body = checkCondition(inner, expr.body, expr.which);
      return { op: "quantifier", which: expr.which, local, over: over.core, body, span: expr.span, type: bool };
    }
    case "list":
      return checkList(env, expr, expected);
    case "comprehension": {
      const over = checkElements(env, expr.over);
      const local: Local = { name: expr.variable.text };
      const inner = withName(env, local.name, { kind: "local", local, type: over.element });
      const condition = expr.condition && checkCondition(inner, expr.condition, "if");
      const after = expr.condition ? withPresent(inner, presentIf(expr.condition, true)) : inner;
      const item = decided(after, expr.item, checkExpr(after, expr.item));
      const type: Type = isHashable(item.type) ? setOf(item.type) : { kind: "list", of: item.type };
      return { op: "comprehension", local, over: over.core, condition, item, span: expr.span, type };
    }
    case "record":
      return checkRecord(env, expr, expected);
    case "missing":
      return wrong(expr.span);
    default:
      return unreachable(expr);
  }
}

/** A yes/no condition. `who` is the word that needs it. */
export function checkCondition(env: Env, expr: Expr, who: string): Core {
  const core = decided(env, expr, checkExpr(env, expr, bool));
  if (core.type.kind === "bool" || core.type.kind === "poison") return core;
  const isCollection = core.type.kind === "set" || core.type.kind === "list" || core.type.kind === "map";
  const type = showType(core.type);
  report(env, "E0201", caretSpan(expr), `\`${who}\` needs a yes/no condition, but this is \`${type}\``, {
    label: `this is \`${type}\``,
    help: [isCollection ? "to test that it is not empty write `count(…) > 0`" : "compare it: `== …`, `in […]`, `> …`"],
  });
  return wrong(expr.span);
}

/** Reports an option that nobody decided. */
export function decided(env: Env, expr: Expr, core: Core): Core {
  if (core.type.kind !== "option") return core;
  reportAbsent(env, expr, core.type, undefined);
  return wrong(expr.span);
}

/** The value of `expr` where `type` is needed. */
export function checkNeeded(env: Env, expr: Expr, type: Type): Core {
  const core = checkExpr(env, expr, type);
  if (core.type.kind === "option" && type.kind !== "option") return decided(env, expr, core);
  if (fits(core.type, type)) return core;
  if (env.place === "constant") {
    const converted = convertConstant(core, type);
    if (converted) return converted;
  }
  return mismatch(env, expr, core.type, `\`${showType(type)}\``);
}

/** In fixtures and tests texts stand for addresses, moments and dates, and every literal for JSON. */
function convertConstant(core: Core, type: Type): Core | undefined {
  if (type.kind === "option") return convertConstant(core, type.of);
  if (type.kind === "json") return { ...core, type: json };
  if (core.op !== "const" || typeof core.value !== "string") return undefined;
  const value = castJson(core.value, type);
  return value === undefined ? undefined : { ...core, value, type };
}

export function mismatch(env: Env, expr: Expr, found: Type, needed: string): Core {
  if (found.kind !== "poison") {
    report(env, "E0203", caretSpan(expr), `expected ${needed}, found \`${showType(found)}\``, {
      label: `this is \`${showType(found)}\``,
      help: mismatchHelp(found, needed),
    });
  }
  return wrong(expr.span);
}

const literals: Readonly<Record<string, string>> = {
  "`float`": "`0.25`",
  "`duration`": "`15m`",
  "`size`": "`5MB`",
  "`bool`": "`true`, `false`",
  "`time`": '`ts"2026-01-31T08:00:00Z"`',
  "`date`": '`date"2026-01-31"`',
  "`ip`": '`ip"10.1.2.3"`',
  "`cidr`": '`cidr"10.0.0.0/8"`',
};

function mismatchHelp(found: Type, needed: string): readonly string[] {
  if (found.kind === "json") return ["give it a type: `… as T`, which is absent where the value has another shape"];
  if (needed.startsWith("a set"))
    return ['one value is compared with `==`; a list stands in brackets: `in ["…", "…"]`'];
  if (found.kind === "set" || found.kind === "list") return ["to ask for one of its elements write `… contains …`"];
  if (found.kind === "string" && /^`(int|float|duration|size|bool|time|date|ip|cidr)`$/.test(needed)) {
    return [`write it as ${literals[needed] ?? "`10`"}`];
  }
  return [];
}

export function checkText(env: Env, text: Text, expected?: Type): Core {
  const { span } = text;
  if (text.parts.every((part) => part.kind === "text")) {
    const value = text.parts.map((part) => (part.kind === "text" ? part.value : "")).join("");
    const target = expected && withoutOption(expected);
    if (target?.kind === "enum" && target.name === undefined && target.values.includes(value)) {
      return { op: "const", value, span, type: target };
    }
    return { op: "const", value, span, type: string };
  }
  const parts = text.parts.map((part) => {
    if (part.kind === "text") return part.value;
    const core = decided(env, part.expr, checkExpr(env, part.expr));
    if (core.type.kind === "poison" || isPrintable(core.type)) return core;
    return mismatch(env, part.expr, core.type, "something that can be shown in a text");
  });
  return { op: "text", parts, span, type: string };
}

function checkIs(env: Env, expr: Expr & { kind: "is" }): Core {
  const operand = checkExpr(env, expr.operand);
  if (operand.type.kind === "poison" && operand.op !== "row") return wrong(expr.span);
  const isNarrowed = env.present.has(keyOf(expr.operand) ?? " ");
  if (operand.type.kind !== "option" && operand.op !== "row" && !isNarrowed) {
    report(env, "E0209", caretSpan(expr.operand), `\`${sourceOf(env, expr.operand.span)}\` is never absent`, {
      label: `this is \`${showType(operand.type)}\``,
      help: ["leave the test out"],
    });
    return wrong(expr.span);
  }
  const present: Core = { op: "present", operand, span: expr.span, type: bool };
  return expr.what === "present" ? present : { op: "not", operand: present, span: expr.span, type: bool };
}

function checkCoalesce(env: Env, expr: Expr & { kind: "coalesce" }, expected: Type | undefined): Core {
  const left = checkExpr(env, expr.left, expected);
  const inner = withoutOption(left.type);
  const right = checkExpr(env, expr.right, inner.kind === "poison" ? expected : inner);
  if (inner.kind === "poison" || right.type.kind === "poison") return wrong(expr.span);
  if (left.type.kind !== "option") {
    report(env, "E0209", caretSpan(expr.left), `\`${sourceOf(env, expr.left.span)}\` is never absent`, {
      label: `this is \`${showType(left.type)}\``,
      help: ["leave `??` and what follows it out"],
    });
    return wrong(expr.span);
  }
  const other = withoutOption(right.type);
  const type = fits(other, inner) ? inner : fits(inner, other) ? other : undefined;
  if (type === undefined) return mismatch(env, expr.right, right.type, `\`${showType(inner)}\``);
  return { op: "coalesce", left, right, span: expr.span, type: right.type.kind === "option" ? optionOf(type) : type };
}

function checkIf(env: Env, expr: Expr & { kind: "if" }, expected: Type | undefined): Core {
  const condition = checkCondition(env, expr.condition, "if");
  const then = checkExpr(withPresent(env, presentIf(expr.condition, true)), expr.then, expected);
  const other = checkExpr(withPresent(env, presentIf(expr.condition, false)), expr.else, expected ?? then.type);
  const type = fits(other.type, then.type) ? then.type : fits(then.type, other.type) ? other.type : undefined;
  if (type === undefined)
    return mismatch(env, expr.else, other.type, `\`${showType(then.type)}\` as in the other branch`);
  if (then.type.kind === "poison" || other.type.kind === "poison") return wrong(expr.span);
  return { op: "if", condition, then, else: other, span: expr.span, type };
}
