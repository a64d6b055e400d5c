import type { Expr } from "../ast.ts";
import type { Core } from "../checked.ts";
import { float, int, isNumber, showType, type Type } from "../types.ts";
import { type Env, report, wrong } from "./context.ts";
import { checkExpr, decided } from "./expressions.ts";

export function checkArithmetic(env: Env, expr: Expr & { kind: "arithmetic" }): Core {
  const left = decided(env, expr.left, checkExpr(env, expr.left));
  const right = decided(env, expr.right, checkExpr(env, expr.right));
  if (left.type.kind === "poison" || right.type.kind === "poison") return wrong(expr.span);
  const type = arithmeticType(expr.op, left.type, right.type);
  if (type === undefined) {
    report(
      env,
      "E0205",
      expr.span,
      `\`${expr.op}\` does not go with \`${showType(left.type)}\` and \`${showType(right.type)}\``,
      {
        label:
          expr.op === "+" && left.type.kind === "string" ? 'texts are joined by placeholders: "{a}{b}"' : undefined,
      },
    );
    return wrong(expr.span);
  }
  if ((expr.op === "/" || expr.op === "%") && !(right.op === "const" && right.value !== 0)) {
    report(env, "E0208", expr.right.span, `the divisor of \`${expr.op}\` must be a number other than zero`, {
      label: "not a literal, or zero",
      notes: ["a division that may fail would make a deny fire, and an allow silent, by accident"],
      help: ["turn it around: `a > b * 10` in place of `a / b > 10`"],
    });
    return wrong(expr.span);
  }
  return { op: "arithmetic", how: expr.op, left, right, span: expr.span, type };
}

function arithmeticType(op: string, a: Type, b: Type): Type | undefined {
  const isAdditive = op === "+" || op === "-";
  if (isNumber(a) && isNumber(b)) return a.kind === "int" && b.kind === "int" && op !== "/" ? int : float;
  if (isAdditive && a.kind === b.kind && (a.kind === "duration" || a.kind === "size")) return a;
  if (isAdditive && a.kind === "time" && b.kind === "duration") return a;
  if (op === "-" && a.kind === "time" && b.kind === "time") return { kind: "duration" };
  if (op === "*" && (a.kind === "duration" || a.kind === "size") && b.kind === "int") return a;
  return undefined;
}
