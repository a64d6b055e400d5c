import type { LintRule } from "./rule.ts";
import { overlap } from "./scopes.ts";

export const approvalWithoutAllow: LintRule = {
  name: "approval-without-allow",
  code: "L0302",
  find: (checked) => {
    const allows = checked.rules.filter((rule) => rule.payload.effect === "allow");
    return checked.rules
      .filter((rule) => rule.payload.effect === "approval" && !allows.some((allow) => overlap(allow.scope, rule.scope)))
      .map((rule) => ({
        path: rule.path,
        span: rule.decl.name.span,
        message: `nothing that \`${rule.name}\` asks approval for is allowed`,
        label: "no `allow` rule is about this",
        notes: ["an approval does not allow: without an `allow` the request is denied and nobody is asked"],
        help: ["add an `allow` rule with the same `on` and `at`"],
      }));
  },
};
