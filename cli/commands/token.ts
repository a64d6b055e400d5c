// gw token --format raw | mcp-header | pgpass | env
import { type Command, Option } from "commander";
import { type AdminOptions, clientOf, tokenOf } from "../admin-client.ts";
import type { CommandContext } from "../main.ts";
import { connectionNamed, environmentFor, pgpassLine, shellQuote } from "../pg-environment.ts";

const formats = ["raw", "mcp-header", "pgpass", "env"] as const;
type Options = AdminOptions & { readonly format: (typeof formats)[number]; readonly connection?: string };

export function register(program: Command, { terminal }: CommandContext): void {
  program
    .command("token")
    .description("your token in the form that a client takes: for `headersHelper`, `~/.pgpass`, a shell")
    .addOption(new Option("--format <form>", "the form").choices(formats).default("raw"))
    .option("--connection <name>", "for pgpass and env, if there are several")
    .option("--admin <url>", "the gateway's admin interface (or GW_ADMIN)")
    .option("--token-file <file>", "your token (or GW_TOKEN)")
    .action(async (options: Options) => {
      const token = await tokenOf(options);
      if (options.format === "raw") return terminal.out(`${token}\n`);
      if (options.format === "mcp-header")
        return terminal.out(`${JSON.stringify({ Authorization: `Bearer ${token}` })}\n`);
      const me = await clientOf(options).whoAmI();
      const connection = connectionNamed(me, options.connection);
      if (options.format === "pgpass") return terminal.out(`${pgpassLine(connection, me.sub, token)}\n`);
      for (const [name, value] of Object.entries(environmentFor(connection, me.sub, token))) {
        terminal.out(`export ${name}=${shellQuote(value)}\n`);
      }
    });
}
