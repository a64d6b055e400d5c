import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Unknown } from "../../engine/lib/truth.ts";
import { analyzeSql } from "../../engine/sql/analyze.ts";
import { analyzed, contextOf, makeWorld } from "./support.ts";

const { catalog } = await makeWorld(`
CREATE TABLE public.orders (id int PRIMARY KEY, customer_id int, paid boolean, note text);
CREATE TABLE public.customers (id int PRIMARY KEY, name text, email text);
ALTER TABLE public.orders ADD FOREIGN KEY (customer_id) REFERENCES public.customers;
CREATE SCHEMA app;
CREATE TABLE app.events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE app.events_24 PARTITION OF app.events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE VIEW app.mails AS SELECT c.email, o.note FROM public.customers c JOIN public.orders o ON o.customer_id = c.id;
CREATE SEQUENCE public.loose;
COMMENT ON TABLE public.customers IS 'people, gw:tags(pii)';
COMMENT ON COLUMN public.customers.email IS 'gw:tags(pii, secret)';
`);
const context = contextOf(catalog);

/** `verb relation(columns) [via] [implied]` */
const accesses = (sql: string): readonly string[] =>
  analyzed(sql, context).facts.accesses.map((a) => {
    const relation = a.relation ? ` ${a.relation.schema}.${a.relation.name}(${a.columns.join(",")})` : "";
    const via = a.via.length > 0 ? ` via ${a.via.join(">")}` : "";
    return `${a.verb}${relation}${via}${a.implied ? ` ${a.implied}` : ""}`;
  });

describe("accesses", () => {
  const cases: readonly (readonly [mechanism: string, sql: string, expected: readonly string[]])[] = [
    ["nothing", "SELECT 1", ["select"]],
    [
      "columns of every clause",
      "SELECT name FROM customers WHERE email = 'x' ORDER BY id",
      ["select public.customers(id,name,email)"],
    ],
    ["star", "SELECT * FROM customers", ["select public.customers(id,name,email)"]],
    ["whole row", "SELECT c FROM customers c", ["select public.customers(id,name,email)"]],
    ["count only", "SELECT count(*) FROM customers", ["select public.customers()"]],
    [
      "using",
      "SELECT 1 FROM customers JOIN orders USING (id)",
      ["select public.customers(id)", "select public.orders(id)"],
    ],
    [
      "natural",
      "SELECT 1 FROM customers NATURAL JOIN orders",
      ["select public.customers(id)", "select public.orders(id)"],
    ],
    [
      "insert from select",
      "INSERT INTO orders (note) SELECT name FROM customers",
      ["insert public.orders(note)", "select public.customers(name)"],
    ],
    [
      "foreign key",
      "INSERT INTO orders (customer_id) VALUES (1)",
      ["insert public.orders(customer_id)", "select public.customers() constraint"],
    ],
    [
      "update reads what it names",
      "UPDATE orders SET paid = true WHERE id = 1",
      ["update public.orders(paid)", "select public.orders(id)"],
    ],
    ["delete", "DELETE FROM orders", ["delete public.orders()"]],
    ["CTE that shadows", "WITH orders AS (SELECT 1 AS id) SELECT id FROM orders", ["select"]],
    [
      "write in a CTE",
      "WITH x AS (DELETE FROM orders RETURNING id) SELECT id FROM x",
      ["delete public.orders()", "select public.orders(id)"],
    ],
    [
      "view, only what is used of it",
      "SELECT email FROM app.mails",
      [
        "select app.mails(email)",
        "select public.customers(id,email) via app.mails",
        "select public.orders(customer_id) via app.mails",
      ],
    ],
    ["partition", "SELECT id FROM app.events_24", ["select app.events_24(id)", "select app.events(id) family"]],
    [
      "correlated",
      "SELECT (SELECT max(o.note) FROM orders o WHERE o.customer_id = c.id) FROM customers c",
      ["select public.customers(id)", "select public.orders(customer_id,note)"],
    ],
    ["COPY is a query", "COPY customers TO STDOUT", ["select public.customers(id,name,email)"]],
    ["COPY in is an insert", "COPY customers (id) FROM STDIN", ["insert public.customers(id)"]],
    ["drop", "DROP TABLE orders, app.events", ["drop public.orders()", "drop app.events()"]],
    ["truncate", "TRUNCATE orders", ["truncate public.orders()"]],
    [
      "a definition always has its own verb",
      "CREATE VIEW v AS SELECT name FROM customers",
      ["select public.customers(id,name,email)", "create"],
    ],
    ["nextval writes its sequence", "SELECT nextval('loose')", ["update public.loose()"]],
    ["transaction", "BEGIN", ["begin"]],
    ["do", "DO 'BEGIN END'", ["do"]],
    [
      "merge",
      "MERGE INTO orders o USING customers c ON o.customer_id = c.id WHEN MATCHED THEN DELETE",
      [
        "merge public.orders()",
        "select public.orders(customer_id)",
        "select public.customers(id)",
        "delete public.orders()",
      ],
    ],
  ];
  for (const [mechanism, sql, expected] of cases)
    test(mechanism, () => {
      assert.deepEqual([...accesses(sql)].sort(), [...expected].sort());
    });
});

