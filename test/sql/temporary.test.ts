// Temporary tables: an own verb, names as PostgreSQL resolves them, contents that are masked already.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { analyzeSql } from "../../engine/sql/analyze.ts";
import type { SessionEffect, SqlContext } from "../../engine/sql/types.ts";
import { afterError, afterReady, applyEffect, initialSearchPath } from "../../proxy/postgres/search-path.ts";
import { withClient } from "../support/postgres.ts";
import { analyzed, contextOf, faultOf, makeWorld, obligationsOf, rewritten } from "./support.ts";

const { server, catalog } = await makeWorld(`
  CREATE TABLE people (id int PRIMARY KEY, email varchar(40) NOT NULL, ward text);
  INSERT INTO people VALUES (1, 'ana@x.org', 'A'), (2, 'bo@y.org', 'B');
  CREATE VIEW all_people AS SELECT * FROM people;
  CREATE TABLE work (id int);`);
const context = contextOf(catalog);
const obligations = obligationsOf(
  { "public.people": { email: { kind: "constant", value: "***" } } },
  { "public.people": { kind: "compare", column: "ward", op: "=", value: { type: "string", value: "A" } } },
);

/** The context after the statement has run. */
function afterRunning(text: string, before: SqlContext = context): SqlContext {
  const temporary = new Map(before.temporary);
  for (const effect of analyzed(text, before).effects) {
    if (effect.kind === "create-temporary") temporary.set(effect.name, effect.relation);
    if (effect.kind === "drop-temporary") for (const name of effect.names ?? temporary.keys()) temporary.delete(name);
  }
  return { ...before, temporary };
}
const accesses = (text: string, at: SqlContext = context): readonly string[] =>
  analyzed(text, at).facts.accesses.map(
    (a) => `${a.verb} ${a.relation ? `${a.relation.schema}.${a.relation.name}` : "-"}`,
  );
const columnsOf = (at: SqlContext, name: string): readonly string[] =>
  (at.temporary.get(name)?.columns ?? []).map((c) => c.name);

