import type { Expr } from "../ast.ts";
import type { LintRule } from "./rule.ts";

/** `when true`, `unless false`, `when a == a`. */
export const constantCondition: LintRule = {
  name: "constant-condition",
  code: "L0307",
  find: (checked) =>
    checked.rules.flatMap((rule) =>
      rule.decl.clauses.flatMap((clause) => {
        if (clause.kind === "let") return [];
        const value = constantOf(clause.condition, checked.files.get(rule.path)?.text ?? "");
        if (value === undefined) return [];
        const isNever = (clause.kind === "when") !== value;
        return [
          {
            path: rule.path,
            span: clause.condition.span,
            message: isNever ? `\`${rule.name}\` never applies` : `this \`${clause.kind}\` changes nothing`,
            label: `always ${value}`,
            help: [isNever ? "delete the rule, or mend the condition" : "leave the clause out"],
          },
        ];
      }),
    ),
};

function constantOf(expr: Expr, text: string): boolean | undefined {
  if (expr.kind === "bool") return expr.value;
  if (expr.kind === "not") {
    const inner = constantOf(expr.operand, text);
    return inner === undefined ? undefined : !inner;
  }
  if (expr.kind !== "compare" || (expr.op !== "==" && expr.op !== "!=")) return undefined;
  const [left, right] = [expr.left, expr.right].map((side) => text.slice(side.span.start, side.span.end));
  return left !== "" && left === right ? expr.op === "==" : undefined;
}
