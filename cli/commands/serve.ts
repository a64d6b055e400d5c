// gw serve --config gw.yaml
import type { Command } from "commander";
import { readConfig } from "../../proxy/config.ts";
import { createLog } from "../../proxy/log.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("serve")
    .description("run the gateway until SIGTERM or Ctrl-C")
    .requiredOption("-c, --config <file>", "the configuration", "gw.yaml")
    .option("--drain <seconds>", "how long running statements may take after the signal", "10")
    .action(async (options: { readonly config: string; readonly drain: string }) => {
      const config = await readConfig(options.config, process.env);
      // Loaded after the configuration was found good: a mistake there is told at once.
      const { startGateway } = await import("../compose.ts");
      const gateway = await startGateway(config, { log: createLog(config.logLevel) });
      for (const { name, host, port } of gateway.connections) terminal.out(`${name}  postgres on ${host}:${port}\n`);
      if (gateway.admin) terminal.out(`admin  http://${gateway.admin.host}:${gateway.admin.port}\n`);
      terminal.out(`policies  ${config.policies.path}  ${gateway.policy.status().hash}\n`);
      terminal.out(`recording  ${config.recording.directory}  ${config.recording.durability}\n`);
      const drainMs = Math.max(0, Number(options.drain) || 0) * 1_000;
      await untilSignal();
      // A second signal doesn't wait.
      process.once("SIGINT", () => process.exit(130));
      process.once("SIGTERM", () => process.exit(143));
      terminal.err("stopping\n");
      await gateway.stop(drainMs);
      exit(exitCodes.ok);
    });
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      process.removeListener("SIGINT", done);
      process.removeListener("SIGTERM", done);
      resolve();
    };
    process.once("SIGINT", done);
    process.once("SIGTERM", done);
  });
}
