// numbers -> the text format of Prometheus (exposition format 0.0.4), by prom-client
import { AggregatorRegistry } from "prom-client";
import type { Metric } from "../admin/metrics.ts";

/** Samples of the same name and labels are added up. */
export function renderMetrics(metrics: readonly Metric[]): Promise<string> {
  const rendered = metrics.map(({ name, help, type, samples }) => ({
    name,
    help,
    type,
    aggregator: "sum",
    values: samples.map(({ labels, value, suffix }) => ({ labels, value, metricName: `${name}${suffix ?? ""}` })),
  }));
  return AggregatorRegistry.aggregate([rendered]).metrics();
}
