// Where the server says that an error is: in the client's own text, as if there were no gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";

const gw = await startTestGateway({
  schema: `create table people (id int primary key, name text, at date); create table masked (id int, secret text);
    create view names as select name from people`,
  policy: `package acme.test

allow staff on sql read, write, ddl, tcl, session at "test-pg"
mask secrets of public.masked.secret using nullify at "test-pg"
`,
});

type Told = { readonly code: string | undefined; readonly position: string | undefined };
const told = async (client: pg.Client, query: string | pg.QueryConfig): Promise<Told | "no error"> =>
  client.query(query).then(
    () => "no error" as const,
    (error: unknown) => {
      assert.ok(error instanceof pg.DatabaseError);
      return { code: error.code, position: error.position };
    },
  );

const texts: readonly string[] = [
  "SELECT name + 1 FROM people",
  "  /* é 🎉 */ SELECT 1, name FROM people WHERE at = 'never'",
  "SELECT lower(name, 2) FROM people p JOIN names n ON p.name = n.name",
  "SELECT count(*) FROM people WHERE name LIKE 5",
  "SELECT '🎉', name::int + true FROM people",
  "INSERT INTO people (id, name) VALUES (1, 'x', 3)",
  "INSERT INTO people VALUES (1, 'a', 'tomorrow-ish')",
  "UPDATE people SET id = 'x' WHERE true",
  "SELECT id FROM people GROUP BY name",
  "SELECT (SELECT id, name FROM people)",
  "SELECT 1 UNION SELECT 'x'",
  "SELECT * FROM people ORDER BY 7",
  "SELECT 1; SELECT 2; SELECT 'é' || name, id || at FROM people WHERE id",
  "SELECT CASE WHEN id THEN 1 END FROM people",
  "CREATE TABLE other (a int, b int DEFAULT a)",
  "SELECT max(count(*)) FROM people",
  "SELECT id FROM people LIMIT 'x'",
  "SELECT ARRAY[1, 'x'], ROW(1) = ROW(1, 2)",
  "SELECT sum(id) OVER w FROM people WINDOW w AS (ROWS at PRECEDING)",
];

test("positions are those of the client's text, in both protocols", async () => {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  await withClient(gw.database, async (direct) => {
    const differing: unknown[] = [];
    let positions = 0;
    for (const text of texts)
      for (const query of [text, { text, values: [], name: `q${texts.indexOf(text)}` }]) {
        const [here, there] = [await told(client, query), await told(direct, query)];
        assert.notEqual(there, "no error", text);
        if (here !== "no error" && here.position !== undefined) positions++;
        try {
          assert.deepEqual(here, there);
        } catch {
          differing.push([text, here, there]);
        }
      }
    assert.deepEqual(differing, []);
    assert.ok(positions > texts.length);
  });
  await client.end();
});

test("an error about protected data has no position", async () => {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  assert.deepEqual(await told(client, "SELECT secret + 1 FROM masked"), { code: "42883", position: undefined });
  await client.end();
});

test("an error of a very long statement has no place: nothing is parsed for it", async () => {
  const client = await gw.connect({ sub: "olga", kind: "human", groups: [] });
  const text = `SELECT id FROM people WHERE name = '${"x".repeat(70_000)}' AND name + 1 = 2`;
  assert.deepEqual(await told(client, text), { code: "42883", position: undefined });
  await client.end();
});
