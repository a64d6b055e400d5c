// gw audit verify
import { type Command, InvalidArgumentError } from "commander";
import { type Anchor, type VerifiedChain, verifyChains } from "../../proxy/recording/chains.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";

export function register(program: Command, { terminal, exit }: CommandContext): void {
  const audit = program.command("audit").description("check the recording");
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
    .option("--json", "as JSON")
    .action(async (options: RecordingOptions & { readonly json?: boolean; readonly expect?: Anchor }) => {
      const folder = await recordingFolder(options);
      const { chains, missing } = await verifyChains(folder, options.expect);
      const isWhole = missing.length === 0 && chains.every((c) => c.damage.length === 0 && c.anchor !== "missing");
      const [own, ...workers] = chains;
      if (options.json) {
        const result = workers.length + missing.length === 0 ? own : { ...own, workers, missing };
        terminal.out(`${JSON.stringify(result)}\n`);
      } else {
        for (const verified of chains) terminal.out(shown(verified, options.expect));
        for (const worker of missing) terminal.out(`${worker}: the whole folder is gone\n`);
      }
      exit(isWhole ? exitCodes.ok : exitCodes.failed);
    });
}

function shown({ chain, damage, anchor, lines, head }: VerifiedChain, expected: Anchor | undefined): string {
  const places = damage.map(({ path, line, fault }) => `${path}:${line}: ${wording[fault]}\n`);
  const prefix = chain === "" ? "" : `${chain}: `;
  const which = expected?.chain === chain ? `line ${expected.seq}` : "the line that the primary noted at its end";
  const cut = anchor === "missing" ? [`${prefix}${which} is not there, or is another one: lines were cut off\n`] : [];
  const state = damage.length + cut.length === 0 ? "the chain is whole" : "the recording is damaged";
  return [...places, ...cut, `${prefix}${lines} lines, last number ${head.seq}, hash ${head.hash}: ${state}\n`].join(
    "",
  );
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
} as const;
