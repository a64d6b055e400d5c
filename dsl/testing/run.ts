// tests of a bundle -> results. Pure: SQL analysis and the clock are handed in.
import { evaluate } from "../../engine/evaluate.ts";
import type { Span } from "../../engine/lib/span.ts";
import { type Truth, Unknown } from "../../engine/lib/truth.ts";
import type { Cause, Decision } from "../../engine/model/decision.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { Checked, CheckedExpect, CheckedGiven, CheckedRule, CheckedTest, Clause, Core } from "../checked.ts";
import { type Diagnostic, diagnose } from "../diagnostic.ts";
import { interpretProgram, type Trace } from "../interpret.ts";
import type { Type } from "../types.ts";
import { showValue } from "../values.ts";
import { type Coverage, CoverageMeter } from "./coverage.ts";
import { causesOf, compare } from "./expect.ts";
import { type AnalyzeSql, evalConstant, NotGiven, prepare, type SqlFaultFacts } from "./given.ts";

export type TestOptions = {
  readonly analyzeSql: AnalyzeSql;
  /** Milliseconds of some clock, for timings only. */
  readonly nowMs: () => number;
  /** Runs the tests whose title (or `package: title`) holds this text; undefined: all. */
  readonly filter?: string | undefined;
  /** What other policies make of a decision; undefined: the rules decide alone. */
  readonly join?: ((own: Decision, request: PolicyRequest) => Decision) | undefined;
};

/** Something that fails a test, with the place and, for an expectation, both sides. */
export type TestProblem = {
  readonly diagnostic: Diagnostic;
  readonly expected: string | undefined;
  readonly actual: string | undefined;
};
/** One result per test, or per row of its table. */
export type TestResult = {
  readonly title: string;
  /** `2: "delete from orders" | deny` for a row. */
  readonly row: string | undefined;
  readonly package: string;
  readonly path: string;
  readonly span: Span;
  readonly problems: readonly TestProblem[];
  readonly warnings: readonly Diagnostic[];
  readonly decisions: readonly Decision[];
  readonly durationMs: number;
};
export type TestReport = {
  readonly results: readonly TestResult[];
  readonly passed: number;
  readonly failed: number;
  readonly coverage: Coverage;
  readonly durationMs: number;
};

export function runTests(checked: Checked, options: TestOptions): TestReport {
  const meter = new CoverageMeter();
  const startMs = options.nowMs();
  const wanted = checked.tests.filter(
    (t) => options.filter === undefined || `${t.package}: ${t.title}`.includes(options.filter),
  );
  const results = wanted.flatMap((test) => test.rows.map((row) => runRow(checked, test, row, options, meter)));
  const failed = results.filter((r) => r.problems.length > 0).length;
  return {
    results,
    passed: results.length - failed,
    failed,
    coverage: meter.report(checked),
    durationMs: options.nowMs() - startMs,
  };
}

type Row = CheckedTest["rows"][number];

function runRow(checked: Checked, test: CheckedTest, row: Row, options: TestOptions, meter: CoverageMeter): TestResult {
  const startMs = options.nowMs();
  const notebook = new Notebook();
  const prepared = prepare(checked, row.givens, options.analyzeSql);
  const program = interpretProgram(checked, { data: prepared.data, trace: both(meter.trace, notebook.trace) });
  const decisions = prepared.fault
    ? [denied(prepared.fault)]
    : prepared.requests.map((request) => {
        meter.touch(request);
        const own = evaluate(program, request);
        return options.join?.(own, request) ?? own;
      });
  const problem = (code: string, span: Span, message: string, more: Partial<Diagnostic> = {}): TestProblem => ({
    diagnostic: diagnose({ code, path: test.path, span, message, ...more }),
    expected: undefined,
    actual: undefined,
  });
  const problems: TestProblem[] = [];
  if (prepared.fault && isSlip(prepared.fault)) {
    const given = row.givens.find((g) => g.kind === "sql");
    problems.push(
      problem("T0302", given?.span ?? row.span, `this statement cannot be analysed: ${prepared.fault.message}`, {
        help: prepared.fault.help === undefined ? [] : [prepared.fault.help],
      }),
    );
  } else if (!prepared.fault && prepared.requests.length === 0) {
    problems.push(
      problem("T0303", row.span, "this test gives no request", {
        help: ['add `given sql "…" at "…"`, or `given http`, `given mcp`, `given llm`'],
      }),
    );
  } else {
    for (const expect of row.expects) {
      const mismatch = compare(expect, decisions, (core) => evalConstant(checked, core, new Map()));
      if (!mismatch) continue;
      const diagnostic = diagnose({
        code: "T0101",
        path: test.path,
        span: expect.span,
        message: `expected ${mismatch.expected}`,
        label: `got ${mismatch.actual}`,
      });
      problems.push({ diagnostic, ...mismatch });
    }
    for (const read of notebook.reads)
      problems.push({ ...problem("T0301", row.span, ""), diagnostic: unspecified(test, row, read) });
  }
  return {
    title: test.title,
    row: row.label,
    package: test.package,
    path: test.path,
    span: row.span,
    problems,
    warnings: problems.length > 0 ? [] : row.expects.flatMap((e) => bareDeny(test, e, decisions, notebook, checked)),
    decisions,
    durationMs: options.nowMs() - startMs,
  };
}

/** A misspelt test statement, as opposed to one that the gateway refuses on purpose. */
const isSlip = (fault: SqlFaultFacts): boolean => /^(syntax-error$|unknown-|undefined-|ambiguous-)/.test(fault.code);

const denied = (fault: SqlFaultFacts): Decision => ({
  effect: "deny",
  causes: [{ kind: "unsupported", code: fault.code, message: fault.message, help: fault.help }],
  rules: [],
  alerts: [],
  shadow: [],
});

