// Refusing a harmless statement is a bug like a leak: each is let through and answered as a masked copy would.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Database, directWorld } from "../support/twin-databases.ts";
import { engineWorld } from "../support/twin-engine.ts";
import { withOids } from "../support/twin-oids.ts";
import { type Answer, failureOf, withoutOrder } from "../support/twin-transcript.ts";
import { makeWorlds } from "../support/twin-worlds.ts";
import { openFindings } from "./open-findings.ts";
import { acceptedRows, type CorpusRow, readCorpus } from "./read-corpus.ts";

// At the top: a hook inside of a suite would take the databases down with it.
const worlds = await makeWorlds({ analyzed: false });
const rows = readCorpus("sql-benign");

/** Only what both answers are about: settings that the server reports, and where in a text an error lies, are the text's. */
const comparable = (answers: readonly Answer[]): readonly Answer[] =>
  withoutOrder(answers).map((a) =>
    a.kind === "refused"
      ? a
      : {
          ...a,
          seen: a.seen
            .filter((s) => s.kind !== "parameter")
            .map((s) =>
              s.kind === "error" || s.kind === "notice" ? { ...s, parts: { ...s.parts, position: "" } } : s,
            ),
        },
  );

function faultOf(row: CorpusRow, given: readonly Answer[], wanted: readonly Answer[]): string | undefined {
  const refused = given.find((a) => a.kind === "refused");
  if (refused) return `is refused: ${refused.kind === "refused" ? `${refused.code}: ${refused.message}` : ""}`;
  const at = given.findIndex((a, i) => failureOf(a) !== undefined && failureOf(wanted[i] ?? a) === undefined);
  const failed = given[at];
  if (failed) return `fails: ${JSON.stringify(failed.kind === "answered" ? failed.seen.at(-1) : failed)}`;
  if (row.flags.has("passes")) return undefined;
  const [a, b] = [comparable(given), comparable(wanted)];
  const other = a.findIndex((answer, i) => JSON.stringify(answer) !== JSON.stringify(b[i]));
  return other === -1
    ? undefined
    : `answers ${JSON.stringify(a[other]).slice(0, 600)} and not ${JSON.stringify(b[other]).slice(0, 600)}`;
}

describe("harmless SQL", () => {
  test("the corpus holds 200 rows or more, each with a name of its own", () => {
    const names = rows.map((r) => `${r.file}: ${r.name}`);
    assert.deepEqual(
      names.filter((name, i) => names.indexOf(name) !== i),
      [],
    );
    assert.ok(rows.length >= 200);
  });

  test("passes and answers as the server does", async () => {
    const open: string[] = [];
    for (const row of rows) {
      const name = `${row.file}: ${row.name}`;
      const own = row.flags.has("own");
      const on = async (database: Database, run: (d: Database) => Promise<readonly Answer[]>) => {
        if (!own) return run(database);
        const copy = await worlds.databases.copy(database.database);
        try {
          return await run(copy);
        } finally {
          await worlds.databases.drop(copy);
        }
      };
      const wrap = own ? "none" : "rollback";
      const expected = row.flags.has("real") ? worlds.A : worlds.M;
      let fault: string | undefined;
      try {
        const wanted = await on(expected, async (d) => directWorld(d, wrap).run(await withOids(d, row.steps)));
        const given = await on(worlds.A, async (d) =>
          engineWorld(d, worlds.catalog, wrap).run(await withOids(d, row.steps)),
        );
        fault = faultOf(row, given, wanted);
      } catch (error) {
        fault = `throws ${error instanceof Error ? error.stack : String(error)}`;
      }
      if (fault === undefined) continue;
      open.push(name);
      if (process.env.GW_SHOW) console.log(`- sql-benign: ${name} — ${fault}`);
    }
    assert.deepEqual(open.sort(), [...openFindings("sql-benign"), ...acceptedRows(rows)].sort());
  });
});
