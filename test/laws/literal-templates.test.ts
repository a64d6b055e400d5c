// A statement that comes from a template is the statement that its text alone would have given: facts, rewritten text, refusals.
import assert from "node:assert/strict";
import { before, type TestContext, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { createSqlEngine } from "../../cli/sql-engine.ts";
import { limits } from "../../engine/limits.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import { noObligations, type Obligations } from "../../engine/model/decision.ts";
import { watchedRelations } from "../../engine/sql/definition-watch.ts";
import { HoleWatch } from "../../engine/sql/holes.ts";
import { cutLiterals, type LiteralKind } from "../../engine/sql/literals.ts";
import { isFromTemplate } from "../../engine/sql/template-tree.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { StatementCache } from "../../proxy/gate/statement-cache.ts";
import { loadCatalog } from "../../proxy/postgres/catalog-loader.ts";
import { readCorpus } from "../corpus/read-corpus.ts";
import { contextOf } from "../sql/support.ts";
import { clinicObligations, clinicSchema } from "../support/clinic.ts";
import { testDatabase, withClient } from "../support/postgres.ts";
import { caseOf } from "../support/twin-cases.ts";
import { Tape, tapes } from "../support/twin-tape.ts";

const runs = Number(process.env.GW_LAW_RUNS ?? 250);
const seed = Number(process.env.GW_SEED ?? 20261123);

let catalog: Catalog;
before(async () => {
  const server = await testDatabase(clinicSchema);
  ({ catalog } = await withClient(server, (c) => loadCatalog(async (q) => (await c.query(q)).rows)));
});

const searchable: Obligations = {
  ...clinicObligations,
  masks: new Map(
    [...clinicObligations.masks].map(([key, columns]) => [
      key,
      new Map([...columns].map(([name, m]) => [name, { ...m, mask: { ...m.mask, searchable: true as const } }])),
    ]),
  ),
};
const [[, firstFilter] = []] = clinicObligations.filters;
const limited: Obligations = {
  ...noObligations,
  limits: firstFilter ? [{ rule: firstFilter.rules[0], unit: "rows", max: 7, window: undefined }] : [],
};
const allObligations = [noObligations, clinicObligations, searchable, limited];

/** Values on both sides of what analysis and rewriting tell apart. */
const values: Readonly<Record<LiteralKind, readonly [string, ...string[]]>> = {
  integer: ["1", "2", "5", "7", "8", "10", "100", "32767", "32768", "1987654321", "2147483647"],
  decimal: ["1.5", "0.0", "0.5", "20.75", "2147483648", "3000000000", "999999999999999999"],
  string: [
    "a",
    ...["%", "%%", ".*", "infinity", "-Infinity", " ", "o'clock", "''", "true", "t", "off", "1", "0", "-1", "ü"],
    ...["(", "[", "x y", "public", "clinic", "clinic.patients", "vault.keys", "search_path", "role", "2024-01-01"],
    ...["1 day", "{1,2}", "$.a", "pg_catalog", "A", "B", "-- a", "/*", '"', "1e3", "hour"],
  ],
};

/** `text` with its literals replaced, each by one of its kind. */
function withLiterals(text: string, tape: Tape): string {
  const cut = cutLiterals(text);
  if (cut === undefined) return text;
  let out = "";
  let at = 0;
  for (const { kind, start, end } of cut.literals) {
    const value = tape.pick(values[kind]);
    out += text.slice(at, start) + (kind === "string" ? `'${value.replaceAll("'", "''")}'` : value);
    at = end;
  }
  return out + text.slice(at);
}

/** What everything behind the analysis can see of it. */
const seenOf = (cache: StatementCache, text: string, context: SqlContext): unknown => {
  const analyzed = cache.analyze(text, context);
  if (!analyzed.ok) return analyzed;
  return analyzed.value.map((statement) => {
    const { tree: _, effects, ...rest } = statement;
    const shown = effects.map((effect) => (effect.kind === "prepare" ? { ...effect, statement: undefined } : effect));
    const watched = watchedRelations(statement, context.catalog);
    return {
      ...rest,
      effects: shown,
      watched,
      rewritten: allObligations.map((o) => cache.rewrite(statement, o, context)),
    };
  });
};

type Caches = { readonly plain: StatementCache; readonly templated: StatementCache };
const makeCaches = (): Caches => {
  const engine = createSqlEngine(Buffer.from("a key of the law"));
  const { templates: _, ...plain } = engine;
  const none = { ...limits, statementCacheTextCharsMax: 0 };
  return { plain: new StatementCache(plain, none), templated: new StatementCache(engine, limits) };
};

/** The first of these texts that differs, and how many came from a template. */
function differenceIn(texts: readonly string[], { plain, templated }: Caches, context: SqlContext) {
  let hits = 0;
  for (const text of texts) {
    const found = templated.analyze(text, context);
    if (found.ok && isFromTemplate(found.value[0])) hits += 1;
    if (!isDeepStrictEqual(seenOf(templated, text, context), seenOf(plain, text, context))) return { text, hits };
  }
  return { text: undefined, hits };
}

const variants = (text: string, tape: Tape): readonly string[] => [
  text,
  ...Array.from({ length: 3 }, () => withLiterals(text, tape)),
];

test("statements of the corpora with other literals come from templates as from their own texts", (t) => {
  const context = contextOf(catalog, { searchPath: ["clinic", "public"] });
  const caches = makeCaches();
  const tape = new Tape(Array.from({ length: 5_000 }, (_, i) => (i * 7_919) % 10_007));
  const rows = ["sql-benign", "sql-bypass"].flatMap(readCorpus);
  let hits = 0;
  for (const { steps } of rows) {
    for (const step of steps) {
      const found = differenceIn(variants(step.text, tape), caches, context);
      assert.equal(found.text, undefined);
      hits += found.hits;
    }
  }
  t.diagnostic(`${hits} statements came from templates`);
  assert.ok(hits > 500, `only ${hits} statements came from templates`);
});

test("generated statements with any literals come from templates as from their own texts", (t) => {
  const context = contextOf(catalog, { searchPath: ["clinic", "public"] });
  let hits = 0;
  fc.assert(
    fc.property(tapes, (numbers) => {
      const tape = new Tape(numbers);
      const caches = makeCaches();
      for (const step of caseOf(tape).steps) {
        const found = differenceIn(variants(step.text, tape), caches, context);
        assert.equal(found.text, undefined);
        hits += found.hits;
      }
    }),
    { seed, numRuns: runs },
  );
  t.diagnostic(`${hits} statements came from templates`);
  assert.ok(hits > runs, `only ${hits} statements came from templates`);
});

/** Each asks for a value in another way; the second text must not be taken for the first one's double. */
const telling: readonly (readonly [string, string])[] = [
  ["select * from patients limit 5", "select * from patients limit 8"],
  ["delete from wards where 1 = 2", "delete from wards where 2 = 2"],
  ["select * from patients where 'a' = 'b'", "select * from patients where 'b' = 'b'"],
  ["select * from patients where name like 'a%'", "select * from patients where name like '%%'"],
  ["select * from patients where name ~ 'a'", "select * from patients where name ~ '.*'"],
  ["select current_setting('role')", "select current_setting('search_path')"],
  ["select * from patients where name < 'zz'", "select * from patients where name < 'infinity'"],
  ["select * from patients where chart = 'x'", "select * from patients where chart = 'x'' or true --'"],
];

test("a value that decides something is noticed", () => {
  const context = contextOf(catalog, { searchPath: ["clinic", "public"] });
  for (const pair of telling) {
    assert.equal(differenceIn([pair[0], pair[0], ...pair], makeCaches(), context).text, undefined, pair[1]);
  }
});

for (const [defect, plant] of [
  [
    "a look that isn't noticed",
    (t: TestContext) => {
      const own = HoleWatch.prototype.read;
      t.mock.method(HoleWatch.prototype, "read", function (this: HoleWatch, slot: number, kind: LiteralKind) {
        return this.quietly(() => own.call(this, slot, kind));
      });
    },
  ],
  [
    "a question that isn't noticed",
    (t: TestContext) => {
      const own = HoleWatch.prototype.ask;
      t.mock.method(HoleWatch.prototype, "ask", function (this: HoleWatch, slot: number, of: (x: string) => boolean) {
        return this.quietly(() => own.call(this, slot, of));
      });
    },
  ],
  [
    "a literal that is written without its quotes doubled",
    (t: TestContext) => {
      const own = HoleWatch.prototype.written;
      t.mock.method(HoleWatch.prototype, "written", function (this: HoleWatch, slot: number, value: string) {
        const written = own.call(this, slot, value);
        // The text that a template is tried with would show it at once.
        return value === "o'ther" ? written : written.replace(/(?<=.)''(?=.)/, "'");
      });
    },
  ],
] as const) {
  test(`the law finds ${defect}`, (t) => {
    plant(t);
    const context = contextOf(catalog, { searchPath: ["clinic", "public"] });
    const found = telling.map((pair) => differenceIn([pair[0], pair[0], ...pair], makeCaches(), context).text);
    assert.notDeepEqual(new Set(found), new Set([undefined]));
  });
}

/** Not a plain object: what a template gave can't be read as a tree of its own text. */
test("the tree of a statement that came from a template can't be rewritten as if it were its own", () => {
  const context = contextOf(catalog, { searchPath: ["clinic", "public"] });
  const { templated } = makeCaches();
  const texts = ["a", "b", "c"].map((chart) => `select name from patients where chart = '${chart}'`);
  const statements = texts.map((text): AnalyzedStatement | undefined => {
    const analyzed = templated.analyze(text, context);
    return analyzed.ok ? analyzed.value[0] : undefined;
  });
  const last = statements.at(-1);
  assert.ok(last && isFromTemplate(last));
  const rewritten = createSqlEngine(Buffer.from("k")).rewrite(last, noObligations, context);
  assert.equal(rewritten.ok ? undefined : rewritten.error.code, "unsupported-statement");
});
