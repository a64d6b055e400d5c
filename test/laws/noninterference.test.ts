// The promise of docs/threat-model.md, section 1, as a property: what a client sees doesn't depend on what it mustn't see.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TwinChecker } from "../support/twin-check.ts";
import { acceptance, newTally, searchCases, topReasons } from "../support/twin-law.ts";
import { makeWorlds } from "../support/twin-worlds.ts";

/** Statements of one run; `GW_SEED` repeats a run. */
const runs = Number(process.env.GW_LAW_RUNS ?? 1_200);
const seed = Number(process.env.GW_SEED ?? Math.floor(Math.random() * 2 ** 31));

test("twin databases answer every statement identically, and as a masked copy does", async (t) => {
  const worlds = await makeWorlds({ analyzed: false });
  const tally = newTally();
  const found = await TwinChecker.with(worlds, {}, (checker) =>
    searchCases(checker, tally, { seed, runs, timeLimitMs: 120_000 }),
  );
  t.diagnostic(
    `seed ${seed}: ${tally.cases} cases, ${acceptance(tally)} % accepted, ${tally.otherErrors} with another error than the masked copy`,
  );
  for (const reason of topReasons(tally, 8)) t.diagnostic(reason);
  assert.equal(
    found &&
      `${found.oracle}: ${found.detail}\n${found.case.steps.map((s) => `${s.text};${s.args ? ` -- $ ${JSON.stringify(s.args)}` : ""}`).join("\n")}\nseed ${seed}`,
    undefined,
  );
  assert.ok(acceptance(tally) >= 60, `only ${acceptance(tally)} % of the statements were let through`);
});
