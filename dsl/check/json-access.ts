import type { Expr } from "../ast.ts";
import type { Core } from "../checked.ts";
import { int, json, optionOf, showType, string, type Type, withoutOption } from "../types.ts";
import { caretSpan, type Env, keyOf, report, wrong } from "./context.ts";
import { checkExpr, checkNeeded, decided, mismatch } from "./expressions.ts";
import { checkRowColumn, inside, isJsonPlace, isRow } from "./names.ts";
import { resolveType } from "./type-expressions.ts";

const plainTextOf = (expr: Expr): string | undefined =>
  expr.kind === "string" && expr.text.parts.every((p) => p.kind === "text") ? expr.text.raw : undefined;

export function checkIndex(env: Env, expr: Expr & { kind: "index" }): Core {
  const column = plainTextOf(expr.index);
  if (column !== undefined && isRow(env, expr.object))
    return checkRowColumn(env, { text: column, span: expr.index.span }, expr.object.span, expr.span);
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

export function checkCast(env: Env, expr: Expr & { kind: "cast" }): Core {
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
