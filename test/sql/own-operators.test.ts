// Operators of the database's own that are SQL or PL code: refused by name where they would run, never another one in their place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { analyzeSql } from "../../engine/sql/analyze.ts";
import { builtinOperators } from "../../engine/sql/functions.ts";
import { withClient } from "../support/postgres.ts";
import { contextOf, makeWorld } from "./support.ts";

const world = await makeWorld(`
CREATE SCHEMA away;
CREATE FUNCTION likes(int, int) RETURNS bool LANGUAGE sql AS 'SELECT true';
CREATE OPERATOR >>> (LEFTARG = int, RIGHTARG = int, FUNCTION = likes);
CREATE OPERATOR away.<<< (LEFTARG = int, RIGHTARG = int, FUNCTION = likes);
CREATE TABLE t (a int, b int);
`);
const context = contextOf(world.catalog);

const said = (sql: string): string => {
  const analyzed = analyzeSql(sql, context);
  return analyzed.ok ? "understood" : analyzed.error.code;
};

const cases: readonly (readonly [what: string, sql: string, says: string])[] = [
  ["on the path, under a name that pg_catalog doesn't have", "SELECT a FROM t WHERE a >>> b", "operator-not-allowed"],
  ["the same over a list", "SELECT a FROM t WHERE a >>> ANY (ARRAY[1, 2])", "operator-not-allowed"],
  ["the same with its schema", "SELECT a FROM t WHERE a OPERATOR(public.>>>) b", "operator-not-allowed"],
  ["outside of the path: the server says that there is none", "SELECT a FROM t WHERE a <<< b", "understood"],
  [
    "named in pg_catalog, where there is none: the server says so",
    "SELECT a FROM t WHERE a OPERATOR(pg_catalog.>>>) b",
    "understood",
  ],
];
for (const [what, sql, says] of cases) {
  test(`an operator of the database's own: ${what}`, () => assert.equal(said(sql), says));
}

test("the operators that are taken for pg_catalog's are those that the server has there", async () => {
  const symbols = await withClient(world.server, async (client) => {
    const { rows } = await client.query<{ symbol: string }>(
      "SELECT DISTINCT oprname AS symbol FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace",
    );
    return rows.map(({ symbol }) => symbol);
  });
  assert.deepEqual([...builtinOperators].sort(), symbols.sort());
});
