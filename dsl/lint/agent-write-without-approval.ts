import { walkExprs } from "../ast-walk.ts";
import type { CheckedRule } from "../checked.ts";
import type { LintRule } from "./rule.ts";
import { overlap } from "./scopes.ts";

const writing: readonly string[] = ["insert", "update", "delete", "merge", "truncate"];

/** Agents may write, and no person is asked. */
export const agentWriteWithoutApproval: LintRule = {
  name: "agent-write-without-approval",
  code: "L0314",
  find: (checked) => {
    const approvals = checked.rules.filter((rule) => rule.payload.effect === "approval");
    return checked.rules
      .filter((rule) => rule.payload.effect === "allow" && writes(rule) && namesAgents(rule))
      .filter((rule) => !approvals.some((approval) => overlap(approval.scope, rule.scope)))
      .map((rule) => ({
        path: rule.path,
        span: rule.decl.target?.span ?? rule.decl.name.span,
        message: `agents may write under \`${rule.name}\`, and nobody is asked`,
        label: "allows writing",
        help: ["add a `require approval` rule for these tables, or bound what may be written with a `deny`"],
      }));
  },
};

const writes = ({ scope }: CheckedRule): boolean =>
  scope.protocol === "sql" &&
  scope.verbs !== undefined &&
  writing.some((verb) => new Set<string>(scope.verbs).has(verb));

/** A condition says that the caller is an agent. */
function namesAgents(rule: CheckedRule): boolean {
  let does = false;
  for (const clause of rule.decl.clauses) {
    if (clause.kind !== "when") continue;
    walkExprs(clause, (expr) => {
      if (expr.kind === "name" && (expr.name.text === "agent" || expr.name.text === "is_agent")) does = true;
    });
  }
  return does;
}
