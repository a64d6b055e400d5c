// Statements around data: SHOW ALL, SET CONSTRAINTS, EXPLAIN, XMLTABLE, what drivers send when a connection goes back to its pool.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withClient } from "../support/postgres.ts";
import { analyzed, contextOf, faultOf, makeWorld, obligationsOf, rewritten, rowsOf } from "./support.ts";

const { server, catalog } = await makeWorld(`
  CREATE TABLE p (id int PRIMARY KEY, tax text); INSERT INTO p VALUES (1, 'real');
  CREATE TABLE q (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE);`);
const context = contextOf(catalog);
const masked = obligationsOf({ "public.p": { tax: { kind: "redact" } } });
const verbs = (text: string) => analyzed(text, context).facts.accesses.map((a) => a.verb);

test("SHOW ALL shows the settings that may be read, and needs the verb", async () => {
  assert.deepEqual(verbs("SHOW ALL"), ["select", "show"]);
  await withClient(server, async (client) => {
    await client.query("SET myapp.secret = 'x'");
    const { text } = rewritten("SHOW ALL", context);
    const { fields, rows } = await client.query(text);
    assert.deepEqual(
      fields.map((f) => f.name),
      ["name", "setting", "description"],
    );
    const names = rows.map((r: { name: string }) => r.name);
    assert.ok(names.includes("work_mem") && names.includes("TimeZone"));
    for (const name of ["myapp.secret", "data_directory", "config_file", "primary_conninfo"])
      assert.ok(!names.includes(name), name);
    const all = (await client.query("SHOW ALL")).rows as { name: string; setting: string }[];
    const workMem = (list: readonly { name: string; setting: string }[]) =>
      list.find((r) => r.name === "work_mem")?.setting;
    assert.equal(workMem(rows as { name: string; setting: string }[]), workMem(all));
  });
});

test("SET CONSTRAINTS is an access of the verb `set`", async () => {
  assert.deepEqual(verbs("SET CONSTRAINTS ALL DEFERRED"), ["set"]);
  await withClient(server, async (client) => {
    await client.query("BEGIN");
    await client.query(rewritten("SET CONSTRAINTS q_p_fkey DEFERRED", context).text);
    await client.query("INSERT INTO q VALUES (1, 7)");
    await assert.rejects(client.query(rewritten("SET CONSTRAINTS ALL IMMEDIATE", context).text), { code: "23503" });
    await client.query("ROLLBACK");
  });
});

test("EXPLAIN ANALYZE is refused by name", () => {
  for (const text of ["EXPLAIN ANALYZE SELECT * FROM q", "EXPLAIN (ANALYZE) DELETE FROM q"])
    assert.equal(faultOf(text, context)?.code, "unsupported-clause");
  assert.equal(faultOf("EXPLAIN (ANALYZE off) DELETE FROM q", context), undefined);
});

test("what asyncpg, node-postgres and psycopg send to reset a connection is understood", () => {
  for (const text of [
    "SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL",
    "SELECT pg_catalog.set_config('jit', $1, false)",
    "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new",
    "DISCARD ALL",
    "DEALLOCATE ALL",
  ])
    assert.equal(faultOf(text, context, masked), undefined, text);
  assert.equal(faultOf("SELECT set_config('search_path', $1, false)", context)?.code, "setting-not-allowed");
  assert.equal(faultOf("SELECT set_config('row_security', $1, false)", context)?.code, "setting-not-allowed");
});

test("XMLTABLE reads the masked image", async () => {
  const sql = `SELECT x.* FROM p, XMLTABLE(XMLNAMESPACES('http://x' AS x), '/a' PASSING xmlelement(name a, xmlattributes(p.id AS id), p.tax)
    COLUMNS n FOR ORDINALITY, id int PATH '@id' NOT NULL, tax text PATH '.', more text DEFAULT 'none') AS x (place)`;
  await withClient(server, async (client) => {
    assert.deepEqual(await rowsOf(client, sql, context, masked), [[1, 1, "***", "none"]]);
    assert.deepEqual(await rowsOf(client, sql, context), [[1, 1, "real", "none"]]);
  });
  assert.deepEqual(
    analyzed(sql, context).facts.columnsReturned.map((c) => c.column),
    ["id", "tax"],
  );
  assert.equal(
    faultOf("SELECT * FROM XMLTABLE('/a' PASSING (pg_read_file('x')::xml) COLUMNS t text) x", context)?.code,
    "function-not-allowed",
  );
});
