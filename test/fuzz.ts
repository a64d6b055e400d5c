// npm run fuzz -- [--minutes N] [--seed S] [--wire]: the laws of noninterference for as long as you like. `--wire`: random
// schemas and policies through the whole gateway; without it, the clinic through the engine, compared with a masked copy.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import type { TestServer } from "./support/postgres.ts";
import { TwinChecker } from "./support/twin-check.ts";
import { acceptance, type Counterexample, newTally, searchCases, type Tally, topReasons } from "./support/twin-law.ts";
import { makeWorlds } from "./support/twin-worlds.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string" },
    wire: { type: "boolean", default: false },
  },
});
const until = Date.now() + Number(values.minutes) * 60_000;
const firstSeed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
const batch = 1_000;
const casesPerWorld = 300;

const server = await startPostgres({ password: "fuzz" });
const to: TestServer = { host: server.host, port: server.port, user: server.superuser, password: server.password };
let differences = 0;
try {
  const tally = values.wire ? await overTheWire() : await throughTheEngine();
  console.log(
    `seeds from ${firstSeed}: ${tally.statements} statements in ${tally.cases} cases, ${acceptance(tally)} % accepted, ${tally.otherErrors} with another error than the masked copy, ${differences} differences`,
  );
  for (const reason of topReasons(tally, 12)) console.log(`  ${reason}`);
} finally {
  await server.stop();
}
process.exit(differences === 0 ? 0 : 1);

async function throughTheEngine(): Promise<Tally> {
  const worlds = await makeWorlds({ analyzed: false, server: to });
  const tally = newTally();
  await TwinChecker.with(worlds, {}, async (checker) => {
    for (let seed = firstSeed; Date.now() < until; seed += 1) {
      const found = await searchCases(checker, tally, {
        seed,
        runs: batch,
        timeLimitMs: Math.max(1_000, until - Date.now()),
      });
      if (found) keepCase(found, seed);
    }
  });
  return tally;
}

async function overTheWire(): Promise<Tally> {
  const { tellWire, WireLaw } = await import("./support/wire-law.ts");
  const law = await WireLaw.start(to);
  try {
    for (let seed = firstSeed; Date.now() < until; seed += 1) {
      const found = await law.search(seed, casesPerWorld);
      if (found) keep(`${found.oracle}-wire`, tellWire(found), "txt");
    }
  } finally {
    await law.stop();
  }
  return law.tally;
}

/** A corpus row, to be named and moved to test/corpus/sql-bypass or sql-benign. */
function keepCase(found: Counterexample, seed: number): void {
  const text = found.case.steps.map((s) => `${s.text};${s.args ? `\n-- $ ${JSON.stringify(s.args)}` : ""}`).join("\n");
  keep(found.oracle, `--- found by ${found.oracle}, seed ${seed}, ${found.case.form}\n${text}\n`, "sql");
  console.log(`${found.detail}\n`);
}

function keep(oracle: string, text: string, extension: string): void {
  differences += 1;
  const name = createHash("sha256").update(text).digest("hex").slice(0, 12);
  mkdirSync("test/corpus/found", { recursive: true });
  writeFileSync(`test/corpus/found/${name}.${extension}`, text);
  console.log(`${oracle}: test/corpus/found/${name}.${extension}\n${text.slice(0, 3_000)}\n`);
}
