import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { noObligations } from "../../engine/model/decision.ts";
import { contextOf, makeWorld, obligationsOf, rewritten } from "./support.ts";

const world = await makeWorld(`
CREATE TABLE big (id int PRIMARY KEY, tenant text, day date, ref uuid, amount numeric, secret int);
INSERT INTO big SELECT i, 't' || i % 10, '2024-01-01'::date + i % 300, gen_random_uuid(), i, i FROM generate_series(1, 20000) i;
CREATE INDEX ON big (day); CREATE INDEX ON big (ref); CREATE INDEX ON big (amount);
ANALYZE big;
`);
const context = contextOf(world.catalog);
const obligations = obligationsOf(
  { "public.big": { secret: { kind: "nullify" } } },
  { "public.big": { kind: "compare", column: "tenant", op: "=", value: { type: "string", value: "t3" } } },
);

describe("the fence around a row filter", () => {
  const client = new pg.Client(world.server);
  before(() => client.connect());
  after(() => client.end());
  const plan = async (sql: string, given = obligations): Promise<string> => {
    const rows = await client.query<{ "QUERY PLAN": string }>(
      `EXPLAIN (COSTS OFF) ${rewritten(sql, context, given).text}`,
    );
    return rows.rows.map((r) => r["QUERY PLAN"]).join("\n");
  };

  const indexed: readonly (readonly [what: string, sql: string, index: string])[] = [
    ["a primary key", "SELECT * FROM big WHERE id = 7", "big_pkey"],
    ["a primary key under a renamed column", "SELECT * FROM big AS b (k) WHERE k = 7", "big_pkey"],
    ["a list of keys", "SELECT * FROM big WHERE id IN (7, 8)", "big_pkey"],
    ["a range of dates", "SELECT * FROM big WHERE day >= '2024-03-01' AND day < date '2024-03-02'", "big_day_idx"],
    ["a UUID", "SELECT * FROM big WHERE ref = '00000000-0000-0000-0000-000000000001'::uuid", "big_ref_idx"],
    ["the key of an UPDATE", "UPDATE big SET amount = 0 WHERE id = 7 AND amount > 1", "big_pkey"],
  ];
  for (const [what, sql, index] of indexed)
    test(`lets a look-up use its index: ${what}`, async () => {
      assert.match(await plan(sql), new RegExp(index));
    });

  const fenced: readonly (readonly [what: string, sql: string])[] = [
    ["an operator that isn't leakproof", "SELECT * FROM big WHERE amount = 5"],
    ["a function of the column", "SELECT * FROM big WHERE abs(id) = 5"],
    ["a masked column", "SELECT * FROM big WHERE secret = 5"],
    ["a constant of another type", "SELECT * FROM big WHERE id = 5.0"],
  ];
  for (const [what, sql] of fenced)
    test(`keeps outside: ${what}`, async () => {
      const { text } = rewritten(sql, context, obligations);
      const inside = text.slice(text.indexOf("WHERE"), text.indexOf("OFFSET 0"));
      assert.equal(inside.trim(), `WHERE ("gw"."tenant" OPERATOR("pg_catalog".=) 't3')`);
    });

  test("every operator that goes inside is leakproof on the server", async () => {
    const rows = await client.query(`
      SELECT o.oid::regoperator FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
      WHERE o.oprname IN ('=', '<>', '<', '<=', '>', '>=') AND NOT p.proleakproof
        AND o.oprleft = o.oprright AND o.oprleft::regtype::text IN ('smallint', 'integer', 'bigint', 'boolean', 'text', 'date',
          'timestamp without time zone', 'timestamp with time zone', 'uuid')`);
    assert.deepEqual(rows.rows, []);
  });

  test("a relation without obligations is read as it is", async () => {
    assert.equal(rewritten("SELECT id FROM big", context, noObligations).text, `SELECT "id" FROM "public"."big"`);
  });
});
