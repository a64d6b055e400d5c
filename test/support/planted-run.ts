// The process of planted-wire.ts: one fault, and the same worlds and statements every time.
import { testServer } from "./postgres.ts";
import { WireLaw } from "./wire-law.ts";

const worlds = 6;
const casesPerWorld = 60;
const firstSeed = 11;

const law = await WireLaw.start(await testServer());
let found: string | undefined;
for (let seed = firstSeed; seed < firstSeed + worlds && found === undefined; seed += 1) {
  found =
    process.argv[2] === "net"
      ? await law.searchPlain(seed)
      : (await law.search(seed, casesPerWorld, { isShrinking: false }))?.oracle;
}
console.log(JSON.stringify({ found, statements: law.tally.statements }));
await law.stop();
process.exit(0);
