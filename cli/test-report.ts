// results of policy tests -> what people, CI systems and coverage tools read
import { type Palette, renderDiagnostic, Sources } from "../dsl/render-diagnostic.ts";
import { LineMap } from "../dsl/source.ts";
import type { PropertyResult } from "../dsl/testing/property.ts";
import type { TestResult } from "../dsl/testing/run.ts";
import type { Colors } from "./palette.ts";
import type { TestRun } from "./policy-tests.ts";
import { forReader, shownPath } from "./read-bundle.ts";

/** A tree by file; rows of a table stay folded unless one fails. Problems follow with their code frames. */
export function textReport(runs: readonly TestRun[], colors: Colors, palette: Palette): string {
  const lines: string[] = [];
  const problems: string[] = [];
  for (const run of runs) {
    const sources = new Sources(forReader(run.bundle, []).texts);
    const shown = (path: string) => shownPath(run.bundle.root, path);
    for (const [path, results] of groupBy(run.results, (r) => r.path)) {
      lines.push(colors.bold(shown(path)));
      for (const [title, rows] of groupBy(results, (r) => r.title)) lines.push(...testLines(title, rows, colors));
      lines.push("");
    }
    for (const p of run.properties) {
      lines.push(`  ${mark(p.outcome === "held", colors)} ${p.title}  ${colors.dim(`${p.cases} generated cases`)}`);
      problems.push(...propertyProblem(p, shown, colors));
    }
    if (run.properties.length > 0) lines.push("");
    for (const result of run.results) {
      const name = result.row === undefined ? result.title : `${result.title}, row ${result.row}`;
      for (const { diagnostic, expected, actual } of result.problems) {
        const frame = renderDiagnostic({ ...diagnostic, path: shown(diagnostic.path) }, sources, palette);
        const diff =
          expected === undefined || actual === undefined
            ? []
            : [`  ${colors.red(`- expected  ${expected}`)}`, `  ${colors.green(`+ got       ${actual}`)}`];
        problems.push(`${colors.red(colors.bold("FAIL"))}  ${name}`, ...diff, frame, "");
      }
      for (const warning of result.warnings) {
        problems.push(renderDiagnostic({ ...warning, path: shown(warning.path) }, sources, palette), "");
      }
    }
  }
  return [...lines, ...problems].map((line) => `${line}\n`).join("");
}

const mark = (isGood: boolean, colors: Colors) => (isGood ? colors.green("✓") : colors.red("✗"));

function propertyProblem(p: PropertyResult, shown: (path: string) => string, colors: Colors): readonly string[] {
  const head = `${colors.red(colors.bold("FAIL"))}  property ${JSON.stringify(p.title)}  ${shown(p.path)}`;
  if (p.outcome === "untried") return [head, "  no generated case met its `where`: it says nothing", ""];
  if (!p.counterexample) return [];
  const { test, expected, actual, rules, shrinks } = p.counterexample;
  return [
    `${head}      after ${p.cases} cases (${shrinks} shrinks)`,
    `  ${colors.red(`- expected  ${expected}`)}`,
    `  ${colors.green(`+ got       ${actual}`)}`,
    ...(rules.length === 0 ? [] : [`  by          ${rules.join(", ")}`]),
    "",
    "  smallest failing case, paste it as a test:",
    "",
    ...test
      .trimEnd()
      .split("\n")
      .map((line) => `    ${line}`),
    "",
  ];
}

function testLines(title: string, rows: readonly TestResult[], colors: Colors): readonly string[] {
  const failed = rows.filter((r) => r.problems.length > 0);
  const ms = colors.dim(milliseconds(rows.reduce((sum, r) => sum + r.durationMs, 0)));
  const count = rows.length > 1 || rows[0]?.row !== undefined ? ` (${rows.length} rows)` : "";
  return [
    `  ${mark(failed.length === 0, colors)} ${title}${count}  ${ms}`,
    ...failed.flatMap((r) => (r.row === undefined ? [] : [`    ${mark(false, colors)} ${r.row}`])),
  ];
}

export const milliseconds = (ms: number): string =>
  ms < 1_000 ? `${ms.toFixed(1)} ms` : `${(ms / 1_000).toFixed(2)} s`;

