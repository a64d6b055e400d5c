// gw agent env: what an agent's run needs to go through the gateway
import { type Command, Option } from "commander";
import { type AdminOptions, clientOf, tokenOf } from "../admin-client.ts";
import { agentSettings } from "../agent-settings.ts";
import type { CommandContext } from "../main.ts";
import { shellQuote } from "../pg-environment.ts";

type Options = AdminOptions & {
  readonly connection?: string;
  readonly session?: string;
  readonly format: "env" | "json" | "mcp";
};

export function register(program: Command, { terminal }: CommandContext): void {
  const agent = program.command("agent").description("set up an agent's run");
  agent
    .command("env")
    .description("environment and MCP configuration for an agent, for `eval` or a launcher")
    .option("--admin <url>", "the gateway's admin interface (or GW_ADMIN)")
    .option("--token-file <file>", "the agent's token (or GW_TOKEN); else yours, of `gw login`")
    .option("--connection <name>", "the PostgreSQL connection, if there are several")
    .option("--session <id>", "the run's id, to join its channels in the records")
    .addOption(new Option("--format <form>", "the form").choices(["env", "json", "mcp"]).default("env"))
    .action(async (options: Options) => {
      const token = await tokenOf(options);
      const me = await clientOf(options).whoAmI();
      if (me.kind === "human") {
        terminal.err("warning: this token is a person's: what the agent does is done by you\n");
        terminal.err("  = help: give the agent a token of its own, with an `act` claim or `on_behalf_of`\n");
      }
      const settings = agentSettings(me, token, options.connection, options.session);
      if (options.format === "json") return terminal.out(`${JSON.stringify(settings)}\n`);
      if (options.format === "mcp")
        return terminal.out(`${JSON.stringify({ mcpServers: settings.mcpServers }, null, 2)}\n`);
      for (const [name, value] of Object.entries(settings.env)) terminal.out(`export ${name}=${shellQuote(value)}\n`);
      if (Object.keys(settings.mcpServers).length > 0) {
        terminal.out(`export GW_MCP_CONFIG=${shellQuote(JSON.stringify({ mcpServers: settings.mcpServers }))}\n`);
      }
    });
}
