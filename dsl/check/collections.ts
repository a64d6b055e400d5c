import type { Expr } from "../ast.ts";
import type { Core } from "../checked.ts";
import { fits, json, never, poison, showType, type Type, withoutOption } from "../types.ts";
import { type Env, report, wrong } from "./context.ts";
import { checkExpr, checkNeeded, decided, mismatch } from "./expressions.ts";

export const isHashable = (t: Type): boolean =>
  ["string", "enum", "int", "ip", "date", "time", "bool"].includes(t.kind);

export function checkElements(env: Env, expr: Expr): { readonly core: Core; readonly element: Type } {
  const core = decided(env, expr, checkExpr(env, expr));
  if (core.type.kind === "set" || core.type.kind === "list") return { core, element: core.type.of };
  if (core.type.kind !== "poison") mismatch(env, expr, core.type, "a set or a list");
  return { core: wrong(expr.span), element: poison };
}

export function checkList(env: Env, expr: Expr & { kind: "list" }, expected: Type | undefined): Core {
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

export function checkRecord(env: Env, expr: Expr & { kind: "record" }, expected: Type | undefined): Core {
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
