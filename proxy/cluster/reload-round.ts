// One reload of all workers: every worker reads and judges, then all take a part up or none does.
import { limits } from "../../engine/limits.ts";
import type { ReloadReport, Staged } from "../reload.ts";
import type { WorkerProcess } from "./worker-process.ts";

type Part = { readonly name: string; readonly staged: Staged };

export class ReloadRound {
  readonly #workers: Set<WorkerProcess>;
  readonly #answers = new Map<WorkerProcess, readonly Part[]>();
  readonly #done = Promise.withResolvers<void>();

  constructor(workers: readonly WorkerProcess[]) {
    this.#workers = new Set(workers);
  }

  async run(): Promise<ReloadReport> {
    const late = setTimeout(() => this.#done.resolve(), limits.workerReloadMs);
    for (const worker of this.#workers) worker.send({ type: "prepare" });
    this.#look();
    await this.#done.promise;
    clearTimeout(late);
    const isWhole = this.#answers.size === this.#workers.size;
    const report = mergeParts([...this.#answers.values()], isWhole);
    const taken = report.filter(({ isTaken }) => isTaken).map(({ name }) => name);
    for (const worker of this.#workers) worker.send({ type: "settle", taken });
    return report;
  }

  prepared(worker: WorkerProcess, parts: readonly Part[]): void {
    if (!this.#workers.has(worker)) return;
    this.#answers.set(worker, parts);
    this.#look();
  }

  /** It is gone: the others decide. */
  forget(worker: WorkerProcess): void {
    this.#workers.delete(worker);
    this.#answers.delete(worker);
    this.#look();
  }

  #look(): void {
    if (this.#answers.size === this.#workers.size) this.#done.resolve();
  }
}

/**
 * A part is taken up when nobody turned it away and all read the same bytes: a file that changed between two reads is
 * taken up by the next round. `isWhole`: every worker has answered.
 */
export function mergeParts(answers: readonly (readonly Part[])[], isWhole: boolean): ReloadReport {
  const byName = new Map<string, Staged[]>();
  for (const { name, staged } of answers.flat()) byName.set(name, [...(byName.get(name) ?? []), staged]);
  return [...byName].map(([name, all]) => {
    const rejected = all.find((staged) => staged.state === "rejected");
    const ready = all.find((staged) => staged.state === "ready");
    const [first] = all;
    const staged = rejected ?? ready ?? first ?? { state: "unchanged", digest: "" };
    const agrees = all.every(({ digest }) => digest === staged.digest);
    if (staged.state === "ready" && !(isWhole && agrees)) {
      const message = isWhole ? "the workers read different content: it is being changed" : "a worker didn't answer";
      return { name, staged: { state: "rejected", digest: staged.digest, message }, isTaken: false };
    }
    return { name, staged, isTaken: staged.state === "ready" };
  });
}
