// The promise, over the wire: random schemas, data and policies; both protocols; every byte that a client gets.
import assert from "node:assert/strict";
import { test } from "node:test";
import { acceptance, topReasons } from "../support/twin-law.ts";
import { tellWire, WireLaw } from "../support/wire-law.ts";

/** Cases of one run, a hundred in each world; `GW_SEED` repeats a run. */
const runs = Number(process.env.GW_LAW_RUNS ?? 1_200);
const perWorld = 100;
const firstSeed = Number(process.env.GW_SEED ?? Math.floor(Math.random() * 2 ** 31));

test("behind the gateway, two databases that differ in what a policy hides answer every message alike", async (t) => {
  const law = await WireLaw.start();
  try {
    for (let seed = firstSeed; law.tally.cases < runs; seed += 1) {
      const found = await law.search(seed, Math.min(perWorld, runs - law.tally.cases));
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
