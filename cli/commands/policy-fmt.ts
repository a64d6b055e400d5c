// gw policy fmt: the one style
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { formatPolicy } from "../../dsl/format.ts";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { lineDiff } from "../line-diff.ts";
import type { CommandContext } from "../main.ts";
import { colorsOf, paletteOf } from "../palette.ts";
import { isWithin, selectBundles, shownPath } from "../read-bundle.ts";
import type { Terminal } from "../terminal.ts";

type Flags = { readonly check: boolean; readonly diff: boolean };

export function addFmt(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("fmt")
    .description("write policies in the one style; comments stay")
    .argument("[paths...]", "folders of policies, or files in them; default: policies, else this folder")
    .option("--check", "write nothing; end with 1 if a file would change")
    .option("--diff", "write nothing; show what would change")
    .action(async (paths: readonly string[], flags: Flags) => exit(await policyFmt(terminal, paths, flags)));
}

export async function policyFmt(terminal: Terminal, paths: readonly string[], flags: Flags): Promise<ExitCode> {
  let worst: ExitCode = exitCodes.ok;
  let [changed, same] = [0, 0];
  for (const { bundle, within } of await selectBundles(paths)) {
    for (const [path, text] of bundle.files) {
      if (!path.endsWith(".policy") || !isWithin(within, path)) continue;
      const shown = shownPath(bundle.root, path);
      const formatted = formatPolicy(shown, text);
      if (!formatted.ok) {
        const report = renderDiagnostics(formatted.error, new Sources([[shown, text]]), "text", paletteOf(terminal));
        terminal.err(`${report}\n`);
        worst = exitCodes.failed;
        continue;
      }
      if (formatted.value === text) {
        same += 1;
        continue;
      }
      changed += 1;
      if (flags.diff) terminal.out(lineDiff(text, formatted.value, shown, colorsOf(terminal)));
      if (flags.check) terminal.out(`${shown}\n`);
      if (flags.check || flags.diff) worst = exitCodes.failed;
      else {
        writeFileSync(join(bundle.root, path), formatted.value);
        terminal.err(`wrote ${shown}\n`);
      }
    }
  }
  const verb = flags.check || flags.diff ? "would change" : "changed";
  terminal.err(`${changed} ${changed === 1 ? "file" : "files"} ${verb}, ${same} as they should be\n`);
  return worst;
}
