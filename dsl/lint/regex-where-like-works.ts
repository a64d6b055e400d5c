import { walkExprs } from "../ast-walk.ts";
import type { Finding, LintRule } from "./rule.ts";

/** `matches "^a.*$"` is `like "a*"`: easier to read, and quicker to find by. */
export const regexWhereLikeWorks: LintRule = {
  name: "regex-where-like-works",
  code: "L0305",
  find: (checked) =>
    [...checked.files.values()].flatMap((file) =>
      file.decls.flatMap((decl) => {
        const findings: Finding[] = [];
        walkExprs(decl, (expr) => {
          if (expr.kind !== "compare" || expr.op !== "matches" || expr.right.kind !== "string") return;
          const pattern = likeOf(expr.right.text.raw);
          if (pattern === undefined) return;
          findings.push({
            path: file.path,
            span: expr.right.span,
            message: "this regular expression is a plain pattern",
            label: `did you mean \`like ${JSON.stringify(pattern)}\`?`,
            help: [`\`${expr.isNegated ? "not " : ""}like ${JSON.stringify(pattern)}\``],
            fixes: [
              {
                title: `write \`like ${JSON.stringify(pattern)}\``,
                span: { start: expr.opSpan.start, end: expr.right.span.end },
                replacement: `${expr.isNegated ? "not " : ""}like ${JSON.stringify(pattern)}`,
              },
            ],
          });
        });
        return findings;
      }),
    ),
};

/** Letters, digits and `.*` between the anchors. An escaped dot is a dot. */
export function likeOf(regex: string): string | undefined {
  const starts = regex.startsWith("^");
  const ends = regex.endsWith("$");
  const body = regex.slice(starts ? 1 : 0, ends ? -1 : undefined);
  if (!/^(?:[\w\s@/:-]|\\[./-]|\.\*)*$/.test(body) || body === "") return undefined;
  const plain = body
    .replaceAll(".*", "\u0000")
    .replace(/\\([./-])/g, "$1")
    .replaceAll("\u0000", "*");
  return `${starts || plain.startsWith("*") ? "" : "*"}${plain}${ends || plain.endsWith("*") ? "" : "*"}`;
}
