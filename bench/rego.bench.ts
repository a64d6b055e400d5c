// The same policies in the policy language and in Rego: decisions per second, in this thread and in a worker with a deadline.
//   npm run bench -- rego [evaluations]      memory is read over that many (1,000,000)
import { readdirSync, readFileSync } from "node:fs";
import { compileBundle } from "../dsl/bundle.ts";
import { limits } from "../engine/limits.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import { readRegoBundle } from "../engine/rego/bundle.ts";
import { noNeeds, regoPolicySet } from "../engine/rego/policy-set.ts";
import { readBundleFiles } from "../proxy/policy-source.ts";
import { startRegoWorkers } from "../proxy/rego/worker-pool.ts";
import { access, loadInProcess, quietLog, sqlFacts, sqlRequest } from "../test/rego/support.ts";
import { buildRego, opa } from "../test/support/opa.ts";

if (opa === undefined) {
  console.error("no `opa` command: see test/support/opa.ts");
  process.exit(2);
}
const evaluations = Number(process.argv[2] ?? 1_000_000);
const ports = ["guards", "readonly", "tenants", "windows", "breakglass"] as const;
const files = Object.fromEntries(
  readdirSync("policies/rego", { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:rego|json)$/.test(name))
    .map((name) => [name, readFileSync(`policies/rego/${name}`, "utf8")]),
);
const entrypoints = ports.map((port) => `gw/std/${port}/decision`);
const bytes = await buildRego(files, entrypoints);
const policies = await readBundleFiles("policies");
const request: PolicyRequest = sqlRequest({ sql: sqlFacts([access({ hasWhere: true, whereAlwaysTrue: false })]) });

/** Decisions per second, the best of five runs of a fifth of a second. */
function perSecond(decide: () => unknown): number {
  let best = 0;
  for (let run = 0; run < 5; run += 1) {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < 200) {
      for (let i = 0; i < 50; i += 1) decide();
      count += 50;
    }
    best = Math.max(best, count / ((performance.now() - start) / 1_000));
  }
  return best;
}

const rows: string[] = [];
for (const [i, port] of ports.entries()) {
  const entrypoint = entrypoints[i] ?? "";
  const compiled = compileBundle(policies, { revision: "1", timeZone: "UTC", packages: [`gw.std.${port}`] });
  if (compiled.policySet === undefined) throw new Error(`gw.std.${port} doesn't compile`);
  const own = compiled.policySet;
  const inProcess = loadInProcess(bytes, entrypoint).set;
  const bundle = readRegoBundle(bytes, limits);
  if (!bundle.ok) throw new Error(bundle.error);
  const { module, data } = bundle.value;
  const started = await startRegoWorkers(
    { module, data, entrypoint, pagesMax: limits.regoMemoryPagesMax },
    { deadlineMs: 1_000, limits, monotonicMs: () => performance.now(), log: quietLog },
  );
  if (!started.ok) throw new Error(started.error);
  const worker = regoPolicySet({
    hash: "",
    revision: "",
    timeZone: "UTC",
    entrypoint,
    evaluate: started.value.evaluate,
    needs: noNeeds,
    tags: () => undefined,
    limits,
  });
  const [a, b, c] = [own, inProcess, worker].map((set) => perSecond(() => set.decide(request)));
  const show = (n = 0): string => Math.round(n).toLocaleString("en");
  rows.push(`| ${port} | ${show(a)} | ${show(b)} | ${show(c)} | ${((a ?? 0) / (c ?? 1)).toFixed(0)} |`);
  await started.value.close();
}
console.log(
  "| policy | policy language, decisions/s | Rego, this thread | Rego, worker with a deadline | language / worker |",
);
console.log("|---|---|---|---|---|");
for (const row of rows) console.log(row);

const { set, evaluator } = loadInProcess(bytes, entrypoints[0] ?? "");
for (let i = 0; i < 10_000; i += 1) set.decide(request);
const before = { wasm: evaluator.memoryBytes(), rss: process.memoryUsage().rss };
for (let i = 0; i < evaluations; i += 1) set.decide(request);
const after = { wasm: evaluator.memoryBytes(), rss: process.memoryUsage().rss };
const mb = (n: number): string => (n / 1_048_576).toFixed(1);
console.log(
  `\nMemory over ${evaluations.toLocaleString("en")} evaluations: WASM ${mb(before.wasm)} → ${mb(after.wasm)} MB, process ${mb(before.rss)} → ${mb(after.rss)} MB`,
);
