// Refusing a harmless statement is a bug like a leak: each is let through and answered as a masked copy would.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { directWorld } from "../support/twin-databases.ts";
import { engineWorld } from "../support/twin-engine.ts";
import { withOids } from "../support/twin-oids.ts";
import { makeWorlds } from "../support/twin-worlds.ts";
import { faultsThrough, nameOf } from "./corpus-lane.ts";
import { openFindings } from "./open-findings.ts";
import { acceptedRows, readCorpus } from "./read-corpus.ts";

// At the top: a hook inside of a suite would take the databases down with it.
const worlds = await makeWorlds({ analyzed: false });
const rows = readCorpus("sql-benign");
const expected = [...openFindings("sql-benign"), ...acceptedRows(rows)].sort();

describe("harmless SQL", () => {
  test("the corpus holds 200 rows or more, each with a name of its own", () => {
    const names = rows.map(nameOf);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
    assert.ok(rows.length >= 200);
  });

  test("passes and answers as the server does", async () => {
    const open = await faultsThrough(
      worlds,
      rows,
      expected,
      async (d, wrap, row) => directWorld(d, wrap).run(await withOids(d, row.steps)),
      async (d, wrap, row) => engineWorld(d, worlds.catalog, wrap).run(await withOids(d, row.steps)),
    );
    assert.deepEqual(open, expected);
  });
});
