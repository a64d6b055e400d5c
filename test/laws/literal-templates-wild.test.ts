// As literal-templates.test.ts, with what a hostile client writes: other spellings of literals, one cache for several search
// paths and users, obligations in any order, and the record of each statement.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { createSqlEngine } from "../../cli/sql-engine.ts";
import { limits } from "../../engine/limits.ts";
import { type LimitObligation, noObligations, type Obligations, type RuleId } from "../../engine/model/decision.ts";
import { watchedRelations } from "../../engine/sql/definition-watch.ts";
import { cutLiterals } from "../../engine/sql/literals.ts";
import { isFromTemplate } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { statementText } from "../../proxy/gate/event-texts.ts";
import type { StatementEventInput } from "../../proxy/gate/session-events.ts";
import { StatementCache } from "../../proxy/gate/statement-cache.ts";
import { contextOf, makeWorld } from "../sql/support.ts";
import { clinicObligations, clinicSchema } from "../support/clinic.ts";
import { literalStatements } from "../support/literal-statements.ts";
import { Tape, tapes } from "../support/twin-tape.ts";

const runs = Number(process.env.GW_LAW_RUNS ?? 250);
const seed = Number(process.env.GW_SEED ?? 20261123);

const { catalog } = await makeWorld(clinicSchema);
const home = contextOf(catalog, { searchPath: ["clinic", "public"] });
const contexts: readonly [SqlContext, ...SqlContext[]] = [
  home,
  home,
  contextOf(catalog, { searchPath: ["staff", "clinic"] }),
  contextOf(catalog, { searchPath: [], user: "other" }),
];

const limitTo = (max: number, more: Partial<LimitObligation> = {}): LimitObligation => ({
  rule: "law.limit" as RuleId,
  unit: "rows",
  max,
  window: undefined,
  ...more,
});
const obligations: readonly Obligations[] = [
  noObligations,
  clinicObligations,
  { ...noObligations, limits: [limitTo(7)] },
  { ...clinicObligations, limits: [limitTo(7), limitTo(3, { counts: "changed" })] },
];

/** Numbers that the scanner cuts out, and numbers, signs and other things in their place that it must leave alone. */
const numbers: readonly [string, ...string[]] = [
  "1",
  "2",
  "3",
  "5",
  "7",
  "8",
  "16",
  "100",
  "32767",
  "32768",
  "2147483647",
];
const decimals: readonly [string, ...string[]] = [
  "1.5",
  "0.0",
  "2147483648",
  "9223372036854775807",
  "999999999999999999",
];
const oddNumbers: readonly [string, ...string[]] = [
  "0",
  ...[
    "00",
    "007",
    "1_000",
    "0x1F",
    "0o17",
    "0b11",
    "9223372036854775808",
    "1e5",
    "1e-5",
    ".5",
    "5.",
    "-1",
    "- 1",
    "+1",
  ],
  ...["-2147483648", "-9223372036854775808", "(1)", "(-1)", "null", "true", "1::int8", "'1'", "'5'"],
];
const strings: readonly [string, ...string[]] = [
  "a",
  ...[
    "%",
    "%%",
    "_%",
    ".*",
    "^",
    "infinity",
    "-Infinity",
    "NaN",
    " ",
    "o'clock",
    "''",
    "'",
    "true",
    "t",
    "off",
    "1",
    "0",
    "-1",
  ],
  ...[
    "32768",
    "1e15",
    "ü",
    "日本",
    "(",
    "((((",
    "]]]",
    "x y",
    "public",
    "clinic.patients",
    "patients",
    "vault.keys",
    "search_path",
  ],
  ...[
    "role",
    "timezone",
    "2024-01-01",
    "now",
    "epoch",
    "1 day",
    "{1,2}",
    "[1,2)",
    "$.a",
    "$.a ? (@ > 1)",
    "pg_class",
    "A",
    "B",
    "Z",
  ],
  ...[
    "-- a",
    "/*",
    "*/",
    '"',
    "hour",
    "year",
    "UTC",
    "C",
    "tax_no",
    "select 1",
    "int4",
    "clinic.bill_seq",
    "\u00a0",
    "\u2028",
    "\\",
  ],
  ...["x\u0085y", "\ufeff", "$1", "$$", "\n", "\t", "<a/>", '{"a":1}', "(1,2)", "\u{1F600}"],
];
const oddStrings: readonly ((quoted: string) => string)[] = [
  ...["''", "'a'\n'b'", "'a'\n''", "''\n'a'", "'a' \n\n 'b'", "B'1'", "null", "'x'::text"].map((text) => () => text),
  ...["E", "U&", "N", "text "].map((prefix) => (quoted: string) => prefix + quoted),
];

