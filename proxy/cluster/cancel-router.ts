// A cancel that arrives at one worker for a session of another. The key names the backend, so the others are asked.
import { limits } from "../../engine/limits.ts";
import type { RoutedCancel } from "./messages.ts";
import type { WorkerProcess } from "./worker-process.ts";

type Pending = {
  readonly asker: WorkerProcess;
  readonly askersId: number;
  readonly waiting: Set<WorkerProcess>;
  readonly late: NodeJS.Timeout;
};

export class CancelRouter {
  readonly #pending = new Map<number, Pending>();
  #next = 1;

  route(asker: WorkerProcess, cancel: RoutedCancel, live: Iterable<WorkerProcess>): void {
    // Anybody may send CancelRequests: over the bound nobody is asked.
    if (this.#pending.size >= limits.workerCancelsMax) {
      asker.send({ type: "cancelled", id: cancel.id, isTaken: false });
      return;
    }
    const others = [...live].filter((worker) => worker !== asker && worker.state !== "starting");
    const id = this.#next++;
    const late = setTimeout(() => this.#finish(id, false), limits.workerCancelMs);
    this.#pending.set(id, { asker, askersId: cancel.id, waiting: new Set(others), late });
    if (others.length === 0) this.#finish(id, false);
    for (const worker of others) worker.send({ ...cancel, type: "cancel", id });
  }

  answered(worker: WorkerProcess, { id, isTaken }: { readonly id: number; readonly isTaken: boolean }): void {
    const pending = this.#pending.get(id);
    if (!pending?.waiting.delete(worker)) return;
    if (isTaken || pending.waiting.size === 0) this.#finish(id, isTaken);
  }

  /** It is gone: it answers nothing any more. */
  forget(worker: WorkerProcess): void {
    for (const [id, pending] of this.#pending) {
      if (pending.asker === worker) this.#drop(id, pending);
      else this.answered(worker, { id, isTaken: false });
    }
  }

  #finish(id: number, isTaken: boolean): void {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#drop(id, pending);
    pending.asker.send({ type: "cancelled", id: pending.askersId, isTaken });
  }

  #drop(id: number, { late }: Pending): void {
    clearTimeout(late);
    this.#pending.delete(id);
  }
}
