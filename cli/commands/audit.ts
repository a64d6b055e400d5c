// gw audit verify
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { type Anchor, type VerifiedChain, verifyChains } from "../../proxy/recording/chains.ts";
import { checkpointLines } from "../../proxy/recording/checkpoints.ts";
import { type CheckedCheckpoints, checkCheckpoints } from "../../proxy/recording/proofs.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { readBytes } from "../read-bytes.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";
import { showLine } from "../show-text.ts";
import { registerExport } from "./audit-export.ts";
import { andMore, registerProofs } from "./audit-proofs.ts";
import { registerRetention } from "./audit-retention.ts";

export function register(program: Command, context: CommandContext): void {
  const { terminal, exit } = context;
  const audit = program.command("audit").description("check the recording, prove what is in it");
  registerProofs(audit, context);
  registerExport(audit, context);
  registerRetention(audit, context);
  audit
    .command("verify")
    .description("check every line's hash, number and link; ends with 1 when something was changed")
    .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself")
    .option(
      "--expect <number:hash>",
      "a line that was noted earlier must still be there: finds lines cut off at the end",
      anchorOf,
    )
    .option(
      "--key <file>",
      "hold it against its signed checkpoints, too: their public key, PEM; once for each key that they had",
      andMore,
    )
    .option("--checkpoints <file>", "copies of checkpoints that were kept elsewhere, in place of the recording's own")
    .option("--json", "as JSON")
    .action(async (options: VerifyOptions) => {
      const folder = await recordingFolder(options);
      const { chains, missing, holds } = await verifyChains(folder, options.expect);
      const covered = options.key === undefined ? [] : await checkSigned(folder, chains, options, options.key);
      const isWhole =
        missing.length === 0 &&
        holds.length === 0 &&
        chains.every((c) => c.damage.length === 0 && c.anchor !== "missing") &&
        covered.every(({ faults, checkpoints }) => faults.length === 0 && checkpoints > 0);
      const [own, ...workers] = chains;
      if (options.json) {
        const alone = workers.length + missing.length === 0 ? own : { ...own, workers, missing };
        const result = holds.length === 0 ? alone : { ...alone, holds };
        terminal.out(`${JSON.stringify(options.key === undefined ? result : { ...result, covered })}\n`);
      } else {
        for (const verified of chains) terminal.out(shown(verified, options.expect));
        for (const checked of covered) terminal.out(shownCheckpoints(checked));
        for (const worker of missing) terminal.out(`${worker}: the whole folder is gone\n`);
        for (const hold of holds) terminal.out(`${showLine(hold)}\n`);
      }
      exit(isWhole ? exitCodes.ok : exitCodes.failed);
    });
}

type VerifyOptions = RecordingOptions & {
  readonly json?: boolean;
  readonly expect?: Anchor;
  readonly key?: readonly string[];
  readonly checkpoints?: string;
};
type Covered = CheckedCheckpoints & { readonly chain: string };

/** Each chain's own checkpoints; with `--checkpoints` those of the folder's own chain. */
async function checkSigned(
  folder: string,
  chains: readonly VerifiedChain[],
  { checkpoints }: VerifyOptions,
  keyFiles: readonly string[],
): Promise<readonly Covered[]> {
  const keys = keyFiles.map(readText);
  const wanted = checkpoints === undefined ? chains : chains.slice(0, 1);
  const checked: Covered[] = [];
  for (const { chain } of wanted) {
    const directory = join(folder, chain);
    const lines =
      checkpoints === undefined
        ? await checkpointLines(directory)
        : // What was sent twice, around a crash, is one checkpoint.
          [...new Set(readText(checkpoints).split("\n"))].filter((line) => line !== "");
    checked.push({ chain, ...(await checkCheckpoints(directory, lines, keys)) });
  }
  return checked;
}

function shownCheckpoints({ chain, checkpoints, covered, faults, pruned }: Covered): string {
  const prefix = chain === "" ? "" : `${chain}: `;
  if (checkpoints === 0) return `${prefix}there are no checkpoints: nobody signed this recording\n`;
  const lines = faults.map(
    ({ checkpoint, why }) => `${prefix}${checkpoint === 0 ? "" : `checkpoint ${checkpoint}: `}${why}\n`,
  );
  if (pruned > 0)
    lines.push(`${prefix}${pruned} checkpoints cover lines that were pruned: they can't be held against them\n`);
  return [...lines, `${prefix}${checkpoints} checkpoints, ${covered} lines covered by the last good one\n`].join("");
}

function shown({ chain, damage, anchor, lines, head, pruned }: VerifiedChain, expected: Anchor | undefined): string {
  const places = damage.map(({ path, line, fault }) => `${path}:${line}: ${wording[fault]}\n`);
  const prefix = chain === "" ? "" : `${chain}: `;
  const which = expected?.chain === chain ? `line ${expected.seq}` : "the line that the primary noted at its end";
  const cut = anchor === "missing" ? [`${prefix}${which} is not there, or is another one: lines were cut off\n`] : [];
  const gone = pruned === 0 ? [] : [`${prefix}the first ${pruned} lines were pruned, on record\n`];
  const state = damage.length + cut.length === 0 ? "the chain is whole" : "the recording is damaged";
  return [
    ...places,
    ...cut,
    ...gone,
    `${prefix}${lines} lines, last number ${head.seq}, hash ${head.hash}: ${state}\n`,
  ].join("");
}

function anchorOf(text: string): Anchor {
  const [, worker, seq, hash] = /^(?:(worker-\d+):)?(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) {
    throw new InvalidArgumentError("write it as `number:hash`, or `worker-2:number:hash`.");
  }
  return { chain: worker ?? "", seq: Number(seq), hash };
}

const wording = {
  "not-a-record": "this is not a record",
  "hash-wrong": "the content doesn't fit its hash: it was changed",
  "sequence-broken": "the number doesn't follow: lines are missing, repeated or moved",
  "link-broken": "the link to the line before is broken: that one was replaced",
  "torn-line": "the line has no end: a crash, or it was cut",
  "beginning-missing": "what stood before is gone, and no record of pruning says so",
  "prune-unrecorded": "what stood before is gone, and the chain doesn't have the record that says so",
} as const;

const readText = (path: string): string => readBytes(path).toString("utf8");
