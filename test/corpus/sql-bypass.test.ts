// Every row is run direct first: a row that doesn't leak there proves nothing about the gateway.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { directWorld } from "../support/twin-databases.ts";
import { engineWorld } from "../support/twin-engine.ts";
import { gatewaysOf } from "../support/twin-gateway.ts";
import { withOids } from "../support/twin-oids.ts";
import type { Answer } from "../support/twin-transcript.ts";
import { makeWorlds } from "../support/twin-worlds.ts";
import { isProved, leaksThrough, nameOf, onBoth, type RunRow } from "./corpus-lane.ts";
import { openFindings } from "./open-findings.ts";
import { acceptedRows, type CorpusRow, readCorpus } from "./read-corpus.ts";

// At the top: a hook inside of a suite would take the databases down with it.
const worlds = await makeWorlds({ analyzed: true });
const rows = readCorpus("sql-bypass");
const expected = [...openFindings("sql-bypass"), ...acceptedRows(rows)].sort();

describe("ways around a policy on SQL", () => {
  test("the corpus holds 300 rows or more, each with a name of its own", () => {
    const names = rows.map(nameOf);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
    assert.ok(rows.length >= 300);
  });

  const direct = new Map<CorpusRow, readonly Answer[]>();

  test("each works against a bare server", async () => {
    const harmless: string[] = [];
    for (const row of rows) {
      const pair = await onBoth(worlds, row, async (database, wrap) =>
        directWorld(database, wrap).run(await withOids(database, row.steps)),
      );
      direct.set(row, pair[0]);
      if (!isProved(row, pair)) harmless.push(nameOf(row));
    }
    assert.deepEqual(harmless, []);
  });

  const through = (name: string, run: RunRow) =>
    test(name, async () => {
      assert.deepEqual(await leaksThrough(worlds, rows, direct, expected, run), expected);
    });

  through("none works through the engine", async (database, wrap, row) =>
    engineWorld(database, worlds.catalog, wrap).run(await withOids(database, row.steps)),
  );

  const gateways = gatewaysOf(worlds.catalog);
  through("none works over the wire", async (database, wrap, row) =>
    gateways(database, wrap, await withOids(database, row.steps)),
  );
});
