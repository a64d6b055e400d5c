// The thread of `testBundle`.
import { parentPort, workerData } from "node:worker_threads";
import type { BundleFiles } from "../proxy/policy-source.ts";
import { manifestName, noManifest, parseManifest } from "./manifest.ts";
import { runSelection } from "./policy-tests.ts";
import type { BundleTestReport } from "./test-bundle.ts";

// SAFETY: `testBundle` is the only one that starts this thread.
parentPort?.postMessage(report(workerData as BundleFiles));

function report(files: BundleFiles): BundleTestReport {
  const text = files.get(manifestName);
  const parsed = text === undefined ? undefined : parseManifest(text, manifestName);
  if (parsed && !parsed.ok) return { kind: "failed", message: parsed.error };
  const inner = [...files.keys()]
    .filter((path) => path.endsWith(`/${manifestName}`))
    .map((path) => path.slice(0, -manifestName.length));
  const bundle = { root: ".", files, manifest: parsed?.value ?? noManifest, inner };
  const run = runSelection({ bundle, within: [] }, { filter: undefined, seed: 1, mutate: false });
  const [diagnostic] = run.diagnostics;
  if (diagnostic !== undefined) return { kind: "failed", message: `${diagnostic.path}: ${diagnostic.message}` };
  const failed = [
    ...run.results.filter((result) => result.problems.length > 0),
    ...run.properties.filter((property) => property.outcome === "failed"),
  ];
  if (failed.length === 0) return { kind: "passed", tests: run.results.length + run.properties.length };
  const names = failed.slice(0, 5).map((result) => `\`${result.title}\``);
  return { kind: "failed", message: `${failed.length} of the bundle's tests fail: ${names.join(", ")}` };
}
