// gw audit verify
import { type Command, InvalidArgumentError } from "commander";
import type { ChainHead } from "../../proxy/recording/chain.ts";
import { verifyRecording } from "../../proxy/recording/read.ts";
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
    .action(async (options: RecordingOptions & { readonly json?: boolean; readonly expect?: ChainHead }) => {
      const folder = await recordingFolder(options);
      const result = await verifyRecording(folder, options.expect);
      const isWhole = result.damage.length === 0 && result.anchor !== "missing";
      if (options.json) terminal.out(`${JSON.stringify(result)}\n`);
      else {
        for (const { path, line, fault } of result.damage) terminal.out(`${path}:${line}: ${wording[fault]}\n`);
        if (result.anchor === "missing")
          terminal.out(`line ${options.expect?.seq} is not there, or is another one: lines were cut off\n`);
        const state = isWhole ? "the chain is whole" : "the recording is damaged";
        terminal.out(`${result.lines} lines, last number ${result.head.seq}, hash ${result.head.hash}: ${state}\n`);
      }
      exit(isWhole ? exitCodes.ok : exitCodes.failed);
    });
}

function anchorOf(text: string): ChainHead {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || hash === undefined) throw new InvalidArgumentError("write it as `number:hash`.");
  return { seq: Number(seq), hash };
}

const wording = {
  "not-a-record": "this is not a record",
  "hash-wrong": "the content doesn't fit its hash: it was changed",
  "sequence-broken": "the number doesn't follow: lines are missing, repeated or moved",
  "link-broken": "the link to the line before is broken: that one was replaced",
  "torn-line": "the line has no end: a crash, or it was cut",
} as const;
