// An image that is written once stands in every statement, and no text of a client's can take its place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { withClient } from "../support/postgres.ts";
import { contextOf, makeWorld, obligationsOf, rewritten, rowsOf } from "./support.ts";

const { server, catalog } = await makeWorld(`
  CREATE TABLE p (id int PRIMARY KEY, tax text); INSERT INTO p VALUES (1, 'real'), (2, 'other');
  CREATE TABLE q (a text, b text); INSERT INTO q VALUES ('x', 'y');
  CREATE VIEW v AS SELECT id, tax FROM p;`);
const context = contextOf(catalog);
const masked = obligationsOf({ "public.p": { tax: { kind: "constant", value: "***" } } });

test("the same image stands in all places of a statement, and in all statements", async () => {
  await withClient(server, async (client) => {
    const rows = (text: string, obligations = masked) => rowsOf(client, text, context, obligations);
    const all = [
      "SELECT a.tax FROM p a, p b WHERE a.id = b.id AND a.id = 1",
      "SELECT tax FROM p WHERE id = 1 UNION SELECT max(tax) FROM ONLY p",
      "WITH c AS (SELECT * FROM p) SELECT tax FROM c WHERE id IN (SELECT id FROM p WHERE tax = '***') LIMIT 1",
      "SELECT tax FROM v WHERE id = 1",
      "SELECT (SELECT tax FROM p LIMIT 1)",
    ];
    for (const text of all) assert.deepEqual(await rows(text), [["***"]], text);
    await client.query(rewritten("UPDATE q SET (a, b) = (SELECT tax, tax FROM p WHERE id = 1)", context, masked).text);
    assert.deepEqual(await rows("SELECT * FROM q"), [["***", "***"]]);
    await client.query(rewritten("DELETE FROM q WHERE a IN (SELECT tax FROM p) OR 1 = 2", context, masked).text);
    assert.deepEqual(await rows("SELECT * FROM q"), []);
  });
});

test("other obligations, keys and tables have images of their own", async () => {
  const other = obligationsOf({ "public.p": { tax: { kind: "hash", salt: "s" } } });
  const text = "SELECT tax FROM p";
  const texts = [
    rewritten(text, context, masked).text,
    rewritten(text, context, other, "k1").text,
    rewritten(text, context, other, "k2").text,
    rewritten("SELECT tax FROM ONLY p", context, masked).text,
  ];
  assert.equal(new Set(texts).size, 4);
  for (const sent of texts) assert.doesNotMatch(sent, /gw_image|\0/);
});

test("what a client writes like a placeholder stays what it is", async () => {
  await withClient(server, async (client) => {
    rewritten("SELECT tax FROM p", context, masked);
    for (let i = 1; i < 12; i++) {
      const name = `gw_image_${i}`;
      const text = `SELECT tax, 'SELECT "${name}"', (SELECT "${name}") FROM p, (VALUES (7)) AS w ("${name}") WHERE id = 1`;
      assert.deepEqual(await rowsOf(client, text, context, masked), [["***", `SELECT "${name}"`, 7]]);
    }
  });
});
