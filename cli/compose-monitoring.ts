// What watches the gates: alerts that reach people, and what the gateway notices by itself.
import { join } from "node:path";
import { limits } from "../engine/limits.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { TimeFacts } from "../engine/model/principal.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import type { Metric } from "../proxy/admin/metrics.ts";
import { AlertDesk } from "../proxy/alerts/alert-desk.ts";
import type { RaisedAlert } from "../proxy/alerts/alert-message.ts";
import { alertWatcher } from "../proxy/alerts/watch-alerts.ts";
import type { Clock, Log, NewId } from "../proxy/deps.ts";
import { causeCode } from "../proxy/errors.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import { DecisionLog } from "../proxy/telemetry/decision-log.ts";
import { type Finding, Monitor } from "../proxy/telemetry/monitor.ts";
import { openMonitorMemory } from "../proxy/telemetry/monitor-memory.ts";
import type { Telemetry } from "../proxy/telemetry/otel.ts";
import { SessionEnder } from "../proxy/telemetry/session-ender.ts";
import { GateWatch } from "../proxy/telemetry/watch.ts";

export type Monitoring = {
  /** undefined where nobody watches: a gate then does nothing for it. */
  readonly watch: GateWatch | undefined;
  readonly monitor: Monitor | undefined;
  /** A rule or a finding has ended the session: its next statement must not run. */
  readonly isEnded: (session: { readonly id: string }) => boolean;
  readonly metrics: () => readonly Metric[];
};

export type MonitoringDeps = {
  readonly record: (event: SessionEvent) => void;
  readonly timeFacts: (nowMs: number) => TimeFacts;
  readonly policies: () => PolicySet;
  readonly telemetry: Telemetry | undefined;
  /** Where the monitor keeps what it has learned, and as which process. */
  readonly memory: { readonly path: string; readonly worker: string };
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
};

/** Beside the chains of the recording, and no part of it: it may be deleted. */
export const monitorFile = (config: GatewayConfig): string => join(config.recording.directory, "monitor.sqlite");

export function openMonitoring(
  config: GatewayConfig,
  { record, timeFacts, policies, telemetry, memory, clock, newId, log }: MonitoringDeps,
  undo: ((drainMs: number) => Promise<void> | void)[],
): Monitoring {
  const watch = new GateWatch(limits.watchQueueMax, (error) =>
    log.error({ code: "internal-error", cause: causeCode(error) }, "a watcher failed"),
  );
  const ender = new SessionEnder(() => policies().endsSession);
  watch.addFirst(ender.decided);
  const desk =
    config.alerts === undefined
      ? undefined
      : new AlertDesk(config.alerts, { node: config.node, record, clock, newId, log });
  if (desk !== undefined) {
    undo.push(() => desk.close());
    watch.add(alertWatcher((alert) => desk.raise(alert)));
  }
  const found = (finding: Finding): void => {
    const alert = alertOf(finding, config.monitoring?.channel ?? "");
    const { atMs, session, rule, channel, severity, message, decisionId } = alert;
    record({ atMs, session, type: "alert", id: decisionId, rule, channel, severity, message });
    log.warn({ code: "alert", decisionId, rule, channel }, "the monitor raised an alert");
    desk?.raise(alert);
    if (config.monitoring?.endsSession?.has(finding.detector)) ender.end(session);
  };
  const monitor =
    config.monitoring === undefined
      ? undefined
      : new Monitor(config.monitoring, { found, timeFacts, nowMs: clock.nowMs });
  if (monitor !== undefined) {
    const kept = openMonitorMemory(monitor, { ...memory, clock, log });
    undo.push(() => kept.close());
    watch.add(monitor);
  }
  const decisions =
    config.decisionLogs === undefined ? undefined : new DecisionLog(config.decisionLogs, config.node, log);
  if (decisions !== undefined) {
    undo.push(() => decisions.close());
    watch.add(decisions);
  }
  if (telemetry?.watcher !== undefined) watch.add(telemetry.watcher);
  undo.push(() => watch.flush());
  return {
    watch: watch.isWatched ? watch : undefined,
    monitor,
    isEnded: ender.isEnded,
    metrics: () => [...(desk?.metrics() ?? []), ...(monitor?.metrics() ?? []), ...(decisions?.metrics() ?? [])],
  };
}

const alertOf = (
  { atMs, detector, severity, message, principal, decisionId, session }: Finding,
  channel: string,
): RaisedAlert => ({
  ...{ atMs, channel, severity, message, principal, decisionId },
  rule: `monitor.${detector}`,
  connection: session.connection.name,
  session: session.id,
});
