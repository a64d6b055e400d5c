// `property … forall`: cases directed by the rules, shrunk, and printed as a test that can be pasted.
import { evaluate } from "../../engine/evaluate.ts";
import type { Span } from "../../engine/lib/span.ts";
import type { Decision, RuleId } from "../../engine/model/decision.ts";
import type { SqlFacts } from "../../engine/model/statement.ts";
import type { Checked, CheckedGiven, CheckedProperty, CheckedRule, Core, Local, Value } from "../checked.ts";
import { interpretProgram } from "../interpret.ts";
import { fromEntries } from "../values.ts";
import { compare, describe } from "./expect.ts";
import {
  Dice,
  directedLiterals,
  drawIdentity,
  drawStatement,
  type IdentityDraft,
  type Statement,
  shrinkIdentity,
  statementsOf,
  writeIdentity,
} from "./generate.ts";
import { type AnalyzeSql, evalConstant, prepare } from "./given.ts";
import type { Literals } from "./literals.ts";

export type PropertyOptions = {
  readonly analyzeSql: AnalyzeSql;
  readonly seed: number;
  /** Cases per property; 500 unless told. */
  readonly cases?: number | undefined;
  readonly filter?: string | undefined;
};

export type Counterexample = {
  /** A `test` block that fails as the property does. */
  readonly test: string;
  readonly expected: string;
  readonly actual: string;
  readonly rules: readonly RuleId[];
  /** The rule inside which the search started; undefined for an undirected case. */
  readonly startedIn: RuleId | undefined;
  readonly shrinks: number;
};
export type PropertyResult = {
  readonly title: string;
  readonly package: string;
  readonly path: string;
  readonly span: Span;
  /** Cases that met every `where`. */
  readonly cases: number;
  /** untried: no generated case met the `where`s. */
  readonly outcome: "held" | "failed" | "untried";
  readonly counterexample: Counterexample | undefined;
};

export function runProperties(checked: Checked, options: PropertyOptions): readonly PropertyResult[] {
  const cache = new Map<string, ReturnType<AnalyzeSql>>();
  const analyzeSql: AnalyzeSql = (sql, connection) => {
    const key = `${connection}\n${sql}`;
    const known = cache.get(key) ?? options.analyzeSql(sql, connection);
    cache.set(key, known);
    return known;
  };
  return checked.properties
    .filter((p) => options.filter === undefined || `${p.package}: ${p.title}`.includes(options.filter))
    .map((property) => runProperty(checked, property, { ...options, analyzeSql }));
}

/** A generated value per `forall`. */
type Draft = ReadonlyMap<Local, IdentityDraft | Statement | Value>;

function runProperty(checked: Checked, property: CheckedProperty, options: PropertyOptions): PropertyResult {
  const dice = new Dice(options.seed);
  const literals = directedLiterals([checked]);
  const connection = property.givens.find((g) => g.kind === "sql")?.at;
  const statements = statementsOf(checked.catalogs).filter(
    (s) => connection === undefined || s.connection === connection,
  );
  const allows = checked.rules.filter((r) => r.payload.effect === "allow");
  const common = { title: property.title, package: property.package, path: property.path, span: property.span };
  let cases = 0;
  for (let i = 0; i < (options.cases ?? 500); i += 1) {
    const rule = dice.chance(0.5) ? dice.pick(allows) : undefined;
    const draft = drawAll(property, dice, literals, statements, rule);
    const failure = draft && tryCase(checked, property, draft, options.analyzeSql);
    if (failure === "skipped" || !draft) continue;
    cases += 1;
    if (failure === undefined) continue;
    const least = shrink(checked, property, draft, options.analyzeSql);
    const last = tryCase(checked, property, least.draft, options.analyzeSql);
    const shown = last === "skipped" || last === undefined ? failure : last;
    const counterexample: Counterexample = {
      test: writeTest(property, least.draft, checked),
      expected: shown.expected,
      actual: describe(shown.decisions),
      rules: [...new Set(shown.decisions.flatMap((d) => d.rules))].sort(),
      startedIn: rule?.id,
      shrinks: least.steps,
    };
    return { ...common, cases, outcome: "failed", counterexample };
  }
  return { ...common, cases, outcome: cases === 0 ? "untried" : "held", counterexample: undefined };
}

function drawAll(
  property: CheckedProperty,
  dice: Dice,
  literals: Literals,
  statements: readonly Statement[],
  rule: CheckedRule | undefined,
): Draft | undefined {
  const draft = new Map<Local, IdentityDraft | Statement | Value>();
  for (const { local, domain } of property.foralls) {
    if (domain === "identity") draft.set(local, drawIdentity(dice, literals, rule));
    else if (domain === "sql") {
      const statement = drawStatement(dice, statements, rule);
      if (!statement) return undefined;
      draft.set(local, statement);
    } else draft.set(local, drawValue(dice, domain));
  }
  return draft;
}

function drawValue(dice: Dice, type: CheckedProperty["foralls"][number]["domain"] & object): Value {
  switch (type.kind) {
    case "bool":
      return dice.chance(0.5);
    case "int":
      return dice.pick([0, 1, -1, 10, 1_000, 9_999, 10_000, 10_001, Math.floor(dice.next() * 1e6)]);
    case "enum":
      return dice.pick(type.values);
    case "string":
      return dice.pick(["", "a", "admin", "x y"]);
    case "option":
      return dice.chance(0.3) ? undefined : drawValue(dice, type.of);
    default:
      return undefined;
  }
}

