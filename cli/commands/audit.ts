// gw audit verify
import type { Command } from "commander";
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
    .option("--json", "as JSON")
    .action(async (options: RecordingOptions & { readonly json?: boolean }) => {
      const folder = await recordingFolder(options);
      const result = await verifyRecording(folder);
      if (options.json) terminal.out(`${JSON.stringify(result)}\n`);
      else {
        for (const { path, line, fault } of result.damage) terminal.out(`${path}:${line}: ${wording[fault]}\n`);
        const state = result.damage.length === 0 ? "the chain is whole" : "the recording is damaged";
        terminal.out(`${result.lines} lines, last number ${result.head.seq}, hash ${result.head.hash}: ${state}\n`);
      }
      exit(result.damage.length === 0 ? exitCodes.ok : exitCodes.failed);
    });
}

const wording = {
  "not-a-record": "this is not a record",
  "hash-wrong": "the content doesn't fit its hash: it was changed",
  "sequence-broken": "the number doesn't follow: lines are missing, repeated or moved",
  "link-broken": "the link to the line before is broken: that one was replaced",
  "torn-line": "the line has no end: a crash, or it was cut",
} as const;