/** One line for the end of a run. */
export function summary(runs: readonly TestRun[]): string {
  const results = runs.flatMap((run) => run.results);
  const properties = runs.flatMap((run) => run.properties);
  const failed =
    results.filter((r) => r.problems.length > 0).length + properties.filter((p) => p.outcome !== "held").length;
  const skipped = runs.reduce((n, run) => n + run.skipped, 0);
  const parts = [
    `${results.length + properties.length - failed} passed`,
    `${failed} failed`,
    ...(skipped > 0 ? [`${skipped} of packages that take no part`] : []),
    milliseconds(runs.reduce((sum, run) => sum + run.durationMs, 0)),
  ];
  return `${parts.join(", ")}\n`;
}

export function jsonReport(runs: readonly TestRun[]): string {
  const places = new Places(runs);
  const results = runs.flatMap((run) =>
    run.results.map((r) => ({
      package: r.package,
      title: r.title,
      ...(r.row === undefined ? {} : { row: r.row }),
      ...places.of(run, r),
      outcome: r.problems.length === 0 ? "passed" : "failed",
      durationMs: Math.round(r.durationMs * 1_000) / 1_000,
      problems: r.problems.map(({ diagnostic: d, expected, actual }) => ({
        code: d.code,
        message: d.message,
        ...places.of(run, d),
        ...(expected === undefined ? {} : { expected, actual }),
        help: d.help,
      })),
      warnings: r.warnings.map((d) => ({ code: d.code, message: d.message, ...places.of(run, d) })),
    })),
  );
  const failed = results.filter((r) => r.outcome === "failed").length;
  const rules = runs.flatMap((run) =>
    run.rules.map((rule) => ({
      rule: rule.rule,
      ...places.of(run, rule),
      state: rule.state,
      conditions: rule.conditions.map(({ text, sawTrue, sawFalse }) => ({ text, sawTrue, sawFalse })),
    })),
  );
  const properties = runs.flatMap((run) =>
    run.properties.map((p) => ({
      ...p,
      ...places.of(run, p),
      span: undefined,
      path: shownPath(run.bundle.root, p.path),
    })),
  );
  const broken = properties.filter((p) => p.outcome !== "held").length;
  const counts = { passed: results.length - failed + properties.length - broken, failed: failed + broken };
  return `${JSON.stringify({ ...counts, results, properties, coverage: { rules, tables: runs.flatMap((run) => run.tables) } }, undefined, 2)}\n`;
}

