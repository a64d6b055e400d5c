// L0108: imports, types, data, functions, counters and fixtures that nothing uses. Exported names may be used elsewhere.
import { type CheckContext, type Declared, report } from "./context.ts";
import type { RuleCheck } from "./rules.ts";

export const unusedNames: RuleCheck = (context) => {
  for (const [file, imports] of context.imports) {
    for (const [name, { span }] of [...imports.names, ...imports.packages]) {
      if (context.usedImports.has(span)) continue;
      report({ context, file }, "L0108", span, `\`${name}\` is imported and not used`, {
        severity: "warning",
        label: "not used",
        help: ["delete it from the import"],
      });
    }
  }
  for (const scope of context.packages.values()) {
    for (const symbol of scope.types.values()) tell(context, symbol, symbol.decl.name, "type");
    for (const symbol of scope.values.values()) {
      const { decl } = symbol;
      // A `let` has a lint of its own; fixtures, data and counters are shared by import.
      if (decl.kind === "func" && !decl.isExported) tell(context, symbol, decl.name, "function");
    }
  }
};

function tell(
  context: CheckContext,
  symbol: Pick<Declared, "isUsed" | "file">,
  name: Declared["decl"]["name"],
  what: string,
): void {
  if (symbol.isUsed) return;
  report({ context, file: symbol.file }, "L0108", name.span, `${what} \`${name.text}\` is not used`, {
    severity: "warning",
    label: "not used",
    help: ["delete it, or use it where it was meant to be"],
  });
}
