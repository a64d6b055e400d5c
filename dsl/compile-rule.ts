// CheckedRule -> ExecutableRule

import { type Fact, Unknown } from "../engine/lib/truth.ts";
import type { Relation } from "../engine/model/catalog.ts";
import type { RowPredicate } from "../engine/model/row-predicate.ts";
import type { EvaluationContext, ExecutableRule } from "../engine/program.ts";
import type { CheckedData, CheckedRule, Core, Value } from "./checked.ts";
import { compileClauses, compileCore, Frame } from "./compile.ts";
import type { CodeMaker } from "./generate-code.ts";
import { coveredColumns, maskedColumns } from "./matching.ts";
import { predicateOf } from "./predicates.ts";

export type CompiledRule = { readonly rule: ExecutableRule; readonly checked: CheckedRule; readonly locals: number };

/** Without `maker` the conditions run as closures. */
export function compileRule(
  checked: CheckedRule,
  data: ReadonlyMap<string, CheckedData>,
  maker: CodeMaker | undefined,
): CompiledRule {
  const frame = new Frame(data);
  const holds = maker?.holds(checked.clauses, frame) ?? compileClauses(checked.clauses, frame);
  const because = checked.because && compileCore(checked.because, frame);
  const base = {
    id: checked.id,
    severity: checked.severity,
    isShadow: checked.isShadow,
    holds,
    message: because ? (c: EvaluationContext): string => String(because(c)) : (): string => messageOf(checked),
  };
  const rule = { ...base, ...compilePayload(checked, frame) };
  return { rule, checked, locals: frame.size };
}

/** What is said for a rule without `because`. */
export function messageOf(rule: CheckedRule): string {
  switch (rule.payload.effect) {
    case "deny":
      return `denied by rule \`${rule.id}\``;
    case "approval":
      return `rule \`${rule.id}\` requires an approval`;
    case "limit":
      return `the limit \`${rule.id}\` is used up`;
    default:
      return `rule \`${rule.id}\` matched`;
  }
}

type Payload<E extends ExecutableRule["effect"]> = Omit<
  Extract<ExecutableRule, { effect: E }>,
  "id" | "severity" | "isShadow" | "holds" | "message"
>;
type AnyPayload = { [E in ExecutableRule["effect"]]: Payload<E> }[ExecutableRule["effect"]];

function compilePayload(checked: CheckedRule, frame: Frame): AnyPayload {
  const { payload, scope } = checked;
  switch (payload.effect) {
    case "allow":
      return { effect: "allow", covers: (access) => coveredColumns(scope, access) };
    case "deny":
      return { effect: "deny" };
    case "mask":
      return { effect: "mask", mask: payload.mask, columns: perRelation((r) => maskedColumns(payload.columns, r)) };
    case "content-mask":
      return {
        effect: "content-mask",
        content: { format: payload.format, patterns: payload.patterns },
        mask: payload.mask,
      };
    case "filter":
      return { effect: "filter", where: compileWhere(payload.where, frame) };
    case "item-filter":
      return { effect: "item-filter", path: payload.path, where: compileWhere(payload.where, frame) };
    case "approval":
      return { effect: "approval", approvers: payload.approvers, withinMs: payload.withinMs };
    case "limit": {
      const max = compileCore(payload.max, frame);
      const by = payload.window && compileCore(payload.window.by, frame);
      return {
        effect: "limit",
        unit: payload.unit,
        max: (c) => asNumber(max(c)),
        window: payload.window && by && { ms: payload.window.ms, key: (c) => asKey(by(c)) },
      };
    }
    case "alert":
      return { effect: "alert", channel: payload.channel };
    default:
      return payload satisfies never;
  }
}

function compileWhere(where: Core, frame: Frame): (c: EvaluationContext) => RowPredicate | Unknown {
  const compute = computer(frame);
  // Compiled now, so that the frame knows every variable before the rule runs.
  predicateOf(where, (core) => {
    compute(core);
    return new Unknown("compiling");
  });
  return (c) => predicateOf(where, (core) => compute(core)(c));
}

export const asNumber = (value: Value): Fact<number> =>
  typeof value === "number" ? value : value instanceof Unknown ? value : new Unknown("the limit is absent");

export const asKey = (value: Value): Fact<string> =>
  value instanceof Unknown
    ? value
    : value === undefined
      ? new Unknown("the key of the limit is absent")
      : String(value);

/** Each part that doesn't read the row is compiled once. */
function computer(frame: Frame): (core: Core) => (c: EvaluationContext) => Value {
  const runs = new Map<Core, (c: EvaluationContext) => Value>();
  return (core) => {
    const known = runs.get(core);
    if (known) return known;
    const run = compileCore(core, frame);
    runs.set(core, run);
    return run;
  };
}

/** Remembered as long as the catalog's relation lives: names from the wire never grow it. */
function perRelation<T>(compute: (relation: Relation) => T): (relation: Relation) => T {
  const known = new WeakMap<Relation, T>();
  return (relation) => {
    const found = known.get(relation);
    if (found !== undefined) return found;
    const value = compute(relation);
    known.set(relation, value);
    return value;
  };
}
