// Uses of declared names: lets, functions, data, counters, fixtures. Each declaration is checked once, when first used.
import type { Span } from "../../engine/lib/span.ts";
import type { CounterDecl, DataDecl, Expr, FixtureDecl, FuncDecl, LetDecl } from "../ast.ts";
import type { Core } from "../checked.ts";
import { int, showType, type Type, withoutOption } from "../types.ts";
import {
  type Binding,
  type Declared,
  type Env,
  emptyEnv,
  type ResolvedFunc,
  type ResolvedLet,
  report,
  wrong,
} from "./context.ts";
import { checkExpr, checkNeeded, decided } from "./expressions.ts";
import { isAvailable } from "./names.ts";
import { resolveType } from "./type-expressions.ts";

function reportRecursion(env: Env, symbol: Declared, name: string, span: Span): void {
  if (env.context.inCircle.has(symbol.package.name)) return;
  report(env, "E0108", span, `\`${name}\` calls itself`, {
    label: "recursion is not allowed: every policy must terminate",
  });
}

/** Every root that the name reads must exist where it is used. */
function requireRoots(env: Env, requires: ReadonlySet<string>, name: string, span: Span): boolean {
  return [...requires].every((root) => isAvailable(env, root, span, name));
}

export function resolveLet(env: Env, symbol: Declared, decl: LetDecl): ResolvedLet | undefined {
  const known = env.context.lets.get(symbol);
  if (known === "resolving") return undefined;
  if (known) return known;
  env.context.lets.set(symbol, "resolving");
  const inner = emptyEnv(env.context, symbol.file, symbol.package, "all");
  const type = decl.type && resolveType(inner, decl.type);
  const core = type ? checkNeeded(inner, decl.value, type) : checkExpr(inner, decl.value);
  const resolved = { core: type && core.type.kind !== "poison" ? { ...core, type } : core, requires: inner.requires };
  env.context.lets.set(symbol, resolved);
  return resolved;
}

export function checkLetUse(env: Env, symbol: Declared, decl: LetDecl, span: Span): Core {
  const name = decl.name.text;
  const resolved = resolveLet(env, symbol, decl);
  if (!resolved) {
    reportRecursion(env, symbol, name, span);
    return wrong(span);
  }
  if (!requireRoots(env, resolved.requires, name, span)) return wrong(span);
  return { op: "let", name, path: symbol.file.path, body: resolved.core, span, type: resolved.core.type };
}

export function resolveFunc(env: Env, symbol: Declared, decl: FuncDecl): ResolvedFunc | undefined {
  const known = env.context.funcs.get(symbol);
  if (known === "resolving") return undefined;
  if (known) return known;
  env.context.funcs.set(symbol, "resolving");
  const outer = emptyEnv(env.context, symbol.file, symbol.package, "all");
  const params = decl.params.map((p) => ({ local: { name: p.name.text }, type: resolveType(outer, p.type) }));
  const names = new Map<string, Binding>(params.map((p) => [p.local.name, { kind: "local", ...p }]));
  const inner = { ...outer, names };
  const result = decl.result && resolveType(outer, decl.result);
  const body = result ? checkNeeded(inner, decl.body, result) : checkExpr(inner, decl.body);
  const resolved = { params, body, requires: inner.requires };
  env.context.funcs.set(symbol, resolved);
  return resolved;
}

export function checkFuncUse(
  env: Env,
  symbol: Declared,
  decl: FuncDecl,
  args: readonly Expr[],
  call: Span,
  nameSpan: Span,
): Core {
  symbol.isUsed = true;
  const name = decl.name.text;
  const resolved = resolveFunc(env, symbol, decl);
  if (!resolved) {
    reportRecursion(env, symbol, name, nameSpan);
    return wrong(call);
  }
  if (args.length !== resolved.params.length) {
    report(env, "E0206", call, `\`${name}\` takes ${counted(resolved.params.length)}, not ${args.length}`, {
      label: `\`${name}(${resolved.params.map((p) => `${p.local.name}: ${showType(p.type)}`).join(", ")})\``,
    });
    return wrong(call);
  }
  const cores = resolved.params.map((p, i) => {
    const arg = args[i];
    return arg ? checkNeeded(env, arg, p.type) : wrong(call);
  });
  if (!requireRoots(env, resolved.requires, name, nameSpan)) return wrong(call);
  if (cores.some((c) => c.type.kind === "poison") || resolved.body.type.kind === "poison") return wrong(call);
  return {
    op: "invoke",
    name,
    path: symbol.file.path,
    params: resolved.params.map((p) => p.local),
    args: cores,
    body: resolved.body,
    span: call,
    type: resolved.body.type,
  };
}

