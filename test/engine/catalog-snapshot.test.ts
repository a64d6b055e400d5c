// JSON snapshot <-> Catalog
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Unknown } from "../../engine/lib/truth.ts";
import {
  builtinColumnType,
  decodeCatalogSnapshot,
  encodeCatalogSnapshot,
} from "../../engine/model/catalog-snapshot.ts";

const snapshot = (schemas: unknown, more: object = {}): string =>
  JSON.stringify({ gatewright: "catalog/1", database: "shop", schemas, ...more });

test("reads a hand-written snapshot: what is left out has its usual value", () => {
  const decoded = decodeCatalogSnapshot(
    snapshot({
      public: {
        relations: {
          people: {
            columns: [
              { name: "id", type: "integer" },
              { name: "mail", type: "character varying(20)", tags: ["pii"], notNull: true },
            ],
          },
        },
      },
    }),
  );
  assert.ok(decoded.ok);
  const people = decoded.value.relations.get("public.people");
  assert.deepEqual(
    people?.columns.map((c) => [c.name, c.isNullable, c.tags, c.type]),
    [
      [
        "id",
        true,
        new Set(),
        { sql: "integer", name: "int4", schema: "pg_catalog", oid: 23, modifier: -1, category: "N" },
      ],
      [
        "mail",
        false,
        new Set(["pii"]),
        { sql: "character varying(20)", name: "varchar", schema: "pg_catalog", oid: 1043, modifier: 24, category: "S" },
      ],
    ],
  );
  assert.equal(people?.kind, "table");
});

test("tags that are null are not known", () => {
  const decoded = decodeCatalogSnapshot(snapshot({ public: { relations: { people: { tags: null, columns: [] } } } }));
  assert.ok(decoded.ok && decoded.value.relations.get("public.people")?.tags instanceof Unknown);
});

const wrong: readonly (readonly [name: string, text: string, path: string, message: string])[] = [
  [
    "a misspelt key",
    snapshot({ public: { relations: { people: { colunms: [] } } } }),
    "schemas.public.relations.people.colunms",
    "is not a key that a catalog snapshot has here",
  ],
  [
    "a tag that is no text",
    snapshot({ public: { relations: { people: { tags: [1] } } } }),
    "schemas.public.relations.people.tags",
    "must be a list of strings",
  ],
  [
    "a type that nobody knows",
    snapshot({ public: { relations: { people: { columns: [{ name: "m", type: "app.mood" }] } } } }),
    "schemas.public.relations.people.columns[0].type",
    "`app.mood` is not a built-in type: say what it is under `internal`",
  ],
  [
    "a column twice",
    snapshot({
      public: {
        relations: {
          p: {
            columns: [
              { name: "a", type: "text" },
              { name: "a", type: "text" },
            ],
          },
        },
      },
    }),
    "schemas.public.relations.p.columns[1].name",
    "is given twice",
  ],
  [
    "another format",
    JSON.stringify({ gatewright: "catalog/9", database: "x" }),
    "gatewright",
    "must be one of catalog/1",
  ],
];
for (const [name, text, path, message] of wrong) {
  test(`refuses ${name} and says where`, () => {
    assert.deepEqual(decodeCatalogSnapshot(text), { ok: false, error: { path, message } });
  });
}

test("what is no JSON is refused", () => {
  const decoded = decodeCatalogSnapshot("{");
  assert.ok(!decoded.ok && decoded.error.message.startsWith("the snapshot is not JSON"));
});

const name = fc.oneof(
  fc.constantFrom("orders", "Odd Name", 'a"b', "x.y", "__proto__", "constructor"),
  fc.string({ minLength: 1, maxLength: 8 }),
);
const columnType = fc.oneof(
  fc
    .constantFrom("integer", "text", "numeric(10,2)", "character(3)", "timestamp with time zone", "text[]")
    .map((sql) => ({ type: sql })),
  fc.constant({ type: "app.mood", internal: { name: "mood", schema: "app", category: "E" } }),
);
const column = fc
  .tuple(name, columnType, fc.boolean(), fc.constantFrom([], ["pii"], null))
  .map(([n, t, notNull, tags]) => ({ name: n, ...t, notNull, tags }));
const relation = fc.record({
  kind: fc.constantFrom("table", "view", "sequence"),
  tags: fc.constantFrom([], ["a", "b"], null),
  columns: fc.uniqueArray(column, { selector: (c) => c.name, maxLength: 4 }),
  hasTriggers: fc.boolean(),
  constraints: fc.constantFrom([], [{ name: "pk", kind: "primary-key", columns: ["id"] }]),
});
const schemas = fc.dictionary(
  name.filter((n) => n !== "__proto__"),
  fc.record({
    relations: fc.dictionary(
      name.filter((n) => n !== "__proto__"),
      relation,
      { maxKeys: 3 },
    ),
    functions: fc.constantFrom([], [{ name: "f", securityDefiner: true }]),
    types: fc.constantFrom([], [{ name: "mood", category: "E", runsCode: true }]),
    operators: fc.constantFrom([], [{ symbol: "<->", isNative: true }]),
  }),
  { maxKeys: 2 },
);

test("decode then encode then decode is the same catalog", () => {
  fc.assert(
    fc.property(schemas, (given) => {
      const first = decodeCatalogSnapshot(snapshot(given));
      assert.ok(first.ok, first.ok ? "" : `${first.error.path} ${first.error.message}`);
      const written = encodeCatalogSnapshot(first.value);
      const second = decodeCatalogSnapshot(written);
      assert.ok(second.ok, second.ok ? "" : `${second.error.path} ${second.error.message}`);
      assert.deepEqual({ ...second.value, version: "" }, { ...first.value, version: "" });
      assert.equal(encodeCatalogSnapshot(second.value), written);
    }),
    { numRuns: Number(process.env.GW_RUNS ?? 200) },
  );
});

test("knows the built-in types as format_type spells them", () => {
  assert.equal(builtinColumnType("numeric(10,2)")?.modifier, 10 * 65536 + 2 + 4);
  assert.equal(builtinColumnType("constructor"), undefined);
  assert.equal(builtinColumnType("integer(3)"), undefined);
});
