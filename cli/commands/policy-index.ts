// gw policy index: by which key each rule is found
import type { Command } from "commander";
import type { CheckedRule } from "../../dsl/checked.ts";
import { guardsOf } from "../../dsl/compile-guards.ts";
import { whyScanned } from "../../dsl/index-report.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { defaultPath, selectBundles } from "../read-bundle.ts";
import { renderTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export function addIndex(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("index")
    .description("by which key each rule is found, and what is then asked of the caller's identity first")
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .action(async (folder: string | undefined) => exit(await policyIndex(terminal, folder)));
}

export async function policyIndex(terminal: Terminal, folder: string | undefined): Promise<ExitCode> {
  for (const { bundle } of await selectBundles([folder ?? defaultPath()])) {
    const compiled = compileOrShow(terminal, bundle);
    if (!compiled) return exitCodes.failed;
    const { checked } = compiled;
    const rows = checked.rules.map((rule) => [
      rule.id,
      rule.payload.effect,
      connectionsOf(rule),
      keyOf(rule),
      guardOf(rule),
    ]);
    terminal.out(`${renderTable(["rule", "effect", "connection", "key", "identity"], rows, 60)}\n`);
  }
  return exitCodes.ok;
}

const connectionsOf = (rule: CheckedRule): string => rule.decl.at.map((at) => at.raw).join(", ") || "every";

function keyOf({ scope, payload }: CheckedRule): string {
  switch (scope.protocol) {
    case "any":
      return "every request";
    case "sql": {
      const verbs = scope.verbs ? some([...scope.verbs]) : "every verb";
      // Masks and filters are found by what they are of.
      const own =
        payload.effect === "mask" ? payload.columns : payload.effect === "filter" ? payload.tables : undefined;
      const patterns: readonly { readonly text: string }[] | undefined = scope.tables ?? own;
      return patterns ? `${verbs} of ${some(patterns.map((t) => t.text))}` : verbs;
    }
    case "http":
      return `${scope.methods ? some([...scope.methods]) : "every method"}, ${scope.routes ? `${scope.routes.length} routes` : "every route"}`;
    case "mcp":
    case "llm":
      return `${scope.protocol} ${scope.selectors.map((s) => s.name).join(", ") || "every message"}`;
    default:
      return scope satisfies never;
  }
}

const some = (items: readonly string[]): string =>
  items.length <= 3 ? items.join(", ") : `${items.slice(0, 2).join(", ")} and ${items.length - 2} more`;

function guardOf(rule: CheckedRule): string {
  const guards = guardsOf(rule);
  return guards.length === 0
    ? `scanned: ${whyScanned(rule)}`
    : guards.map((g) => `${g.attribute} ${some(g.values)}`).join("; ");
}
