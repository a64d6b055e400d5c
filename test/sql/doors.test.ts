// Doors beside the table: barrier views, indexes over expressions, catalogs, odd spellings of names.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Catalog } from "../../engine/model/catalog.ts";
import { isAlwaysTrue } from "../../engine/sql/always-true.ts";
import { parseSql } from "../../engine/sql/pg-parser.ts";
import { loadCatalog } from "../../proxy/postgres/catalog-loader.ts";
import { withClient } from "../support/postgres.ts";
import { analyzed, contextOf, faultOf, makeWorld, obligationsOf, rewritten, rowsOf } from "./support.ts";

// 63 bytes hold 31 letters of two bytes, and half of the next one is left out.
const long = "ä".repeat(40);
/** As many as it takes for the planner to ask the client's condition first (section 4.4 of the threat model). */
const wards = "'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H'";
const world = await makeWorld(`
  CREATE TABLE staff (id int PRIMARY KEY, wage int, bonus int, hidden bool, ward text);
  INSERT INTO staff VALUES (1, 10, 1, false, 'A'), (2, 0, 1, true, 'Z');
  CREATE INDEX ON staff ((1000 / (wage - bonus)));
  CREATE VIEW open_staff WITH (security_barrier) AS SELECT * FROM staff WHERE ward IN (${wards});
  CREATE VIEW plain_staff AS SELECT * FROM staff WHERE ward IN (${wards});
  CREATE TABLE "${long}" (id int, tax_no text);
  INSERT INTO "${long}" VALUES (1, 'real');`);
const context = contextOf(world.catalog);
const masked = obligationsOf({ "public.staff": { wage: { kind: "redact" } } });

test("a barrier view over a masked table keeps its barrier", async () => {
  await withClient(world.server, async (client) => {
    const sql = "SELECT id FROM open_staff WHERE 1 / (id - 2) < 5";
    assert.deepEqual(await rowsOf(client, sql, context, masked), [[1]]);
    await assert.rejects(rowsOf(client, sql.replace("open", "plain"), context, masked), { code: "22012" });
  });
});

test("a write that an expression over a masked column judges is refused", () => {
  const fault = faultOf("UPDATE staff SET bonus = 7 WHERE id = 1", context, masked);
  assert.equal(fault?.code, "constraint-oracle");
  assert.equal(faultOf("UPDATE staff SET hidden = true WHERE id = 1", context, masked), undefined);
});

test("catalogs tell neither the age of rows nor which large objects there are", async () => {
  await withClient(world.server, async (client) => {
    await client.query("SELECT lo_create(4711)");
    const rows = (text: string) => rowsOf(client, text, context);
    assert.deepEqual(await rows("SELECT DISTINCT relfrozenxid::text, relminmxid::text FROM pg_class"), [["0", "0"]]);
    assert.deepEqual(await rows("SELECT * FROM pg_largeobject_metadata"), []);
    await assert.rejects(rows("SELECT xmin FROM pg_class"), { code: "42703" });
  });
});

describe("names", () => {
  const obligations = (catalog: Catalog) => {
    const [key = ""] = [...catalog.relations.keys()].filter((k) => k.includes("ä"));
    return obligationsOf({ [key]: { tax_no: { kind: "constant", value: "***" } } });
  };

  test("are cut at 63 bytes, between characters, as the server cuts them", async () => {
    await withClient(world.server, async (client) => {
      for (const name of [long, "ä".repeat(31), `${"ä".repeat(32)}x`])
        assert.deepEqual(
          await rowsOf(client, `SELECT tax_no FROM "${name}"`, context, obligations(world.catalog)),
          [["***"]],
          name,
        );
      assert.equal(faultOf(`SELECT * FROM "${"ä".repeat(30)}"`, context)?.code, "unknown-relation");
    });
  });

  test("are the same in Unicode escapes, quotes and other cases", async () => {
    const masks = obligationsOf({ "public.staff": { wage: { kind: "constant", value: 5 } } });
    await withClient(world.server, async (client) => {
      for (const sql of [
        'SELECT U&"w\\0061ge" FROM U&"st\\0061ff" WHERE id = 1',
        "SELECT U&\"w!0061ge\" UESCAPE '!' FROM STAFF WHERE id = 1",
        'SELECT "wage" FROM public . staff AS "Staff" WHERE "Staff".Id = 1',
        'SELECT WAGE FROM U&"p\\0075blic".staff WHERE id = 1',
      ])
        assert.deepEqual(await rowsOf(client, sql, context, masks), [[5]], sql);
    });
    assert.equal(faultOf('SELECT "WAGE" FROM staff', context)?.code, "unknown-column");
    assert.match(rewritten('SELECT U&"w\\0061ge" FROM staff', context).text, /"wage"/);
  });
});

test("partitions that are attached later are children from the next read of the catalog on", async () => {
  const before = await makeWorld(`
    CREATE TABLE visits (id int, ward text) PARTITION BY LIST (ward);
    CREATE TABLE visits_a (id int, ward text);
    INSERT INTO visits_a VALUES (1, 'A');`);
  const filter = obligationsOf({}, { "public.visits": { kind: "constant", value: false } });
  assert.doesNotMatch(rewritten("SELECT * FROM visits_a", contextOf(before.catalog), filter).text, /OFFSET 0/);
  await withClient(before.server, async (client) => {
    await client.query("ALTER TABLE visits ATTACH PARTITION visits_a FOR VALUES IN ('A')");
    const { catalog } = await loadCatalog(async (q) => (await client.query(q)).rows);
    assert.notEqual(catalog.version, before.catalog.version);
    assert.deepEqual(await rowsOf(client, "SELECT * FROM visits_a", contextOf(catalog), filter), []);
  });
});

test("a condition that every row satisfies is not called a limit", () => {
  const conditions: Readonly<Record<string, boolean | "unknown">> = {
    "a = a": "unknown",
    "a >= a": "unknown",
    "a IS NULL OR a IS NOT NULL": true,
    "a IS NOT DISTINCT FROM a": "unknown",
    "a IN (a, 5)": "unknown",
    "a BETWEEN a AND a": "unknown",
    "a LIKE a": "unknown",
    "id > 0": "unknown",
    "id >= -1": "unknown",
    "-1 < id": "unknown",
    "id <= 2147483647": "unknown",
    "at < 'infinity'": "unknown",
    "name ^@ ''": "unknown",
    "name >= ''": "unknown",
    "tableoid > 0": "unknown",
    "ctid = ctid": "unknown",
    "id IN (SELECT id FROM t)": "unknown",
    "id IN (SELECT id FROM t WHERE old)": false,
    "id IN (SELECT t_id FROM gone)": false,
    "at < '2020-01-01'": false,
    "id > 5": false,
    "id <= 100": false,
    "at < now()": false,
  };
  for (const [condition, wanted] of Object.entries(conditions)) {
    const parsed = parseSql(`SELECT 1 FROM t WHERE ${condition}`);
    const statement = parsed.ok ? parsed.value[0]?.stmt : undefined;
    assert.ok(statement && "SelectStmt" in statement);
    const truth = isAlwaysTrue(statement.SelectStmt.whereClause);
    assert.equal(typeof truth === "boolean" ? truth : "unknown", wanted, condition);
  }
  assert.equal(analyzed("DELETE FROM staff WHERE id > 0", context).facts.accesses[0]?.hasWhere, true);
});
