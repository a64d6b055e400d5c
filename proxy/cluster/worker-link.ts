// A worker's line to the primary: what it is told, and what it says.

import { limits } from "../../engine/limits.ts";
import type { Metric } from "../admin/metrics.ts";
import type { Reloadable, Staged } from "../reload.ts";
import { labelMetrics, mergeMetrics } from "./merge-metrics.ts";
import { decodeToWorker, type FromWorker, type ToWorker, type WorkerStart } from "./messages.ts";

/** What the link needs of the gateway in this process, once there is one. */
export type LinkedGateway = {
  readonly reloadables: readonly Reloadable[];
  readonly cancel: (connection: string, processId: number, secret: Buffer, client: string) => Promise<boolean>;
  readonly sessions: () => number;
  readonly metrics: () => readonly Metric[];
};

export type Leave =
  | { readonly kind: "retire"; readonly lingerMs: number; readonly drainMs: number }
  | { readonly kind: "stop"; readonly drainMs: number };

export class WorkerLink {
  readonly #worker: string;
  readonly #leave: (leave: Leave) => void;
  #gateway: LinkedGateway | undefined;
  #others: readonly Metric[] = [];
  readonly #cancels = new Map<number, (isTaken: boolean) => void>();
  #nextCancel = 1;
  #beat: NodeJS.Timeout | undefined;
  /** Prepare and settle in the order in which they came. */
  #running: Promise<void> = Promise.resolve();

  constructor(worker: string, leave: (leave: Leave) => void) {
    this.#worker = worker;
    this.#leave = leave;
    process.on("message", (raw: unknown) => {
      const message = decodeToWorker(raw);
      if (message) this.#hear(message);
    });
  }

  serve(gateway: LinkedGateway): void {
    this.#gateway = gateway;
    const beat = (): void => this.say({ type: "beat", sessions: gateway.sessions(), metrics: gateway.metrics() });
    this.#beat = setInterval(beat, limits.workerBeatMs);
    this.#beat.unref();
  }

  say(message: FromWorker): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  }

  /** Asks the other workers; false when none of them has the session within `workerCancelMs`. */
  cancelElsewhere = (connection: string, processId: number, secret: Buffer, client: string): Promise<boolean> =>
    new Promise((resolve) => {
      const id = this.#nextCancel++;
      const late = setTimeout(() => answered(false), 2 * limits.workerCancelMs);
      const answered = (isTaken: boolean): void => {
        clearTimeout(late);
        this.#cancels.delete(id);
        resolve(isTaken);
      };
      this.#cancels.set(id, answered);
      this.say({ type: "cancel", id, connection, processId, secret: secret.toString("base64"), client });
    });

  allMetrics = (own: readonly Metric[]): readonly Metric[] =>
    mergeMetrics(labelMetrics(this.#worker, own), this.#others);

  #hear(message: ToWorker): void {
    switch (message.type) {
      case "start":
        return;
      case "prepare":
        this.#inTurn(async () => this.say({ type: "prepared", parts: await this.#prepare() }));
        return;
      case "settle":
        this.#inTurn(async () => {
          for (const { name, settle } of this.#gateway?.reloadables ?? []) settle(message.taken.includes(name));
        });
        return;
      case "cancel":
        void this.#cancel(message);
        return;
      case "cancelled":
        this.#cancels.get(message.id)?.(message.isTaken);
        return;
      case "others":
        this.#others = message.metrics;
        return;
      case "retire":
        this.#leave({ kind: "retire", lingerMs: message.lingerMs, drainMs: message.drainMs });
        return;
      case "stop":
        this.#leave({ kind: "stop", drainMs: message.drainMs });
        return;
    }
  }

  async #prepare(): Promise<readonly { readonly name: string; readonly staged: Staged }[]> {
    const parts: { readonly name: string; readonly staged: Staged }[] = [];
    for (const { name, prepare } of this.#gateway?.reloadables ?? []) parts.push({ name, staged: await prepare() });
    return parts;
  }

  async #cancel(message: ToWorker & { readonly type: "cancel" }): Promise<void> {
    const { id, connection, processId, secret, client } = message;
    const taken = this.#gateway?.cancel(connection, processId, Buffer.from(secret, "base64"), client);
    this.say({ type: "cancelled", id, isTaken: (await taken?.catch(() => true)) ?? false });
  }

  #inTurn(work: () => Promise<void>): void {
    this.#running = this.#running.then(work).catch(() => undefined);
  }
}

/** The first thing that a worker is told. */
export const toldToStart = (): Promise<WorkerStart> =>
  new Promise((resolve) => {
    const hear = (raw: unknown): void => {
      const message = decodeToWorker(raw);
      if (message?.type !== "start") return;
      process.removeListener("message", hear);
      resolve(message);
    };
    process.on("message", hear);
    process.send?.({ type: "hello" } satisfies FromWorker);
  });
