// gw lsp: the language server of policies, for editors
import type { Command } from "commander";
import type { CommandContext } from "../main.ts";

export function register(program: Command, _context: CommandContext): void {
  program
    .command("lsp")
    .description("the language server of policies, on stdin and stdout")
    .action(async () => {
      const { runLanguageServer } = await import("../lsp/run-language-server.ts");
      runLanguageServer();
    });
}