type Read = { readonly rule: CheckedRule; readonly path: string; readonly type: Type };
type Asked = {
  readonly rule: CheckedRule;
  readonly clauses: { readonly clause: Clause; readonly truth: Truth }[];
  readonly facts: string[];
};

/** What the rules looked at while one row ran. */
class Notebook {
  readonly reads: Read[] = [];
  /** Deny rules that were in scope and did not fire. */
  readonly silent: Asked[] = [];
  #current: Asked | undefined;

  readonly trace: Trace = {
    onRead: (rule, core, value) => this.#read(rule, core, value),
    onClause: (rule, clause, truth) => {
      const asked = this.#open(rule);
      const found = rule.clauses[clause];
      if (found) asked.clauses.push({ clause: found, truth });
    },
    onRule: (rule, truth) => {
      if (truth === false && rule.payload.effect === "deny") this.silent.push(this.#open(rule));
      this.#current = undefined;
    },
  };

  #open(rule: CheckedRule): Asked {
    if (this.#current?.rule !== rule) this.#current = { rule, clauses: [], facts: [] };
    return this.#current;
  }

  #read(rule: CheckedRule | undefined, core: Core, value: unknown): void {
    if (!rule) return;
    const path = pathOf(core);
    if (path === undefined) return;
    if (!(value instanceof Unknown)) this.#open(rule).facts.push(`${path} = ${showValue(value, core.type)}`);
    const missing =
      value instanceof NotGiven ? value.path : core.op === "property" && value instanceof Unknown ? path : undefined;
    if (missing === undefined || this.reads.some((r) => r.rule === rule && (r.path === missing || r.path === path)))
      return;
    this.reads.push({ rule, path: core.op === "property" ? path : missing, type: core.type });
  }
}

function pathOf(core: Core): string | undefined {
  if (core.op === "fact") return `${core.root}.${core.field}`;
  return core.op === "property" && core.of === "claim" ? `identity.claims.${core.name}` : undefined;
}

function both(a: Trace, b: Trace): Trace {
  return {
    onRead: (...args) => b.onRead?.(...args),
    onClause: (...args) => b.onClause?.(...args),
    onCondition: (...args) => a.onCondition?.(...args),
    onRule: (...args) => {
      a.onRule?.(...args);
      b.onRule?.(...args);
    },
  };
}

/** A value of the type, to be filled in by the author. */
function exampleOf(type: Type): string {
  switch (type.kind) {
    case "bool":
      return "false";
    case "set":
    case "list":
      return "[]";
    case "enum":
      return type.name === undefined ? JSON.stringify(type.values[0]) : (type.values[0] ?? "…");
    case "int":
    case "float":
      return "0";
    case "option":
      return exampleOf(type.of);
    default:
      return '"…"';
  }
}

function unspecified(test: CheckedTest, row: Row, { rule, path, type }: Read): Diagnostic {
  const [root = "", field = "", inner] = path.split(".");
  const given = row.givens.find((g): g is CheckedGiven & { kind: "identity" } => g.kind === root);
  const isWhole = given !== undefined;
  const missing = inner === undefined ? `${field}: ${exampleOf(type)}` : `${field}: { ${inner}: ${exampleOf(type)} }`;
  return diagnose({
    code: "T0301",
    path: test.path,
    span: given ? { start: given.span.start, end: given.span.start + `given ${root}`.length } : row.span,
    message: `the rule \`${rule.name}\` read \`${path}\`, which this test does not give`,
    label: isWhole ? `no \`${field}\` here` : `no \`given ${root}\` here`,
    help: [isWhole ? `add \`${missing}\`` : `add \`given ${root} { ${missing} }\``],
    notes: ["gw never invents values for facts that a rule looked at"],
  });
}

const isDefault = (cause: Cause): boolean => cause.kind === "uncovered";

/** `expect deny` that only the default meets, while a deny rule was asked and stayed silent. */
function bareDeny(
  test: CheckedTest,
  expect: CheckedExpect,
  decisions: readonly Decision[],
  notebook: Notebook,
  checked: Checked,
): readonly Diagnostic[] {
  const { what } = expect;
  if (what.kind !== "effect" || expect.isNegated || what.by !== undefined || what.because !== undefined) return [];
  const ast = expect.ast.what.kind === "effect" ? expect.ast.what.effect : undefined;
  if (ast?.kind !== "name" || ast.name.text !== "deny") return [];
  const causes = causesOf(decisions);
  const [first] = causes;
  const [silent] = notebook.silent;
  if (!first || !silent || !causes.every(isDefault)) return [];
  const words = first.message.split(" ").slice(0, 3).join(" ");
  return [
    diagnose({
      code: "L0201",
      severity: "warning",
      path: test.path,
      span: expect.span,
      message: "this test passes because of the default deny, not because of a rule",
      label: "no `deny` rule matched",
      notes: [`\`${silent.rule.name}\` is in scope for this request but did not fire: ${reasonOf(silent, checked)}`],
      help: [`if the default is what you mean write \`expect deny because "${words}"\`; else fix \`given identity\``],
    }),
  ];
}

/** `is_agent` is false (identity.kind = human). */
function reasonOf(asked: Asked, checked: Checked): string {
  const last = asked.clauses[asked.clauses.length - 1];
  const text = checked.files.get(asked.rule.path)?.text ?? "";
  if (!last || last.clause.kind === "let") return "its condition is false";
  const { span } = last.clause.condition;
  const facts = asked.facts.length === 0 ? "" : ` (${[...new Set(asked.facts)].slice(0, 3).join(", ")})`;
  return `\`${text.slice(span.start, span.end)}\` is ${String(last.truth)}${facts}`;
}
