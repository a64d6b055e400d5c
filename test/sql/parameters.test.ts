// Bound values as facts: read by their certain types, decided about at each execution.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type pg from "pg";
import { isKnown } from "../../engine/lib/truth.ts";
import { parameterFact } from "../../engine/sql/parameters.ts";
import { startTestGateway } from "../support/gateway.ts";
import { analyzed, contextOf, makeWorld } from "./support.ts";

const { catalog } = await makeWorld(
  "CREATE TABLE pay (id int PRIMARY KEY, amount numeric(10,2), note varchar(20), open bool, key uuid, doc jsonb)",
);
const context = contextOf(catalog);

/** The fact for values in text format: a list, or why it isn't known. */
function factOf(
  text: string,
  values: readonly (string | Buffer | null)[],
  more: Partial<typeof context> = {},
): unknown {
  const statement = analyzed(text, { ...context, ...more });
  const bytes = values.map((v) => (v === null ? null : Buffer.from(v)));
  const fact = parameterFact(statement.parameters ?? [], bytes, { ...context, ...more });
  return isKnown(fact) ? fact : fact.why;
}
const unknownType = (n: number): string =>
  `\`$${n}\` has a type that only the database can tell: declare it, or write a cast`;

describe("values", () => {
  test("take the type of a cast, a compared column, an assigned column", () => {
    assert.deepEqual(factOf("SELECT $1::int, $2::text", ["5", "5"]), [5, "5"]);
    assert.deepEqual(
      factOf("SELECT 1 FROM pay WHERE id = $1 AND amount BETWEEN $2 AND $3", ["7", "1.5", "1e3"]),
      [7, 1.5, 1000],
    );
    assert.deepEqual(factOf("SELECT 1 FROM pay p WHERE p.id IN ($1, $2)", ["7", " 8 "]), [7, 8]);
    assert.deepEqual(
      factOf("INSERT INTO pay (id, amount, note, open) VALUES ($1, $2, $3, $4)", ["1", "9.5", "x", "t"]),
      [1, 9.5, "x", true],
    );
    assert.deepEqual(factOf("UPDATE pay SET amount = $2 WHERE id = $1", ["1", null]), [1, null]);
    assert.deepEqual(
      factOf("UPDATE pay SET doc = $1, key = $2", ['{"a": [1]}', "{A0EEBC99-9C0B4EF8-BB6D6BB9BD380A11}"]),
      [{ a: [1] }, "a0eebc99-9c0b4ef8-bb6d6bb9bd380a11"],
    );
  });

  test("are not known where only the database can tell", () => {
    assert.equal(factOf("SELECT $1", ["5"]), unknownType(1));
    assert.equal(factOf("SELECT abs($1)", ["5"]), unknownType(1));
    assert.equal(factOf("SELECT 1 FROM pay WHERE id = $1 OR note = $1", ["5"]), unknownType(1));
    assert.equal(factOf("SELECT $1::int + $1", ["5"]), unknownType(1));
    assert.equal(factOf("SELECT $1::int", []), "the statement has no values yet");
    assert.equal(factOf("SELECT $1::int", ["0x10"]), "`$1` is not a value of its type");
    assert.equal(factOf("SELECT $1::int8", ["9007199254740993"]), "`$1` is a number that can't be kept exactly");
    assert.equal(factOf("SELECT $1::float8", ["NaN"]), "`$1` is not a value of its type");
  });

  test("a declared type decides, and binary values need one or a cast", () => {
    assert.deepEqual(factOf("SELECT $1", ["5"], { parameterTypes: [23] }), [5]);
    const five = Buffer.from([0, 0, 0, 5]);
    const binary = { parameterFormats: [1] };
    assert.deepEqual(factOf("SELECT $1::int", [five], binary), [5]);
    assert.deepEqual(factOf("SELECT $1", [five], { ...binary, parameterTypes: [23] }), [5]);
    assert.equal(factOf("SELECT 1 FROM pay WHERE id = $1", [five], binary), unknownType(1));
    assert.equal(factOf("SELECT $1::int8", [five], binary), "`$1` is not a value of its type");
    // numeric_send of -1234.5: 2 digits, weight 0, negative, scale 1
    const numeric = Buffer.from([0, 2, 0, 0, 0x40, 0, 0, 1, 0x04, 0xd2, 0x13, 0x88]);
    assert.deepEqual(factOf("SELECT $1::numeric", [numeric], binary), [-1234.5]);
  });
});

test("a policy decides on each execution by its values", async () => {
  const gw = await startTestGateway({
    schema: "create table pay (id int primary key, amount int); insert into pay values (1, 10)",
    policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
deny large on sql update at "test-pg"
  when (sql.parameters[0] as int ?? 0) > 1000
  because "too much"
`,
  });
  const client: pg.Client = await gw.connect({ sub: "ada", kind: "human", groups: [] });
  const pay = (amount: unknown, name?: string) =>
    client.query({ text: "UPDATE pay SET amount = $1 WHERE id = $2", values: [amount, 1], ...(name ? { name } : {}) });
  const isDenied = { code: "42501" };
  assert.equal((await pay(500)).rowCount, 1);
  await assert.rejects(pay(5000), isDenied);
  for (const amount of [5, 5000, 6]) {
    if (amount > 1000) await assert.rejects(pay(amount, "named"), isDenied);
    else assert.equal((await pay(amount, "named")).rowCount, 1);
  }
  await assert.rejects(client.query({ text: "UPDATE pay SET amount = $1 + 0 WHERE id = 1", values: [5] }), isDenied);
  await client.query("PREPARE p (int) AS UPDATE pay SET amount = $1 WHERE id = 1");
  await client.query("EXECUTE p (7)");
  await assert.rejects(client.query("EXECUTE p (7000)"), isDenied);
  assert.deepEqual((await client.query("SELECT amount FROM pay")).rows, [{ amount: 7 }]);
});
