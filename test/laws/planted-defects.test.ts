// Is the law of noninterference any good? It must find each of these faults, or it would miss ones like them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TwinChecker } from "../support/twin-check.ts";
import { defects } from "../support/twin-defects.ts";
import { newTally, searchCases } from "../support/twin-law.ts";
import { makeWorlds } from "../support/twin-worlds.ts";

const worlds = await makeWorlds({ analyzed: false });
/** The same seed each time: this is about the grammar's reach, not about luck. */
const seed = 4;
const runs = 1_500;

test("without a fault the same statements find nothing", async () => {
  const found = await TwinChecker.with(worlds, {}, (checker) =>
    searchCases(checker, newTally(), { seed, runs, timeLimitMs: 240_000, isShrinking: false }),
  );
  assert.equal(
    found && `${found.oracle}: ${found.detail}\n${found.case.steps.map((s) => s.text).join(";\n")}`,
    undefined,
  );
});

describe("random statements find that", () => {
  for (const defect of defects) {
    test(defect.name, async (t) => {
      const tally = newTally();
      const found = await TwinChecker.with(worlds, defect.hooks, (checker) =>
        searchCases(checker, tally, { seed, runs, timeLimitMs: 240_000, isShrinking: false }),
      );
      t.diagnostic(`after ${tally.cases} statements`);
      assert.notEqual(found, undefined);
    });
  }
});
