// The primary: workers that share the ports, restarted when they die, changed together, replaced without a gap.
import { limits } from "../../engine/limits.ts";
import type { Metric } from "../admin/metrics.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { Recorder } from "../recording/recorder.ts";
import { logReload, type ReloadReport } from "../reload.ts";
import { CancelRouter } from "./cancel-router.ts";
import { labelMetrics, mergeMetrics } from "./merge-metrics.ts";
import type { FromWorker, WorkerReady, WorkerStart } from "./messages.ts";
import { ReloadRound } from "./reload-round.ts";
import { WorkerProcess } from "./worker-process.ts";

export type SupervisorDeps = {
  readonly configPath: string;
  /** gw.yaml as it is now. @throws GatewayError when it has a mistake */
  readonly readConfig: () => Promise<ClusterConfig>;
  readonly recorder: Recorder;
  readonly clock: Clock;
  readonly log: Log;
  readonly drainMs: number;
};

/** Old sessions may go on for `lingerMs` when a new generation takes over, then end as on a stop, within `drainMs`. */
export type ClusterConfig = { readonly text: string; readonly workers: number; readonly lingerMs: number };

export class Supervisor {
  readonly #deps: SupervisorDeps;
  readonly #live = new Set<WorkerProcess>();
  readonly #cancels = new CancelRouter();
  /** The one that serves; a new one has the number after the last that was tried. */
  #generation = 0;
  #lastGeneration = 0;
  #config: ClusterConfig = { text: "", workers: 0, lingerMs: 0 };
  /** Where the lead listens. The others may leave something to it, and have nothing of their own. */
  #addresses: ReadonlySet<string> = new Set();
  /** Where the first lead listens, for one that takes its place. */
  #ports: WorkerStart["ports"] = {};
  /** The same once one has taken its place: port 0 would be another one from then on. */
  #takenPorts: WorkerStart["ports"] = {};
  #restarts = 0;
  /** Short lives in a row, of leads and of others. */
  readonly #deaths = new Map<boolean, number>();
  #round: ReloadRound | undefined;
  #beat: NodeJS.Timeout | undefined;
  #changeTimer: NodeJS.Timeout | undefined;
  /** One change of the whole at a time. */
  #running: Promise<unknown> = Promise.resolve();
  #isStopping = false;
  #whenEmpty: (() => void) | undefined;

  constructor(deps: SupervisorDeps) {
    this.#deps = deps;
  }

  /** All workers serve, or none does. @throws GatewayError of the first that could not start */
  async start(): Promise<WorkerReady> {
    this.#config = await this.#deps.readConfig();
    const ready = await this.#startGeneration(this.#config);
    this.#beat = setInterval(() => this.#look(), limits.workerBeatMs);
    return ready;
  }

  /** What the files hold now: policies and certificates in every worker or in none; a changed gw.yaml by a new generation. */
  reload(): Promise<void> {
    return this.#inTurn(async () => {
      const config = await this.#deps.readConfig().catch((error: unknown) => this.#turnedAway(error));
      if (config === undefined || this.#isStopping) return;
      if (config.text !== this.#config.text) await this.#replace(config);
      else await this.#reloadParts();
    });
  }

