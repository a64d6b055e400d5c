// `f(x)` -> a built-in function or one of the bundle's.
import type { Expr } from "../ast.ts";
import { builtins, type Parameter } from "../builtins.ts";
import type { Core } from "../checked.ts";
import { suggest } from "../suggest.ts";
import { fits, isNumber, setOf, string, type Type } from "../types.ts";
import { caretSpan, type Env, report, wrong } from "./context.ts";
import { checkFuncUse, counted } from "./declarations.ts";
import { checkExpr, decided, mismatch } from "./expressions.ts";
import { exportedNames, findSymbol, isExported, knownFunctions } from "./names.ts";

type CallExpr = Expr & { readonly kind: "call" };

export function checkCall(env: Env, expr: CallExpr): Core {
  const { callee } = expr;
  const named = expr.args.find((arg) => arg.name !== undefined);
  if (named?.name) {
    report(env, "E0206", named.name.span, "arguments of functions have no names", { label: "leave the name out" });
    return wrong(expr.span);
  }
  const args = expr.args.map((arg) => arg.value);
  if (callee.kind === "field" && callee.object.kind === "name") {
    const alias = env.context.imports.get(env.file)?.packages.get(callee.object.name.text);
    const symbol = alias?.scope.values.get(callee.field.text);
    if (alias) env.context.usedImports.add(alias.span);
    if (symbol && isExported(symbol) && symbol.decl.kind === "func") {
      return checkFuncUse(env, symbol, symbol.decl, args, expr.span, callee.field.span);
    }
    if (alias) return unknownFunction(env, callee, callee.field.text, exportedNames(alias.scope.values));
  }
  if (callee.kind !== "name") {
    report(env, "E0109", caretSpan(callee), "only named functions can be called", { label: "not a function" });
    return wrong(expr.span);
  }
  const name = callee.name.text;
  const symbol = findSymbol(env, name);
  if (symbol?.decl.kind === "func") return checkFuncUse(env, symbol, symbol.decl, args, expr.span, callee.span);
  if (Object.hasOwn(builtins, name)) return checkBuiltin(env, expr, name, args);
  return unknownFunction(env, callee, name, knownFunctions(env));
}

function unknownFunction(env: Env, callee: Expr, name: string, candidates: readonly string[]): Core {
  const near = suggest(name, candidates);
  report(env, "E0109", caretSpan(callee), `there is no function called \`${name}\``, {
    label: near === undefined ? "not a function" : `did you mean \`${near}\`?`,
    help: near === undefined ? [`functions are ${Object.keys(builtins).join(", ")}`] : [],
  });
  return wrong(callee.span);
}

function checkBuiltin(env: Env, expr: CallExpr, name: string, args: readonly Expr[]): Core {
  const builtin = builtins[name];
  if (!builtin) return wrong(expr.span);
  if (args.length !== builtin.params.length) {
    report(env, "E0206", expr.span, `\`${name}\` takes ${counted(builtin.params.length)}, not ${args.length}`, {
      label: `\`${builtin.signature}\``,
    });
    return wrong(expr.span);
  }
  const cores = builtin.params.map((parameter, i) => {
    const arg = args[i];
    if (!arg) return wrong(expr.span);
    const core = decided(env, arg, checkExpr(env, arg));
    if (core.type.kind === "poison" || core.op === "row" || accepts(parameter, core.type)) return core;
    return mismatch(env, arg, core.type, words[parameter]);
  });
  if (cores.some((core) => core.type.kind === "poison" && core.op !== "row")) return wrong(expr.span);
  return { op: "call", name, args: cores, span: expr.span, type: builtin.result(cores.map((c) => c.type)) };
}

const words: Readonly<Record<Parameter, string>> = {
  string: "`string`",
  collection: "a set, a list or a map",
  strings: "a set or list of `string`",
  numbers: "a set or list of numbers",
  number: "a number",
  map: "a map",
};

function accepts(parameter: Parameter, type: Type): boolean {
  switch (parameter) {
    case "string":
      return fits(type, string);
    case "collection":
      return type.kind === "set" || type.kind === "list" || type.kind === "map";
    case "strings":
      return fits(type, setOf(string));
    case "numbers":
      return (type.kind === "set" || type.kind === "list") && (isNumber(type.of) || type.of.kind === "never");
    case "number":
      return isNumber(type);
    case "map":
      return type.kind === "map";
    default:
      return parameter satisfies never;
  }
}
