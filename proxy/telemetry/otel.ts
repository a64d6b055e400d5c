// decisions and log lines -> OpenTelemetry spans and log records -> a collector (OTLP/HTTP)
import { SeverityNumber, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { limits } from "../../engine/limits.ts";
import type { Log, LogFields } from "../deps.ts";
import type { TelemetryConfig } from "./otel-config.ts";
import type { Completed, Decided, Watcher } from "./watch.ts";

export type Telemetry = {
  readonly watcher: Watcher | undefined;
  /** The same log, whose lines the collector gets as well. */
  readonly alsoTo: (log: Log) => Log;
  /** Sends what waits, for `limits.telemetryDrainMs`. */
  readonly close: () => Promise<void>;
};

/** Batches are bounded (2,048 entries, the SDK's default) and dropped when a collector is slow or away. */
export function openTelemetry(config: TelemetryConfig, node: string): Telemetry {
  const resource = resourceFromAttributes({ "service.name": "gatewright", "service.instance.id": node });
  const headers = async (): Promise<Record<string, string>> =>
    Object.fromEntries(await Promise.all([...config.headers].map(async ([name, value]) => [name, await value()])));
  const timeoutMillis = limits.webhookTimeoutMs;
  const scheduledDelayMillis = limits.telemetryBatchMs;
  const tracers = new TracerProvider({
    resource,
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${config.otlp}/v1/traces`, headers, timeoutMillis }),
        scheduledDelayMillis,
      }),
    ],
  });
  const loggers = new LoggerProvider({
    resource,
    processors: [
      new BatchLogRecordProcessor({
        exporter: new OTLPLogExporter({ url: `${config.otlp}/v1/logs`, headers, timeoutMillis }),
        scheduledDelayMillis,
      }),
    ],
  });
  const logger = loggers.getLogger("gatewright");
  const send = (severityNumber: SeverityNumber, severityText: string, fields: LogFields, body: string): void => {
    const attributes = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    logger.emit({ severityNumber, severityText, body, attributes });
  };
  return {
    watcher: config.hasTraces ? spanWatcher(tracers.getTracer("gatewright")) : undefined,
    alsoTo: (log) =>
      config.hasLogs
        ? {
            debug: log.debug,
            info: (fields, message) => {
              log.info(fields, message);
              send(SeverityNumber.INFO, "INFO", fields, message);
            },
            warn: (fields, message) => {
              log.warn(fields, message);
              send(SeverityNumber.WARN, "WARN", fields, message);
            },
            error: (fields, message) => {
              log.error(fields, message);
              send(SeverityNumber.ERROR, "ERROR", fields, message);
            },
          }
        : log,
    close: async () => {
      const ended = Promise.allSettled([tracers.shutdown(), loggers.shutdown()]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, limits.telemetryDrainMs).unref())]);
    },
  };
}

type Tracer = ReturnType<TracerProvider["getTracer"]>;

/** One span per request: ids, names and numbers. What was refused or waits for people has no upstream, and so no length. */
function spanWatcher(tracer: Tracer): Watcher {
  const running = new Map<string, Decided>();
  const write = (decided: Decided, completed: Completed | undefined): void => {
    const { session, sql, protocol, effect, decision } = decided;
    const span = tracer.startSpan(sql === undefined ? protocol : `${protocol} ${sql.verb}`, {
      kind: SpanKind.SERVER,
      startTime: new Date(decided.atMs),
      attributes: {
        "gw.decision.id": decided.decisionId,
        "gw.decision.effect": effect,
        "gw.decision.rules": [...(decision?.rules ?? [])],
        "gw.policy.revision": decided.revision,
        "gw.connection": session.connection.name,
        "gw.session.id": session.id,
        ...(sql === undefined
          ? {}
          : { "db.system.name": "postgresql", "db.operation.name": sql.verb, "gw.fingerprint": sql.fingerprint }),
        ...(completed === undefined
          ? {}
          : {
              "gw.outcome": completed.outcome,
              "db.response.returned_rows": completed.rows,
              "gw.bytes": completed.bytes,
            }),
        ...(completed?.sqlstate === undefined ? {} : { "db.response.status_code": completed.sqlstate }),
      },
    });
    if (effect === "deny" || effect === "fault" || (completed !== undefined && completed.outcome !== "ok")) {
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(new Date(Math.max(decided.atMs, completed?.atMs ?? decided.atMs)));
  };
  return {
    decided: (event) => {
      if (event.effect !== "allow") return write(event, undefined);
      if (running.size >= limits.monitorRunningMax) {
        const oldest = running.keys().next().value;
        if (oldest !== undefined) running.delete(oldest);
      }
      running.set(event.decisionId, event);
    },
    completed: (event) => {
      const decided = running.get(event.decisionId);
      running.delete(event.decisionId);
      if (decided !== undefined) write(decided, event);
    },
  };
}
