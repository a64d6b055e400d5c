// RegoProgram -> evaluation with a deadline. One worker thread works, one stands ready to replace it.
//
// `PolicySet.decide` is synchronous: the gateway's thread sleeps until the worker has answered, at most for the
// deadline. So a policy that runs away costs every session its deadline once per request that sets it off, and no more.
import { Worker } from "node:worker_threads";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { Limits } from "../../engine/limits.ts";
import type { RegoProgram } from "../../engine/rego/evaluator.ts";
import type { RegoFault } from "../../engine/rego/fault.ts";
import type { EvaluateRego } from "../../engine/rego/policy-set.ts";
import type { Log } from "../deps.ts";
import { cellState, makeCellBuffer, SharedCell } from "./shared-cell.ts";
import type { WorkerReport, WorkerStart } from "./worker.ts";

export type RegoWorkers = {
  readonly evaluate: EvaluateRego;
  readonly entrypoint: string;
  /** Workers that were stopped because a policy ran past its deadline. */
  readonly stopped: () => number;
  readonly close: () => Promise<void>;
};

export type RegoWorkersOptions = {
  readonly deadlineMs: number;
  readonly limits: Limits;
  /** A monotonic clock: `performance.now`. */
  readonly monotonicMs: () => number;
  readonly log: Log;
};

type Running = { readonly worker: Worker; readonly cell: SharedCell; readonly started: Promise<WorkerReport> };

/** The error says why the policy can't be loaded, in one sentence. */
export async function startRegoWorkers(
  program: RegoProgram,
  options: RegoWorkersOptions,
): Promise<Result<RegoWorkers, string>> {
  const first = startWorker(program, options.limits);
  const report = await withTimeout(first.started, options.limits.regoWorkerStartMs);
  if (report === undefined || report.kind === "failed") {
    await first.worker.terminate();
    return err(report?.message ?? "the policy took too long to load");
  }
  return ok(new Pool(program, options, first, report.entrypoint));
}

class Pool implements RegoWorkers {
  readonly entrypoint: string;
  readonly #program: RegoProgram;
  readonly #options: RegoWorkersOptions;
  #active: Running;
  #spare: Running;
  #stopped = 0;
  #isClosed = false;

  constructor(program: RegoProgram, options: RegoWorkersOptions, first: Running, entrypoint: string) {
    this.entrypoint = entrypoint;
    this.#program = program;
    this.#options = options;
    this.#active = first;
    this.#spare = startWorker(program, options.limits);
  }

  readonly stopped = (): number => this.#stopped;

  readonly close = async (): Promise<void> => {
    this.#isClosed = true;
    await Promise.all([this.#active.worker.terminate(), this.#spare.worker.terminate()]);
  };

  readonly evaluate: EvaluateRego = (input, nowMs) => {
    if (this.#isClosed) return unavailable("the policy was unloaded");
    const { deadlineMs, monotonicMs, limits } = this.#options;
    const { cell } = this.#active;
    if (!cell.waitUntil((state) => state === cellState.idle, limits.regoWorkerWaitMs, monotonicMs)) {
      this.#replace();
      return unavailable("no thread for the policy was ready in time");
    }
    cell.putInput(input, nowMs);
    cell.setState(cellState.asked);
    // It goes on to `idle` by itself, perhaps before this thread wakes up.
    if (!cell.waitUntil((state) => state !== cellState.asked, deadlineMs, monotonicMs)) {
      this.#replace();
      this.#options.log.warn({ code: "rego-deadline", deadlineMs }, "a Rego policy was stopped at its deadline");
      return err({
        code: "rego-deadline",
        message: `the policy took longer than ${deadlineMs} ms and was stopped`,
        help: "send a simpler request",
      });
    }
    return readAnswer(cell.takeAnswer());
  };

  /** INVARIANT: a worker that missed its deadline never answers another request. */
  #replace(): void {
    this.#stopped += 1;
    void this.#active.worker.terminate();
    this.#active = this.#spare;
    this.#spare = startWorker(this.#program, this.#options.limits);
  }
}

function startWorker(program: RegoProgram, limits: Limits): Running {
  const size = { inputBytesMax: limits.regoInputBytesMax, answerBytesMax: limits.regoAnswerBytesMax };
  const buffer = makeCellBuffer(size);
  const data: WorkerStart = { program, buffer, size };
  const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js";
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: data,
    stdout: true,
    stderr: true,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: limits.regoWorkerHeapMbMax },
  });
  worker.unref();
  const started = new Promise<WorkerReport>((resolve) => {
    worker.once("message", (report: WorkerReport) => resolve(report)); // sent by worker.ts only
    worker.once("error", () => resolve({ kind: "failed", message: "the policy's thread failed" }));
    worker.once("exit", () => resolve({ kind: "failed", message: "the policy's thread ended" }));
  });
  return { worker, cell: new SharedCell(buffer, size), started };
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), timeoutMs);
  });
  const first = await Promise.race([promise, late]);
  clearTimeout(timer);
  return first;
}

const unavailable = (message: string): Result<never, RegoFault> => err({ code: "rego-unavailable", message });

function readAnswer(bytes: Uint8Array): Result<unknown, RegoFault> {
  const answer: Result<unknown, RegoFault> = JSON.parse(new TextDecoder().decode(bytes)); // written by worker.ts
  return answer;
}
