import type { Expr } from "../ast.ts";
import type { LintRule } from "./rule.ts";

/** Two conditions of one rule that cannot both be true: `x == a` and `x == b`. */
export const unreachableRule: LintRule = {
  name: "unreachable-rule",
  code: "L0309",
  find: (checked) =>
    checked.rules.flatMap((rule) => {
      const text = checked.files.get(rule.path)?.text ?? "";
      const show = (expr: Expr): string => text.slice(expr.span.start, expr.span.end);
      const seen = new Map<string, { readonly value: string; readonly expr: Expr }>();
      for (const conjunct of rule.decl.clauses.flatMap((c) => (c.kind === "when" ? conjuncts(c.condition) : []))) {
        if (conjunct.kind !== "compare" || conjunct.op !== "==") continue;
        const subject = show(conjunct.left);
        const value = show(conjunct.right);
        const earlier = seen.get(subject);
        if (!earlier) seen.set(subject, { value, expr: conjunct });
        else if (earlier.value !== value && isFixed(conjunct.right)) {
          return [
            {
              path: rule.path,
              span: conjunct.span,
              message: `\`${rule.name}\` can never apply`,
              label: `\`${subject}\` cannot be this as well`,
              related: [{ path: rule.path, span: earlier.expr.span, label: "it is this here" }],
              help: [`to accept either write \`${subject} in [${earlier.value}, ${value}]\``],
            },
          ];
        }
      }
      return [];
    }),
};

const conjuncts = (expr: Expr): readonly Expr[] => (expr.kind === "and" ? expr.operands.flatMap(conjuncts) : [expr]);
/** A bare word is an enum's value, or a name that could be equal to the other: only capital-free short words count. */
const isFixed = (expr: Expr): boolean => expr.kind === "string" || expr.kind === "int" || isWord(expr);
const words: ReadonlySet<string> = new Set(["agent", "human", "service", "allow", "deny"]);
const isWord = (expr: Expr): boolean => expr.kind === "name" && words.has(expr.name.text);
