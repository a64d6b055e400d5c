import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import type { Mask } from "../../engine/model/mask.ts";
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
  jsonb: ["'{}'", "'null'", "'[1]'"],
  json: ["'1'"],
  bytea: ["'\\x00ff'"],
  inet: ["'::1'"],
  "text[]": ["'{}'", "'{a,NULL}'"],
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
    assert.equal(applied.size, 81);
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
