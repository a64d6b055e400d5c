import type { Json } from "../lib/json.ts";

/** 0 for a scalar, 1 for `[]`, 2 for `[[]]`. Iterative: it is asked about what may be too deep. */
export function jsonDepth(json: Json): number {
  let depth = 0;
  let level: readonly Json[] = [json];
  for (;;) {
    const next: Json[] = [];
    let isContainer = false;
    for (const value of level) {
      if (typeof value !== "object" || value === null) continue;
      isContainer = true;
      for (const inner of Array.isArray(value) ? value : Object.values(value)) next.push(inner);
    }
    if (!isContainer) return depth;
    depth += 1;
    level = next;
  }
}
