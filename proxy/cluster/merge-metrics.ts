// metrics of several processes -> one list: each sample says whose it is
import type { Metric } from "../admin/metrics.ts";

export const labelMetrics = (worker: string, metrics: readonly Metric[]): readonly Metric[] =>
  metrics.map((metric) => ({
    ...metric,
    samples: metric.samples.map((sample) => ({ ...sample, labels: { ...sample.labels, worker } })),
  }));

/** A name appears once in the text format: samples of the same name come together. */
export function mergeMetrics(...lists: readonly (readonly Metric[])[]): readonly Metric[] {
  const merged = new Map<string, Metric>();
  for (const metric of lists.flat()) {
    const known = merged.get(metric.name);
    merged.set(metric.name, known ? { ...known, samples: [...known.samples, ...metric.samples] } : metric);
  }
  return [...merged.values()];
}
