// Counts of decisions: what /metrics shows.
import type { Metric } from "../admin/metrics.ts";

type Effect = "allow" | "deny" | "approval" | "fault";

export class GateMetrics {
  /** By connection, then by effect. */
  readonly #decisions = new Map<string, Map<Effect, number>>();

  /** `effect`: what became of a statement that was put on record. */
  count(connection: string, effect: Effect): void {
    let counts = this.#decisions.get(connection);
    if (counts === undefined) {
      counts = new Map();
      this.#decisions.set(connection, counts);
    }
    counts.set(effect, (counts.get(effect) ?? 0) + 1);
  }

  read(): readonly Metric[] {
    return [
      {
        name: "gw_statements_total",
        help: "statements by connection and decision",
        type: "counter",
        samples: [...this.#decisions].flatMap(([connection, counts]) =>
          [...counts].map(([effect, value]) => ({ labels: { connection, effect }, value })),
        ),
      },
    ];
  }
}