describe("CREATE TEMPORARY TABLE", () => {
  test("is an access of its own, beside those of the query", () => {
    assert.deepEqual(accesses("CREATE TEMP TABLE t (a int)"), ["temporary pg_temp.t"]);
    assert.deepEqual(accesses("CREATE TEMP TABLE t AS SELECT id FROM people"), [
      "select public.people",
      "temporary pg_temp.t",
    ]);
    assert.deepEqual(accesses("SELECT id INTO TEMP t FROM people"), ["select public.people", "temporary pg_temp.t"]);
    assert.deepEqual(accesses("CREATE TABLE pg_temp.t (a int)"), ["temporary pg_temp.t"]);
    assert.deepEqual(accesses("CREATE TABLE t (a int)", { ...context, searchPath: ["pg_temp", "public"] }), [
      "temporary pg_temp.t",
    ]);
    assert.deepEqual(accesses("CREATE TABLE t (a int)"), ["create -"]);
    assert.deepEqual(accesses("SELECT 1 AS a INTO t"), ["create -"]);
  });

  test("what it takes from a table counts as returned", () => {
    const { facts } = analyzed("CREATE TEMP TABLE t AS SELECT email FROM people WHERE id = 1", context);
    assert.deepEqual(
      facts.columnsReturned.map((c) => c.column),
      ["email"],
    );
    const filled = analyzed("INSERT INTO t SELECT ward FROM people", afterRunning("CREATE TEMP TABLE t (a text)"));
    assert.deepEqual(
      filled.facts.columnsReturned.map((c) => c.column),
      ["ward"],
    );
  });

  test("is filled with masked columns and permitted rows, in whatever way it is filled", async () => {
    await withClient(server, async (client) => {
      const steps = [
        "CREATE TEMP TABLE a AS SELECT * FROM people",
        "SELECT p.* INTO TEMP b FROM people p UNION ALL SELECT * FROM people",
        "CREATE TEMP TABLE c (id int, email text)",
        "INSERT INTO c SELECT id, email FROM people",
        "CREATE TEMP TABLE d (id, mail) AS TABLE people",
        "CREATE TEMP TABLE e AS VALUES (1, 'x')",
        "UPDATE c SET email = (SELECT email FROM people LIMIT 1)",
      ];
      let at = context;
      for (const step of steps) {
        await client.query(rewritten(step, at, obligations).text);
        at = afterRunning(step, at);
      }
      const rows = async (text: string) => (await client.query(rewritten(text, at, obligations).text)).rows;
      assert.deepEqual(await rows("SELECT * FROM a"), [{ id: 1, email: "***", ward: "A" }]);
      assert.deepEqual(await rows("SELECT email FROM b"), [{ email: "***" }, { email: "***" }]);
      assert.deepEqual(await rows("SELECT * FROM pg_temp.c"), [{ id: 1, email: "***" }]);
      assert.deepEqual(await rows("SELECT mail, ward FROM d"), [{ mail: "***", ward: "A" }]);
      assert.deepEqual(await rows("SELECT column2 FROM e"), [{ column2: "x" }]);
      assert.deepEqual(
        (await client.query("SELECT atttypmod FROM pg_attribute WHERE attrelid = 'a'::regclass AND attname = 'email'"))
          .rows,
        [{ atttypmod: 44 }],
      );
    });
  });

  test("a row limit bounds what is put into it", () => {
    const limited = obligationsOf({}, {}, [
      { rule: "test.rule" as never, unit: "rows", max: 5, window: undefined } as never,
    ]);
    assert.match(rewritten("CREATE TEMP TABLE t AS SELECT id FROM people", context, limited).text, /LIMIT 5\)$/);
    const at = afterRunning("CREATE TEMP TABLE t (a int)");
    assert.match(rewritten("INSERT INTO t SELECT id FROM people", at, limited).text, /LIMIT 5$/);
  });

  test("takes column definitions with built-in types, functions and constraints", async () => {
    const text = `CREATE TEMP TABLE IF NOT EXISTS t (id serial PRIMARY KEY, n bigint GENERATED BY DEFAULT AS IDENTITY,
      note varchar(20) COLLATE "C" DEFAULT lower('X') NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED,
      CONSTRAINT short CHECK (length(note) < 10), UNIQUE (note, n), LIKE people) ON COMMIT PRESERVE ROWS`;
    const at = afterRunning(text);
    assert.deepEqual(columnsOf(at, "t"), ["id", "n", "note", "twice", "id", "email", "ward"]);
    const good = text.replace(", LIKE people", "");
    await withClient(server, async (client) => {
      await client.query(rewritten(good, context).text);
      await client.query(rewritten("CREATE TEMP TABLE l (LIKE people) ON COMMIT DELETE ROWS", context).text);
      const then = afterRunning(good);
      await client.query(rewritten("INSERT INTO t (note) VALUES ('a')", then).text);
      assert.deepEqual((await client.query(rewritten("SELECT id, note, twice FROM t", then).text)).rows, [
        { id: 1, note: "a", twice: 2 },
      ]);
      await client.query(rewritten("CREATE UNIQUE INDEX ON t (note DESC)", then).text);
      await client.query(rewritten("DROP TABLE IF EXISTS t, nothing", then).text);
    });
  });

  test("what the gateway couldn't follow is refused by name", () => {
    const at = afterRunning("CREATE TEMP TABLE t (a int)");
    for (const text of [
      "CREATE TEMP VIEW v AS SELECT 1",
      "CREATE TEMP SEQUENCE s",
      "CREATE VIEW pg_temp.v AS SELECT 1",
      "CREATE VIEW v AS SELECT * FROM t",
      "ALTER TABLE t RENAME TO u",
      "ALTER TABLE t ADD COLUMN b int",
      "DROP TABLE t, work",
      "CREATE TEMP TABLE u AS EXECUTE q",
      "CREATE TEMP TABLE u (a int) INHERITS (people)",
      "CREATE TEMP TABLE u (a int REFERENCES people)",
      "CREATE TEMP TABLE u PARTITION OF people DEFAULT",
      "CREATE TEMP TABLE u (LIKE people INCLUDING ALL)",
      "CREATE TEMP TABLE u (a int) TABLESPACE x",
      "CREATE TEMP TABLE u (a int) USING heap",
      "CREATE TEMP TABLE u (a int) WITH (fillfactor = 10)",
      "CREATE TEMP TABLE public.u (a int)",
      "CREATE TEMP TABLE u (a int DEFAULT nextval('s'))",
      "CREATE TEMP TABLE u (a int DEFAULT pg_sleep(1))",
      "CREATE TEMP TABLE u AS SELECT * FROM unnest(ARRAY[ROW(1)]) z",
      "CREATE INDEX ON t ((a + 1))",
      "COMMENT ON TABLE t IS 'x'",
      "CREATE TABLE kept AS SELECT * FROM t",
      "CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
      "SELECT * FROM (SELECT 1 INTO TEMP u) s",
    ])
      assert.ok(faultOf(text, at), text);
  });
});