const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

function withLiterals(text: string, tape: Tape, isOdd: boolean): string {
  const cut = cutLiterals(text);
  if (cut === undefined) return text;
  let out = "";
  let at = 0;
  for (const { kind, start, end } of cut.literals) {
    out += text.slice(at, start);
    if (kind === "string") {
      const plain = quoted(tape.pick(strings));
      out += isOdd ? (oddStrings[tape.below(oddStrings.length * 2)]?.(plain) ?? plain) : plain;
    } else
      out += isOdd && tape.below(2) === 0 ? tape.pick(oddNumbers) : tape.pick(kind === "integer" ? numbers : decimals);
    at = end;
  }
  return out + text.slice(at);
}

const recordOf = (statement: AnalyzedStatement, under: Obligations, key: string): StatementEventInput => ({
  atMs: 1,
  session: "s",
  text: statement.facts.text,
  parameters: 0,
  policyHash: "h",
  revision: "r",
  internalCause: undefined,
  verdict: {
    kind: "release",
    decisionId: "d",
    statement,
    decision: { effect: "allow", rules: ["law.rule" as RuleId], obligations: under, alerts: [], shadow: [] },
    rewritten: { text: "", touchesProtected: false, maskedOrigins: new Set() },
    obligationsKey: key,
  },
});

/** What stands behind the analysis of a text, under each of the obligations in this order. */
function seenOf(cache: StatementCache, text: string, context: SqlContext, order: readonly number[]): unknown {
  const analyzed = cache.analyze(text, context);
  if (!analyzed.ok) return analyzed;
  return analyzed.value.map((statement) => {
    const { tree: _, effects, ...rest } = statement;
    const under = order.map((i) => {
      const o = obligations[i] ?? noObligations;
      return [cache.rewrite(statement, o, context), statementText(recordOf(statement, o, String(i)))];
    });
    return {
      ...rest,
      effects: effects.map(({ kind }) => kind),
      watched: watchedRelations(statement, context.catalog),
      under,
    };
  });
}

test("no spelling of a literal, no order and no neighbour makes a statement another one", (t) => {
  let hits = 0;
  fc.assert(
    fc.property(tapes, (taken) => {
      const tape = new Tape(taken);
      const engine = createSqlEngine(Buffer.from("a key of the law"));
      const { templates: _, ...untemplated } = engine;
      const plain = new StatementCache(untemplated, { ...limits, statementCacheTextCharsMax: 0 });
      const templated = new StatementCache(engine, limits);
      const start = literalStatements[tape.below(literalStatements.length)] ?? "select 1";
      const base = withLiterals(start, tape, tape.below(2) === 0);
      const texts = [base, ...Array.from({ length: 6 }, () => withLiterals(base, tape, false))];
      for (const text of texts) {
        const context = tape.pick(contexts);
        const first = tape.below(obligations.length);
        const order = obligations.map((_o, i) => (first + i) % obligations.length);
        const found = templated.analyze(text, context);
        if (found.ok && isFromTemplate(found.value[0])) hits += 1;
        const [here, there] = [templated, plain].map((cache) => seenOf(cache, text, context, order));
        assert.ok(isDeepStrictEqual(here, there), text);
      }
    }),
    { seed, numRuns: runs },
  );
  t.diagnostic(`${hits} statements came from templates`);
  assert.ok(hits > runs / 4, `only ${hits} statements came from templates`);
});
