// Real clients through the gateway to a real server.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import postgres from "postgres";
import { testDatabase } from "../support/postgres.ts";
import { startGateway } from "./gateway.ts";
import { runProgram } from "./run-program.ts";

const gateway = await startGateway(
  await testDatabase(
    "create table t (id int primary key, name text); insert into t select i, 'n' || i from generate_series(1, 1000) i",
  ),
);

const clientOf = async (): Promise<pg.Client> => {
  const client = new pg.Client({ ...gateway });
  await client.connect();
  return client;
};

test("node-postgres: simple and parameterised queries, errors, transactions", async () => {
  const client = await clientOf();
  assert.deepEqual((await client.query("select 1 as one")).rows, [{ one: 1 }]);
  assert.deepEqual((await client.query("select name from t where id = $1", [7])).rows, [{ name: "n7" }]);
  await assert.rejects(client.query("select 1/0"), { code: "22012" });
  await client.query("begin");
  await assert.rejects(client.query("select * from missing"), { code: "42P01" });
  await assert.rejects(client.query("select 1"), { code: "25P02" });
  await client.query("rollback");
  assert.deepEqual((await client.query({ name: "a", text: "select $1::int + 1 as n", values: [1] })).rows, [{ n: 2 }]);
  assert.deepEqual((await client.query({ name: "a", text: "select $1::int + 1 as n", values: [5] })).rows, [{ n: 6 }]);
  await client.end();
});

test("postgres.js: pipelined statements, a transaction, a large value", async () => {
  const sql = postgres({ ...gateway, max: 1, onnotice: () => undefined });
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => sql`select ${i}::int as i`));
  assert.deepEqual(
    answers.map((rows) => rows[0]?.i),
    Array.from({ length: 50 }, (_, i) => i),
  );
  await sql.begin(async (tx) => {
    await tx`insert into t values (${5000}, ${"x"})`;
    assert.equal((await tx`select count(*)::int as n from t where id = 5000`)[0]?.n, 1);
    await tx`delete from t where id = 5000`;
  });
  const large = "x".repeat(5_000_000);
  assert.equal((await sql`select ${large}::text as v`)[0]?.v, large);
  await sql.end();
});

test("psql: a script with \\d, COPY in and out, and an error", async () => {
  const run = await runProgram(
    "psql",
    ["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", String(gateway.port), "-U", "agent", gateway.database],
    {
      env: { PGPASSWORD: gateway.password },
      input: [
        "create temp table c (a int, b text);",
        "\\copy c from stdin",
        "1\tone",
        "2\ttwo",
        "\\.",
        "copy c to stdout;",
        "select count(*) from t; select 'second';",
        "select 1/0;",
        "\\d t",
      ].join("\n"),
    },
  );
  assert.match(run.stderr, /division by zero/);
  assert.match(run.stdout, /^1\tone\n2\ttwo\n1000\nsecond\nid\|integer\|\|not null\|/);
});
