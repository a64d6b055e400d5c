// `gw policy index`: for each rule, the key that finds it, or why it is scanned.
import type { RuleId } from "../engine/model/decision.ts";
import type { Checked, CheckedRule, Core, Payload, Scope } from "./checked.ts";
import { guardsOf } from "./compile-guards.ts";

export type IndexRow = {
  readonly rule: RuleId;
  readonly effect: Payload["effect"];
  /** `prod-*`; [] means every connection. */
  readonly connections: readonly string[];
  /** `sql select, update · public.orders`. */
  readonly key: string;
  /** `identity.groups = ops, dba`: used in lists of more than eight rules, if it is the attribute that most share. */
  readonly guard: string | undefined;
  /** Why there is no guard. */
  readonly scanned: string | undefined;
  /** Steps that one evaluation takes at most. */
  readonly cost: number;
};

export const indexReport = (checked: Checked): readonly IndexRow[] =>
  checked.rules.map((rule) => {
    const guards = guardsOf(rule).map((g) => `identity.${g.attribute} = ${some(g.values)}`);
    return {
      rule: rule.id,
      effect: rule.payload.effect,
      connections: rule.at?.map((g) => g.text) ?? [],
      key: describeScope(rule.scope, rule.payload),
      guard: guards.length === 0 ? undefined : guards.join(" · "),
      scanned: guards.length === 0 ? whyScanned(rule) : undefined,
      cost: rule.cost,
    };
  });

const some = (items: readonly string[]): string =>
  items.length <= 3 ? items.join(", ") : `${items.slice(0, 2).join(", ")} and ${items.length - 2} more`;

/** Masks and filters are found by what they are of. */
export function describeScope(scope: Scope, payload?: Payload): string {
  switch (scope.protocol) {
    case "any":
      return "any request";
    case "sql": {
      const own =
        payload?.effect === "mask" ? payload.columns : payload?.effect === "filter" ? payload.tables : undefined;
      const patterns: readonly { readonly text: string }[] | undefined = scope.tables ?? own;
      const verbs = scope.verbs ? some([...scope.verbs]) : "every verb";
      return `sql ${verbs} · ${patterns ? some(patterns.map((t) => t.text)) : "every table"}`;
    }
    case "http":
      return `http ${scope.methods ? some([...scope.methods]) : "every method"} · ${scope.routes ? some(scope.routes.map((r) => r.text)) : "every route"}`;
    case "mcp":
    case "llm":
      return `${scope.protocol} ${scope.selectors.map((s) => `${s.name} ${some(s.patterns.map((p) => p.text))}`).join(" · ") || "every request"}`;
    default:
      return scope satisfies never;
  }
}

/** Why no value of the identity leads to the rule. */
function whyScanned(rule: CheckedRule): string {
  const conditions = rule.clauses.flatMap((c) => (c.kind === "let" ? [] : [c]));
  if (conditions.length === 0) return "has no condition";
  const whens = conditions.filter((c) => c.kind === "when").map((c) => c.condition);
  if (whens.length === 0) return "condition is negated";
  const unfold = (core: Core): Core => (core.op === "let" ? unfold(core.body) : core);
  if (whens.map(unfold).some((core) => core.op === "or")) return "condition is an alternative";
  if (whens.map(unfold).some((core) => core.op === "not")) return "condition is negated";
  return "compares no attribute of the identity with a literal";
}
