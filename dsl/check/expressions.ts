// Expr -> Core: names resolved, types decided, options decided.
import { unreachable } from "../../engine/lib/assert.ts";
import type { ColumnType } from "../../engine/model/catalog.ts";
import type { Expr, Text } from "../ast.ts";
import type { Core, Local } from "../checked.ts";
import { parseCidr } from "../ip.ts";
import {
  bool,
  fits,
  float,
  int,
  isNumber,
  isPrintable,
  json,
  never,
  optionOf,
  poison,
  setOf,
  showType,
  string,
  type Type,
  withoutOption,
} from "../types.ts";
import { canonicalIp, castJson, isDate, parseTime } from "../values.ts";
import { checkCall } from "./calls.ts";
import { checkComparison } from "./comparisons.ts";
import { caretSpan, type Env, keyOf, presentIf, report, sourceOf, withName, withPresent, wrong } from "./context.ts";
import { checkField, checkName, inside, isJsonPlace } from "./names.ts";
import { reportAbsent } from "./options.ts";
import { resolveType } from "./type-expressions.ts";

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

const isHashable = (t: Type): boolean => ["string", "enum", "int", "ip", "date", "time", "bool"].includes(t.kind);

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

function checkTagged(env: Env, expr: Expr & { kind: "tagged" }): Core {
  const { span, value } = expr;
  const bad = (what: string): Core => {
    report(env, "E0211", span, `\`${value}\` is not ${what}`, {
      label: `not ${what}`,
      help: [exampleOf(expr.tag.text)],
    });
    return wrong(span);
  };
  switch (expr.tag.text) {
    case "cidr": {
      const cidr = parseCidr(value);
      return cidr
        ? { op: "const", value: cidr, span, type: { kind: "cidr" } }
        : bad("an address block such as 10.0.0.0/8");
    }
    case "ip": {
      const ip = canonicalIp(value);
      return ip === undefined ? bad("an IP address") : { op: "const", value: ip, span, type: { kind: "ip" } };
    }
    case "ts": {
      const ms = parseTime(value);
      return ms === undefined
        ? bad("a moment such as 2026-01-01T00:00:00Z")
        : { op: "const", value: ms, span, type: { kind: "time" } };
    }
    case "date":
      return isDate(value) ? { op: "const", value, span, type: { kind: "date" } } : bad("a date such as 2026-01-01");
    case "table":
    case "col":
      return checkTableLiteral(env, expr);
    default:
      report(env, "E0211", expr.tag.span, `\`${expr.tag.text}\` is not a kind of literal`, {
        label: "kinds are cidr, ip, ts, date, table, col",
      });
      return wrong(span);
  }
}

const exampleOf = (tag: string): string =>
  ({
    cidr: '`cidr"10.0.0.0/8"`, `cidr"2001:db8::/32"`',
    ip: '`ip"10.1.2.3"`',
    ts: '`ts"2026-01-31T08:00:00Z"`',
    date: '`date"2026-01-31"`',
  })[tag] ?? '`table"public.orders"`, `col"public.customers.email"`';

function checkTableLiteral(env: Env, expr: Expr & { kind: "tagged" }): Core {
  const [schema, name, column, more] = expr.value.split(".");
  const isColumn = expr.tag.text === "col";
  const isWhole = schema && name && more === undefined && (isColumn ? column : column === undefined);
  if (!isWhole) {
    report(env, "E0211", expr.span, `\`${expr.value}\` is not a ${isColumn ? "column" : "table"}`, {
      label: isColumn ? "write `schema.table.column`" : "write `schema.table`",
    });
    return wrong(expr.span);
  }
  const catalogs = [...env.context.catalogs.values()];
  const found = catalogs
    .flatMap((c) => [...c.relations.values()])
    .filter((r) => r.schema === schema && r.name === name);
  if (catalogs.length > 0 && found.length === 0) {
    report(env, "E0401", expr.span, `no table \`${schema}.${name}\` in any catalog of the bundle`, {
      label: "unknown table",
    });
  } else if (isColumn && found.length > 0 && !found.some((r) => r.columns.some((c) => c.name === column))) {
    report(env, "E0402", expr.span, `table \`${schema}.${name}\` has no column \`${column}\``, {
      label: "unknown column",
    });
  }
  const relation = { schema, name };
  return isColumn
    ? { op: "const", value: { relation, column }, span: expr.span, type: { kind: "column" } }
    : { op: "const", value: relation, span: expr.span, type: { kind: "table" } };
}

