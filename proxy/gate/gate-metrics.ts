// Counts of decisions, and how long things take: what /metrics shows.
import type { Metric } from "../admin/metrics.ts";

type Effect = "allow" | "deny" | "approval" | "fault";

/** `decision`: analysis and policies. `hold`: the wait for people. `upstream`: from release to the end of the answer. */
export type Stage = "decision" | "hold" | "upstream";

/** Upper bounds, seconds. */
const bounds: Readonly<Record<Stage, readonly number[]>> = {
  decision: [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25],
  hold: [1, 5, 15, 30, 60, 120, 300, 900],
  upstream: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
};
const stages: readonly Stage[] = ["decision", "hold", "upstream"];

/** Labels are the connection's name and fixed words: as many series as the configuration has connections. */
export class GateMetrics {
  /** By connection, then by effect. */
  readonly #decisions = new Map<string, Map<Effect, number>>();
  readonly #latencies = { decision: new Map(), hold: new Map(), upstream: new Map() } satisfies Record<
    Stage,
    Map<string, Latency>
  >;

  /** `effect`: what became of a statement that was put on record. */
  count(connection: string, effect: Effect): void {
    let counts = this.#decisions.get(connection);
    if (counts === undefined) {
      counts = new Map();
      this.#decisions.set(connection, counts);
    }
    counts.set(effect, (counts.get(effect) ?? 0) + 1);
  }

  observe(stage: Stage, connection: string, ms: number): void {
    const of: Map<string, Latency> = this.#latencies[stage];
    let latency = of.get(connection);
    if (latency === undefined) {
      latency = new Latency(bounds[stage]);
      of.set(connection, latency);
    }
    latency.add(ms / 1_000);
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
      ...stages.map((stage): Metric => {
        const of: Map<string, Latency> = this.#latencies[stage];
        return {
          name: `gw_${stage}_seconds`,
          help: helps[stage],
          type: "histogram",
          samples: [...of].flatMap(([connection, latency]) => latency.samples(connection)),
        };
      }),
    ];
  }
}

const helps: Readonly<Record<Stage, string>> = {
  decision: "time to analyse and decide one message",
  hold: "time that a request waited for people",
  upstream: "time from the release of a request to the end of its answer",
};

class Latency {
  readonly #bounds: readonly number[];
  /** One more than bounds: the last is over all of them. */
  readonly #buckets: Float64Array;
  #sum = 0;

  constructor(of: readonly number[]) {
    this.#bounds = of;
    this.#buckets = new Float64Array(of.length + 1);
  }

  add(seconds: number): void {
    let slot = 0;
    while (slot < this.#bounds.length && seconds > (this.#bounds[slot] ?? 0)) slot += 1;
    this.#buckets[slot] = (this.#buckets[slot] ?? 0) + 1;
    this.#sum += seconds;
  }

  samples(connection: string): Metric["samples"] {
    let count = 0;
    const buckets = [...this.#buckets].map((n, i) => {
      count += n;
      const le = i < this.#bounds.length ? String(this.#bounds[i]) : "+Inf";
      return { labels: { connection, le }, value: count, suffix: "_bucket" as const };
    });
    return [
      ...buckets,
      { labels: { connection }, value: this.#sum, suffix: "_sum" },
      { labels: { connection }, value: count, suffix: "_count" },
    ];
  }
}
