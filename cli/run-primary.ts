// The primary of several processes: supervises, routes, folds; no statement comes near it.
import cluster from "node:cluster";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { limits } from "../engine/limits.ts";
import type { WorkerReady } from "../proxy/cluster/messages.ts";
import { foldCounters, openCounterLog } from "../proxy/cluster/shared-counters.ts";
import { Supervisor } from "../proxy/cluster/supervisor.ts";
import { parseConfig } from "../proxy/config.ts";
import type { Log } from "../proxy/deps.ts";
import { causeCode, GatewayError } from "../proxy/errors.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import { createNewId } from "../proxy/new-id.ts";
import { startPruner } from "../proxy/recording/pruner.ts";
import { openRecorder } from "../proxy/recording/recorder.ts";
import { countersFile } from "./run-worker.ts";

export type Primary = {
  readonly ready: WorkerReady;
  readonly reload: () => Promise<void>;
  readonly restart: () => Promise<void>;
  readonly stop: (drainMs: number) => Promise<void>;
  readonly killNow: () => void;
};

export type PrimaryOptions = {
  readonly configPath: string;
  readonly config: GatewayConfig;
  readonly workers: number;
  readonly lingerMs: number;
  readonly drainMs: number;
  readonly log: Log;
};

/** @throws GatewayError when a worker can't start: then none is left running */
export async function startPrimary(options: PrimaryOptions): Promise<Primary> {
  const { config, configPath, log, workers, lingerMs, drainMs } = options;
  const clock = { nowMs: () => Date.now() };
  const { directory, durability } = config.recording;
  const recorder = openRecorder({ directory, durability, node: config.node, clock, log });
  const pruner = startPruner({
    directory,
    holdsDirectory: directory,
    node: config.node,
    retention: config.recording.retention,
    key: config.recording.checkpoints?.key,
    recorder,
    checkpointer: undefined,
    clock,
    newId: createNewId(clock),
    log,
  });
  const counters = openCounterLog(countersFile(config));
  const fold = setInterval(() => {
    try {
      while (foldCounters(counters, clock.nowMs()));
    } catch (error) {
      // Somebody holds them just now: the next turn does it.
      log.debug({ code: causeCode(error) }, "the counters were not folded");
    }
  }, limits.counterFoldAgeMs);
  cluster.setupPrimary({ exec: fileURLToPath(new URL("gw.js", import.meta.url)), args: ["serve"] });
  const supervisor = new Supervisor({
    configPath,
    readConfig: async () => {
      const text = await readFile(configPath, "utf8").catch((error: unknown) => {
        throw new GatewayError("config-unreadable", `\`${configPath}\` can't be read: ${causeCode(error)}`);
      });
      const next = parseConfig(text, configPath, process.env);
      if (next.recording.directory !== directory) {
        throw new GatewayError(
          "config-invalid",
          "`recording.directory` can't change while the gateway runs",
          "stop the gateway and start it again",
        );
      }
      return { text, workers: next.workers?.count ?? workers, lingerMs: next.workers?.lingerMs ?? lingerMs };
    },
    recorder,
    clock,
    log,
    drainMs,
  });
  const close = async (): Promise<void> => {
    clearInterval(fold);
    counters.close();
    await pruner.close();
    await recorder.close();
  };
  try {
    const ready = await supervisor.start();
    return {
      ready,
      reload: () => supervisor.reload(),
      restart: () => supervisor.restart(),
      stop: async (ms) => {
        await supervisor.stop(ms);
        await close();
      },
      killNow: () => supervisor.killNow(),
    };
  } catch (error) {
    await supervisor.stop(0);
    await close();
    throw error;
  }
}