export const counted = (n: number): string => (n === 1 ? "1 argument" : `${n} arguments`);

export const dataId = (symbol: Declared): string => `${symbol.package.name}.${symbol.decl.name.text}`;

export function checkDataUse(env: Env, symbol: Declared, decl: DataDecl, span: Span): Core {
  const type = resolveType(emptyEnv(env.context, symbol.file, symbol.package, "constant"), decl.type);
  return type.kind === "poison" ? wrong(span) : { op: "data", name: dataId(symbol), span, type };
}

export function checkCounterUse(env: Env, symbol: Declared, decl: CounterDecl, span: Span): Core {
  const inner = emptyEnv(env.context, symbol.file, symbol.package, "all");
  const key = once(env, symbol, span, () => decided(inner, decl.by, checkExpr(inner, decl.by)));
  if (key.type.kind === "poison") return wrong(span);
  if (!requireRoots(env, inner.requires, decl.name.text, span)) return wrong(span);
  return { op: "counter", name: dataId(symbol), key, span, type: counterType(env, symbol, decl) };
}

/** Amounts keep their unit; the rest is a number of things. */
export function counterType(env: Env, symbol: Declared, decl: CounterDecl): Type {
  if (!decl.of || decl.measure.text === "count" || decl.measure.text === "distinct") return int;
  const { open } = env.context;
  // A counter of itself: whoever uses it inside of it is told.
  if (open.has(symbol)) return int;
  open.add(symbol);
  const quiet: Env = { ...emptyEnv({ ...env.context, diagnostics: [] }, symbol.file, symbol.package, "all") };
  const type = withoutOption(checkExpr(quiet, decl.of).type);
  open.delete(symbol);
  return ["float", "size", "duration"].includes(type.kind) ? type : int;
}

export function checkFixtureUse(env: Env, symbol: Declared, decl: FixtureDecl, span: Span): Core {
  if (env.place !== "constant") {
    report(env, "E0202", span, `\`${decl.name.text}\` is a fixture`, {
      label: "fixtures exist only in tests",
      help: ["use `let` for a value that rules share"],
    });
    return wrong(span);
  }
  return once(env, symbol, span, () => checkFixture(env, symbol, decl));
}

/** Reports a counter or fixture that needs itself. */
function once(env: Env, symbol: Declared, span: Span, check: () => Core): Core {
  const { open } = env.context;
  if (open.has(symbol)) {
    if (env.context.inCircle.has(symbol.package.name)) return wrong(span);
    report(env, "E0108", span, `\`${symbol.decl.name.text}\` needs itself`, {
      label: "recursion is not allowed: every policy must terminate",
    });
    return wrong(span);
  }
  open.add(symbol);
  const core = check();
  open.delete(symbol);
  return core;
}

export function checkFixture(env: Env, symbol: Declared, decl: FixtureDecl): Core {
  const inner = emptyEnv(env.context, symbol.file, symbol.package, "constant");
  const type = fixtureType(env, symbol, resolveType(inner, decl.type));
  return checkNeeded(inner, decl.value, type);
}

/** `identity` with the schema of its claims. */
function fixtureType(env: Env, symbol: Declared, type: Type): Type {
  if (type.kind !== "record" || type.name !== "identity") return type;
  return identityType(emptyEnv(env.context, symbol.file, symbol.package, "constant"), type);
}

/** A test gives what it needs: the fields of `identity.claims` become optional like those of `identity`. */
export function identityType(env: Env, type: Type & { kind: "record" }): Type {
  const claims = schemaOf(env, "identity.claims");
  if (claims?.kind !== "record") return type;
  const fields = new Map(
    [...claims.fields].map(([name, t]): [string, Type] => [name, t.kind === "option" ? t : { kind: "option", of: t }]),
  );
  const partial: Type = { kind: "option", of: { kind: "record", name: "identity.claims", fields } };
  return { ...type, fields: new Map(type.fields).set("claims", partial) };
}

/** The type that `schema <target>: …` of this package gives. */
export function schemaOf(env: Env, target: string): Type | undefined {
  const symbol = env.package.schemas.get(target);
  if (!symbol) return undefined;
  symbol.isUsed = true;
  return resolveType(emptyEnv(env.context, symbol.file, symbol.package, "constant"), symbol.decl.type);
}
