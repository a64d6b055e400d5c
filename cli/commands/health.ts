// gw health: is the gateway on this machine ready? For container engines and scripts.
import type { Command } from "commander";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("health")
    .description("end with 0 if the gateway is ready to serve, else with 1 and the reason")
    .option("--admin <url>", "the gateway's admin interface; default: GW_ADMIN, http://127.0.0.1:7070")
    .action(async (options: { readonly admin?: string }) => {
      const url = options.admin ?? process.env.GW_ADMIN ?? "http://127.0.0.1:7070";
      const answer = await ask(url);
      (answer === "ready" ? terminal.out : terminal.err)(`${answer}\n`);
      exit(answer === "ready" ? exitCodes.ok : exitCodes.failed);
    });
}

async function ask(url: string): Promise<string> {
  try {
    const response = await fetch(new URL("/readyz", url), { signal: AbortSignal.timeout(2_500) });
    const answer: unknown = await response.json();
    const code: unknown = typeof answer === "object" && answer !== null && "code" in answer ? answer.code : undefined;
    return response.ok ? "ready" : `not ready: ${typeof code === "string" ? code : response.status}`;
  } catch {
    return `no gateway answers at ${url}`;
  }
}
