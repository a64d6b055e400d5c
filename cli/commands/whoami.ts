// gw whoami
import type { Command } from "commander";
import { type AdminOptions, clientOf } from "../admin-client.ts";
import type { CommandContext } from "../main.ts";
import { showLine } from "../show-text.ts";

export function register(program: Command, { terminal }: CommandContext): void {
  program
    .command("whoami")
    .description("how the gateway sees your token, and where you can connect")
    .option("--admin <url>", "the gateway's admin interface (or GW_ADMIN)")
    .option("--token-file <file>", "your token (or GW_TOKEN)")
    .option("--json", "as JSON")
    .action(async (options: AdminOptions & { readonly json?: boolean }) => {
      const me = await clientOf(options).whoAmI();
      if (options.json) return terminal.out(`${JSON.stringify(me)}\n`);
      const owner = me.on_behalf_of === undefined ? "" : ` on behalf of ${showLine(me.on_behalf_of)}`;
      const lines = [
        `${showLine(me.sub)} (${me.kind})${owner}`,
        `  groups         ${me.groups.map(showLine).join(", ") || "none"}`,
        ...(me.chain === undefined || me.chain.length < 2
          ? []
          : [`  behind it      ${me.chain.map(showLine).join(" → ")}`]),
        `  second factor  ${me.mfa ? "yes" : "no"}`,
        ...me.connections.map(
          (c) => `  connection     ${c.name} at ${c.kind === "postgres" ? `${c.host}:${c.port}` : c.url}`,
        ),
      ];
      terminal.out(`${lines.join("\n")}\n`);
    });
}
