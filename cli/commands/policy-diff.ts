// gw policy diff: what a change permits and reveals
import { type Command, InvalidArgumentError } from "commander";
import { type BundleDiff, diffBundles } from "../../dsl/testing/diff.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type Colors, colorsOf } from "../palette.ts";
import { readBundle } from "../read-bundle.ts";
import { snapshotAnalyzer } from "../snapshot-analyzer.ts";
import type { Terminal } from "../terminal.ts";

type Flags = { readonly seed: number; readonly cases: number; readonly json: boolean };

export function addDiff(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("diff")
    .description(
      "search for requests that two versions decide differently; ends with 3 if the new one permits or reveals more",
    )
    .argument("<old>", "the bundle as it was")
    .argument("<new>", "the bundle as it will be")
    .option("--cases <n>", "how many requests to try", whole, 4_000)
    .option("--seed <n>", "another seed, other requests", whole, 1)
    .option("--json", "as JSON")
    .action(async (before: string, after: string, flags: Flags) =>
      exit(await policyDiff(terminal, before, after, flags)),
    );
}

export async function policyDiff(terminal: Terminal, before: string, after: string, flags: Flags): Promise<ExitCode> {
  const checked = await Promise.all(
    [before, after].map(async (path) => compileOrShow(terminal, await readBundle(path))?.checked),
  );
  const [old, now] = checked;
  if (!old || !now)
    throw new GatewayError("config-invalid", "a version doesn't compile, so that there is nothing to compare");
  const analyzeSql = snapshotAnalyzer(new Map([...old.catalogs, ...now.catalogs]));
  const diff = diffBundles(old, now, { analyzeSql, seed: flags.seed, cases: flags.cases });
  terminal.out(flags.json ? `${JSON.stringify(diff, undefined, 2)}\n` : render(diff, colorsOf(terminal)));
  return diff.isWidened ? exitCodes.widened : exitCodes.ok;
}

function render(diff: BundleDiff, colors: Colors): string {
  const widened = diff.differences.filter((d) => d.direction === "widened").length;
  const word = diff.isWidened
    ? colors.bold(colors.red(`WIDENED, ${widened} ${widened === 1 ? "way" : "ways"}`))
    : diff.differences.length > 0
      ? colors.bold("NOT WIDENED")
      : colors.bold("NO DIFFERENCE FOUND");
  const head = `${word}  ${colors.dim(`(${diff.cases} directed requests: a search, not a proof)`)}\n`;
  const paint = { widened: colors.red, narrowed: colors.green, changed: colors.yellow };
  const items = diff.differences.map((d) => {
    const witness = d.witness.split("\n").map((line) => `      ${line}`);
    return [
      "",
      `  ${paint[d.direction](d.direction)}  ${d.what}    ${colors.bold(d.access)}`,
      `    rules  ${d.rules.join(", ") || "none"}`,
      `    e.g.`,
      ...witness,
    ].join("\n");
  });
  return `${[head.trimEnd(), ...items].join("\n")}\n`;
}

function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("a whole number");
  return Number(text);
}
