// Counts of decisions: what /metrics shows.
import type { Metric } from "../admin/metrics.ts";

export class GateMetrics {
  readonly #decisions = new Map<string, { readonly connection: string; readonly effect: string; count: number }>();

  /** `effect`: what became of a statement that was put on record. */
  count(connection: string, effect: "allow" | "deny" | "approval" | "fault"): void {
    const key = `${connection}\u0000${effect}`;
    const entry = this.#decisions.get(key);
    if (entry) entry.count += 1;
    else this.#decisions.set(key, { connection, effect, count: 1 });
  }

  read(): readonly Metric[] {
    return [
      {
        name: "gw_statements_total",
        help: "statements by connection and decision",
        type: "counter",
        samples: [...this.#decisions.values()].map(({ connection, effect, count }) => ({
          labels: { connection, effect },
          value: count,
        })),
      },
    ];
  }
}
