// The corpora against PostgreSQL 15, where this machine has one: another catalog, another grammar, other functions.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, describe, test } from "node:test";
import { startPostgres } from "../../cli/demo/postgres-server.ts";
import { olderPostgres } from "../support/older-postgres.ts";
import { directWorld } from "../support/twin-databases.ts";
import { engineWorld } from "../support/twin-engine.ts";
import { gatewaysOf } from "../support/twin-gateway.ts";
import { withOids } from "../support/twin-oids.ts";
import type { Answer } from "../support/twin-transcript.ts";
import { makeWorlds, type TwinWorlds } from "../support/twin-worlds.ts";
import { faultsThrough, isFor, isProved, leaksThrough, nameOf, onBoth } from "./corpus-lane.ts";
import { openFindings } from "./open-findings.ts";
import { acceptedRows, type CorpusRow, readCorpus } from "./read-corpus.ts";

const found = olderPostgres(15);
if (found === undefined) {
  console.log(
    "SKIPPED: no PostgreSQL 15 (initdb and postgres in PATH, /usr/local/bin or /usr/lib/postgresql/15/bin): the corpora ran against the newest only",
  );
}

async function worldsOn(binDirectory: string): Promise<TwinWorlds> {
  const server = await startPostgres({ password: randomBytes(12).toString("hex"), binDirectory });
  const { host, port, superuser: user, password } = server;
  const worlds = await makeWorlds({ analyzed: true, server: { host, port, user, password } });
  after(() => server.stop());
  return worlds;
}

// At the top: a hook inside of a suite would take the databases down with it.
const worlds = found && (await worldsOn(found));

describe("PostgreSQL 15", { skip: worlds === undefined && "this machine has no PostgreSQL 15" }, () => {
  if (!worlds) return;
  const direct = new Map<CorpusRow, readonly Answer[]>();
  const bypasses = readCorpus("sql-bypass");

  test("the ways around a policy work against the bare server", async () => {
    const harmless: string[] = [];
    for (const row of bypasses.filter((r) => isFor(r, 15))) {
      const pair = await onBoth(worlds, row, async (database, wrap) =>
        directWorld(database, wrap).run(await withOids(database, row.steps)),
      );
      direct.set(row, pair[0]);
      if (!isProved(row, pair)) harmless.push(nameOf(row));
    }
    assert.deepEqual(harmless, []);
  });

  test("none of them works over the wire, those of newer servers neither", async () => {
    const expected = [...openFindings("sql-bypass"), ...acceptedRows(bypasses)].sort();
    const gateways = gatewaysOf(worlds.catalog);
    const open = await leaksThrough(worlds, bypasses, direct, expected, async (database, wrap, row) =>
      gateways(database, wrap, await withOids(database, row.steps)),
    );
    assert.deepEqual(open, expected);
  });

  test("harmless SQL passes and answers as the server does", async () => {
    const rows = readCorpus("sql-benign").filter((r) => isFor(r, 15));
    const expected = [...openFindings("sql-benign"), ...acceptedRows(rows)].sort();
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
