import type { LintRule } from "./rule.ts";

export const denyWithoutBecause: LintRule = {
  name: "deny-without-because",
  code: "L0301",
  find: (checked) =>
    checked.rules
      .filter((rule) => rule.payload.effect === "deny" && rule.because === undefined)
      .map((rule) => ({
        path: rule.path,
        span: rule.decl.name.span,
        message: `\`${rule.name}\` denies without a reason`,
        label: "no `because`",
        notes: ["the caller sees the reason; without one an agent tries again and a person asks you"],
        help: ['end the rule with `because "…"`, and say what to do in place of it'],
      })),
};
