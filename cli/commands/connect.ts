// gw connect NAME [-- psql arguments]
import { spawn } from "node:child_process";
import type { Command } from "commander";
import { GatewayError } from "../../proxy/errors.ts";
import { type AdminOptions, clientOf, tokenOf } from "../admin-client.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import { connectionNamed, environmentFor } from "../pg-environment.ts";

export function register(program: Command, { exit }: CommandContext): void {
  program
    .command("connect")
    .description("psql with address, encryption and token set; what follows `--` goes to psql")
    .argument("[name]", "the connection, if there are several")
    .argument("[psql...]", "arguments for psql")
    .option("--admin <url>", "the gateway's admin interface (or GW_ADMIN)")
    .option("--token-file <file>", "your token (or GW_TOKEN)")
    .action(async (name: string | undefined, psql: readonly string[], options: AdminOptions) => {
      const me = await clientOf(options).whoAmI();
      const own = environmentFor(connectionNamed(me, name), me.sub, await tokenOf(options));
      const child = spawn("psql", [...psql], { stdio: "inherit", env: { ...process.env, ...own } });
      // Ctrl-C belongs to psql: it cancels the statement there.
      const ignore = (): void => undefined;
      process.on("SIGINT", ignore);
      const code = await new Promise<number>((resolve, reject) => {
        child.once("error", () =>
          reject(new GatewayError("config-invalid", "psql can't be started", "install PostgreSQL's client")),
        );
        child.once("exit", (status) => resolve(status ?? 1));
      });
      process.removeListener("SIGINT", ignore);
      exit(code === 0 ? exitCodes.ok : exitCodes.failed);
    });
}
