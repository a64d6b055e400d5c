// gw policy doc: what a bundle permits, as a page to read
import type { Command } from "commander";
import type { Node } from "../../dsl/ast.ts";
import type { CheckedRule } from "../../dsl/checked.ts";
import { roleSection, tableSection } from "../../dsl/document.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { defaultPath, selectBundles } from "../read-bundle.ts";
import type { Terminal } from "../terminal.ts";

export function addDoc(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("doc")
    .description("a page in Markdown: what is allowed, denied, reduced and approved, per package, role and table")
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .action(async (folder: string | undefined) => exit(await policyDoc(terminal, folder)));
}

const chapters = [
  ["allow", "Allowed"],
  ["deny", "Never allowed"],
  ["approval", "Waits for people"],
  ["mask", "Masked"],
  ["content-mask", "Masked in answers"],
  ["filter", "Rows"],
  ["item-filter", "Items of answers"],
  ["limit", "Limits"],
  ["alert", "Alerts"],
  ["shadow", "On trial: reported, not enforced"],
] as const satisfies readonly (readonly [CheckedRule["payload"]["effect"] | "shadow", string])[];

export async function policyDoc(terminal: Terminal, folder: string | undefined): Promise<ExitCode> {
  for (const { bundle } of await selectBundles([folder ?? defaultPath()])) {
    const compiled = compileOrShow(terminal, bundle);
    if (!compiled) return exitCodes.failed;
    const { checked } = compiled;
    terminal.out(
      "# What is permitted\n\nNothing is allowed but what a rule allows; a deny beats every allow; masks, row filters and limits add up.\n",
    );
    for (const name of checked.packages) {
      const rules = checked.rules.filter((rule) => rule.package === name);
      if (rules.length === 0) continue;
      terminal.out(`\n## ${name}\n`);
      for (const [effect, title] of chapters) {
        const own = rules
          .filter((rule) => (rule.isShadow ? "shadow" : rule.payload.effect) === effect)
          .sort((a, b) => a.decl.span.start - b.decl.span.start);
        if (own.length === 0) continue;
        terminal.out(`\n### ${title}\n\n${own.map((rule) => describe(rule, textOf(rule))).join("\n")}\n`);
      }
    }
    terminal.out(`\n${[roleSection(checked), tableSection(checked)].filter((part) => part !== "").join("\n")}`);
    function textOf(rule: CheckedRule): string {
      return checked.files.get(rule.path)?.text ?? "";
    }
  }
  return exitCodes.ok;
}

/** The author's own words: the comment above, then scope, conditions and reason as they stand in the rule. */
function describe(rule: CheckedRule, text: string): string {
  const { decl } = rule;
  const source = ({ span }: Node) => text.slice(span.start, span.end).replaceAll(/\s+/g, " ").trim();
  const { head } = decl;
  const payload =
    head.effect === "mask"
      ? [`${source(head.of)} as ${source(head.using)}${head.searchable ? ", searchable: equality sees the value" : ""}`]
      : head.effect === "filter"
        ? [`${source(head.of)}: only rows where ${source(head.where)}`]
        : head.effect === "approval"
          ? [`by ${head.from.map(source).join(" or ") || "anybody else"}`]
          : head.effect === "limit"
            ? [`${source(head.to)} ${head.unit.text}${head.per ? ` per ${source(head.per.duration)}` : ""}`]
            : head.effect === "alert"
              ? [`to ${source(head.to)}`]
              : [];
  const scope = [
    ...payload,
    ...(decl.target ? [source(decl.target)] : []),
    ...(decl.at.length > 0 ? [`at ${decl.at.map(source).join(", ")}`] : []),
  ].join("; ");
  const effect = rule.isShadow ? `${rule.payload.effect} ` : "";
  const lines = [`- ${effect}**${decl.name.text}** \`${scope || "everything"}\``];
  if (decl.doc !== undefined) lines.push(`  ${decl.doc.replaceAll(/\s+/g, " ").trim()}`);
  for (const clause of decl.clauses) {
    if (clause.kind !== "let") lines.push(`  - ${clause.kind} \`${source(clause.condition)}\``);
  }
  if (decl.because) lines.push(`  - because ${source(decl.because)}`);
  for (const { name, args } of decl.annotations) {
    if (name.text !== "mode") lines.push(`  - ${name.text} ${args.map(source).join(", ")}`.trimEnd());
  }
  return lines.join("\n");
}
