import type { Expr } from "../ast.ts";
import type { Core } from "../checked.ts";
import { compareValues } from "../values.ts";
import type { LintRule } from "./rule.ts";

/** `when true`, `unless false`, `when a == a`, `when 1 > 2`. */
export const constantCondition: LintRule = {
  name: "constant-condition",
  code: "L0307",
  find: (checked) =>
    checked.rules.flatMap((rule) =>
      rule.decl.clauses.flatMap((clause, i) => {
        const core = rule.clauses[i];
        if (clause.kind === "let" || !core || core.kind === "let") return [];
        const written = constantOf(clause.condition, checked.files.get(rule.path)?.text ?? "");
        const value = written ?? computed(core.condition);
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

/** What follows from literals alone. */
function computed(core: Core): boolean | undefined {
  if (core.op === "let") return computed(core.body);
  if (core.op === "const") return typeof core.value === "boolean" ? core.value : undefined;
  if (core.op === "not") {
    const inner = computed(core.operand);
    return inner === undefined ? undefined : !inner;
  }
  if (core.op !== "compare" || core.left.op !== "const" || core.right.op !== "const") return undefined;
  return compareValues(core.how, core.left.value, core.right.value);
}
