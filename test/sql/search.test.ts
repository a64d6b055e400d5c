// `mask … searchable`: equality with a constant sees the real value, everything else the mask.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { type Mask, searchableTypes } from "../../engine/model/mask.ts";
import { analyzed, contextOf, makeWorld, obligationsOf, rewritten, rowsOf } from "./support.ts";

const schema = (ann: string, key: string): string => `
CREATE TABLE people (id int PRIMARY KEY, email text, tax int8, ref uuid, born date, plain text, note text,
  email_lower text GENERATED ALWAYS AS (lower(email)) STORED);
INSERT INTO people (id, email, tax, ref, born, plain) VALUES (1, '${ann}', ${key}, '00000000-0000-0000-0000-00000000000${key.at(-1)}', '1980-05-0${key.at(-1)}', 'a'),
  (2, 'bob@y.org', 41, NULL, '1990-01-01', 'b'), (3, NULL, NULL, NULL, NULL, 'c');
INSERT INTO people (id, email, tax, ref, born, plain) SELECT i, 'x' || i || '@z.org', i, gen_random_uuid(), '2000-01-01', 'd' FROM generate_series(10, 3000) i;
CREATE INDEX people_email ON people (email); CREATE INDEX people_tax ON people (tax);
CREATE TABLE guesses (g text); INSERT INTO guesses VALUES ('ann@x.org'), ('amy@x.org');
CREATE VIEW anns AS SELECT id, email FROM people WHERE email = 'ann@x.org';
CREATE TABLE parent (id int, v text); CREATE TABLE child () INHERITS (parent);
INSERT INTO child VALUES (1, 'real');
ANALYZE;
`;
// Twins: one masked image, other values below it.
const [world, twin] = [
  await makeWorld(schema("ann@x.org", "4000000001")),
  await makeWorld(schema("amy@x.org", "4000000002")),
];

const email: Mask = { kind: "partial", first: 1, last: 0, keepDomain: true, fill: "*", searchable: true };
const hidden: Mask = { kind: "redact", searchable: true };
const masks = { "public.people": { email, tax: hidden, ref: hidden, born: hidden } };
const obligations = obligationsOf(masks);
const filtered = obligationsOf(masks, {
  "public.people": {
    kind: "in",
    column: "plain",
    values: ["a", "b"].map((value) => ({ type: "string" as const, value })),
  },
});

