// gw policy index: by which key each rule is found
import type { Command } from "commander";
import { indexReport } from "../../dsl/index-report.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { defaultPath, selectBundles } from "../read-bundle.ts";
import { renderTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

type Flags = { readonly json?: boolean };

export function addIndex(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("index")
    .description(
      "by which key each rule is found, what is then asked of the caller's identity first, and its bound of steps",
    )
    .argument("[folder]", "the bundle; default: policies, else this folder")
    .option("--json", "as JSON")
    .action(async (folder: string | undefined, flags: Flags) => exit(await policyIndex(terminal, folder, flags)));
}

export async function policyIndex(terminal: Terminal, folder: string | undefined, flags: Flags): Promise<ExitCode> {
  for (const { bundle } of await selectBundles([folder ?? defaultPath()])) {
    const compiled = compileOrShow(terminal, bundle);
    if (!compiled) return exitCodes.failed;
    const report = indexReport(compiled.checked);
    if (flags.json) terminal.out(`${JSON.stringify(report, undefined, 2)}\n`);
    else {
      const rows = report.map(({ rule, effect, connections, key, guard, scanned, cost }) => [
        rule,
        effect,
        connections.join(", ") || "every",
        key,
        guard ?? `scanned: ${scanned}`,
        String(cost),
      ]);
      terminal.out(`${renderTable(["rule", "effect", "connection", "key", "identity", "steps"], rows, 60)}\n`);
    }
  }
  return exitCodes.ok;
}
