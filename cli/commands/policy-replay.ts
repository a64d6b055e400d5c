// gw policy replay: what would that policy have done with what was recorded?
import type { Command } from "commander";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import { bundleAt } from "../bundle-at.ts";
import { compileOrShow } from "../compiled-bundle.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { recordingFolder } from "../recording-folder.ts";
import {
  permitsMore,
  type Replay,
  type ReplayDifference,
  type ReplayKind,
  replayPolicies,
} from "../replay-policies.ts";
import { showLine } from "../show-text.ts";
import { rememberingAnalyzer } from "../snapshot-analyzer.ts";
import type { Terminal } from "../terminal.ts";
import { moment } from "./moment.ts";

type Flags = {
  readonly bundle: string;
  readonly from?: number;
  readonly until?: number;
  readonly config: string;
  readonly recording?: string;
  readonly json?: boolean;
};

export function addReplay(policy: Command, { terminal, exit }: CommandContext): void {
  policy
    .command("replay")
    .description("decide recorded statements again under another bundle; ends with 3 if it permits or reveals more")
    .requiredOption("-b, --bundle <path>", "a folder of policies, or a bundle")
    .option("--from <when>", "how far back: `7d`, `12h`, or a date such as 2026-11-01", moment)
    .option("--until <when>", "up to when", moment)
    .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself")
    .option("--json", "as JSON")
    .action(async (flags: Flags) => exit(await policyReplay(terminal, flags)));
}

export async function policyReplay(terminal: Terminal, flags: Flags): Promise<ExitCode> {
  const compiled = compileOrShow(terminal, await bundleAt(flags.bundle));
  if (compiled?.policySet === undefined) return exitCodes.failed;
  const replay = await replayPolicies(readAllEvents(await recordingFolder(flags)), {
    policies: compiled.policySet,
    analyze: rememberingAnalyzer(compiled.checked.catalogs),
    fromMs: flags.from ?? 0,
    untilMs: flags.until ?? Number.MAX_SAFE_INTEGER,
  });
  terminal.out(flags.json === true ? `${JSON.stringify(replay, undefined, 2)}\n` : render(replay));
  return permitsMore(replay) ? exitCodes.widened : exitCodes.ok;
}

const titles: Readonly<Record<ReplayKind, string>> = {
  permitted: "would pass now",
  revealed: "would show more",
  refused: "would be refused",
  held: "would wait for people",
  reduced: "would show less",
};
const examplesMax = 3;

function render(replay: Replay): string {
  const { statements, alike, differences, open, skipped } = replay;
  const lines: string[] = [];
  for (const kind of ["permitted", "revealed", "refused", "held", "reduced"] as const) {
    const ofKind = differences.filter((difference) => difference.kind === kind);
    if (ofKind.length === 0) continue;
    lines.push(`${titles[kind]}: ${countOf(ofKind)}`);
    for (const { rules, count, examples } of ofKind) {
      lines.push(`  ${showLine(rules.join(", "))}: ${count}`);
      for (const { id, sub, statement } of examples.slice(0, examplesMax)) {
        lines.push(`    ${id}  ${showLine(sub)}  ${showLine(statement).slice(0, 160)}`);
      }
      if (count > examplesMax) lines.push(`    and ${count - examplesMax} more`);
    }
    lines.push("");
  }
  const rest = [
    `${alike} alike`,
    `${countOf(differences)} differ`,
    ...(open > 0 ? [`${open} rest on what isn't recorded`] : []),
    ...(skipped > 0
      ? [
          `${skipped} not decided again (cut, sealed, refused by the gateway itself, or not understood with this bundle's catalogs)`,
        ]
      : []),
  ];
  return `${lines.join("\n")}${lines.length > 0 ? "\n" : ""}${statements} statements: ${rest.join(", ")}\n`;
}

const countOf = (differences: readonly ReplayDifference[]): number =>
  differences.reduce((sum, { count }) => sum + count, 0);