/** The dialect that Jenkins, GitLab and GitHub actions read. */
export function junitReport(runs: readonly TestRun[]): string {
  const places = new Places(runs);
  const suites = runs.flatMap((run) =>
    [...groupBy(run.results, (r) => r.path)].map(([path, results]) => {
      const failed = results.filter((r) => r.problems.length > 0).length;
      const cases = results.map((r) => {
        const name = r.row === undefined ? r.title : `${r.title} [${r.row}]`;
        const head = `    <testcase classname="${xml(r.package)}" name="${xml(name)}" file="${xml(places.of(run, r).path)}" line="${places.of(run, r).line}" time="${(r.durationMs / 1_000).toFixed(6)}"`;
        if (r.problems.length === 0) return `${head}/>`;
        const failures = r.problems.map(({ diagnostic: d, expected, actual }) => {
          const text = [
            d.message,
            ...(expected === undefined ? [] : [`expected ${expected}`, `got ${actual}`]),
            ...d.help,
          ];
          return `      <failure type="${d.code}" message="${xml(d.message)}">${xml(text.join("\n"))}</failure>`;
        });
        return [`${head}>`, ...failures, "    </testcase>"].join("\n");
      });
      const time = results.reduce((sum, r) => sum + r.durationMs, 0) / 1_000;
      const head = `  <testsuite name="${xml(shownPath(run.bundle.root, path))}" tests="${results.length}" failures="${failed}" time="${time.toFixed(6)}">`;
      return [head, ...cases, "  </testsuite>"].join("\n");
    }),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("\n")}\n</testsuites>\n`;
}

/** Rules that no test fired, and conditions that were never seen both true and false. */
export function coverageText(runs: readonly TestRun[], colors: Colors): string {
  const places = new Places(runs);
  const rules = runs.flatMap((run) => run.rules);
  const fired = rules.filter((r) => r.state === "fired").length;
  const conditions = rules.flatMap((r) => r.conditions);
  const outcomes = conditions.reduce((n, c) => n + Number(c.sawTrue) + Number(c.sawFalse), 0);
  const lines = [
    `rules       ${percent(fired, rules.length)}  ${fired} of ${rules.length} fired`,
    `conditions  ${percent(outcomes, conditions.length * 2)}  ${outcomes} of ${conditions.length * 2} outcomes seen`,
  ];
  for (const run of runs) {
    for (const rule of run.rules) {
      const unseen = rule.conditions.flatMap((c) => [
        ...(c.sawTrue ? [] : [`${oneLine(c.text)} was never true`]),
        ...(c.sawFalse ? [] : [`${oneLine(c.text)} was never false`]),
      ]);
      if (rule.state === "fired" && unseen.length === 0) continue;
      const { path, line } = places.of(run, rule);
      const how = rule.state === "never" ? "no test reaches it" : rule.state === "reached" ? "never fired" : "fired";
      lines.push(`  ${colors.bold(rule.rule)}  ${how}  ${colors.dim(`${path}:${line}`)}`);
      for (const text of unseen) lines.push(`      ${text}`);
    }
  }
  const tables = runs.flatMap((run) => run.tables);
  if (tables.length > 0) {
    const tested = tables.filter((t) => t.isTested).length;
    lines.push(`tables      ${percent(tested, tables.length)}  ${tested} of ${tables.length} in a test`);
    for (const { connection, table, isTested } of tables) {
      if (!isTested) lines.push(`  ${colors.bold(table)}  no test  ${colors.dim(connection)}`);
    }
  }
  return lines.map((line) => `${line}\n`).join("");
}

/** @see https://github.com/linux-test-project/lcov: a rule is a function and a line, an outcome of a condition a branch. */
export function coverageLcov(runs: readonly TestRun[]): string {
  const places = new Places(runs);
  const out: string[] = [];
  for (const run of runs) {
    for (const [path, rules] of groupBy(run.rules, (r) => r.path)) {
      out.push("TN:", `SF:${shownPath(run.bundle.root, path)}`);
      for (const rule of rules) {
        const hits = rule.state === "fired" ? 1 : 0;
        const { line } = places.of(run, rule);
        out.push(`FN:${line},${rule.rule}`, `FNDA:${hits},${rule.rule}`, `DA:${line},${hits}`);
        rule.conditions.forEach((condition, i) => {
          const at = places.of(run, { path, span: condition.span }).line;
          out.push(`BRDA:${at},${i},0,${Number(condition.sawTrue)}`, `BRDA:${at},${i},1,${Number(condition.sawFalse)}`);
        });
      }
      out.push(`FNF:${rules.length}`, `FNH:${rules.filter((r) => r.state === "fired").length}`, "end_of_record");
    }
  }
  return out.map((line) => `${line}\n`).join("");
}

/** What no test notices: a rule that may as well be otherwise. */
export function mutationText(runs: readonly TestRun[], colors: Colors): string {
  const places = new Places(runs);
  const all = runs.flatMap((run) => run.mutants.map((mutant) => ({ run, mutant })));
  const survivors = all.filter(({ mutant }) => !mutant.isNoticed);
  const head = `mutants     ${percent(all.length - survivors.length, all.length)}  ${all.length - survivors.length} of ${all.length} noticed by a test`;
  const lines = survivors.map(({ run, mutant }) => {
    const { path, line } = places.of(run, mutant);
    return `  ${colors.bold(mutant.rule)}  ${mutant.what}  ${colors.dim(`${path}:${line}`)}`;
  });
  return [head, ...lines].map((line) => `${line}\n`).join("");
}

export const percent = (part: number, whole: number): string =>
  `${whole === 0 ? 100 : Math.floor((part / whole) * 100)} %`.padStart(5);

const oneLine = (text: string): string => `\`${text.replaceAll(/\s+/g, " ")}\``;

const xml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

type Place = { readonly path: string; readonly span: { readonly start: number } };

/** Where in which file, for the reader; lines are found once per file. */
class Places {
  readonly #maps = new Map<TestRun, Map<string, LineMap>>();

  constructor(runs: readonly TestRun[]) {
    for (const run of runs) this.#maps.set(run, new Map());
  }

  of(run: TestRun, { path, span }: Place): { readonly path: string; readonly line: number; readonly column: number } {
    const maps = this.#maps.get(run);
    const map = maps?.get(path) ?? new LineMap(run.bundle.files.get(path) ?? "");
    maps?.set(path, map);
    return { path: shownPath(run.bundle.root, path), ...map.positionOf(span.start) };
  }
}