describe("names", () => {
  const at = afterRunning("CREATE TEMP TABLE people (id int)", context);

  test("a temporary table comes before every other of its name, unless the path names pg_temp", () => {
    assert.deepEqual(accesses("SELECT * FROM people", at), ["select pg_temp.people"]);
    assert.deepEqual(accesses("SELECT * FROM public.people", at), ["select public.people"]);
    assert.deepEqual(accesses("SELECT * FROM people", { ...at, searchPath: ["public", "pg_temp"] }), [
      "select public.people",
    ]);
    assert.deepEqual(accesses("SELECT * FROM pg_temp.people", at), ["select pg_temp.people"]);
    assert.equal(faultOf("SELECT * FROM pg_temp.people", context)?.code, "unknown-relation");
    assert.equal(faultOf("SELECT * FROM pg_temp_3.people", at)?.code, "unknown-relation");
  });

  test("a view keeps meaning the permanent one, and its masks", () => {
    const own = rewritten("SELECT * FROM people", at, obligations).text;
    assert.doesNotMatch(own, /\*\*\*/);
    for (const name of ["public.people", "all_people"])
      assert.match(rewritten(`SELECT * FROM ${name}`, at, obligations).text, /\*\*\*/);
  });

  test("DROP of temporary tables needs no right to drop, of permanent ones it does", () => {
    assert.deepEqual(accesses("DROP TABLE people", at), ["temporary pg_temp.people"]);
    assert.deepEqual(accesses("DROP TABLE public.people", at), ["drop public.people"]);
    assert.deepEqual(accesses("DROP TABLE people", context), ["drop public.people"]);
    assert.deepEqual(accesses("DROP TABLE IF EXISTS nothing", context), ["temporary -"]);
    assert.deepEqual(accesses("DROP TABLE nothing", context), ["drop -"]);
    assert.equal(
      rewritten("DROP TABLE IF EXISTS people, nothing CASCADE", at).text,
      'DROP TABLE IF EXISTS "pg_temp"."people", "pg_temp"."nothing" CASCADE',
    );
  });

  test("a statement that acts on a temporary table never reaches the permanent one of its name", () => {
    for (const text of ["TRUNCATE people", "ANALYZE people", "CREATE INDEX ON people (id)", "VACUUM people"])
      assert.match(rewritten(text, at).text, /pg_temp"?\."?people/, text);
  });

  test("a later statement of the same message sees what an earlier one makes", () => {
    const result = analyzeSql(
      "CREATE TEMP TABLE w2 (a int); INSERT INTO w2 VALUES (1); TABLE w2; DROP TABLE w2; TABLE w2",
      context,
    );
    assert.equal(result.ok ? "" : result.error.code, "unknown-relation");
    const ok = analyzeSql("CREATE TEMP TABLE w2 (a int); INSERT INTO w2 VALUES (1); TABLE w2", context);
    assert.ok(ok.ok);
  });
});

describe("a session's tables follow its transactions", () => {
  const effects = (text: string, at: SqlContext = context): readonly SessionEffect[] => {
    const result = analyzeSql(text, at);
    assert.ok(result.ok);
    return result.value.flatMap((s) => s.effects);
  };
  const after = (...texts: readonly string[]) => {
    let path = initialSearchPath("public");
    for (const text of texts) {
      if (text === "error") path = afterError(path);
      else if (text === "ready") path = afterReady(path, true, false);
      else for (const effect of effects(text)) path = applyEffect(path, effect);
    }
    return [...path.now.tables.keys()];
  };

  test("commit keeps them, rollback and an error take them away", () => {
    assert.deepEqual(after("CREATE TEMP TABLE t (a int)", "ready"), ["t"]);
    assert.deepEqual(after("BEGIN", "CREATE TEMP TABLE t (a int)", "COMMIT"), ["t"]);
    assert.deepEqual(after("BEGIN", "CREATE TEMP TABLE t (a int)", "ROLLBACK"), []);
    assert.deepEqual(after("CREATE TEMP TABLE t (a int)", "error"), []);
  });

  test("savepoints hold them, a rollback brings a dropped one back", () => {
    assert.deepEqual(
      after("BEGIN", "CREATE TEMP TABLE t (a int)", "SAVEPOINT s", "CREATE TEMP TABLE u (a int)", "ROLLBACK TO s"),
      ["t"],
    );
    assert.deepEqual(after("CREATE TEMP TABLE t (a int)", "ready", "BEGIN", "DISCARD TEMP", "ROLLBACK"), ["t"]);
  });

  test("ON COMMIT DROP and DISCARD end them", () => {
    assert.deepEqual(after("BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP"), ["t"]);
    assert.deepEqual(after("BEGIN", "CREATE TEMP TABLE t (a int) ON COMMIT DROP", "COMMIT"), []);
    assert.deepEqual(after("CREATE TEMP TABLE t (a int) ON COMMIT DROP", "ready"), []);
    assert.deepEqual(after("CREATE TEMP TABLE t (a int)", "ready", "DISCARD ALL"), []);
    assert.deepEqual(after("CREATE TEMP TABLE t (a int)", "ready", "DISCARD TEMP"), []);
  });
});