type Failure = { readonly expected: string; readonly decisions: readonly Decision[] };

/** undefined: the property holds of this case. */
function tryCase(
  checked: Checked,
  property: CheckedProperty,
  draft: Draft,
  analyzeSql: AnalyzeSql,
): Failure | "skipped" | undefined {
  const locals = new Map<Local, Value>();
  for (const { local, domain } of property.foralls) {
    const drawn = draft.get(local);
    if (domain === "identity") locals.set(local, identityValue(drawn as IdentityDraft));
    else if (domain === "sql") {
      const statement = drawn as Statement;
      const facts = analyzeSql(statement.sql, statement.connection);
      const [first] = Array.isArray(facts) ? (facts as readonly SqlFacts[]) : [];
      if (!first) return "skipped";
      locals.set(local, sqlValue(statement, first));
    } else locals.set(local, drawn);
  }
  const evaluateIn = (core: Core): Value => evalConstant(checked, core, locals);
  if (property.foralls.some(({ where }) => where && evaluateIn(where) !== true)) return "skipped";
  const prepared = prepare(checked, withTime(property.givens), analyzeSql, locals);
  if (prepared.fault || prepared.requests.length === 0) return "skipped";
  const program = interpretProgram(checked, { data: prepared.data });
  const decisions = prepared.requests.map((request) => evaluate(program, request));
  for (const expect of property.expects) {
    const mismatch = compare(expect, decisions, evaluateIn);
    if (mismatch) return { expected: mismatch.expected, decisions };
  }
  return undefined;
}

/** Without a `given time` a property is asked at the reference moment: a missing clock must not make it hold by error. */
const withTime = (givens: readonly CheckedGiven[]): readonly CheckedGiven[] =>
  givens.some((g) => g.kind === "time")
    ? givens
    : [
        ...givens,
        {
          kind: "time",
          at: undefined,
          span: { start: 0, end: 0 },
          value: {
            op: "record",
            entries: [],
            span: { start: 0, end: 0 },
            type: { kind: "record", name: "time", fields: new Map() },
          },
        },
      ];

const identityValue = (draft: IdentityDraft): Value =>
  fromEntries([
    ...Object.entries({ ...draft, groups: new Set(draft.groups) }).filter(([key]) => key !== "claims"),
    ["claims", fromEntries(Object.entries(draft.claims))],
  ]);

/** The fields of the `sql` root that a `where` may ask for; the statement as a whole. */
const sqlValue = (statement: Statement, facts: SqlFacts): Value =>
  fromEntries([
    ["text", statement.sql],
    ["verb", facts.verb],
    ["kind", facts.accesses[0]?.kind ?? "unknown"],
    ["statements", facts.statements],
    ["tables", facts.tables],
    ["read_tables", facts.readTables],
    ["write_tables", facts.writeTables],
    ["columns_read", facts.columnsRead],
    ["columns_written", facts.columnsWritten],
    ["columns_returned", facts.columnsReturned],
    ["functions", facts.functions],
    ["has_limit", facts.hasLimit],
    ["limit", facts.limit],
    ["joins", facts.joins],
    ["has_where", facts.accesses[0]?.hasWhere ?? false],
    ["where_always_true", facts.accesses[0]?.whereAlwaysTrue ?? true],
    ["estimated_rows", undefined],
    ["fingerprint", facts.fingerprint],
  ]);

function shrink(
  checked: Checked,
  property: CheckedProperty,
  draft: Draft,
  analyzeSql: AnalyzeSql,
): { readonly draft: Draft; readonly steps: number } {
  let best = draft;
  let steps = 0;
  const fails = (d: Draft): boolean => {
    const result = tryCase(checked, property, d, analyzeSql);
    return result !== undefined && result !== "skipped";
  };
  for (let isSmaller = true; isSmaller && steps < 100; ) {
    isSmaller = false;
    for (const { local, domain } of property.foralls) {
      if (domain !== "identity") continue;
      for (const candidate of shrinkIdentity(best.get(local) as IdentityDraft)) {
        const next = new Map(best).set(local, candidate);
        if (!fails(next)) continue;
        best = next;
        steps += 1;
        isSmaller = true;
        break;
      }
    }
  }
  return { draft: best, steps };
}

function writeTest(property: CheckedProperty, draft: Draft, checked: Checked): string {
  const source = checked.files.get(property.path)?.text ?? "";
  const lines = property.givens.map((given) => {
    const core = given.kind === "sql" ? given.text : "value" in given ? given.value : undefined;
    const drawn = core?.op === "local" ? draft.get(core.local) : undefined;
    if (given.kind === "identity" && drawn !== undefined)
      return `given identity ${writeIdentity(drawn as IdentityDraft)}`;
    if (given.kind === "sql" && drawn !== undefined) {
      const statement = drawn as Statement;
      return `given sql ${JSON.stringify(statement.sql).replaceAll("{", "\\{")} at ${JSON.stringify(statement.connection)}`;
    }
    return source.slice(given.span.start, given.span.end);
  });
  const expects = property.expects.map((expect) => source.slice(expect.span.start, expect.span.end));
  const title = JSON.stringify(`${property.title}: regression 1`);
  return [`test ${title} {`, ...[...lines, ...expects].map((line) => `  ${line}`), "}"].join("\n");
}
