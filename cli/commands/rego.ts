// gw rego check | eval: a bundle of `opa build -t wasm` in this process, without a deadline
import type { Command } from "commander";
import type { Json } from "../../engine/lib/json.ts";
import { limits } from "../../engine/limits.ts";
import { encodeInput } from "../../engine/rego/input.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { readBytes } from "../read-bytes.ts";
import { loadRego } from "../rego-policy.ts";

export function register(program: Command, { terminal, exit }: CommandContext): void {
  const rego = program.command("rego").description("check and try Rego bundles");
  rego
    .command("check")
    .description("load a bundle as the gateway does, and say what is in it")
    .argument("<bundle>", "bundle.tar.gz of `opa build -t wasm`")
    .option("--entrypoint <name>", "as OPA writes it: acme/orders/decision")
    .action((path: string, options: { readonly entrypoint?: string }) => {
      const { bundle, evaluator } = loadRego(path, options.entrypoint);
      terminal.out(
        [
          `bundle      ${bundle.hash}`,
          `revision    ${bundle.revision === "" ? "-" : bundle.revision}`,
          `entrypoint  ${evaluator.entrypoint}`,
          `memory      ${evaluator.memoryBytes() / 65_536} pages of 64 KiB`,
          "",
        ].join("\n"),
      );
    });
  rego
    .command("eval")
    .description("the policy's raw answer to an input as `gw schema input` describes it")
    .argument("<bundle>", "bundle.tar.gz of `opa build -t wasm`")
    .requiredOption("--input <file>", "a JSON object")
    .option("--entrypoint <name>", "as OPA writes it: acme/orders/decision")
    .action((path: string, options: { readonly input: string; readonly entrypoint?: string }) => {
      const { evaluator } = loadRego(path, options.entrypoint);
      const input = readInput(options.input);
      const bytes = encodeInput(input, limits);
      const answer = bytes.ok ? evaluator.evaluate(bytes.value, nowOf(input)) : bytes;
      if (answer.ok) {
        terminal.out(`${JSON.stringify(answer.value, undefined, 2)}\n`);
        return;
      }
      terminal.err(`error[${answer.error.code}]: ${answer.error.message}\n`);
      exit(exitCodes.failed);
    });
}

function readInput(path: string): { readonly [key: string]: Json } {
  try {
    const json: Json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(readBytes(path)));
    if (typeof json === "object" && json !== null && !Array.isArray(json))
      return Object.fromEntries(Object.entries(json));
  } catch (error) {
    if (error instanceof GatewayError) throw error;
  }
  throw new GatewayError("config-invalid", `\`${path}\` isn't a JSON object`, "`gw schema input` prints its shape");
}

/** `time.now` of the input: what `time.now_ns` says. */
function nowOf(input: { readonly [key: string]: Json }): number {
  const { time } = input;
  const now: unknown = typeof time === "object" && time !== null && "now" in time ? time.now : undefined;
  return typeof now === "number" ? now : 0;
}
