// gw policy test: the tests beside the rules
import { watch, writeFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { colorsOf, paletteOf } from "../palette.ts";
import { benchSelection } from "../policy-bench.ts";
import { runSelection, type TestRun } from "../policy-tests.ts";
import { defaultPath, forReader, selectBundles } from "../read-bundle.ts";
import { joinedWithRego } from "../rego-policy.ts";
import type { Terminal } from "../terminal.ts";
import {
  coverageLcov,
  coverageText,
  jsonReport,
  junitReport,
  mutationText,
  percent,
  summary,
  textReport,
} from "../test-report.ts";

type Flags = {
  readonly filter?: string;
  readonly json?: boolean;
  readonly junit?: string;
  readonly coverage?: true | "text" | "lcov";
  readonly minRules?: number;
  readonly mutate?: boolean;
  readonly bench?: boolean;
  readonly seed: number;
  readonly watch?: boolean;
  readonly rego?: string;
  readonly entrypoint?: string;
};

export function addTest(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("test")
    .description("run the tests of policies; SQL goes through the analysis of live traffic")
    .argument("[paths...]", "folders of policies, or files in them; default: policies, else this folder")
    .option("-f, --filter <text>", "only tests whose package or title holds this text")
    .option("--json", "the report as JSON")
    .option("--junit <file>", "write a JUnit report, too")
    .addOption(new Option("--coverage [format]", "which rules and conditions the tests saw").choices(["text", "lcov"]))
    .option("--min-rules <percent>", "end with 1 if fewer rules fired", percentage)
    .option("--mutate", "drop and negate clauses, and list what no test notices; end with 1 if there is any")
    .option("--bench", "time decisions about the requests of the tests, too")
    .option("--seed <n>", "of the cases that properties generate", wholeNumber, 1)
    .option("--rego <bundle>", "together with this Rego bundle, as in a gateway that has both")
    .option("--entrypoint <name>", "of the Rego bundle, as OPA writes it: acme/orders/decision")
    .option("-w, --watch", "run again on every change, until Ctrl-C")
    .action(async (paths: readonly string[], flags: Flags) => {
      exit(flags.watch ? await watchTests(terminal, paths, flags) : await policyTest(terminal, paths, flags));
    });
}

export async function policyTest(terminal: Terminal, paths: readonly string[], flags: Flags): Promise<ExitCode> {
  const { filter, seed, mutate = false } = flags;
  const selections = await selectBundles(paths);
  const join = flags.rego === undefined ? undefined : joinedWithRego(flags.rego, flags.entrypoint);
  const runs = selections.map((selection) => runSelection(selection, { filter, seed, mutate, join }));
  const broken = runs.filter((run) => run.diagnostics.some((d) => d.severity === "error"));
  for (const run of broken) complain(terminal, run);
  if (broken.length > 0) return exitCodes.failed;
  const results = runs.flatMap((run) => run.results);
  const properties = runs.flatMap((run) => run.properties);
  if (flags.junit !== undefined) writeFileSync(flags.junit, junitReport(runs));
  if (flags.json) terminal.out(jsonReport(runs));
  else if (flags.coverage === "lcov") terminal.out(coverageLcov(runs));
  else {
    terminal.out(textReport(runs, colorsOf(terminal), paletteOf(terminal)));
    if (flags.coverage !== undefined) terminal.out(`${coverageText(runs, colorsOf(terminal))}\n`);
    if (flags.mutate) terminal.out(`${mutationText(runs, colorsOf(terminal))}\n`);
    for (const selection of flags.bench ? selections : []) {
      const { requests, rules, bestNs, medianNs } = benchSelection(selection);
      const figures = `${Math.round(medianNs)} ns per decision (best ${Math.round(bestNs)})`;
      terminal.out(`bench       ${figures}, ${requests} requests, ${rules} rules\n\n`);
    }
    terminal.out(summary(runs));
  }
  if (results.length === 0 && properties.length === 0) {
    const why = flags.filter === undefined ? "there are no tests here" : `no test's name holds \`${flags.filter}\``;
    terminal.err(`${why}\n`);
    return exitCodes.failed;
  }
  const isBad =
    results.some((result) => result.problems.length > 0) ||
    properties.some((property) => property.outcome !== "held") ||
    runs.some((run) => run.mutants.some((mutant) => !mutant.isNoticed)) ||
    isBelow(terminal, runs, flags.minRules);
  return isBad ? exitCodes.failed : exitCodes.ok;
}

function isBelow(terminal: Terminal, runs: readonly TestRun[], minRules: number | undefined): boolean {
  if (minRules === undefined) return false;
  const rules = runs.flatMap((run) => run.rules);
  const fired = rules.filter((rule) => rule.state === "fired").length;
  if (fired * 100 >= minRules * rules.length) return false;
  terminal.err(`tests fired${percent(fired, rules.length)} of the rules, less than ${minRules} %\n`);
  return true;
}

function complain(terminal: Terminal, run: TestRun): void {
  const { diagnostics, texts } = forReader(
    run.bundle,
    run.diagnostics.filter((d) => d.severity === "error"),
  );
  terminal.err(`${renderDiagnostics(diagnostics, new Sources(texts), "text", paletteOf(terminal))}\n`);
  terminal.err("no test ran: the policies don't compile\n");
}

async function watchTests(terminal: Terminal, paths: readonly string[], flags: Flags): Promise<ExitCode> {
  let last: ExitCode = exitCodes.ok;
  let timer: NodeJS.Timeout | undefined;
  const run = async () => {
    if (terminal.hasColor) terminal.out("\u001b[2J\u001b[H");
    last = await policyTest(terminal, paths, flags).catch((error: unknown) => {
      terminal.err(`${error instanceof Error ? error.message : String(error)}\n`);
      return exitCodes.failed;
    });
    terminal.err("watching; Ctrl-C ends\n");
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(() => void run(), 80); // editors save in several steps
  };
  const watchers = (paths.length === 0 ? [defaultPath()] : paths).map((path) => watch(path, { recursive: true }, soon));
  await run();
  await new Promise<void>((resolve) => process.once("SIGINT", () => resolve()));
  clearTimeout(timer);
  for (const watcher of watchers) watcher.close();
  return last;
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a whole number");
  return Number(text);
}

function percentage(text: string): number {
  const value = Number(text);
  if (!(value >= 0 && value <= 100)) throw new InvalidArgumentError("a percentage is a number from 0 to 100");
  return value;
}
