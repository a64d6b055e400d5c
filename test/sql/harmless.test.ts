// Harmless statements that were refused once, and need another schema than the clinic's.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { RowPredicate } from "../../engine/model/row-predicate.ts";
import { withClient } from "../support/postgres.ts";
import { analyzed, contextOf, faultOf, makeWorld, obligationsOf, rewritten, rowsOf } from "./support.ts";

const world = await makeWorld(`
  CREATE SCHEMA app; CREATE SCHEMA other;
  CREATE COLLATION app.plain (provider = builtin, locale = 'C.UTF-8');
  CREATE COLLATION app."C" (provider = builtin, locale = 'C.UTF-8');
  CREATE COLLATION other.plain FROM "C";
  CREATE TABLE app.t (id serial, name text); INSERT INTO app.t (name) VALUES ('b'), ('B'), ('a');
  CREATE TABLE app.hidden (id serial, ward text);
  CREATE FUNCTION app.peek(int) RETURNS bool LANGUAGE sql AS 'SELECT true';
  CREATE DOMAIN app.pct AS int CHECK (VALUE <= 100); CREATE DOMAIN app.coded AS int CHECK (app.peek(VALUE));
  CREATE TABLE app.doors (id int, name text COLLATE app.plain);
`);
const context = contextOf(world.catalog, { searchPath: ["app"] });
const ward: RowPredicate = { kind: "compare", column: "ward", op: "=", value: { type: "string", value: "A" } };
const obligations = obligationsOf({}, { "app.hidden": ward });

const rows = (sql: string): Promise<unknown[][]> => withClient(world.server, (c) => rowsOf(c, sql, context));

test("a collation of the database's own is found as the server finds it", async () => {
  const collated = (name: string, searchPath: readonly string[]): string | undefined =>
    /COLLATE ([^ )]+)/.exec(
      rewritten(`SELECT 'a' COLLATE ${name}`, contextOf(world.catalog, { searchPath })).text,
    )?.[1];
  assert.equal(collated("plain", ["app", "other"]), '"app"."plain"');
  assert.equal(collated("plain", ["other", "app"]), '"other"."plain"');
  assert.equal(collated("other.plain", ["app"]), '"other"."plain"');
  assert.equal(collated('"C"', ["app"]), '"pg_catalog"."C"');
  assert.equal(collated('"C"', ["app", "pg_catalog"]), '"app"."C"');
  assert.equal(collated('app."C"', []), '"app"."C"');
  assert.equal(faultOf("SELECT 'a' COLLATE vault.plain", context)?.code, "unsupported-clause");
  const sorted = await rows("SELECT name FROM t ORDER BY name COLLATE plain");
  assert.deepEqual(sorted, [["B"], ["a"], ["b"]]);
});

test("setval is a write of its sequence, and refused where rows that are hidden draw from it", async () => {
  const statement = analyzed("SELECT setval('t_id_seq', (SELECT max(id) FROM t))", context);
  assert.deepEqual(
    statement.facts.accesses.filter((a) => a.verb === "update").map((a) => a.relation?.name),
    ["t_id_seq"],
  );
  assert.deepEqual(await rows("SELECT setval('t_id_seq', 40, true) - 40, nextval('t_id_seq')"), [["0", "41"]]);
  assert.equal(faultOf("SELECT setval('hidden_id_seq', 1)", context, obligations)?.code, "filter-not-applicable");
  assert.equal(faultOf("SELECT setval(name::regclass, 1) FROM t", context)?.code, "function-not-allowed");
});

test("what a type takes can be asked, of types that may be cast to", async () => {
  const asked =
    "SELECT pg_input_is_valid(name, 'numeric(3,1)'), pg_input_is_valid('7', 'pct'), message FROM t, pg_input_error_info(name, 'int4')";
  assert.deepEqual((await rows(`${asked} LIMIT 1`))[0], [false, true, 'invalid input syntax for type integer: "b"']);
  for (const type of ["'coded'", "'nothing'", "name", "'int4 FROM app.t'", "'t'"])
    assert.notEqual(faultOf(`SELECT pg_input_is_valid('7', ${type}) FROM t`, context), undefined, type);
});

test("a temporary table may have no columns", () => {
  assert.equal(rewritten("CREATE TEMP TABLE bare ()", context).text, 'CREATE TEMPORARY TABLE "bare" ()');
});
