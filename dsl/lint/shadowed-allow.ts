import type { CheckedRule } from "../checked.ts";
import type { LintRule } from "./rule.ts";
import { connectionsWithin, within } from "./scopes.ts";

/** An allow that permits nothing which another allow without conditions does not permit already. */
export const shadowedAllow: LintRule = {
  name: "shadowed-allow",
  code: "L0310",
  find: (checked) => {
    const allows = checked.rules.filter((rule) => rule.payload.effect === "allow" && !rule.isShadow);
    return allows.flatMap((rule) => {
      const wider = allows.find((other) => other !== rule && covers(other, rule));
      if (!wider) return [];
      return [
        {
          path: rule.path,
          span: rule.decl.name.span,
          message: `\`${rule.name}\` allows nothing that \`${wider.name}\` does not allow already`,
          label: "has no effect",
          related: [{ path: wider.path, span: wider.decl.name.span, label: "this one is wider" }],
          help: ["delete one of the two, or narrow the wider one"],
        },
      ];
    });
  },
};

function covers(wider: CheckedRule, rule: CheckedRule): boolean {
  if (wider.clauses.length > 0 || !connectionsWithin(rule, wider) || !within(rule.scope, wider.scope)) return false;
  // of two that are the same, the one with the later name is reported
  const isSame = within(wider.scope, rule.scope) && rule.clauses.length === 0 && connectionsWithin(wider, rule);
  return !isSame || wider.id < rule.id;
}
