// Is the law over the wire any good? It must find each of these faults in the gateway's own source.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { masksForgotten, netIsOff, runPlanted, wireDefects } from "../support/planted-wire.ts";
import { testServer } from "../support/postgres.ts";

const server = await testServer();

describe("what a client sends finds that", { concurrency: 2 }, () => {
  for (const defect of wireDefects) {
    test(defect.name, async (t) => {
      const outcome = await runPlanted(defect.plants, "law", defect.seed, server);
      t.diagnostic(`${outcome.found} in world ${outcome.seed} after ${outcome.statements} statements`);
      assert.notEqual(outcome.found, undefined);
    });
  }

  test("masks are forgotten: the server's own word on a column's origin ends the session, and without it secrets show", async () => {
    const [held, open] = await Promise.all([
      runPlanted([masksForgotten], "net", 11, server),
      runPlanted([masksForgotten, netIsOff], "net", 11, server),
    ]);
    assert.deepEqual([held.found, open.found], [undefined, "tripwire"]);
  });
});
