// `gw policy index`: for each rule, the key that finds it, or why it is scanned.
import type { RuleId } from "../engine/model/decision.ts";
import type { Checked, CheckedRule, Core, Scope } from "./checked.ts";
import { guardsOf } from "./compile-guards.ts";

export type IndexRow = {
  readonly rule: RuleId;
  readonly path: string;
  /** `sql select, update · public.orders · prod-*`. */
  readonly scope: string;
  /** `identity.groups = ops, dba`: used in lists of more than eight rules, if it is the attribute that most share. */
  readonly guard: string | undefined;
  /** Why there is no guard. */
  readonly scanned: string | undefined;
  readonly cost: number;
};

export const indexReport = (checked: Checked): readonly IndexRow[] =>
  checked.rules.map((rule) => {
    const guards = guardsOf(rule).map((g) => `identity.${g.attribute} = ${g.values.join(", ")}`);
    return {
      rule: rule.id,
      path: rule.path,
      scope: [describeScope(rule.scope), rule.at?.map((g) => g.text).join(", ") ?? "every connection"].join(" · "),
      guard: guards.length === 0 ? undefined : guards.join(" · "),
      scanned: guards.length === 0 ? whyScanned(rule) : undefined,
      cost: rule.cost,
    };
  });

export function describeScope(scope: Scope): string {
  switch (scope.protocol) {
    case "any":
      return "any request";
    case "sql": {
      const verbs = scope.verbs ? [...scope.verbs].join(", ") : "every verb";
      return `sql ${verbs} · ${scope.tables?.map((t) => t.text).join(", ") ?? "every table"}`;
    }
    case "http":
      return `http ${scope.methods ? [...scope.methods].join(", ") : "every method"} · ${scope.routes?.map((r) => r.text).join(", ") ?? "every route"}`;
    case "mcp":
    case "llm":
      return `${scope.protocol} ${scope.selectors.map((s) => `${s.name} ${s.patterns.map((p) => p.text).join(", ")}`).join(" · ") || "every request"}`;
    default:
      return scope satisfies never;
  }
}

/** Why no value of the identity leads to the rule. */
export function whyScanned(rule: CheckedRule): string {
  const conditions = rule.clauses.flatMap((c) => (c.kind === "let" ? [] : [c]));
  if (conditions.length === 0) return "has no condition";
  const whens = conditions.filter((c) => c.kind === "when").map((c) => c.condition);
  if (whens.length === 0) return "condition is negated";
  const unfold = (core: Core): Core => (core.op === "let" ? unfold(core.body) : core);
  if (whens.map(unfold).some((core) => core.op === "or")) return "condition is an alternative";
  if (whens.map(unfold).some((core) => core.op === "not")) return "condition is negated";
  return "compares no attribute of the identity with a literal";
}
