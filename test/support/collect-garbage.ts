// What is measured is what is held, not what waits to be collected.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");

export function collectGarbage(): void {
  if (typeof collect !== "function") throw new TypeError("this Node can't collect on demand");
  collect();
}
