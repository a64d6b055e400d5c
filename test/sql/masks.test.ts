import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import type { Mask } from "../../engine/model/mask.ts";
import { loadCatalog } from "../../proxy/postgres/catalog-loader.ts";
import { contextOf, faultOf, makeWorld, obligationsOf, rewritten } from "./support.ts";

/** Type → values at the edges of what it holds. */
const types: Readonly<Record<string, readonly string[]>> = {
  text: ["''", "'a'", "'ann@x.org'", "'a@b@c'", "'@'", "repeat('x', 10000)", "'äöü😀 €'"],
  "varchar(7)": ["'ann@x.o'", "''"],
  "char(5)": ["'ab'", "''"],
  int2: ["-32768", "32767", "0"],
  int4: ["-2147483648", "2147483647", "-1"],
  int8: ["-9223372036854775808", "9223372036854775807"],
  numeric: ["'NaN'", "'Infinity'", "'-Infinity'", "1e100", "-0.00001"],
  "numeric(5,2)": ["-999.99", "999.99", "'NaN'"],
  float4: ["'NaN'", "'Infinity'", "-3.4e38", "1e-45"],
  float8: ["'NaN'", "'-Infinity'", "-1.7976931348623157e308", "1.7976931348623157e308", "5e-324"],
  bool: ["true", "false"],
  date: ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2024-02-29'"],
  timestamp: ["'infinity'", "'4713-01-01 00:00:00 BC'", "'294276-12-31 23:59:59'", "'2024-02-29 23:59:59'"],
  "timestamptz(0)": ["'-infinity'", "'4713-01-01 00:00:00+00 BC'", "'294276-12-31 00:00:00+00'", "now()"],
  interval: ["'178000000 years'", "'-1 day'"],
  uuid: ["'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
  jsonb: ["'{}'", "'null'", "'[1]'", "'7'", `'{"a": [], "b": {"c": 1}, "a.b": null}'`, "'[[{\"b\": 1}], {}]'"],
  json: ["'1'"],
  bytea: ["'\\x00ff'"],
  inet: ["'::1'"],
  "text[]": ["'{}'", "'{a,NULL}'", "'{{a,b},{c,d}}'", "'[5:6]={x,y}'"],
  "varchar(4)[]": ["'{}'", "'{abcd,NULL}'"],
  "int4[]": ["'{}'", "'{1,NULL,-2147483648,2147483647}'"],
  "timestamptz[]": ["'{infinity,2024-02-29 23:59:59+00}'"],
  "mood[]": ["'{calm}'"],
  int4range: ["'empty'", "'(,)'"],
  mood: ["'calm'"],
};
const masks: readonly Mask[] = [
  { kind: "partial", first: 1, last: 2, keepDomain: false, fill: "*" },
  { kind: "partial", first: 1, last: 0, keepDomain: true, fill: "*" },
  { kind: "bucket", size: 10, unit: undefined },
  { kind: "bucket", size: 0.5, unit: undefined },
  { kind: "bucket", size: 1e30, unit: undefined },
  { kind: "bucket", size: undefined, unit: "year" },
  { kind: "bucket", size: undefined, unit: "week" },
  { kind: "bucket", size: undefined, unit: "hour" },
  { kind: "round", to: 10 },
  { kind: "round", to: 1000 },
  { kind: "card" },
  { kind: "phone", last: 2 },
  { kind: "fields", hide: ["a[*].x", "b.c", '"a.b"'] },
  { kind: "fields", hide: ["*.c", "[*][*].b"] },
  { kind: "hash", salt: "a" },
  { kind: "tokenize", salt: "a" },
  { kind: "redact" },
  { kind: "constant", value: "x" },
  { kind: "constant", value: 3 },
  { kind: "constant", value: true },
  { kind: "nullify" },
];

const tables = Object.entries(types).map(([type, values], i) => ({ name: `t${i}`, type, values }));
const world = await makeWorld(`
CREATE TYPE mood AS ENUM ('calm', 'busy');
${tables.map((t) => `CREATE TABLE ${t.name} (v ${t.type}); INSERT INTO ${t.name} VALUES (NULL), ${t.values.map((v) => `((${v})::${t.type})`).join(", ")};`).join("\n")}
`);
const context = contextOf(world.catalog);

describe("masks", () => {
  const client = new pg.Client(world.server);
  before(() => client.connect());
  after(() => client.end());

  test("fit their type or are refused; where they fit they never fail, keep the type, and keep NULL", async () => {
    const settings = ["ISO, MDY", "German, DMY"];
    const applied = new Set<string>();
    for (const { name, type, values } of tables)
      for (const mask of masks) {
        const given = obligationsOf({ [`public.${name}`]: { v: mask } });
        const sql = `SELECT v FROM ${name}`;
        const fault = faultOf(sql, context, given);
        if (fault) {
          assert.equal(fault.code, "mask-not-applicable", `${type} ${JSON.stringify(mask)}: ${fault.message}`);
          continue;
        }
        applied.add(`${mask.kind} ${type}`);
        const { text } = rewritten(sql, context, given);
        const results: unknown[] = [];
        for (const style of settings) {
          await client.query(
            `SET datestyle TO ${style}; SET timezone TO '${style.startsWith("G") ? "Asia/Tokyo" : "UTC"}'`,
          );
          const real = await client.query(sql);
          const result = await client.query(`SELECT v, v::text = (v::text) AS same FROM (${text}) x`);
          assert.equal(result.rowCount, values.length + 1);
          assert.equal(result.rows[0].v, null);
          assert.deepEqual(
            [result.fields[0]?.dataTypeID, result.fields[0]?.dataTypeModifier],
            [real.fields[0]?.dataTypeID, real.fields[0]?.dataTypeModifier],
            `${type} ${JSON.stringify(mask)}`,
          );
          await client.query("SET timezone TO 'UTC'; SET datestyle TO ISO");
          results.push((await client.query(text)).rows);
        }
        assert.deepEqual(results[0], results[1], `${type} ${JSON.stringify(mask)} depends on settings`);
      }
    assert.equal(applied.size, 118);
  });

  const shown: readonly (readonly [mask: Mask, table: string, text: readonly (string | null)[]])[] = [
    [masks[1] ?? { kind: "redact" }, "text", [null, "***", "***", "a***@x.org", "a***@c", "***@", "***", "***"]],
    [masks[0] ?? { kind: "redact" }, "varchar(7)", [null, "a***.o", "***"]],
    [masks[2] ?? { kind: "redact" }, "int4", [null, "-2147483648", "2147483640", "-10"]],
    [
      masks[6] ?? { kind: "redact" },
      "date",
      [null, "289999-12-27", "4701-12-27 BC", "4701-12-27 BC", "289999-12-27", "2024-02-26"],
    ],
  ];
  for (const [mask, type, texts] of shown)
    test(`shows of ${type} under ${JSON.stringify(mask)}`, async () => {
      const table = tables.find((t) => t.type === type)?.name ?? "";
      const { text } = rewritten(
        `SELECT v::text FROM ${table}`,
        context,
        obligationsOf({ [`public.${table}`]: { v: mask } }),
      );
      assert.deepEqual(
        (await client.query<{ v: string | null }>(text)).rows.map((r) => r.v),
        texts,
      );
    });

  /** One column `v`, each value under the mask. */
  const under = async (mask: Mask, type: string, values: readonly string[]): Promise<readonly unknown[]> => {
    await client.query(`DROP TABLE IF EXISTS probe; CREATE TABLE probe (at serial, v ${type})`);
    for (const value of values) await client.query(`INSERT INTO probe (v) VALUES ($1)`, [value]);
    const { catalog } = await loadCatalog(async (q) => (await client.query(q)).rows);
    const given = obligationsOf({ "public.probe": { v: mask } });
    const { text } = rewritten("SELECT v FROM probe ORDER BY at", contextOf(catalog), given);
    const formats = [false, true].map((binary) => client.query({ text, binary } as pg.QueryConfig));
    const [plain, raw] = await Promise.all(formats);
    if (type === "int4" || type === "text") assert.deepEqual(raw?.rows, plain?.rows);
    return (plain?.rows ?? []).map((r: { v: unknown }) => r.v);
  };

  test("rounding goes to the nearest multiple, and to the edge of the type where there is none", async () => {
    assert.deepEqual(
      await under({ kind: "round", to: 1000 }, "int4", ["1499", "1500", "-1500", "-1501", "0"]),
      [1000, 2000, -1000, -2000, 0],
    );
    assert.deepEqual(await under({ kind: "round", to: 100 }, "int2", ["32767", "-32768"]), [32767, -32768]);
    assert.deepEqual(await under({ kind: "round", to: 10 }, "numeric(5,2)", ["999.99", "-4.99", "NaN"]), [
      "999.99",
      "0.00",
      "NaN",
    ]);
  });

  test("a card's number shows its last four digits, however it is written", async () => {
    const values = ["4111 1111 1111 1234", "4111-1111-1111-1234", "378282246310005", "1234", "no card at all", ""];
    const last = "**** **** **** 1234";
    assert.deepEqual(await under({ kind: "card" }, "text", values), [
      last,
      last,
      "**** **** **** 0005",
      "****",
      "****",
      "****",
    ]);
    assert.deepEqual(await under({ kind: "card" }, "varchar(10)", ["4111111111"]), ["****"]);
  });

  test("a telephone number shows its last digits", async () => {
    const values = ["+41 44 123 45 67", "044 123 45 67", "117", "x"];
    assert.deepEqual(await under({ kind: "phone", last: 2 }, "text", values), ["+***67", "***67", "***", "***"]);
    assert.deepEqual(await under({ kind: "phone", last: 0 }, "text", ["0441234567"]), ["***"]);
  });

  test("paths of a jsonb value are hidden, in whatever shape the secret comes", async () => {
    const mask: Mask = { kind: "fields", hide: ["owner.iban", "cards[*].number", '"a.b"', "deep.*.pin"] };
    const values = [
      { id: 1, owner: { iban: "DE1", name: "Ana" }, cards: [{ number: 1, kind: "x" }, { kind: "y" }, null], "a.b": 1 },
      { owner: "DE1", cards: { number: 7 }, "a.b": null, deep: { x: { pin: 1, y: 2 }, z: 5, n: null } },
      { owner: ["DE1"], cards: [], other: [1, "two"] },
      "DE1",
      null,
      {},
    ];
    assert.deepEqual(
      await under(
        mask,
        "jsonb",
        values.map((v) => JSON.stringify(v)),
      ),
      [
        {
          id: 1,
          owner: { iban: "***", name: "Ana" },
          cards: [{ number: "***", kind: "x" }, { kind: "y" }, null],
          "a.b": "***",
        },
        { owner: "***", cards: "***", "a.b": null, deep: { x: { pin: "***", y: 2 }, z: "***", n: null } },
        { owner: "***", cards: [], other: [1, "two"] },
        "***",
        null,
        {},
      ],
    );
    const both: Mask = { kind: "fields", hide: ["*.pin", "a.name"] };
    assert.deepEqual(await under(both, "jsonb", ['{"a": {"pin": 1, "name": 2, "x": 3}, "b": {"pin": 4, "name": 5}}']), [
      { a: { pin: "***", name: "***", x: 3 }, b: { pin: "***", name: 5 } },
    ]);
  });

  test("of an array each element is masked", async () => {
    const first: Mask = { kind: "partial", first: 1, last: 0, keepDomain: true, fill: "*" };
    assert.deepEqual(await under(first, "text[]", ["{ana@x.org,NULL,bo@y.org}", "{}", "{{ana@x.org},{bo@y.org}}"]), [
      ["a***@x.org", null, "b***@y.org"],
      [],
      ["a***@x.org", "b***@y.org"],
    ]);
    assert.deepEqual(await under({ kind: "bucket", size: 10, unit: undefined }, "int4[]", ["{11,19,-1}"]), [
      [10, 10, -10],
    ]);
  });

  test("masks of several rows work in a write's RETURNING and WHERE as well", async () => {
    await client.query(`DROP TABLE IF EXISTS w; CREATE TABLE w (id int, tags text[], doc jsonb);
      INSERT INTO w VALUES (1, '{ana,bo}', '{"k": "secret"}')`);
    const { catalog } = await loadCatalog(async (q) => (await client.query(q)).rows);
    const given = obligationsOf({
      "public.w": {
        tags: { kind: "partial", first: 1, last: 0, keepDomain: false, fill: "*" },
        doc: { kind: "fields", hide: ["k"] },
      },
    });
    const { text } = rewritten(
      `UPDATE w SET id = 2 WHERE doc ->> 'k' = '***' AND tags[1] = 'a***' RETURNING tags, doc`,
      contextOf(catalog),
      given,
    );
    assert.deepEqual((await client.query(text)).rows, [{ tags: ["a***", "b***"], doc: { k: "***" } }]);
  });

  test("a hash depends on key, salt and value, and never shows the key", async () => {
    const table = "t0";
    const of = (salt: string, key: string): string => {
      const given = obligationsOf({ [`public.${table}`]: { v: { kind: "hash", salt } } });
      const { text } = rewritten(`SELECT v FROM ${table} WHERE v IS NOT NULL`, context, given, key);
      assert.ok(!text.includes(key));
      return text;
    };
    const rows = async (sql: string): Promise<unknown> => (await client.query(sql)).rows;
    const one = await rows(of("a", "the key of the connection"));
    assert.deepEqual(await rows(of("a", "the key of the connection")), one);
    assert.notDeepEqual(await rows(of("b", "the key of the connection")), one);
    assert.notDeepEqual(await rows(of("a", "another key of a connection")), one);
  });
});
