// One of several that race for a limit: reads, and counts one more while it is not reached. Says how often it did.
import { setImmediate as nextTurn } from "node:timers/promises";
import { SharedCounters } from "../../proxy/cluster/shared-counters.ts";

const [path = "", limit = "0"] = process.argv.slice(2);
const counters = new SharedCounters(path, { nowMs: () => Date.now() });
let admitted = 0;
for (;;) {
  const count = counters.read("raced", "key");
  if (typeof count === "number" && count >= Number(limit)) break;
  if (typeof count === "number") {
    counters.add("raced", "key", 3_600_000, 1);
    admitted += 1;
  }
  await nextTurn();
}
process.send?.(admitted);
