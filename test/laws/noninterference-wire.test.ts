// The promise, over the wire: random schemas, data and policies; both protocols; every byte that a client gets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptance, topReasons } from "../support/twin-law.ts";
import { tellWire, WireLaw } from "../support/wire-law.ts";

/** Statements of one run, 150 cases in each world; the same ones each time: random ones are for `npm run fuzz`. `GW_SEED` draws others. */
const statements = Number(process.env.GW_LAW_RUNS ?? 2_000);
const casesPerWorld = 150;
const firstSeed = Number(process.env.GW_SEED ?? 20261122);

test("behind the gateway, two databases that differ in what a policy hides answer every message alike", async (t) => {
  const law = await WireLaw.start();
  try {
    for (let seed = firstSeed; law.tally.statements < statements; seed += 1) {
      const found = await law.search(seed, casesPerWorld);
      assert.equal(found && tellWire(found), undefined);
    }
  } finally {
    await law.stop();
  }
  t.diagnostic(
    `seeds from ${firstSeed}: ${law.tally.statements} statements in ${law.tally.cases} cases, ${acceptance(law.tally)} % accepted`,
  );
  for (const reason of topReasons(law.tally, 15)) t.diagnostic(reason);
  assert.ok(acceptance(law.tally) >= 60, `only ${acceptance(law.tally)} % of the cases were let through`);
});
