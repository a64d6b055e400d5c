// gw serve --config gw.yaml
import cluster from "node:cluster";
import type { Command } from "commander";
import { describeSource } from "../../proxy/bundle/config.ts";
import { readConfig } from "../../proxy/config.ts";
import type { GatewayConfig } from "../../proxy/gateway-config.ts";
import { createLog } from "../../proxy/log.ts";
import { logReload, reloadAll } from "../../proxy/reload.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";
import type { Terminal } from "../terminal.ts";

/** What listens, however many processes it takes. */
type Serving = {
  readonly connections: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly policyHash: string;
  readonly reload: () => Promise<void>;
  /** Undefined where there is one process only. */
  readonly restart: (() => Promise<void>) | undefined;
  readonly stop: (drainMs: number) => Promise<void>;
  readonly killNow: () => void;
};

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("serve")
    .description("run the gateway until SIGTERM or Ctrl-C")
    .requiredOption("-c, --config <file>", "the configuration", "gw.yaml")
    .option("--drain <seconds>", "how long running statements may take after the signal", "10")
    .action(async (options: { readonly config: string; readonly drain: string }) => {
      if (cluster.isWorker) {
        const { runWorker } = await import("../run-worker.ts");
        await runWorker();
        return;
      }
      const config = await readConfig(options.config, process.env);
      const drainMs = Math.max(0, Number(options.drain) || 0) * 1_000;
      const serving =
        config.workers === undefined
          ? await serveAlone(config)
          : await serveTogether(config, config.workers, options.config, drainMs);
      try {
        announce(terminal, config, serving);
      } catch (error) {
        // What listens must not outlive what failed.
        serving.killNow();
        await serving.stop(0);
        throw error;
      }
      process.on("SIGHUP", () => void serving.reload());
      process.on("SIGUSR2", () => void (serving.restart?.() ?? serving.reload()));
      await untilSignal();
      // A second signal doesn't wait.
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143],
      ] as const) {
        process.once(signal, () => {
          serving.killNow();
          process.exit(code);
        });
      }
      terminal.err("stopping\n");
      await serving.stop(drainMs);
      exit(exitCodes.ok);
    });
}

// The parts are loaded after the configuration was found good: a mistake there is told at once.

async function serveAlone(config: GatewayConfig): Promise<Serving> {
  const { startGateway } = await import("../compose.ts");
  const log = createLog(config.logLevel);
  const gateway = await startGateway(config, { log });
  return {
    connections: gateway.connections,
    admin: gateway.admin,
    policyHash: gateway.policy.status().hash,
    reload: async () => logReload(log, await reloadAll(gateway.reloadables)),
    restart: undefined,
    stop: gateway.stop,
    killNow: () => undefined,
  };
}

async function serveTogether(
  config: GatewayConfig,
  workers: NonNullable<GatewayConfig["workers"]>,
  configPath: string,
  drainMs: number,
): Promise<Serving> {
  const { startPrimary } = await import("../run-primary.ts");
  const log = createLog(config.logLevel);
  const primary = await startPrimary({
    configPath,
    config,
    workers: workers.count,
    lingerMs: workers.lingerMs,
    drainMs,
    log,
  });
  const { ready, reload, restart, stop, killNow } = primary;
  return { ...ready, reload, restart, stop, killNow };
}

function announce(terminal: Terminal, config: GatewayConfig, serving: Serving): void {
  if (config.workers !== undefined) terminal.out(`workers  ${config.workers.count}\n`);
  const kinds = new Map(config.http.map(({ name, kind }) => [name, kind]));
  for (const { name, host, port } of serving.connections) {
    terminal.out(`${name}  ${kinds.get(name) ?? "postgres"} on ${host}:${port}\n`);
  }
  if (serving.admin) terminal.out(`admin  http://${serving.admin.host}:${serving.admin.port}\n`);
  terminal.out(`policies  ${describeSource(config.policies.source)}  ${serving.policyHash}\n`);
  terminal.out(`recording  ${config.recording.directory}  ${config.recording.durability}\n`);
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
