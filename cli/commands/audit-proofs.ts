// gw audit prove | check-proof: evidence for somebody who has neither the recording nor the gateway
import type { Command } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { checkpointLines } from "../../proxy/recording/checkpoints.ts";
import { type CheckedProof, checkProof, proveConsistency, proveInclusion } from "../../proxy/recording/proofs.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { readBytes } from "../read-bytes.ts";
import { type RecordingOptions, recordingFolder } from "../recording-folder.ts";
import { showLine } from "../show-text.ts";

type ProveOptions = RecordingOptions & { readonly key: readonly string[]; readonly since?: string };

/** An option that may be given several times. */
export const andMore = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

export function registerProofs(audit: Command, { terminal, exit }: CommandContext): void {
  audit
    .command("prove")
    .description("a proof, as JSON, that the lines of a statement are in the recording")
    .argument("[id]", "a decision's id: dec_…")
    .requiredOption("--key <file>", "public key of the checkpoints, PEM; once for each that they had", andMore)
    .option("--since <file>", "prove instead that the newest checkpoint continues the one in this file")
    .option("-c, --config <file>", "the configuration that names the recording", "gw.yaml")
    .option("-r, --recording <folder>", "the recording itself; a worker's is in a folder of its own")
    .action(async (id: string | undefined, options: ProveOptions) => {
      const folder = await recordingFolder(options);
      const lines = await checkpointLines(folder);
      const proof = await proofOf(folder, id, lines, options);
      if (!proof.ok) {
        terminal.err(`no proof: ${proof.error}\n`);
        return exit(exitCodes.failed);
      }
      terminal.out(`${JSON.stringify(proof.value)}\n`);
    });
  audit
    .command("check-proof")
    .description("check a proof with the public key alone; end with 1 if it doesn't hold")
    .argument("<proof>", "what `gw audit prove` printed")
    .requiredOption("--key <file>", "public key of the checkpoints, PEM; once for each that they had", andMore)
    .action(async (path: string, options: { readonly key: readonly string[] }) => {
      const checked = await checkProof(readText(path), options.key.map(readText));
      if (!checked.ok) {
        terminal.err(`the proof does not hold: ${checked.error}\n`);
        return exit(exitCodes.failed);
      }
      terminal.out(shown(checked.value));
    });
}

function proofOf(folder: string, id: string | undefined, lines: readonly string[], { key, since }: ProveOptions) {
  if (since !== undefined)
    return proveConsistency(folder, readText(since).trim(), lines.at(-1) ?? "", key.map(readText));
  if (id === undefined)
    throw new GatewayError("config-invalid", "prove what?", "name a decision's id, or `--since FILE`");
  return proveInclusion(folder, id, lines, key.map(readText));
}

function shown(proof: CheckedProof): string {
  const when = (atMs: number): string => new Date(atMs).toISOString();
  if (proof.kind === "consistency") {
    const { first, second } = proof;
    return `the recording of ${showLine(second.node)} with ${second.size} lines (${when(second.atMs)}) continues the one with ${first.size} lines (${when(first.atMs)}): nothing was changed or taken away\n`;
  }
  const { checkpoint, lines } = proof;
  const head = `the recording of ${showLine(checkpoint.node)} held these lines by ${when(checkpoint.atMs)}:\n`;
  return `${head}${lines.map((line) => `${showLine(line)}\n`).join("")}`;
}

const readText = (path: string): string => readBytes(path).toString("utf8");
