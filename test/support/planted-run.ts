// The process of planted-wire.ts: one fault, and the same worlds and statements every time. Arguments: mode, first seed.
import { testServer } from "./postgres.ts";
import { WireLaw } from "./wire-law.ts";

/** Where nothing is to be found, every world is searched. */
const worlds = process.argv[2] === "net" ? 2 : 6;
const casesPerWorld = 60;
const firstSeed = Number(process.argv[3] ?? 11);

const law = await WireLaw.start(await testServer());
let found: string | undefined;
let seed = firstSeed;
for (; seed < firstSeed + worlds && found === undefined; seed += 1) {
  found =
    process.argv[2] === "net"
      ? await law.searchPlain(seed)
      : (await law.search(seed, casesPerWorld, { isShrinking: false }))?.oracle;
}
console.log(JSON.stringify({ found, seed: seed - 1, statements: law.tally.statements }));
await law.stop();
process.exit(0);
