// bundles -> results of their tests
import type { Diagnostic } from "../dsl/diagnostic.ts";
import type { RuleCoverage, TableCoverage } from "../dsl/testing/coverage.ts";
import { type Mutant, runMutants } from "../dsl/testing/mutate.ts";
import { type PropertyResult, runProperties } from "../dsl/testing/property.ts";
import { runTests, type TestOptions, type TestResult } from "../dsl/testing/run.ts";
import { type BundleFolder, compile, isWithin, type Selection } from "./read-bundle.ts";
import { snapshotAnalyzer } from "./snapshot-analyzer.ts";

export type TestRun = {
  readonly bundle: BundleFolder;
  /** Errors of the bundle; if there are any, no test ran. */
  readonly diagnostics: readonly Diagnostic[];
  readonly results: readonly TestResult[];
  readonly properties: readonly PropertyResult[];
  readonly rules: readonly RuleCoverage[];
  readonly tables: readonly TableCoverage[];
  /** With `mutate` only: each rule without a clause, with it negated, or left out. */
  readonly mutants: readonly Mutant[];
  /** Tests of packages whose rules take no part: run the folder that they come from. */
  readonly skipped: number;
  readonly durationMs: number;
};

export type TestChoice = {
  readonly filter: string | undefined;
  /** Of the generated cases of properties: the same seed, the same cases. */
  readonly seed: number;
  readonly mutate: boolean;
  /** What other policies make of a decision: see `joinedWithRego`. */
  readonly join?: TestOptions["join"];
};

/**
 * The tests of a selection: those in its files, of packages that take part. A bundle inside of it keeps its own. In a library
 * (`tests_with`) each package's tests run with that package and the named ones only, since bundles choose among them.
 */
export function runSelection({ bundle, within }: Selection, { filter, seed, mutate, join }: TestChoice): TestRun {
  const startMs = performance.now();
  const whole = compile(bundle);
  const errors = whole.diagnostics.filter((d) => d.severity === "error");
  const isOurs = (path: string) => isWithin(within, path) && !bundle.inner.some((folder) => path.startsWith(folder));
  const tests = whole.checked.tests.filter((test) => isOurs(test.path));
  const nothing = {
    bundle,
    results: [],
    properties: [],
    rules: [],
    tables: [],
    mutants: [],
    skipped: 0,
    durationMs: 0,
  };
  if (errors.length > 0) return { ...nothing, diagnostics: errors };

  const { testsWith } = bundle.manifest;
  // A package that is there to help the tests of others has none of its own.
  const isTested = (name: string) => !testsWith?.includes(name) || tests.some((test) => test.package === name);
  const groups = testsWith
    ? whole.checked.packages
        .filter(isTested)
        .map((name) => ({ own: [name], packages: [...new Set([name, ...testsWith])] }))
    : [{ own: whole.checked.packages, packages: bundle.manifest.packages }];
  const results: TestResult[] = [];
  const properties: PropertyResult[] = [];
  const rules: RuleCoverage[] = [];
  const tables = new Map<string, TableCoverage>();
  const mutants: Mutant[] = [];
  for (const { own, packages } of groups) {
    const { checked } = testsWith ? compile(bundle, packages) : whole;
    const isOwn = (test: { readonly path: string; readonly package: string }) =>
      isOurs(test.path) && own.includes(test.package);
    const ours = {
      ...checked,
      tests: checked.tests.filter(isOwn),
      properties: checked.properties.filter(isOwn),
    };
    const analyzeSql = snapshotAnalyzer(checked.catalogs);
    const report = runTests(ours, { analyzeSql, nowMs: () => performance.now(), filter, join });
    properties.push(...runProperties(ours, { analyzeSql, seed, filter }));
    if (mutate) {
      const all = runMutants(ours, { analyzeSql, nowMs: () => 0, filter });
      mutants.push(...all.filter((m) => own.includes(packageOf(m)) && isOurs(m.path)));
    }
    results.push(...report.results);
    for (const each of report.coverage.tables) {
      const key = `${each.connection} ${each.table}`;
      if (each.isTested || !tables.has(key)) tables.set(key, each);
    }
    // Of a part of a bundle only the packages that its tests belong to: the rest was not asked about.
    const isAskedAbout = (name: string) => within.length === 0 || tests.some((test) => test.package === name);
    rules.push(
      ...report.coverage.rules.filter(
        (r) =>
          own.includes(packageOf(r)) &&
          isAskedAbout(packageOf(r)) &&
          !bundle.inner.some((folder) => r.path.startsWith(folder)),
      ),
    );
  }
  const ran = new Set(groups.flatMap((group) => group.own));
  return {
    bundle,
    diagnostics: whole.diagnostics,
    results,
    properties,
    rules,
    tables: [...tables.values()],
    mutants,
    skipped: tests.filter((test) => !ran.has(test.package)).length,
    durationMs: performance.now() - startMs,
  };
}

const packageOf = (rule: { readonly rule: string }): string => rule.rule.slice(0, rule.rule.lastIndexOf("."));
