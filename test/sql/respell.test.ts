// Definitions that the deparser doesn't know whole: sent in the client's own words, token by token, or not at all.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSql } from "../../engine/sql/pg-parser.ts";
import { respelled } from "../../engine/sql/respell.ts";
import { sameTree } from "../../engine/sql/tree.ts";
import { withClient } from "../support/postgres.ts";
import { contextOf, faultOf, makeWorld, rewritten } from "./support.ts";

const { catalog, server } = await makeWorld(
  "CREATE TABLE t (c1 int, c2 int); CREATE TRIGGER tr BEFORE UPDATE ON t EXECUTE FUNCTION suppress_redundant_updates_trigger()",
);
const context = contextOf(catalog);

const cases: readonly (readonly [what: string, sql: string, sent: string])[] = [
  [
    "a covering constraint",
    "ALTER TABLE t /* why */ ADD UNIQUE (c1) INCLUDE (c2) -- end",
    "ALTER TABLE t ADD UNIQUE ( c1 ) INCLUDE ( c2 )",
  ],
  ["a trigger's name", 'ALTER TRIGGER "tr" ON t RENAME TO other', 'ALTER TRIGGER "tr" ON t RENAME TO other'],
  ["options of VACUUM", "VACUUM (PARALLEL 2, INDEX_CLEANUP FALSE) t", "VACUUM ( PARALLEL 2 , INDEX_CLEANUP FALSE ) t"],
  [
    "a string in dollars",
    "CREATE FUNCTION f(t.c1%TYPE) RETURNS text LANGUAGE sql AS $x$ SELECT 'it''s' $x$",
    "CREATE FUNCTION f ( t . c1 % TYPE ) RETURNS text LANGUAGE sql AS ' SELECT ''it''''s'' '",
  ],
];
for (const [what, sql, sent] of cases)
  test(`${what} is written out`, () => {
    assert.equal(rewritten(sql, context).text, sent);
    const [own, other] = [parseSql(sql), parseSql(sent)];
    assert.ok(own.ok && other.ok && sameTree(own.value[0]?.stmt, other.value[0]?.stmt));
  });

test("what is sent does what the client meant", async () => {
  await withClient(server, async (c) => {
    for (const [, sql] of cases) await c.query(rewritten(sql, context).text);
    const { rows } = await c.query<{ n: string }>(
      "SELECT tgname || (SELECT prosrc FROM pg_proc WHERE proname = 'f') AS n FROM pg_trigger",
    );
    assert.deepEqual(rows, [{ n: "other SELECT 'it''s' " }]);
  });
});

test("a token that another server might read otherwise has no spelling", () => {
  for (const text of ["SELECT E'a\\''", "SELECT U&'d\\0061t'", 'SELECT U&"x"', "SELECT 'a'\n'b'", "SELECT 'open", ""])
    assert.equal(respelled(text), undefined, text);
  assert.equal(
    respelled('select Größe, $tag$it\'s$tag$, $1, "Q""x", B\'01\', a@>1.5e3'),
    `select "größe" , 'it''s' , $1 , "Q""x" , B'01' , a @> 1.5e3`,
  );
  assert.equal(
    faultOf("ALTER TABLE t ADD CONSTRAINT x UNIQUE (c1) INCLUDE (c2), ALTER c1 SET DEFAULT length(E'\\'')", context)
      ?.code,
    "rewrite-mismatch",
  );
});
