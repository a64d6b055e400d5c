// One worker as the primary sees it: started, ready, heard of, gone.
import cluster, { type Worker } from "node:cluster";
import { limits } from "../../engine/limits.ts";
import type { Metric } from "../admin/metrics.ts";
import { type FaultCode, faultCodes, GatewayError } from "../errors.ts";
import { closeWhatIsNotTaken } from "./handed-over.ts";
import {
  clusterProtocol,
  decodeFromWorker,
  type FromWorker,
  type ToWorker,
  type WorkerReady,
  type WorkerStart,
} from "./messages.ts";

export type WorkerState = "starting" | "serving" | "retiring" | "stopping";

export type WorkerEvents = {
  readonly onMessage: (worker: WorkerProcess, message: FromWorker) => void;
  /** `how`: `exit 1`, `SIGKILL`. */
  readonly onGone: (worker: WorkerProcess, how: string) => void;
};

export class WorkerProcess {
  readonly name: string;
  readonly generation: number;
  readonly isLead: boolean;
  readonly startedAtMs: number;
  state: WorkerState = "starting";
  /** Its end is no accident. */
  stoppedByUs = false;
  heardAtMs: number;
  sessions = 0;
  metrics: readonly Metric[] = [];
  /** `number:hash` of its recording's last line, once it has ended well. */
  recordingHead: string | undefined;
  /** Rejects with a GatewayError: what kept it from starting. */
  readonly ready: Promise<WorkerReady>;
  readonly #process: Worker;

  /** Forks at once. */
  constructor(start: Omit<WorkerStart, "type" | "protocol">, generation: number, nowMs: number, events: WorkerEvents) {
    this.name = start.worker;
    this.generation = generation;
    this.isLead = start.isLead;
    this.startedAtMs = nowMs;
    this.heardAtMs = nowMs;
    const { promise, resolve, reject } = Promise.withResolvers<WorkerReady>();
    this.ready = promise;
    const late = setTimeout(() => {
      reject(new GatewayError("worker-failed", `\`${this.name}\` wasn't ready in ${limits.workerStartMs / 1_000} s`));
      this.kill();
    }, limits.workerStartMs);
    const settled = (): void => clearTimeout(late);
    promise.then(settled, settled);
    this.#process = cluster.fork();
    closeWhatIsNotTaken(this.#process.process);
    this.#process.on("error", () => undefined); // a message to one that is gone: `exit` tells
    this.#process.on("message", (raw: unknown) => {
      const message = decodeFromWorker(raw);
      if (message === undefined) return;
      if (message.type === "hello") this.send({ type: "start", protocol: clusterProtocol, ...start });
      if (message.type === "ready") {
        if (message.protocol === clusterProtocol) resolve(message);
        else reject(new GatewayError("worker-failed", "the code on disk is of another version", "restart the gateway"));
      }
      if (message.type === "failed") reject(faultOf(message));
      if (message.type === "ended") this.recordingHead = message.head;
      events.onMessage(this, message);
    });
    this.#process.on("exit", (code, signal) => {
      const how = signal ?? `exit ${code}`;
      reject(new GatewayError("worker-failed", `\`${this.name}\` ended while it started: ${how}`));
      events.onGone(this, how);
    });
  }

  get pid(): number | undefined {
    return this.#process.process.pid;
  }

  send(message: ToWorker): void {
    if (message.type === "stop" || message.type === "retire") this.stoppedByUs = true;
    if (this.#process.isConnected()) this.#process.send(message);
  }

  kill(): void {
    this.#process.process.kill("SIGKILL");
  }
}

const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(faultCodes, code);

const faultOf = ({ code, message, help }: FromWorker & { readonly type: "failed" }): GatewayError =>
  new GatewayError(isFaultCode(code) ? code : "worker-failed", message, help);
