// npm run fuzz -- [--minutes N] [--seed S]: the law of noninterference for as long as you like.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import { TwinChecker } from "./support/twin-check.ts";
import { acceptance, type Counterexample, newTally, searchCases, topReasons } from "./support/twin-law.ts";
import { makeWorlds } from "./support/twin-worlds.ts";

const { values } = parseArgs({ options: { minutes: { type: "string", default: "1" }, seed: { type: "string" } } });
const until = Date.now() + Number(values.minutes) * 60_000;
const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const batch = 1_000;

const server = await startPostgres({ password: "fuzz" });
let differences = 0;
try {
  const worlds = await makeWorlds({
    analyzed: false,
    server: { host: server.host, port: server.port, user: server.superuser, password: server.password },
  });
  const tally = newTally();
  await TwinChecker.with(worlds, {}, async (checker) => {
    for (let seed = firstSeed; Date.now() < until; seed += 1) {
      const found = await searchCases(checker, tally, {
        seed,
        runs: batch,
        timeLimitMs: Math.max(1_000, until - Date.now()),
      });
      if (found) {
        differences += 1;
        keep(found, seed);
      }
    }
  });
  console.log(
    `seeds from ${firstSeed}: ${tally.cases} statements, ${acceptance(tally)} % accepted, ${tally.otherErrors} with another error than the masked copy, ${differences} differences`,
  );
  for (const reason of topReasons(tally, 12)) console.log(`  ${reason}`);
} finally {
  await server.stop();
}
process.exit(differences === 0 ? 0 : 1);

/** A corpus row, to be named and moved to test/corpus/sql-bypass or sql-benign. */
function keep(found: Counterexample, seed: number): void {
  const text = found.case.steps.map((s) => `${s.text};${s.args ? `\n-- $ ${JSON.stringify(s.args)}` : ""}`).join("\n");
  const name = createHash("sha256").update(text).digest("hex").slice(0, 12);
  mkdirSync("test/corpus/found", { recursive: true });
  writeFileSync(
    `test/corpus/found/${name}.sql`,
    `--- found by ${found.oracle}, seed ${seed}, ${found.case.form}\n${text}\n`,
  );
  console.log(`${found.oracle}: test/corpus/found/${name}.sql (seed ${seed})\n${text}\n${found.detail}\n`);
}
