// gw mcp run CONNECTION -- command
import type { Command } from "commander";
import { readConfig } from "../../proxy/config.ts";
import { createLog } from "../../proxy/log.ts";
import { tokenOf } from "../admin-client.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";

type Options = { readonly config: string; readonly tokenFile?: string; readonly agent?: string };

export function registerRun(mcp: Command, { exit }: CommandContext): void {
  mcp
    .command("run")
    .description("start a local MCP server with the gateway between it and the standard streams")
    .argument("<connection>", "of kind mcp-stdio")
    .argument("<command...>", "the server, after `--`")
    .option("-c, --config <file>", "the configuration", "gw.yaml")
    .option("--token-file <file>", "your token (or GW_TOKEN)")
    .option("--agent <id>", "joins the record of one agent's run (or CLAUDE_CODE_SESSION_ID)")
    .action(async (connection: string, [program = "", ...args]: readonly string[], options: Options) => {
      const config = await readConfig(options.config, process.env);
      const { runStdioServer } = await import("../compose-stdio.ts");
      await runStdioServer(config, {
        connection,
        command: [program, ...args],
        token: await tokenOf(options),
        agent: options.agent ?? process.env.CLAUDE_CODE_SESSION_ID,
        environment: process.env,
        input: process.stdin,
        output: process.stdout,
        errors: process.stderr,
        // Standard output is the protocol's; the log goes to standard error.
        log: createLog(config.logLevel),
      });
      exit(exitCodes.ok);
    });
}
