// The server's own description of the rows agrees with what the analysis foresees, for every statement of the corpora.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type pg from "pg";
import { type DescribedColumn, mismatchOf, type RowShape } from "../../engine/sql/row-shape.ts";
import { readCorpus } from "../corpus/read-corpus.ts";
import { eventually } from "../support/eventually.ts";
import { startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";
import { EngineSession } from "../support/twin-engine.ts";
import { withOids } from "../support/twin-oids.ts";
import { makeWorlds } from "../support/twin-worlds.ts";
import { contextOf, makeWorld, rewritten } from "./support.ts";

const worlds = await makeWorlds({ analyzed: false });

const describedBy = (fields: readonly pg.FieldDef[]): readonly DescribedColumn[] =>
  fields.map((f) => ({ name: f.name, table: f.tableID, attribute: f.columnID, type: f.dataTypeID }));

test("every statement of the corpora that gives rows gives those that were foreseen", async () => {
  let compared = 0;
  const wrong: string[] = [];
  const rows = [...readCorpus("sql-benign"), ...readCorpus("sql-bypass")].filter((r) => !r.flags.has("own"));
  await withClient(worlds.A, async (client) => {
    for (const row of rows) {
      const session = new EngineSession(worlds.catalog);
      await client.query("BEGIN");
      try {
        for (const step of await withOids(worlds.A, row.steps)) {
          if (step.copied !== undefined) break;
          for (const verdict of session.gate(step.text)) {
            if (verdict.kind === "refused" || verdict.statement.facts.verb === "copy") continue;
            if (["begin", "commit", "rollback"].includes(verdict.statement.facts.verb)) continue;
            const values = "values" in step ? step.values : undefined;
            const result = await client.query({
              text: verdict.rewritten.text,
              ...(Array.isArray(values) ? { values } : {}),
            });
            session.applied(verdict.statement);
            const { shape } = verdict.rewritten;
            if (!shape) continue;
            compared++;
            const why = mismatchOf(shape, describedBy(result.fields));
            if (why) wrong.push(`${row.file}: ${row.name}: ${why}: ${show(shape)} and not ${show2(result.fields)}`);
          }
        }
      } catch {
        // What the server refuses describes nothing.
      }
      await client.query("ROLLBACK");
    }
  });
  assert.deepEqual(wrong, []);
  assert.ok(compared > 400, `compared ${compared}`);
});

const show = (shape: RowShape): string => shape.columns.map((c) => `${c.name}:${c.type}`).join();
const show2 = (fields: readonly pg.FieldDef[]): string => fields.map((f) => `${f.name}:${f.dataTypeID}`).join();

describe("a description that differs", async () => {
  const { catalog } = await makeWorld("CREATE TABLE t (a int, b text)");
  const { shape } = rewritten("SELECT a, b, a + 1 AS c FROM t", contextOf(catalog));
  assert.ok(shape);
  const oid = catalog.relations.get("public.t")?.oid ?? 0;
  const good: readonly DescribedColumn[] = [
    { name: "a", table: oid, attribute: 1, type: 23 },
    { name: "b", table: oid, attribute: 2, type: 25 },
    { name: "c", table: 0, attribute: 0, type: 23 },
  ];
  const swapped = (i: number, column: Partial<DescribedColumn>) =>
    good.map((c, k) => (k === i ? { ...c, ...column } : c));
  const cases: readonly (readonly [string, readonly DescribedColumn[], string | undefined])[] = [
    ["agrees", good, undefined],
    ["in the number of columns", good.slice(1), "column-count"],
    ["in a name", swapped(2, { name: "d" }), "column-name"],
    ["in the type of a column that is known", swapped(0, { type: 20 }), "column-type"],
    ["not in the type of what is computed", swapped(2, { type: 20 }), undefined],
    ["in a table that the statement doesn't name", swapped(1, { table: oid + 1 }), "column-origin"],
    ["in a column that the gateway doesn't know", swapped(1, { attribute: 3 }), "column-origin"],
  ];
  for (const [name, described, why] of cases) test(name, () => assert.equal(mismatchOf(shape, described), why));
});

test("system columns and every type of PostgreSQL's own pass over the wire", async () => {
  const gw = await startTestGateway({
    schema: `CREATE TYPE mood AS ENUM ('odd'); CREATE DOMAIN pct AS int; CREATE TYPE pair AS (a int, b text);
      CREATE TABLE t (a mood, b pct, c pair, d regproc, e oidvector, f name, g "char", h varchar(3)[], i numeric(4, 2), j int4multirange,
        k mood[], l bit(3), m interval day to second, n pg_node_tree, o aclitem[], p tsvector, q xid8, r bpchar(2), s uuid, t money);
      INSERT INTO t (a, b, d) VALUES ('odd', 1, 'now')`,
    policy: `package acme.test

allow staff on sql read at "test-pg"
`,
  });
  const client = await gw.connect({ sub: "ada", kind: "human", groups: [] });
  const { rows } = await client.query(
    "SELECT x.tableoid IS NOT NULL AS own, x.ctid, x.xmin IS NOT NULL AS old, x.a, x.b, x.d FROM t x",
  );
  assert.deepEqual(rows, [{ own: true, ctid: "(0,1)", old: true, a: "odd", b: 1, d: "now" }]);
  const all = await client.query("SELECT tableoid, xmin, cmin, xmax, cmax, ctid, * FROM t");
  assert.equal(all.fields.length, 26);
  const { fields } = await client.query(
    "SELECT 1::regproc AS a, NULL AS b, ARRAY[]::oid[] AS c, 'x' AS d, NULL::unknown AS e, (SELECT NULL) AS f, u.* FROM (SELECT 'y' AS g, NULL AS h, t.k FROM t) u",
  );
  assert.equal(fields.length, 9);
});

test("a table that changed behind the gateway ends the session, and the next one is judged by the new catalog", async () => {
  const gw = await startTestGateway({
    schema: [0, 1, 2, 3, 4].map((i) => `create table t${i} (id int); insert into t${i} values (1);`).join("\n"),
    policy: `package acme.test

allow staff on sql read at "test-pg"
mask mails of *.*.mail using redact at "test-pg"
`,
  });
  const ada = { sub: "ada", kind: "human", groups: [] };
  let ended = false;
  // The catalog may be read at any moment: then the statement is judged by the new one at once.
  for (let i = 0; i < 5 && !ended; i++) {
    const client = await gw.connect(ada);
    client.on("error", () => undefined);
    await withClient(gw.database, (c) => c.query(`ALTER TABLE t${i} ADD COLUMN mail text DEFAULT 'secret'`));
    try {
      const { rows } = await client.query(`SELECT * FROM t${i}`);
      assert.doesNotMatch(JSON.stringify(rows), /secret/);
    } catch (error) {
      assert.match(String(error), /the gateway ended the session/);
      ended = true;
    }
  }
  assert.ok(ended);
  const rows = await eventually(async () => {
    const client = await gw.connect(ada);
    return (await client.query("SELECT mail FROM t0").catch(() => undefined))?.rows;
  });
  assert.deepEqual(rows, [{ mail: "***" }]);
});