  /** New processes with the code and the configuration that are on disk now; the old ones keep their sessions for a while. */
  restart(): Promise<void> {
    return this.#inTurn(async () => {
      const config = await this.#deps.readConfig().catch((error: unknown) => this.#turnedAway(error));
      if (config !== undefined && !this.#isStopping) await this.#replace(config);
    });
  }

  async stop(drainMs: number): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#beat);
    clearTimeout(this.#changeTimer);
    for (const worker of this.#live) {
      worker.state = "stopping";
      worker.send({ type: "stop", drainMs });
    }
    const late = setTimeout(() => this.#killAll(), drainMs + killAfterMs);
    if (this.#live.size > 0) {
      await new Promise<void>((resolve) => {
        this.#whenEmpty = resolve;
      });
    }
    clearTimeout(late);
  }

  /** At once: sessions end with their processes. */
  killNow(): void {
    this.#isStopping = true;
    this.#killAll();
  }

  #killAll(): void {
    for (const worker of this.#live) worker.kill();
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#running.then(work);
    this.#running = mine.catch(() => undefined);
    return mine;
  }

  #turnedAway(error: unknown): undefined {
    // The message may quote the file: it goes to the terminal of whoever asks `gw`, not into the log.
    this.#deps.log.error({ code: causeCode(error) }, "the configuration is turned away: the old one stays");
    return undefined;
  }

  // Generations.

  async #startGeneration({ text, workers }: ClusterConfig): Promise<WorkerReady> {
    this.#lastGeneration += 1;
    const generation = this.#lastGeneration;
    const started = Array.from({ length: workers }, (_, i) => this.#fork(text, i === 0, generation, this.#takenPorts));
    try {
      const readies = await Promise.all(started.map((worker) => worker.ready));
      const [lead] = readies;
      if (lead === undefined) throw new GatewayError("worker-failed", "no worker was asked for");
      // Port 0 is given out in the order of asking: connections must not trade places between workers.
      const addresses = new Set(addressesOf(lead));
      if (!readies.every((ready) => addressesOf(ready).every((address) => addresses.has(address)))) {
        throw new GatewayError(
          "worker-failed",
          "the workers don't agree on which connection has which port",
          "give every connection a port of its own in `listen`",
        );
      }
      this.#generation = generation;
      for (const worker of started) this.#serves(worker);
      this.#addresses = addresses;
      this.#ports = portsOf(lead);
      return lead;
    } catch (error) {
      for (const worker of started) {
        worker.stoppedByUs = true;
        worker.kill();
      }
      throw error;
    }
  }

  async #replace(config: ClusterConfig): Promise<void> {
    const old = [...this.#live];
    try {
      await this.#startGeneration(config);
    } catch (error) {
      this.#deps.log.error(
        { code: causeCode(error), generation: this.#lastGeneration },
        "the new workers could not start: the old ones stay",
      );
      return;
    }
    this.#config = config;
    const { drainMs, log } = this.#deps;
    for (const worker of old) {
      if (worker.state === "starting") worker.kill();
      if (worker.state !== "serving") continue;
      worker.state = "retiring";
      worker.send({ type: "retire", lingerMs: config.lingerMs, drainMs });
      this.#record(worker, "retired");
    }
    log.info({ generation: this.#generation, workers: config.workers }, "new workers have taken over");
  }

  #fork(configText: string, isLead: boolean, generation: number, ports: WorkerStart["ports"]): WorkerProcess {
    const { configPath, clock } = this.#deps;
    const taken = new Set([...this.#live].map((worker) => worker.name));
    let number = 1;
    while (taken.has(`worker-${number}`)) number += 1;
    const start = { configPath, configText, worker: `worker-${number}`, isLead, ports };
    const worker = new WorkerProcess(start, generation, clock.nowMs(), {
      onMessage: (from, message) => this.#hear(from, message),
      onGone: (from, how) => this.#gone(from, how),
    });
    this.#live.add(worker);
    return worker;
  }

  #serves(worker: WorkerProcess): void {
    if (worker.state !== "starting") return;
    worker.state = "serving";
    this.#record(worker, "started");
    const { name, generation, pid } = worker;
    this.#deps.log.info({ worker: name, generation, pid }, "worker serves");
  }

  // Death.

  #gone(worker: WorkerProcess, how: string): void {
    const hasEndedWell = worker.recordingHead !== undefined;
    this.#live.delete(worker);
    this.#cancels.forget(worker);
    this.#round?.forget(worker);
    if (this.#live.size === 0) this.#whenEmpty?.();
    // One that never served: whoever waits for it says so.
    if (worker.state === "starting") return;
    this.#record(worker, hasEndedWell ? "ended" : "died");
    if (hasEndedWell || this.#isStopping) return;
    const livedMs = this.#deps.clock.nowMs() - worker.startedAtMs;
    const { name, generation } = worker;
    this.#deps.log.error(
      { code: "worker-died", worker: name, generation, how, livedMs, sessions: worker.sessions },
      "a worker died, and its sessions with it",
    );
    if (!worker.stoppedByUs) this.#reviveLater(worker.isLead, generation, livedMs);
  }

  /** At once after a long life, later and later after short ones. */
  #reviveLater(isLead: boolean, generation: number, livedMs: number): void {
    if (this.#isStopping || generation !== this.#generation) return;
    const deaths = livedMs > limits.workerSettledMs ? 0 : (this.#deaths.get(isLead) ?? 0);
    this.#deaths.set(isLead, deaths + 1);
    const waitMs = Math.min(limits.workerBackoffMaxMs, limits.workerBackoffMs * 2 ** deaths);
    setTimeout(() => void this.#revive(isLead, generation), waitMs);
  }

  async #revive(isLead: boolean, generation: number): Promise<void> {
    if (this.#isStopping || generation !== this.#generation) return;
    this.#restarts += 1;
    if (isLead) this.#takenPorts = this.#ports;
    const worker = this.#fork(this.#config.text, isLead, generation, this.#takenPorts);
    try {
      const ready = await worker.ready;
      if (!addressesOf(ready).every((address) => this.#addresses.has(address))) {
        throw new GatewayError("worker-failed", "it listens elsewhere than the others");
      }
      if (generation !== this.#generation) {
        worker.kill();
        return;
      }
      this.#serves(worker);
      // The files may have changed since the others read them.
      await this.reload();
    } catch (error) {
      this.#deps.log.error({ code: causeCode(error), worker: worker.name }, "a worker could not start again");
      worker.kill();
      this.#reviveLater(isLead, generation, 0);
    }
  }

  // Messages.

  #hear(worker: WorkerProcess, message: FromWorker): void {
    worker.heardAtMs = this.#deps.clock.nowMs();
    switch (message.type) {
      case "beat":
        worker.sessions = message.sessions;
        worker.metrics = message.metrics;
        return;
      case "changed":
        // Every worker sees the change.
        clearTimeout(this.#changeTimer);
        this.#changeTimer = setTimeout(() => void this.reload(), limits.policyReloadDebounceMs);
        return;
      case "prepared":
        this.#round?.prepared(worker, message.parts);
        return;
      case "cancel":
        this.#cancels.route(worker, message, this.#live);
        return;
      case "cancelled":
        this.#cancels.answered(worker, message);
        return;
      case "hello":
      case "ready":
      case "failed":
      case "ended":
        return;
    }
  }

  async #reloadParts(): Promise<void> {
    const round = new ReloadRound([...this.#live].filter((w) => w.state === "serving" || w.state === "retiring"));
    this.#round = round;
    const report: ReloadReport = await round.run();
    this.#round = undefined;
    logReload(this.#deps.log, report);
  }

  /** Once a beat: who is stuck is killed, and the lead learns what the others count. */
  #look(): void {
    const nowMs = this.#deps.clock.nowMs();
    for (const worker of this.#live) {
      if (worker.state !== "starting" && nowMs - worker.heardAtMs > limits.workerSilentMsMax) {
        this.#deps.log.error({ code: "worker-stuck", worker: worker.name }, "a worker is stuck and is killed");
        worker.kill();
      }
    }
    for (const lead of this.#live) {
      if (!lead.isLead) continue;
      const others = [...this.#live].filter((worker) => worker !== lead);
      const lists = others.map((worker) => labelMetrics(worker.name, worker.metrics));
      lead.send({ type: "others", metrics: mergeMetrics(...lists, this.#own()) });
    }
  }

  #own(): readonly Metric[] {
    const sample = (value: number): Metric["samples"] => [{ labels: {}, value }];
    const serving = [...this.#live].filter((worker) => worker.state === "serving").length;
    return [
      { name: "gw_workers", help: "worker processes that serve", type: "gauge", samples: sample(serving) },
      {
        name: "gw_worker_restarts_total",
        help: "workers that died and were started again",
        type: "counter",
        samples: sample(this.#restarts),
      },
      { name: "gw_generation", help: "restarts without a gap", type: "gauge", samples: sample(this.#generation) },
    ];
  }

  #record(worker: WorkerProcess, state: "started" | "retired" | "ended" | "died"): void {
    const { name, generation, recordingHead } = worker;
    this.#deps.recorder.recordOutcome({
      atMs: this.#deps.clock.nowMs(),
      session: "",
      type: "worker",
      worker: name,
      generation,
      state,
      head: recordingHead,
    });
  }
}

const addressesOf = ({ connections }: WorkerReady): readonly string[] =>
  connections.map(({ name, host, port }) => `${name} ${host}:${port}`);

const portsOf = ({ connections, admin }: WorkerReady): WorkerStart["ports"] =>
  Object.fromEntries([
    ...connections.map(({ name, port }) => [name, port] as const),
    ...(admin === undefined ? [] : [["admin", admin.port] as const]),
  ]);

/** After the drain limit a worker closes what is left by itself. */
const killAfterMs = 10_000;
