import type { SourceFile } from "../ast.ts";
import { walkExprs } from "../ast-walk.ts";
import type { Checked } from "../checked.ts";
import type { Finding, LintRule } from "./rule.ts";

/** A `let`, counter, data document or fixture that nothing in its package reads. */
export const unusedLet: LintRule = {
  name: "unused-let",
  code: "L0308",
  find: (checked) => [...checked.files.values()].flatMap((file) => unusedIn(checked, file)),
};

function unusedIn(checked: Checked, file: SourceFile): readonly Finding[] {
  const name = packageOf(file);
  const used = new Set<string>();
  for (const other of checked.files.values()) {
    if (packageOf(other) === name) for (const word of wordsOf(other)) used.add(word);
    // a test beside the package may import what it needs
    for (const imported of other.imports) for (const word of imported.names ?? []) used.add(word.text);
  }
  const findings: Finding[] = [];
  const say = (what: string, node: { readonly text: string; readonly span: Finding["span"] }): void => {
    if (used.has(node.text) || node.text.startsWith("_")) return;
    findings.push({
      path: file.path,
      span: node.span,
      message: `${what} \`${node.text}\` is never used`,
      label: "nothing reads it",
      help: ["delete it, or put `_` before its name to keep it"],
    });
  };
  for (const decl of file.decls) {
    if (decl.kind === "let" && !decl.isExported) say("`let`", decl.name);
    if (decl.kind === "counter" || decl.kind === "data" || decl.kind === "fixture") say(`the ${decl.kind}`, decl.name);
    if (decl.kind !== "rule") continue;
    for (const clause of decl.clauses) if (clause.kind === "let") say("`let`", clause.name);
  }
  return findings;
}

const packageOf = (file: SourceFile): string => file.package?.parts.map((part) => part.text).join(".") ?? "";

function wordsOf(file: SourceFile): ReadonlySet<string> {
  const words = new Set<string>();
  for (const decl of file.decls) {
    walkExprs(decl, (expr) => {
      if (expr.kind === "name") words.add(expr.name.text);
      if (expr.kind === "field") words.add(expr.field.text);
    });
    if (decl.kind !== "test" && decl.kind !== "property") continue;
    for (const given of decl.givens) if (given.kind === "counter" || given.kind === "data") words.add(given.name.text);
  }
  return words;
}
