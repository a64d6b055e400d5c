import { spanOf } from "../../engine/lib/span.ts";
import { walkTexts } from "../ast-walk.ts";
import type { Finding, LintRule } from "./rule.ts";

/** `"${x}"` of other languages: here the dollar would be printed. */
export const dollarPlaceholder: LintRule = {
  name: "dollar-placeholder",
  code: "L0304",
  find: (checked) =>
    [...checked.files.values()].flatMap((file) =>
      file.decls.flatMap((decl) => {
        const findings: Finding[] = [];
        walkTexts(decl, (text) => {
          const at = text.parts.findIndex(
            (part, i) => part.kind === "text" && part.value.endsWith("$") && text.parts[i + 1]?.kind === "placeholder",
          );
          const next = text.parts[at + 1];
          if (at < 0 || next?.kind !== "placeholder") return;
          const dollar = file.text.lastIndexOf("${", next.expr.span.start);
          const span = dollar > text.span.start ? spanOf(dollar, dollar + 1) : text.span;
          findings.push({
            path: file.path,
            span,
            message: "the `$` before this placeholder is printed",
            label: "a placeholder is `{…}` alone",
            help: ["delete the `$`"],
            fixes: [{ title: "delete the `$`", span, replacement: "" }],
          });
        });
        return findings;
      }),
    ),
};
