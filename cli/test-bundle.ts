// a bundle -> do its own tests pass? In a thread of its own: a gateway that takes one up goes on answering.
import { Worker } from "node:worker_threads";
import { err, ok, type Result } from "../engine/lib/result.ts";
import { limits } from "../engine/limits.ts";
import type { BundleFiles } from "../proxy/policy-source.ts";

/** What the thread answers. */
export type BundleTestReport =
  | { readonly kind: "passed"; readonly tests: number }
  | { readonly kind: "failed"; readonly message: string };

/** What the thread is asked. */
export type BundleTestOrder = {
  readonly files: BundleFiles;
  readonly isTested: boolean;
  /** Recorded statements since then are decided again: none may be permitted or revealed that wasn't. */
  readonly replay: { readonly recording: string; readonly fromMs: number; readonly timeZone: string } | undefined;
};

/** The number of tests; or the first ones that fail, or what the bundle would permit. */
export async function testBundle(order: BundleTestOrder): Promise<Result<number, string>> {
  const worker = new Worker(new URL("./test-bundle-worker.ts", import.meta.url), {
    workerData: order,
    resourceLimits: { maxOldGenerationSizeMb: limits.bundleTestHeapMbMax },
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const report = await new Promise<BundleTestReport>((resolve) => {
      timer = setTimeout(
        () => resolve({ kind: "failed", message: `the bundle's tests took longer than ${limits.bundleTestMs} ms` }),
        limits.bundleTestMs,
      );
      worker.once("message", resolve);
      worker.once("error", (error) => resolve({ kind: "failed", message: `the bundle's tests broke: ${error.name}` }));
      worker.once("exit", () => resolve({ kind: "failed", message: "the bundle's tests ended without an answer" }));
    });
    return report.kind === "passed" ? ok(report.tests) : err(report.message);
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
