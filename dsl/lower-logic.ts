// operands and operators -> `and`, `or`; and where an expression that is a part of another begins and ends
import { joinSpans, type Span, spanOf } from "../engine/lib/span.ts";
import type { Expr } from "./ast.ts";
import type { CstToken } from "./cst-read.ts";

/** What stands in parentheses keeps a span of its own; what it is a part of reaches from bracket to bracket. */
export const inParentheses = new WeakMap<Expr, Span>();

export const wholeOf = (expr: Expr): Span => inParentheses.get(expr) ?? expr.span;

/** `and` binds tighter; only a mixture that is reported anyway has both. */
export function joinLogic(operands: readonly Expr[], operators: readonly CstToken[]): Expr {
  const join = (kind: "and" | "or", parts: readonly Expr[]): Expr => {
    const [first] = parts;
    const last = parts.at(-1);
    if (first === undefined || last === undefined || parts.length === 1) {
      return first ?? { kind: "missing", span: spanOf(0, 0) };
    }
    return { kind, span: joinSpans(wholeOf(first), wholeOf(last)), operands: parts };
  };
  const groups: Expr[][] = [operands.slice(0, 1)];
  for (const [i, operator] of operators.entries()) {
    const operand = operands[i + 1];
    if (operand === undefined) continue;
    if (operator.image === "or") groups.push([operand]);
    else groups.at(-1)?.push(operand);
  }
  return join(
    "or",
    groups.map((group) => join("and", group)),
  );
}