describe("a searchable mask", () => {
  const client = new pg.Client(world.server);
  const other = new pg.Client(twin.server);
  before(async () => {
    await client.connect();
    await other.connect();
  });
  after(async () => {
    await client.end();
    await other.end();
  });
  const context = contextOf(world.catalog);
  const rows = (sql: string, given = obligations) => rowsOf(client, sql, context, given);

  const found: readonly (readonly [how: string, sql: string, rows: unknown[][]])[] = [
    ["a constant", "SELECT id, email FROM people WHERE email = 'ann@x.org'", [[1, "a***@x.org"]]],
    ["the constant first", "SELECT id FROM people WHERE 'ann@x.org' = email", [[1]]],
    ["a typed constant", "SELECT id FROM people WHERE email = 'ann@x.org'::text", [[1]]],
    ["a list", "SELECT id FROM people WHERE email IN ('ann@x.org', 'bob@y.org') ORDER BY 1", [[1], [2]]],
    ["an integer beyond 32 bits", "SELECT id, tax FROM people WHERE tax = 4000000001", [[1, "0"]]],
    ["a uuid", "SELECT id FROM people WHERE ref = '00000000-0000-0000-0000-000000000001'", [[1]]],
    ["a date", "SELECT id FROM people WHERE born = date '1980-05-01'", [[1]]],
    ["nothing that does not occur", "SELECT id FROM people WHERE email = 'eve@x.org'", []],
    [
      "other conditions beside it",
      "SELECT id FROM people WHERE (id = 1 AND email = 'ann@x.org') AND plain = 'a'",
      [[1]],
    ],
    ["two of them", "SELECT id FROM people WHERE email = 'ann@x.org' AND tax = 4000000001", [[1]]],
    ["a renamed column", "SELECT a FROM people AS p (a, b) WHERE b = 'ann@x.org'", [[1]]],
    ["a count", "SELECT count(*)::int FROM people WHERE email = 'ann@x.org'", [[1]]],
    [
      "a group",
      "SELECT email, count(*)::int FROM people WHERE email = 'ann@x.org' GROUP BY email",
      [["a***@x.org", 1]],
    ],
    ["a subquery's own level", "SELECT 1 WHERE EXISTS (SELECT FROM people WHERE email = 'ann@x.org')", [[1]]],
    ["a CTE's own level", "WITH c AS (SELECT * FROM people WHERE email = 'ann@x.org') SELECT id FROM c", [[1]]],
    ["an inner join", "SELECT p.id FROM people p JOIN guesses g ON g.g <> '' WHERE p.email = 'ann@x.org'", [[1], [1]]],
    [
      "the side of an outer join that keeps its rows",
      "SELECT p.id, g FROM people p LEFT JOIN guesses g ON false WHERE p.email = 'ann@x.org'",
      [[1, null]],
    ],
    ["an arm of a UNION", "SELECT id FROM people WHERE email = 'ann@x.org' UNION SELECT 0 ORDER BY 1", [[0], [1]]],
  ];
  for (const [how, sql, wanted] of found)
    test(`is found by its real value: ${how}`, async () => {
      assert.deepEqual(await rows(sql), wanted);
    });

  test("a parameter is a constant, in Bind and in EXECUTE", async () => {
    const { text } = rewritten("SELECT id FROM people WHERE email = $1", context, obligations);
    assert.deepEqual((await client.query(text, ["ann@x.org"])).rows, [{ id: 1 }]);
    assert.deepEqual((await client.query(text, ["a***@x.org"])).rows, []);
    const statement = analyzed("PREPARE q (text) AS SELECT id FROM people WHERE email = $1", context);
    const [effect] = statement.effects;
    assert.ok(effect?.kind === "prepare");
    const prepared = { ...context, prepared: new Map([["q", effect.statement]]) };
    assert.deepEqual(await rowsOf(client, "EXECUTE q ('ann@x.org')", prepared, obligations), [[1]]);
    assert.deepEqual(await rowsOf(client, "EXECUTE q (NULL)", prepared, obligations), []);
  });

  test("the masked value finds nothing: one equality can't mean both", async () => {
    assert.deepEqual(await rows("SELECT id FROM people WHERE email = 'a***@x.org'"), []);
  });

  /** Answers on the twins are equal: nothing of the real value takes part. */
  const blind: readonly (readonly [how: string, sql: string])[] = [
    ["LIKE", "SELECT id FROM people WHERE email LIKE 'ann%'"],
    ["an order", "SELECT id FROM people WHERE email < 'ana@x.org' AND id < 3"],
    ["inequality", "SELECT id FROM people WHERE email <> 'ann@x.org' AND id < 3"],
    ["NOT IN", "SELECT id FROM people WHERE email NOT IN ('ann@x.org') AND id < 3"],
    ["NOT", "SELECT id FROM people WHERE NOT (email = 'ann@x.org') AND id < 3"],
    ["OR", "SELECT id FROM people WHERE email = 'ann@x.org' OR id = 2"],
    ["a function of the column", "SELECT id FROM people WHERE lower(email) = 'ann@x.org'"],
    ["a cast of the column", "SELECT id FROM people WHERE email::varchar = 'ann@x.org'"],
    ["an expression in place of the constant", "SELECT id FROM people WHERE email = 'ann' || '@x.org'"],
    ["a function in place of the constant", "SELECT id FROM people WHERE email = lower('ANN@x.org')"],
    ["a subquery in place of the constant", "SELECT id FROM people WHERE email = (SELECT 'ann@x.org')"],
    ["a column in place of the constant", "SELECT id FROM people, guesses WHERE email = g"],
    ["a column in the list", "SELECT id FROM people p WHERE email IN ('zoe', plain) AND id < 3"],
    ["ANY of an array", "SELECT id FROM people WHERE email = ANY (ARRAY['ann@x.org'])"],
    ["a row", "SELECT id FROM people WHERE (email, plain) = ('ann@x.org', 'a')"],
    ["IS NOT DISTINCT FROM", "SELECT id FROM people WHERE email IS NOT DISTINCT FROM 'ann@x.org'"],
    ["IS TRUE", "SELECT id FROM people WHERE (email = 'ann@x.org') IS TRUE"],
    ["the select list", "SELECT id, email = 'ann@x.org' FROM people WHERE id < 3 ORDER BY 1"],
    ["CASE", "SELECT id FROM people WHERE CASE WHEN email = 'ann@x.org' THEN true ELSE id = 2 END"],
    ["ORDER BY", "SELECT id FROM people WHERE id < 3 ORDER BY email = 'ann@x.org', id"],
    ["GROUP BY", "SELECT email = 'ann@x.org', count(*)::int FROM people GROUP BY 1"],
    ["HAVING", "SELECT id FROM people WHERE id < 3 GROUP BY id, email HAVING email = 'ann@x.org'"],
    ["FILTER", "SELECT count(*) FILTER (WHERE email = 'ann@x.org')::int FROM people"],
    ["ON", "SELECT p.id FROM people p JOIN guesses ON p.email = 'ann@x.org'"],
    ["a join on the column", "SELECT p.id FROM people p JOIN guesses ON p.email = g"],
    ["USING", "SELECT count(*)::int FROM people p JOIN people q USING (email) WHERE email = 'ann@x.org'"],
    [
      "the side of an outer join that is filled up",
      "SELECT g, p.id FROM guesses LEFT JOIN people p ON p.email = g WHERE p.email = 'ann@x.org'",
    ],
    ["a level above the relation", "SELECT id FROM (SELECT * FROM people) p WHERE email = 'ann@x.org'"],
    [
      "a level below the relation",
      "SELECT id FROM people p WHERE id < 3 AND EXISTS (SELECT WHERE p.email = 'ann@x.org')",
    ],
    ["a lateral level", "SELECT id FROM people p, LATERAL (SELECT 1 WHERE p.email = 'ann@x.org') x"],
    ["a view's own condition", "SELECT id FROM anns"],
    ["a condition on a view", "SELECT v.id FROM (SELECT id, email FROM anns) v WHERE v.email = 'ann@x.org'"],
    ["a generated column", "SELECT id FROM people WHERE email_lower = 'ann@x.org'"],
    ["a whole row", "SELECT id FROM people p WHERE to_jsonb(p) ->> 'email' = 'ann@x.org'"],
    ["a constant of another type", "SELECT id FROM people WHERE tax = 4000000001.0"],
    ["IS NULL", "SELECT id FROM people WHERE email IS NULL"],
    ["the target's list of UPDATE", "UPDATE people SET plain = 'z' WHERE id = 1 RETURNING email = 'ann@x.org'"],
    ["the FROM of UPDATE", "UPDATE guesses SET g = g FROM people p WHERE p.email = 'ann@x.org' RETURNING g"],
    ["OR in a DELETE", "DELETE FROM people WHERE email = 'ann@x.org' OR id = 2 RETURNING id"],
  ];
  for (const [how, sql] of blind)
    test(`shows its mask to everything else: ${how}`, async () => {
      const { text } = rewritten(sql, context, obligations);
      const answers: unknown[] = [];
      for (const c of [client, other]) {
        await c.query("BEGIN");
        answers.push((await c.query<unknown[]>({ text, rowMode: "array" })).rows);
        await c.query("ROLLBACK");
      }
      assert.deepEqual(answers[0], answers[1]);
    });

  test("UPDATE and DELETE find their rows by the real value", async () => {
    await client.query("BEGIN");
    for (const given of [obligations, filtered]) {
      await client.query("SAVEPOINT s");
      assert.deepEqual(
        await rows("UPDATE people SET note = 'z' WHERE email = 'ann@x.org' AND plain = 'a' RETURNING id, email", given),
        [[1, "a***@x.org"]],
      );
      assert.deepEqual(await rows("DELETE FROM people AS p WHERE p.email = 'bob@y.org' RETURNING id", given), [[2]]);
      await client.query("ROLLBACK TO s");
    }
    assert.deepEqual(await rows("DELETE FROM people WHERE email = 'x20@z.org' RETURNING id", filtered), []);
    await client.query("ROLLBACK");
  });

  test("hidden rows stay hidden from a search", async () => {
    assert.deepEqual(await rows("SELECT id FROM people WHERE email = 'x20@z.org'", filtered), []);
    assert.deepEqual(await rows("SELECT id FROM people WHERE email = 'ann@x.org'", filtered), [[1]]);
  });

  const plan = async (sql: string, given = obligations): Promise<string> => {
    const { text } = rewritten(sql, context, given);
    const result = await client.query<{ "QUERY PLAN": string }>(`EXPLAIN (COSTS OFF) ${text}`);
    return result.rows.map((r) => r["QUERY PLAN"]).join("\n");
  };
  for (const [what, sql, given] of [
    ["SELECT", "SELECT * FROM people WHERE email = 'ann@x.org'", obligations],
    ["IN", "SELECT * FROM people WHERE email IN ('ann@x.org', 'bob@y.org')", obligations],
    ["UPDATE", "UPDATE people SET note = 'z' WHERE email = 'ann@x.org'", obligations],
    ["a filtered SELECT", "SELECT * FROM people WHERE email = 'ann@x.org'", filtered],
    ["a filtered DELETE", "DELETE FROM people WHERE email = 'ann@x.org'", filtered],
  ] as const)
    test(`a search uses the column's index: ${what}`, async () => {
      assert.match(await plan(sql, given), /people_email/);
    });

  test("one mask that is not searchable closes the column", async () => {
    const { searchable: _, ...closed } = email;
    const given = obligationsOf({ "public.people": { email: closed } });
    assert.deepEqual(await rows("SELECT id FROM people WHERE email = 'ann@x.org'", given), []);
    const family = obligationsOf({ "public.parent": { v: hidden }, "public.child": { v: { kind: "redact" } } });
    assert.deepEqual(await rows("SELECT id FROM parent WHERE v = 'real'", family), []);
    assert.deepEqual(
      await rows("SELECT id FROM parent WHERE v = 'real'", obligationsOf({ "public.parent": { v: hidden } })),
      [[1]],
    );
  });

  test("a column computed from one that can't be searched can't be either", async () => {
    const { searchable: _, ...closed } = email;
    const sql = "SELECT id FROM people WHERE email_lower = 'ann@x.org'";
    const given = (of: Mask) => obligationsOf({ "public.people": { email: of, email_lower: hidden } });
    assert.deepEqual(await rows(sql, given(closed)), []);
    assert.deepEqual(await rows(sql, given(email)), [[1]]);
  });

  test("`=` of every searchable type is leakproof on the server, with each type that it is compared with", async () => {
    const types = [...searchableTypes].filter((t) => t !== "varchar");
    const leaky = await client.query(
      `SELECT o.oid::regoperator FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode
       JOIN pg_type l ON l.oid = o.oprleft JOIN pg_type r ON r.oid = o.oprright
       WHERE o.oprname = '=' AND NOT p.proleakproof AND l.typname = ANY ($1)
         AND (l.oid = r.oid OR (l.typname LIKE 'int_' AND r.typname LIKE 'int_'))`,
      [types],
    );
    const equal = await client.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_operator o JOIN pg_type t ON t.oid = o.oprleft WHERE o.oprname = '=' AND o.oprleft = o.oprright AND t.typname = ANY ($1)",
      [types],
    );
    assert.deepEqual([leaky.rows, equal.rows], [[], [{ n: types.length }]]);
  });
});