describe("is a WHERE always true", () => {
  const cases: readonly (readonly [where: string, expected: boolean | "unknown"])[] = [
    ["", true],
    ["WHERE true", true],
    ["WHERE 1 = 1", true],
    ["WHERE id = 7", false],
    ["WHERE id IN (1, 2)", false],
    ["WHERE id = $1", false],
    ["WHERE id = id", "unknown"],
    ["WHERE id = 7 OR true", true],
    ["WHERE id = 7 AND true", false],
    ["WHERE id IS NOT NULL", "unknown"],
    ["WHERE id < 5 OR id >= 5", true],
    ["WHERE NOT false", true],
    ["WHERE note LIKE '%'", "unknown"],
    ["WHERE length(note) >= 0", "unknown"],
    ["WHERE random() >= 0", "unknown"],
    ["WHERE EXISTS (SELECT 1)", "unknown"],
    ["WHERE paid", false],
  ];
  for (const [where, expected] of cases)
    test(where === "" ? "without one" : where, () => {
      const [access] = analyzed(`UPDATE orders SET paid = true ${where}`, context).facts.accesses;
      const truth = access?.whereAlwaysTrue;
      assert.equal(truth instanceof Unknown ? "unknown" : truth, expected);
      assert.equal(access?.hasWhere, where !== "");
    });
});

test("returned columns are those that flow into the result", () => {
  const { facts } = analyzed(
    "SELECT lower(x.e) FROM (SELECT email AS e, id FROM customers WHERE name = 'a') x",
    context,
  );
  assert.deepEqual(
    facts.columnsReturned.map((c) => `${c.relation.name}.${c.column}`),
    ["customers.email"],
  );
  assert.deepEqual(
    facts.columnsRead.map((c) => c.column),
    ["id", "name", "email"],
  );
  assert.deepEqual([...facts.functions], ["lower"]);
});

test("FOR UPDATE and its kin are accesses of their own: a right to read doesn't hold up writers", () => {
  const verbs = (sql: string): readonly unknown[] =>
    analyzed(sql, context).facts.accesses.map((a) => [a.verb, a.relation?.name]);
  assert.deepEqual(verbs("SELECT id FROM orders FOR UPDATE"), [
    ["select", "orders"],
    ["lock", "orders"],
  ]);
  assert.deepEqual(verbs("SELECT 1 FROM (SELECT id FROM orders FOR KEY SHARE SKIP LOCKED) o, customers"), [
    ["select", "orders"],
    ["lock", "orders"],
    ["select", "customers"],
  ]);
  assert.deepEqual(verbs("WITH o AS (SELECT id FROM orders FOR SHARE) SELECT FROM o"), [
    ["select", "orders"],
    ["lock", "orders"],
  ]);
});

test("set_config is SET in the clothes of a query: a right to select doesn't change settings", () => {
  const verbs = (sql: string): readonly unknown[] =>
    analyzed(sql, context).facts.accesses.map((a) => [a.verb, a.kind, a.relation?.name]);
  assert.deepEqual(verbs("SELECT set_config('search_path', 'app', false)"), [
    ["select", "read", undefined],
    ["set", "session", undefined],
  ]);
  assert.deepEqual(verbs("SELECT set_config('application_name', 'x', false) FROM orders"), [
    ["select", "read", "orders"],
    ["set", "session", undefined],
  ]);
});

test("limits and joins are counted", () => {
  const { facts } = analyzed("SELECT 1 FROM orders o, customers c LEFT JOIN orders p ON true LIMIT 5", context);
  assert.deepEqual([facts.joins, facts.hasLimit, facts.limit], [2, true, 5]);
});

test("a limit that ties go over is not known", () => {
  const { facts } = analyzed("SELECT id FROM orders ORDER BY id IS NULL FETCH FIRST 1 ROW WITH TIES", context);
  assert.equal(facts.hasLimit, true);
  assert.ok(facts.limit instanceof Unknown);
});

test("equal statements with other literals have one fingerprint", () => {
  const print = (sql: string): string => analyzed(sql, context).facts.fingerprint;
  assert.equal(print("SELECT id FROM orders WHERE id = 1"), print("select id from ORDERS where id = 222"));
  assert.match(print("SELECT 1"), /^[0-9a-f]{16}$/);
});

test("SET search_path holds for the statements after it", () => {
  const result = analyzeSql("SET search_path TO app; SELECT id FROM events; ROLLBACK; SELECT id FROM orders", context);
  assert.ok(result.ok);
  assert.deepEqual(
    result.value.map((s) => s.facts.tables.map((t) => t.name)),
    [[], ["events"], [], ["orders"]],
  );
  assert.deepEqual(result.value[0]?.effects, [{ kind: "set", name: "search_path", value: '"app"', isLocal: false }]);
});

test("comments carry tags", () => {
  const customers = catalog.relations.get("public.customers");
  assert.deepEqual(customers?.tags, new Set(["pii"]));
  assert.deepEqual(customers?.columns.find((c) => c.name === "email")?.tags, new Set(["pii", "secret"]));
});

test("EXECUTE is decided as the statement that was prepared", () => {
  const result = analyzeSql("PREPARE p (int) AS SELECT note FROM orders WHERE id = $1; EXECUTE p (3)", context);
  assert.ok(result.ok);
  assert.deepEqual(
    result.value[1]?.facts.accesses.map((a) => [a.verb, a.relation?.name, a.columns]),
    [["select", "orders", ["id", "note"]]],
  );
});
