// gw policy check: every mistake of a bundle, with its place and a way out
import { type Command, Option } from "commander";
import { type ReportFormat, renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { readConfig } from "../../proxy/config.ts";
import { capabilitiesOf } from "../connection-capabilities.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { paletteOf } from "../palette.ts";
import { compile, forReader, selectBundles } from "../read-bundle.ts";
import type { Terminal } from "../terminal.ts";

type Flags = { readonly format: ReportFormat; readonly warnings: boolean; readonly config?: string };

export function addCheck(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("check")
    .description("find every mistake: names, types, tables, rules that can't match")
    .argument("[paths...]", "folders of policies, or files in them; default: policies, else this folder")
    .addOption(
      new Option("--format <format>", "how to write it").choices(["text", "json", "sarif", "github"]).default("text"),
    )
    .option("--config <file>", "a gw.yaml: its connections must be able to do what the rules oblige them to (E0601)")
    .option("--warnings", "end with 1 for warnings, too")
    .action(async (paths: readonly string[], flags: Flags) => exit(await policyCheck(terminal, paths, flags)));
}

export async function policyCheck(terminal: Terminal, paths: readonly string[], flags: Flags): Promise<ExitCode> {
  const selections = await selectBundles(paths);
  const connections =
    flags.config === undefined ? undefined : capabilitiesOf(await readConfig(flags.config, process.env));
  const sources = new Sources();
  const counts = { rules: 0, tests: 0, packages: 0 };
  const found = selections.flatMap(({ bundle }) => {
    const { checked, diagnostics } = compile(bundle, bundle.manifest.packages, connections);
    counts.rules += checked.rules.length;
    counts.tests += checked.tests.length + checked.properties.length;
    counts.packages += checked.packages.length;
    const shown = forReader(bundle, diagnostics);
    for (const [path, text] of shown.texts) sources.add(path, text);
    return shown.diagnostics;
  });
  const report = renderDiagnostics(found, sources, flags.format, paletteOf(terminal));
  if (report !== "") terminal.out(`${report}\n`);
  if (found.length === 0 && flags.format === "text") {
    terminal.out(
      `${counts.rules} rules and ${counts.tests} tests in ${counts.packages} ${counts.packages === 1 ? "package" : "packages"}: no mistakes\n`,
    );
  }
  const isBad = found.some((d) => d.severity === "error" || flags.warnings);
  return isBad ? exitCodes.failed : exitCodes.ok;
}
