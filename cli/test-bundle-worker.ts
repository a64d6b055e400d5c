// The thread of `testBundle`.
import { parentPort, workerData } from "node:worker_threads";
import { compileBundle } from "../dsl/bundle.ts";
import { readAllEvents } from "../proxy/recording/chains.ts";
import { type Manifest, manifestName, noManifest, parseManifest } from "./manifest.ts";
import { runSelection } from "./policy-tests.ts";
import { permitsMore, replayPolicies } from "./replay-policies.ts";
import { rememberingAnalyzer } from "./snapshot-analyzer.ts";
import type { BundleTestOrder, BundleTestReport } from "./test-bundle.ts";

// SAFETY: `testBundle` is the only one that starts this thread.
parentPort?.postMessage(await report(workerData as BundleTestOrder));

async function report(order: BundleTestOrder): Promise<BundleTestReport> {
  const text = order.files.get(manifestName);
  const parsed = text === undefined ? undefined : parseManifest(text, manifestName);
  if (parsed && !parsed.ok) return { kind: "failed", message: parsed.error };
  const manifest = parsed?.value ?? noManifest;
  const tested = order.isTested ? runTests(order, manifest) : ({ kind: "passed", tests: 0 } as const);
  if (tested.kind === "failed") return tested;
  const why = await whyNotReplayed(order, manifest);
  return why === undefined ? tested : { kind: "failed", message: why };
}

function runTests({ files }: BundleTestOrder, manifest: Manifest): BundleTestReport {
  const inner = [...files.keys()]
    .filter((path) => path.endsWith(`/${manifestName}`))
    .map((path) => path.slice(0, -manifestName.length));
  const bundle = { root: ".", files, manifest, inner };
  const run = runSelection({ bundle, within: [] }, { filter: undefined, seed: 1, mutate: false });
  const [diagnostic] = run.diagnostics.filter((d) => d.severity === "error");
  if (diagnostic !== undefined) return { kind: "failed", message: `${diagnostic.path}: ${diagnostic.message}` };
  const failed = [
    ...run.results.filter((result) => result.problems.length > 0),
    ...run.properties.filter((property) => property.outcome === "failed"),
  ];
  if (failed.length === 0) return { kind: "passed", tests: run.results.length + run.properties.length };
  const names = failed.slice(0, 5).map((result) => `\`${result.title}\``);
  return { kind: "failed", message: `${failed.length} of the bundle's tests fail: ${names.join(", ")}` };
}

async function whyNotReplayed({ files, replay }: BundleTestOrder, manifest: Manifest): Promise<string | undefined> {
  if (replay === undefined) return undefined;
  const { revision, packages } = manifest;
  const compiled = compileBundle(files, { revision, packages, timeZone: manifest.timeZone ?? replay.timeZone });
  if (compiled.policySet === undefined) return "the bundle doesn't compile";
  const result = await replayPolicies(readAllEvents(replay.recording), {
    policies: compiled.policySet,
    analyze: rememberingAnalyzer(compiled.checked.catalogs),
    fromMs: replay.fromMs,
    untilMs: Number.MAX_SAFE_INTEGER,
  });
  if (!permitsMore(result)) return undefined;
  const more = result.differences.filter(({ kind }) => kind === "permitted" || kind === "revealed");
  const ids = more.flatMap(({ examples }) => examples.map(({ id }) => id)).slice(0, 5);
  const count = more.reduce((sum, difference) => sum + difference.count, 0);
  return `it would permit or reveal ${count} recorded statements that the policies of then did not, such as ${ids.join(", ")}: \`gw policy replay\` shows them`;
}
