// Every row is run direct first: a row that doesn't leak there proves nothing about the gateway.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { disguisesOf, secretsOf } from "../support/clinic.ts";
import { type Database, directWorld } from "../support/twin-databases.ts";
import { engineWorld } from "../support/twin-engine.ts";
import { gatewayWorld } from "../support/twin-gateway.ts";
import { withOids } from "../support/twin-oids.ts";
import { type Answer, failureOf, type World, withoutOrder } from "../support/twin-transcript.ts";
import { makeWorlds, type TwinWorlds } from "../support/twin-worlds.ts";
import { openFindings } from "./open-findings.ts";
import { acceptedRows, type CorpusRow, readCorpus } from "./read-corpus.ts";

// At the top: a hook inside of a suite would take the databases down with it.
const worlds = await makeWorlds({ analyzed: true });
const rows = readCorpus("sql-bypass");
const secrets = [...secretsOf("A"), ...secretsOf("B")].flatMap(disguisesOf);

/** What went through that shouldn't have; `undefined` for a row that was stopped. */
function leakOf(
  row: CorpusRow,
  direct: readonly Answer[],
  a: readonly Answer[],
  b: readonly Answer[],
): string | undefined {
  const text = JSON.stringify([a, b]);
  const secret = secrets.find((s) => text.includes(s));
  if (secret !== undefined) return "a secret is shown";
  if (JSON.stringify(withoutOrder(a)) !== JSON.stringify(withoutOrder(b))) return "the twins answer differently";
  if (!row.flags.has("acts") || a.some((answer) => failureOf(answer) !== undefined)) return undefined;
  // A read may be let through with another answer: NULL for a size, fewer settings.
  const isRead = a.every((answer) => answer.kind === "answered" && answer.seen[0]?.kind === "fields");
  return isRead && JSON.stringify(a) !== JSON.stringify(direct) ? undefined : "the denied action was done";
}

async function onBoth(
  worlds: TwinWorlds,
  row: CorpusRow,
  run: (database: Database, wrap: "rollback" | "none") => Promise<readonly Answer[]>,
): Promise<readonly [readonly Answer[], readonly Answer[]]> {
  const one = async (twin: Database): Promise<readonly Answer[]> => {
    if (!row.flags.has("own")) return run(twin, "rollback");
    const own = await worlds.databases.copy(twin.database);
    try {
      return await run(own, "none");
    } finally {
      await worlds.databases.drop(own);
    }
  };
  return [await one(worlds.A), await one(worlds.B)];
}

describe("ways around a policy on SQL", () => {
  test("the corpus holds 300 rows or more, each with a name of its own", () => {
    const names = rows.map((r) => `${r.file}: ${r.name}`);
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
      const [a, b] = await onBoth(worlds, row, async (database, wrap) =>
        directWorld(database, wrap).run(await withOids(database, row.steps)),
      );
      direct.set(row, a);
      const isProved = row.flags.has("acts")
        ? a.every((answer) => failureOf(answer) === undefined)
        : JSON.stringify(a) !== JSON.stringify(b);
      if (!isProved) harmless.push(`${row.file}: ${row.name}`);
    }
    assert.deepEqual(harmless, []);
  });

  const through = (
    name: string,
    run: (database: Database, wrap: "rollback" | "none", row: CorpusRow) => Promise<readonly Answer[]>,
  ) =>
    test(name, async () => {
      const open: string[] = [];
      for (const row of rows) {
        const rowName = `${row.file}: ${row.name}`;
        let leak: string | undefined;
        try {
          const [a, b] = await onBoth(worlds, row, (database, wrap) => run(database, wrap, row));
          leak = leakOf(row, direct.get(row) ?? [], a, b);
          if (leak && process.env.GW_SHOW) leak = `${leak}: ${JSON.stringify([a.at(-1), b.at(-1)]).slice(0, 500)}`;
        } catch (error) {
          leak = `throws ${error instanceof Error ? error.stack : String(error)}`;
        }
        if (leak === undefined) continue;
        open.push(rowName);
        if (process.env.GW_SHOW) console.log(`- sql-bypass: ${rowName} — ${leak}`);
      }
      assert.deepEqual(open.sort(), [...openFindings("sql-bypass"), ...acceptedRows(rows)].sort());
    });

  through("none works through the engine", async (database, wrap, row) =>
    engineWorld(database, worlds.catalog, wrap).run(await withOids(database, row.steps)),
  );

  const gateways = new Map<Database, Promise<World>>();
  through("none works over the wire", async (database, wrap, row) => {
    const steps = await withOids(database, row.steps);
    if (wrap === "none") {
      const own = await gatewayWorld(database, worlds.catalog, wrap);
      return own.run(steps).finally(own.close);
    }
    const known = gateways.get(database) ?? gatewayWorld(database, worlds.catalog, wrap);
    gateways.set(database, known);
    return (await known).run(steps);
  });
});
