// What watches the gates: alerts that reach people.
import { limits } from "../engine/limits.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import type { Metric } from "../proxy/admin/metrics.ts";
import { AlertDesk } from "../proxy/alerts/alert-desk.ts";
import { alertWatcher } from "../proxy/alerts/watch-alerts.ts";
import type { Clock, Log, NewId } from "../proxy/deps.ts";
import { causeCode } from "../proxy/errors.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import { GateWatch } from "../proxy/telemetry/watch.ts";

export type Monitoring = {
  /** undefined where nobody watches: a gate then does nothing for it. */
  readonly watch: GateWatch | undefined;
  readonly metrics: () => readonly Metric[];
};

export type MonitoringDeps = {
  readonly record: (event: SessionEvent) => void;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
};

export function openMonitoring(
  config: GatewayConfig,
  { record, clock, newId, log }: MonitoringDeps,
  undo: ((drainMs: number) => Promise<void> | void)[],
): Monitoring {
  const watch = new GateWatch(limits.watchQueueMax, (error) =>
    log.error({ code: "internal-error", cause: causeCode(error) }, "a watcher failed"),
  );
  const desk =
    config.alerts === undefined
      ? undefined
      : new AlertDesk(config.alerts, { node: config.node, record, clock, newId, log });
  if (desk !== undefined) {
    undo.push(() => desk.close());
    watch.add(alertWatcher((alert) => desk.raise(alert)));
  }
  undo.push(() => watch.flush());
  return { watch: watch.isWatched ? watch : undefined, metrics: () => desk?.metrics() ?? [] };
}