const plainTextOf = (expr: Expr): string | undefined =>
  expr.kind === "string" && expr.text.parts.every((p) => p.kind === "text") ? expr.text.raw : undefined;

function checkIndex(env: Env, expr: Expr & { kind: "index" }): Core {
  const object = decided(env, expr.object, checkExpr(env, expr.object));
  const name = plainTextOf(expr.index);
  if (object.op === "row" && isJsonPlace(object) && name !== undefined) return inside(object, name, expr.span);
  if (object.type.kind === "poison") return wrong(expr.span);
  const isPresent = env.present.has(keyOf(expr) ?? " ");
  const wrap = (type: Type): Type => (isPresent ? type : optionOf(type));
  switch (object.type.kind) {
    case "map": {
      const key = checkNeeded(env, expr.index, string);
      return { op: "lookup", of: "map", object, key, span: expr.span, type: wrap(object.type.of) };
    }
    case "list": {
      const key = checkNeeded(env, expr.index, int);
      return { op: "lookup", of: "list", object, key, span: expr.span, type: wrap(object.type.of) };
    }
    case "json": {
      const key = decided(env, expr.index, checkExpr(env, expr.index));
      if (key.type.kind !== "string" && key.type.kind !== "int")
        return mismatch(env, expr.index, key.type, "`string` or `int`");
      return { op: "lookup", of: "json", object, key, span: expr.span, type: wrap(json) };
    }
    default:
      return mismatch(env, expr.object, object.type, "a map, a list or json");
  }
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

function checkArithmetic(env: Env, expr: Expr & { kind: "arithmetic" }): Core {
  const left = decided(env, expr.left, checkExpr(env, expr.left));
  const right = decided(env, expr.right, checkExpr(env, expr.right));
  if (left.type.kind === "poison" || right.type.kind === "poison") return wrong(expr.span);
  const type = arithmeticType(expr.op, left.type, right.type);
  if (type === undefined) {
    report(
      env,
      "E0205",
      expr.span,
      `\`${expr.op}\` does not go with \`${showType(left.type)}\` and \`${showType(right.type)}\``,
      {
        label:
          expr.op === "+" && left.type.kind === "string" ? 'texts are joined by placeholders: "{a}{b}"' : undefined,
      },
    );
    return wrong(expr.span);
  }
  if ((expr.op === "/" || expr.op === "%") && !(right.op === "const" && right.value !== 0)) {
    report(env, "E0208", expr.right.span, `the divisor of \`${expr.op}\` must be a number other than zero`, {
      label: "not a literal, or zero",
      notes: ["a division that may fail would make a deny fire, and an allow silent, by accident"],
      help: ["turn it around: `a > b * 10` in place of `a / b > 10`"],
    });
    return wrong(expr.span);
  }
  return { op: "arithmetic", how: expr.op, left, right, span: expr.span, type };
}

function arithmeticType(op: string, a: Type, b: Type): Type | undefined {
  const isAdditive = op === "+" || op === "-";
  if (isNumber(a) && isNumber(b)) return a.kind === "int" && b.kind === "int" && op !== "/" ? int : float;
  if (isAdditive && a.kind === b.kind && (a.kind === "duration" || a.kind === "size")) return a;
  if (isAdditive && a.kind === "time" && b.kind === "duration") return a;
  if (op === "-" && a.kind === "time" && b.kind === "time") return { kind: "duration" };
  if (op === "*" && (a.kind === "duration" || a.kind === "size") && b.kind === "int") return a;
  return undefined;
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

function checkCast(env: Env, expr: Expr & { kind: "cast" }): Core {
  const found = checkExpr(env, expr.operand);
  const operand = found.op === "cast" && found.isImplicit ? found.operand : found;
  const type = resolveType(env, expr.type);
  if (operand.op === "row" && isJsonPlace(operand)) return castPlace(env, expr, operand, type);
  if (operand.type.kind === "poison" || type.kind === "poison") return wrong(expr.span);
  if (withoutOption(operand.type).kind !== "json") {
    report(
      env,
      "E0207",
      caretSpan(expr.operand),
      `only \`json\` can be read \`as\` a type, and this is \`${showType(operand.type)}\``,
      {
        label: "has a type already",
      },
    );
    return wrong(expr.span);
  }
  const isPresent = env.present.has(keyOf(expr) ?? " ");
  return { op: "cast", operand, span: expr.span, type: isPresent ? withoutOption(type) : optionOf(type) };
}

/** In a filter a place of another type is NULL, as a column may be: there is no option to decide. */
function castPlace(env: Env, expr: Expr & { kind: "cast" }, place: Core & { op: "row" }, type: Type): Core {
  const as = (["string", "int", "float", "bool"] as const).find((each) => each === type.kind);
  if (as !== undefined) return { ...place, path: place.path ?? [], as, span: expr.span, type };
  if (type.kind !== "poison") {
    report(env, "E0501", expr.span, "this filter needs a text, a number, or yes or no", {
      label: `a place of JSON is not read as \`${showType(type)}\` here`,
      help: ["read it `as string`, `int`, `float` or `bool`"],
    });
  }
  return wrong(expr.span);
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

function checkElements(env: Env, expr: Expr): { readonly core: Core; readonly element: Type } {
  const core = decided(env, expr, checkExpr(env, expr));
  if (core.type.kind === "set" || core.type.kind === "list") return { core, element: core.type.of };
  if (core.type.kind !== "poison") mismatch(env, expr, core.type, "a set or a list");
  return { core: wrong(expr.span), element: poison };
}

function checkList(env: Env, expr: Expr & { kind: "list" }, expected: Type | undefined): Core {
  const target = expected && withoutOption(expected);
  const isJson = target?.kind === "json";
  let element: Type = target?.kind === "set" || target?.kind === "list" ? target.of : never;
  const isTyped = element.kind !== "never";
  const items = expr.items.map((item) => {
    if (isTyped) return checkNeeded(env, item, element);
    const core = isJson ? checkNeeded(env, item, json) : decided(env, item, checkExpr(env, item, element));
    if (element.kind === "never" || (fits(element, core.type) && !fits(core.type, element))) element = core.type;
    else if (!fits(core.type, element))
      return mismatch(env, item, core.type, `\`${showType(element)}\` like the elements before it`);
    return core;
  });
  const kind = target?.kind === "set" ? "set" : "list";
  return { op: "collect", items, span: expr.span, type: isJson ? json : { kind, of: element } };
}

function checkRecord(env: Env, expr: Expr & { kind: "record" }, expected: Type | undefined): Core {
  const target = expected && withoutOption(expected);
  const seen = new Set<string>();
  const fields = new Map<string, Type>();
  const entries = expr.entries.map(({ key, value }) => {
    if (seen.has(key.text))
      report(env, "E0105", key.span, `field \`${key.text}\` is given twice`, { label: "second value here" });
    seen.add(key.text);
    const wanted =
      target?.kind === "record" ? target.fields.get(key.text) : target?.kind === "map" ? target.of : undefined;
    const isJson = target?.kind === "json";
    if (target?.kind === "record" && wanted === undefined) reportUnknownField(env, key.text, key.span, target);
    const core = isJson
      ? checkNeeded(env, value, json)
      : wanted
        ? checkNeeded(env, value, wanted)
        : checkExpr(env, value);
    fields.set(key.text, core.type);
    return { name: key.text, value: core };
  });
  if (target?.kind === "record") {
    const missing = [...target.fields]
      .filter(([name, t]) => t.kind !== "option" && !seen.has(name))
      .map(([name]) => name);
    if (missing.length > 0) {
      report(env, "E0203", expr.span, `\`${showType(target)}\` needs ${missing.map((m) => `\`${m}\``).join(", ")}`, {
        label: "not given here",
        help: [`add ${missing.map((m) => `\`${m}: …\``).join(", ")}`],
      });
    }
  }
  const type: Type =
    target?.kind === "record" || target?.kind === "map" || target?.kind === "json"
      ? target
      : { kind: "record", name: undefined, fields };
  return { op: "record", entries, span: expr.span, type };
}

function reportUnknownField(
  env: Env,
  name: string,
  span: { start: number; end: number },
  type: Type & { kind: "record" },
): void {
  report(env, "E0102", span, `\`${showType(type)}\` has no field \`${name}\``, {
    label: `fields are ${[...type.fields.keys()].join(", ")}`,
  });
}

/** The type that `row.column` has in a filter; undefined where only SQL knows how to compare. */
export function columnType(type: ColumnType): Type | undefined {
  if (type.category === "E") return string;
  if (type.schema !== "pg_catalog") return undefined;
  switch (type.name) {
    case "bool":
      return bool;
    case "int2":
    case "int4":
    case "int8":
    case "oid":
      return int;
    case "numeric":
    case "float4":
    case "float8":
      return float;
    case "text":
    case "varchar":
    case "bpchar":
    case "name":
    case "uuid":
      return string;
    case "jsonb":
      return json;
    case "date":
      return { kind: "date" };
    case "timestamptz":
      return { kind: "time" };
    default:
      return undefined;
  }
}
