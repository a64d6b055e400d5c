// Conditions inside of JSON: PostgreSQL and engine/content/keep-items.ts keep the same.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import pg from "pg";
import { holdsFor, keepItems } from "../../engine/content/keep-items.ts";
import type { Json } from "../../engine/lib/json.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { RowPredicate, SqlLiteral } from "../../engine/model/row-predicate.ts";
import { contextOf, faultOf, makeWorld, obligationsOf, rowsOf } from "./support.ts";

const documents: readonly Json[] = [
  { owner: "ann", n: 1, f: 1.5, ok: true, deep: { owner: "é" } },
  { owner: "Ann", n: 2 ** 53 - 1, f: -0.25, ok: false, deep: {} },
  { owner: "", n: 2 ** 53, f: 1e300, ok: null, deep: null },
  { owner: null, n: 1.5, f: 0, ok: "true", deep: [{ owner: "ann" }] },
  { owner: 7, n: "1", f: "1.5", ok: 1, deep: { owner: ["ann"] } },
  { owner: "\u{1F600}", n: -1, f: 2, ok: true, deep: { owner: "\uFFFD" } },
  { owner: "\uFFFD", n: 0 },
  { "a\"b'c": "quoted", owner: "it's" },
  ["ann"],
  "ann",
  1,
  true,
  null,
  {},
];

const world = await makeWorld("CREATE TABLE docs (id int PRIMARY KEY, data jsonb, old json)");

const path = fc.constantFrom(["owner"], ["n"], ["f"], ["ok"], ["deep", "owner"], ["deep"], ["a\"b'c"], []);
const literal: fc.Arbitrary<SqlLiteral> = fc.oneof(
  fc
    .constantFrom("ann", "Ann", "", "é", "\uFFFD", "\u{1F600}", "it's")
    .map((value) => ({ type: "string" as const, value })),
);
const number: fc.Arbitrary<SqlLiteral> = fc
  .constantFrom(0, 1, -1, 2, 2 ** 53 - 1)
  .map((value) => ({ type: "int" as const, value }));
const float: fc.Arbitrary<SqlLiteral> = fc
  .constantFrom(1.5, -0.25, 0.1, 1e300)
  .map((value) => ({ type: "float" as const, value }));
const op = fc.constantFrom("=" as const, "<>" as const, "<" as const, "<=" as const, ">" as const, ">=" as const);

const testOf = (value: fc.Arbitrary<SqlLiteral>) =>
  fc.oneof(
    fc.record({ op, value }),
    fc.record({ op: fc.constant("in" as const), values: fc.array(value, { minLength: 1, maxLength: 3 }) }),
    fc.constant({ op: "present" as const }),
  );

const jsonTest = (as: "string" | "int" | "float" | "bool" | "json", test: fc.Arbitrary<object>) =>
  fc.record({ path, test }).map((p) => ({ kind: "json" as const, column: "data", as, ...p }) as RowPredicate);

const leaf = fc.oneof(
  jsonTest("string", testOf(literal)),
  jsonTest("int", testOf(number)),
  jsonTest("float", testOf(fc.oneof(number, float))),
  jsonTest(
    "bool",
    fc.boolean().map((value) => ({ op: "=", value: { type: "bool", value } })),
  ),
  jsonTest("json", fc.constant({ op: "present" })),
);
const { predicate } = fc.letrec<{ predicate: RowPredicate }>((tie) => ({
  predicate: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    leaf,
    tie("predicate").map((part) => ({ kind: "not" as const, part })),
    fc
      .tuple(fc.constantFrom("and" as const, "or" as const), fc.array(tie("predicate"), { minLength: 2, maxLength: 3 }))
      .map(([kind, parts]) => ({ kind, parts })),
  ),
}));

describe("filters that look into jsonb", () => {
  const client = new pg.Client(world.server);
  before(async () => {
    await client.connect();
    for (const [i, document] of documents.entries())
      await client.query("INSERT INTO docs VALUES ($1, $2)", [i, JSON.stringify(document)]);
  });
  after(() => client.end());

  test("PostgreSQL keeps the rows whose document meets the condition here", async () => {
    await fc.assert(
      fc.asyncProperty(predicate, async (p) => {
        const kept = documents.flatMap((document, i) => (holdsFor(p, document) === true ? [i] : []));
        const rows = await rowsOf(
          client,
          "SELECT id FROM docs ORDER BY id",
          contextOf(world.catalog),
          obligationsOf({}, { "public.docs": p }),
        );
        assert.deepEqual(rows.flat(), kept);
      }),
      { numRuns: 300 },
    );
  });

  test("a column that is no jsonb is refused, for none of its operators is safe on every value", () => {
    const p: RowPredicate = { kind: "json", column: "old", path: ["a"], as: "string", test: { op: "present" } };
    const fault = faultOf("SELECT id FROM docs", contextOf(world.catalog), obligationsOf({}, { "public.docs": p }));
    assert.equal(fault?.code, "filter-not-applicable");
  });
});

describe("filters of the items of an answer", () => {
  const rule = "a.own" as RuleId;
  const own: RowPredicate = {
    kind: "json",
    column: "",
    path: ["owner"],
    as: "string",
    test: { op: "=", value: { type: "string", value: "ann" } },
  };
  const rows: readonly (readonly [name: string, path: string, answer: Json, kept: Json | undefined])[] = [
    ["the answer itself", "$", [{ owner: "ann" }, { owner: "bob" }, 7], [{ owner: "ann" }]],
    ["a field", "$.items", { items: [{ owner: "bob" }], next: 2 }, { items: [], next: 2 }],
    ["a list in each item", "$[*].tags", [{ tags: [{ owner: "ann" }] }, {}], [{ tags: [{ owner: "ann" }] }, {}]],
    ["any depth", "$..items", { a: { items: [{ owner: "bob" }] } }, { a: { items: [] } }],
    ["an answer without the list", "$.items", { error: "none" }, { error: "none" }],
    ["something else in its place", "$.items", { items: { owner: "bob" } }, undefined],
    ["a path that cannot be read", "items", [], undefined],
  ];
  for (const [name, path, answer, kept] of rows) {
    test(`of ${name}: only items that meet the condition stay`, () => {
      const result = keepItems(answer, [{ path, predicate: own, rule }]);
      assert.deepEqual(result instanceof Unknown ? undefined : result, kept);
    });
  }
});
