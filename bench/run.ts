// `npm run bench -- NAME [args]` runs bench/NAME.ts. Figures go to standard output, as Markdown.
import { globSync } from "node:fs";
import { basename } from "node:path";

const names = globSync("bench/*.bench.ts")
  .map((file) => basename(file, ".bench.ts"))
  .sort();
const [name, ...rest] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  console.error(`give one of: ${names.join(", ")}`);
  process.exit(2);
}
process.argv.splice(2, process.argv.length, ...rest);
await import(`./${name}.bench.ts`);
