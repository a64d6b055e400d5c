// --import this: changes a file of the source while it is loaded. A place that isn't found is an error: the source has moved on.
import { registerHooks } from "node:module";
import type { Plant } from "./planted-wire.ts";

const plants = JSON.parse(process.env.GW_PLANT ?? "[]") as readonly Plant[];
const done = new Set<Plant>();

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const mine = plants.filter((plant) => url.endsWith(`/${plant.file}`));
    if (mine.length === 0 || loaded.source === undefined || loaded.source === null) return loaded;
    let source =
      typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString();
    for (const plant of mine) {
      if (!source.includes(plant.find)) throw new Error(`no \`${plant.find}\` in ${plant.file}`);
      source = source.replaceAll(plant.find, plant.replace);
      done.add(plant);
    }
    return { ...loaded, source };
  },
});

process.on("exit", () => {
  for (const plant of plants) if (!done.has(plant)) console.error(`never loaded: ${plant.file}`);
});
