// the requests of a bundle's tests -> what one decision costs
import { compileProgram } from "../dsl/compile-program.ts";
import { prepare } from "../dsl/testing/given.ts";
import { evaluate } from "../engine/evaluate.ts";
import { compile, type Selection } from "./read-bundle.ts";
import { snapshotAnalyzer } from "./snapshot-analyzer.ts";

export type BenchResult = {
  readonly requests: number;
  readonly rules: number;
  /** Nanoseconds per decision over all requests: the quickest and the median of the rounds. */
  readonly bestNs: number;
  readonly medianNs: number;
};

const rounds = 15;
const roundMs = 40;

/** Compiled rules only: analysis of SQL is not in it. Takes about a second. */
export function benchSelection({ bundle }: Selection): BenchResult {
  const { checked } = compile(bundle);
  const analyzeSql = snapshotAnalyzer(checked.catalogs);
  const requests = checked.tests.flatMap((test) =>
    test.rows.flatMap((row) => prepare(checked, row.givens, analyzeSql).requests),
  );
  const program = compileProgram(checked);
  const figures: number[] = [];
  for (let round = 0; round <= rounds && requests.length > 0; round += 1) {
    let decisions = 0;
    const startMs = performance.now();
    let elapsedMs = 0;
    while (elapsedMs < roundMs) {
      for (const request of requests) evaluate(program, request);
      decisions += requests.length;
      elapsedMs = performance.now() - startMs;
    }
    if (round > 0) figures.push((elapsedMs * 1e6) / decisions); // the first one warms up
  }
  figures.sort((a, b) => a - b);
  return {
    requests: requests.length,
    rules: checked.rules.length,
    bestNs: figures[0] ?? 0,
    medianNs: figures[Math.floor(figures.length / 2)] ?? 0,
  };
}
