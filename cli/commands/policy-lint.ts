// gw policy lint: what compiles, and is risky or unclear all the same
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Severity } from "../../dsl/diagnostic.ts";
import { lintBundle, unknownLintRules } from "../../dsl/lint/lint.ts";
import { type ReportFormat, renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { paletteOf } from "../palette.ts";
import { compile, forReader, isWithin, selectBundles } from "../read-bundle.ts";
import type { Terminal } from "../terminal.ts";

type RuleSetting = Readonly<Record<string, Severity | "off">>;
type Flags = { readonly format: ReportFormat; readonly rule: RuleSetting };

export function addLint(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("lint")
    .description("find what is risky or unclear; ends with 1 if a finding is an error")
    .argument("[paths...]", "folders of policies, or files in them; default: policies, else this folder")
    .addOption(
      new Option("--format <format>", "how to write it").choices(["text", "json", "sarif", "github"]).default("text"),
    )
    .addOption(
      new Option(
        "--rule <name=severity>",
        "error, warning or off for one rule, whatever `lint` of the manifest says; may be repeated",
      )
        .argParser(setting)
        .default({}, "the manifest's, else warnings"),
    )
    .action(async (paths: readonly string[], flags: Flags) => exit(await policyLint(terminal, paths, flags)));
}

export async function policyLint(terminal: Terminal, paths: readonly string[], flags: Flags): Promise<ExitCode> {
  const [unknown] = unknownLintRules(flags.rule);
  if (unknown !== undefined) {
    throw new GatewayError(
      "config-invalid",
      `there is no lint rule \`${unknown}\``,
      "docs/errors has a page for each (codes L…)",
    );
  }
  const sources = new Sources();
  const found = (await selectBundles(paths)).flatMap(({ bundle, within }) => {
    const { checked, diagnostics } = compile(bundle);
    const errors = diagnostics.filter((d) => d.severity === "error");
    const findings = errors.length > 0 ? errors : lintBundle(checked, { ...bundle.manifest.lint, ...flags.rule });
    const isOurs = (path: string) => isWithin(within, path) && !bundle.inner.some((folder) => path.startsWith(folder));
    const shown = forReader(
      bundle,
      findings.filter((d) => isOurs(d.path)),
    );
    for (const [path, text] of shown.texts) sources.add(path, text);
    return shown.diagnostics;
  });
  const report = renderDiagnostics(found, sources, flags.format, paletteOf(terminal));
  if (report !== "") terminal.out(`${report}\n`);
  else if (flags.format === "text") terminal.out("nothing to remark\n");
  return found.some((d) => d.severity === "error") ? exitCodes.failed : exitCodes.ok;
}

function setting(text: string, all: RuleSetting): RuleSetting {
  const [, name, severity] = /^([\w-]+)=(error|warning|off)$/.exec(text) ?? [];
  if (name === undefined) throw new InvalidArgumentError("write it like untested-rule=off");
  return { ...all, [name]: severity === "error" || severity === "off" ? severity : "warning" };
}
