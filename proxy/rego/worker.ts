// A thread that does nothing but evaluate one Rego policy. It is terminated from outside when it takes too long.
import { parentPort, workerData } from "node:worker_threads";
import { err, type Result } from "../../engine/lib/result.ts";
import { RegoEvaluator, type RegoProgram } from "../../engine/rego/evaluator.ts";
import type { RegoFault } from "../../engine/rego/fault.ts";
import type { InputBytes } from "../../engine/rego/opa-wasm.ts";
import { type CellSize, cellState, SharedCell } from "./shared-cell.ts";

export type WorkerStart = {
  readonly program: RegoProgram;
  readonly buffer: SharedArrayBuffer;
  readonly size: CellSize;
};
/** Sent once, before the first request. */
export type WorkerReport =
  | { readonly kind: "ready"; readonly entrypoint: string }
  | { readonly kind: "failed"; readonly message: string };

const tooLarge: Result<unknown, RegoFault> = err({
  code: "rego-answer-invalid",
  message: "the policy's answer is larger than an answer may be",
});

// The SDK prints what a policy prints, which may be content.
for (const method of ["log", "error", "warn", "info", "debug"] as const) console[method] = () => undefined;

const start: WorkerStart = workerData; // what startWorker in worker-pool.ts hands over
const loaded = RegoEvaluator.load(start.program);
report(loaded.ok ? { kind: "ready", entrypoint: loaded.value.entrypoint } : { kind: "failed", message: loaded.error });
if (loaded.ok) serve(loaded.value, new SharedCell(start.buffer, start.size));

function report(message: WorkerReport): void {
  parentPort?.postMessage(message);
}

function serve(evaluator: RegoEvaluator, cell: SharedCell): never {
  const encoder = new TextEncoder();
  cell.setState(cellState.idle);
  for (;;) {
    cell.waitUntil(
      (state) => state === cellState.asked,
      Number.POSITIVE_INFINITY,
      () => 0,
    );
    const { input, nowMs } = cell.takeInput();
    const answer = evaluator.evaluate(input as InputBytes, nowMs); // written by encodeInput on the other side
    if (!cell.putAnswer(encoder.encode(write(answer)))) cell.putAnswer(encoder.encode(write(tooLarge)));
    cell.setState(cellState.answered);
    evaluator.renew();
    cell.setState(cellState.idle);
  }
}

/** A value that JSON leaves out (`undefined`) is no answer. */
function write(answer: Result<unknown, RegoFault>): string {
  return JSON.stringify(answer.ok ? { ok: true, value: answer.value ?? null } : answer);
}
