// The promise of docs/threat-model.md, section 1, as a property: what a client sees doesn't depend on what it mustn't see.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TwinChecker } from "../support/twin-check.ts";
import { exceptionFor } from "../support/twin-exceptions.ts";
import { acceptance, newTally, searchCases, topReasons } from "../support/twin-law.ts";
import type { Answer } from "../support/twin-transcript.ts";
import { makeWorlds } from "../support/twin-worlds.ts";

/** Statements of one run; the same ones each time: random ones are for `npm run fuzz`. `GW_SEED` draws others. */
const runs = Number(process.env.GW_LAW_RUNS ?? 1_200);
const seed = Number(process.env.GW_SEED ?? 20261122);

test("twin databases answer every statement identically, and as a masked copy does", async (t) => {
  const worlds = await makeWorlds({ analyzed: false });
  const tally = newTally();
  const found = await TwinChecker.with(worlds, {}, (checker) =>
    searchCases(checker, tally, { seed, runs, timeLimitMs: 400_000 }),
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

test("the masked copy may lack the length of a type where EXECUTE describes a set operation, and nothing else", () => {
  const steps = [{ text: "PREPARE q AS SELECT a FROM t EXCEPT SELECT b FROM t" }, { text: "EXECUTE q" }];
  const step = { text: "EXECUTE q" };
  const described = (column: string, ...values: readonly string[]): Answer => ({
    kind: "answered",
    seen: [{ kind: "fields", columns: [column] }, ...values.map((v) => ({ kind: "row", values: [v] }) as const)],
  });
  const excepted = (given: Answer, reference: Answer): string | undefined =>
    exceptionFor(steps, step, given, reference);
  assert.equal(excepted(described("x:1043:24", "1", "2"), described("x:1043:-1", "2", "1")), "execute-describes-plan");
  assert.equal(excepted(described("x:1043:-1"), described("x:1043:24")), undefined);
  assert.equal(excepted(described("x:1700:24"), described("x:1700:-1")), undefined);
  assert.equal(excepted(described("x:1043:24"), described("x:25:-1")), undefined);
  assert.equal(excepted(described("x:1043:24"), described("y:1043:-1")), undefined);
  assert.equal(excepted(described("x:1043:24", "1"), described("x:1043:-1", "2")), undefined);
  const other = { text: "EXECUTE r" };
  assert.equal(exceptionFor(steps, other, described("x:1043:24"), described("x:1043:-1")), undefined);
});
