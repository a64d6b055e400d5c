import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { contextOf, faultOf, makeWorld, obligationsOf, rewritten, rowsOf } from "./support.ts";

const schema = `
CREATE SCHEMA clinic; CREATE SCHEMA staff; CREATE SCHEMA vault;
CREATE TABLE clinic.patients (id int PRIMARY KEY, chart text, name text, email text, tax_no varchar(20), born date, cover jsonb,
  email_key text GENERATED ALWAYS AS (md5(email)) STORED);
CREATE TABLE clinic.visits (id int, patient_id int, ward text, cost int, findings text, at date) PARTITION BY RANGE (at);
CREATE TABLE clinic.visits_24 PARTITION OF clinic.visits FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE clinic.visits_25 PARTITION OF clinic.visits FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE VIEW clinic.v_roster AS SELECT id, name AS label, email AS reach FROM clinic.patients;
CREATE TABLE clinic.rooms (id int PRIMARY KEY, label text);
CREATE TABLE staff.people (id int PRIMARY KEY, name text, wage int, bank text);
INSERT INTO clinic.patients VALUES (1, 'c1', 'Ann', 'ann@x.org', '4711', '1980-05-06', '{"bank":"b"}'), (2, 'c2', 'Bob', 'bob@y.org', '4712', NULL, NULL);
INSERT INTO clinic.visits SELECT i, 1 + i % 2, chr(64 + i), 990 + i, 'f' || i, '2024-03-01'::date + i * 30 FROM generate_series(1, 20) i;
INSERT INTO clinic.rooms VALUES (1, 'blue'), (2, 'red');
INSERT INTO staff.people VALUES (1, 'Pia', 4100, 'DE1');
`;

const redact = { kind: "redact" } as const;
const email = { kind: "partial", first: 1, last: 0, keepDomain: true, fill: "*" } as const;
const obligations = obligationsOf(
  { "clinic.patients": { email, tax_no: redact }, "staff.people": { wage: { kind: "nullify" } } },
  {
    "clinic.visits": {
      kind: "in",
      column: "ward",
      values: ["A", "B", "C"].map((value) => ({ type: "string" as const, value })),
    },
  },
);

const world = await makeWorld(schema);

