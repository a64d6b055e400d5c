// E0204: an option must be decided. The help says how, with text that can be pasted.
import type { CompareOp, Expr } from "../ast.ts";
import { showType, type Type, withoutOption } from "../types.ts";
import { caretSpan, type Env, report, sourceOf } from "./context.ts";

/** Something to put after `??` that shows the shape. */
function placeholderOf(type: Type): string {
  switch (withoutOption(type).kind) {
    case "int":
    case "float":
      return "0";
    case "bool":
      return "false";
    case "duration":
      return "0s";
    case "set":
    case "list":
      return "[]";
    default:
      return '"…"';
  }
}

/** `comparison`: the option stands on one side of it. */
export function reportAbsent(
  env: Env,
  expr: Expr,
  type: Type,
  comparison:
    | { readonly op: CompareOp; readonly span: { readonly start: number; readonly end: number }; readonly other: Expr }
    | undefined,
): void {
  const text = sourceOf(env, expr.span);
  const message = `\`${text}\` may be absent`;
  const shown = showType(type);
  const isEquality = comparison?.op === "==" || comparison?.op === "!=";
  if (env.effect === "deny" && comparison && isEquality && withoutOption(type).kind === "string") {
    const rest = sourceOf(env, { start: expr.span.end, end: comparison.span.end });
    const denyWhenAbsent =
      comparison.op === "!=" ? `\`(${text} ?? "none")${rest}\`` : `\`${text} is absent or ${text}${rest}\``;
    const isHeader = text.startsWith("http.headers[");
    const isDifferent = comparison.op === "!=";
    const what = isHeader ? "the header" : "it";
    report(env, "E0204", caretSpan(expr), message, {
      label: `\`${shown}\`: a request without ${isHeader ? "this header" : "it"} reaches this line`,
      notes: [
        isDifferent
          ? `in a \`deny\` rule, treating "absent" as "different" would deny every request without ${what};\ntreating it as "nothing to compare" would let them all through. Say which one you mean:`
          : `in a \`deny\` rule, treating "absent" as "different" would let every request without ${what} through. Say what you mean:`,
      ],
      help: [
        `deny when absent:    ${denyWhenAbsent}`,
        `ignore when absent:  \`${text} is present and ${text}${rest}\``,
      ],
    });
    return;
  }
  report(env, "E0204", caretSpan(expr), message, {
    label: `\`${shown}\`: decide what absent means here`,
    help: [
      `\`${text} is present and ${text} …\`  to require it`,
      `\`${text} ?? ${placeholderOf(type)}\`  to give it a value`,
    ],
  });
}
