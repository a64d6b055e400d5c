import type { LintRule } from "./rule.ts";

/** An allow that also lets through what the parser could not recognise. */
export const allowUnknown: LintRule = {
  name: "allow-unknown",
  code: "L0306",
  find: (checked) =>
    checked.rules
      .filter(({ payload, scope }) => {
        if (payload.effect !== "allow" || scope.protocol !== "sql") return false;
        return scope.verbs?.has("unknown") ?? scope.tables === undefined;
      })
      .map((rule) => ({
        path: rule.path,
        span: rule.decl.target?.span ?? rule.decl.name.span,
        message: `\`${rule.name}\` also allows statements that nobody understood`,
        label: "matches `unknown`",
        notes: ["a statement that cannot be analysed has the verb `unknown`: it may do anything"],
        help: ["name what is allowed, for example `on sql read, write`"],
      })),
};