describe("rewriting on a real server", () => {
  const client = new pg.Client(world.server);
  const context = () => contextOf(world.catalog, { searchPath: ["clinic", "staff"] });
  before(() => client.connect());
  after(() => client.end());

  const reads: readonly (readonly [mechanism: string, sql: string, rows: unknown[][]])[] = [
    [
      "plain select",
      "SELECT name, email FROM clinic.patients ORDER BY id",
      [
        ["Ann", "a***@x.org"],
        ["Bob", "b***@y.org"],
      ],
    ],
    ["search path", "SELECT tax_no FROM patients WHERE id = 1", [["***"]]],
    ["predicate on the mask", "SELECT id FROM patients WHERE email LIKE 'ann%'", []],
    ["alias with columns", "SELECT d FROM patients AS k(a, b, c, d) WHERE a = 1", [["a***@x.org"]]],
    [
      "schema-qualified reference",
      "SELECT clinic.patients.email FROM clinic.patients WHERE clinic.patients.id = 1",
      [["a***@x.org"]],
    ],
    ["whole row", "SELECT to_jsonb(p) ->> 'tax_no' FROM patients p WHERE id = 1", [["***"]]],
    ["view down to its base", "SELECT reach FROM v_roster WHERE label = 'Ann'", [["a***@x.org"]]],
    ["generated column", "SELECT email_key FROM patients WHERE id = 1", [[null]]],
    ["CTE shadows a table", "WITH patients AS (SELECT 7 AS email) SELECT email FROM patients", [[7]]],
    ["row filter", "SELECT count(*)::int FROM visits", [[3]]],
    ["fenced division", "SELECT count(*)::int FROM visits WHERE 1 / (cost - 999) < 2", [[3]]],
    ["partition directly", "SELECT count(*)::int FROM visits_24", [[3]]],
    ["join using", "SELECT count(*)::int FROM patients a JOIN patients b USING (tax_no) WHERE a.id <> b.id", [[2]]],
    ["lateral", "SELECT x.e FROM patients p, LATERAL (SELECT p.email AS e) x WHERE p.id = 1", [["a***@x.org"]]],
    [
      "set operation",
      "SELECT email FROM patients UNION SELECT bank FROM people ORDER BY 1",
      [["DE1"], ["a***@x.org"], ["b***@y.org"]],
    ],
    ["sublink", "SELECT (SELECT max(wage) FROM people) IS NULL", [[true]]],
    [
      "order by and window",
      "SELECT id, dense_rank() OVER (ORDER BY tax_no)::int FROM patients ORDER BY id",
      [
        [1, 1],
        [2, 1],
      ],
    ],
    [
      "recursive",
      "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT sum(n)::int FROM t",
      [[6]],
    ],
    ["for update", "SELECT id FROM visits WHERE id = 2 FOR UPDATE", [[2]]],
    [
      "sql syntax functions",
      "SELECT extract(year FROM date '2024-02-03')::int, trim(both 'x' from 'xax'), substring('abc' from 2 for 1), position('b' in 'abc')",
      [[2024, "a", "b", 2]],
    ],
    [
      "group by the key",
      "SELECT p.id, p.email, count(*)::int FROM patients p JOIN rooms r ON true GROUP BY p.id ORDER BY p.id",
      [
        [1, "a***@x.org", 2],
        [2, "b***@y.org", 2],
      ],
    ],
    ["partition of a row", "SELECT DISTINCT tableoid::regclass::text FROM visits", [["clinic.visits_24"]]],
    [
      "JSON_TABLE beside a masked relation",
      "SELECT j.v FROM patients p, JSON_TABLE(to_jsonb(p), '$' COLUMNS (v text PATH '$.tax_no')) AS j WHERE p.id = 1",
      [["***"]],
    ],
    [
      "XML of masked values",
      'SELECT xmlelement(name r, xmlattributes(id, tax_no AS no), email, xmlforest(tax_no, name AS n), xmlconcat(xmlelement(name "a b")))::text FROM patients WHERE id = 1',
      [['<r id="1" no="***">a***@x.org<tax_no>***</tax_no><n>Ann</n><a_x0020_b/></r>']],
    ],
    [
      "several arrays side by side",
      "SELECT a, b, o::int FROM patients p, unnest(ARRAY[p.id, 7], ARRAY[p.tax_no]) WITH ORDINALITY AS u (a, b, o) WHERE p.id = 1",
      [
        [1, "***", 1],
        [7, null, 2],
      ],
    ],
    [
      "several arrays among other functions",
      "SELECT * FROM ROWS FROM (unnest(ARRAY[1, 2], ARRAY['x']), generate_series(5, 5))",
      [
        [1, "x", 5],
        [2, null, null],
      ],
    ],
    ["a comment where the parser looks ahead", "SELECT id FROM rooms WHERE id NOT /* x */ IN (1)", [[2]]],
    ["sizes", "SELECT pg_size_pretty(pg_table_size('clinic.rooms'))", [[null]]],
  ];
  for (const [mechanism, sql, rows] of reads)
    test(`answers about the masked image: ${mechanism}`, async () => {
      assert.deepEqual(await rowsOf(client, sql, context(), obligations), rows);
    });

  test("keeps name, type and modifier of every column", async () => {
    const sql = "SELECT * FROM clinic.patients";
    const plain = await client.query(sql);
    const masked = await client.query(rewritten(sql, context(), obligations).text);
    const shape = (r: pg.QueryResult) => r.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeModifier]);
    assert.deepEqual(shape(masked), shape(plain));
  });

  const refusals: readonly (readonly [mechanism: string, sql: string, code: string])[] = [
    ["function outside of the list", "SELECT pg_read_file('/etc/passwd')", "function-not-allowed"],
    ["attribute notation calls a function", "SELECT ('/etc/passwd'::text).pg_read_file", "unknown-column"],
    ["attribute as a function", "SELECT tax_no(p) FROM patients p", "function-not-allowed"],
    ["XML that is parsed", "SELECT xmlparse(content tax_no) FROM patients", "unsupported-clause"],
    ["write of a masked column", "UPDATE patients SET email = 'x' WHERE id = 1", "masked-column-written"],
    ["moving a row out of the filter", "UPDATE visits SET ward = 'Z'", "row-outside-filter"],
    ["system column", "SELECT ctid FROM visits", "system-column"],
    ["explain of a filtered relation", "EXPLAIN SELECT * FROM visits", "unsupported-statement"],
    ["statistics", "SELECT * FROM pg_stats", "catalog-not-allowed"],
    ["setting", "SET session_replication_role = replica", "setting-not-allowed"],
    [
      "set_config of a variable",
      "SELECT set_config(c, 'off', false) FROM (VALUES ('row_security')) t(c)",
      "setting-not-allowed",
    ],
  ];
  for (const [mechanism, sql, code] of refusals)
    test(`refuses: ${mechanism}`, () => {
      assert.equal(faultOf(sql, context(), obligations)?.code, code);
    });

  test("a write copies masks only, touches visible rows only, and returns masks", async () => {
    await client.query("BEGIN");
    const run = async (sql: string) =>
      client.query<unknown[]>({ text: rewritten(sql, context(), obligations).text, rowMode: "array" });
    assert.equal((await run("UPDATE visits SET findings = 'seen' WHERE 1 / (cost - 999) < 2")).rowCount, 3);
    assert.equal((await run("DELETE FROM visits WHERE id > 0")).rowCount, 3);
    await run("UPDATE patients SET chart = tax_no WHERE tax_no = '***' AND id = 1");
    assert.deepEqual((await run("UPDATE patients SET name = name WHERE id = 1 RETURNING email, chart")).rows, [
      ["a***@x.org", "***"],
    ]);
    assert.deepEqual((await run("INSERT INTO patients (id, name) VALUES (9, 'Zoe') RETURNING id, tax_no")).rows, [
      [9, null],
    ]);
    const insert = async (ward: string) =>
      client.query(
        rewritten(
          "INSERT INTO visits (id, ward, at) VALUES ($1, $2, '2024-02-02') RETURNING ward",
          context(),
          obligations,
        ).text,
        [77, ward],
      );
    assert.deepEqual((await insert("B")).rows, [{ ward: "B" }]);
    assert.equal((await run("INSERT INTO visits (id, ward, at) SELECT 78, 'C', at FROM visits")).rowCount, 1);
    await client.query("SAVEPOINT s");
    await assert.rejects(insert("Z"), { code: "22P02" });
    await client.query("ROLLBACK TO s");
    await assert.rejects(run("INSERT INTO visits (id, ward, at) SELECT 78, NULL, at FROM visits"), { code: "22P02" });
    await client.query("ROLLBACK");
  });
});
