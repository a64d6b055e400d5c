// decisions and log lines -> OpenTelemetry spans and log records -> a collector (OTLP/HTTP)
import { randomBytes } from "node:crypto";
import {
  type Context,
  ROOT_CONTEXT,
  SeverityNumber,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { limits } from "../../engine/limits.ts";
import type { Log, LogFields } from "../deps.ts";
import type { TelemetryConfig } from "./otel-config.ts";
import type { Completed, Decided, SpanPlace, Watcher } from "./watch.ts";

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
  const ids = new GivenIds();
  const tracers = new TracerProvider({
    resource,
    idGenerator: ids,
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
    watcher: config.hasTraces ? spanWatcher(tracers.getTracer("gatewright"), ids) : undefined,
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
function spanWatcher(tracer: Tracer, ids: GivenIds): Watcher {
  const running = new Map<string, Begun>();
  const write = ({ name, effect, atMs, attributes, place }: Begun, completed: Completed | undefined): void => {
    const start = { kind: SpanKind.SERVER, startTime: new Date(atMs), attributes };
    const span = ids.whileGiven(place, () => tracer.startSpan(name, start, parentOf(place)));
    if (completed !== undefined) {
      span.setAttribute("gw.outcome", completed.outcome);
      span.setAttribute("db.response.returned_rows", completed.rows);
      span.setAttribute("gw.bytes", completed.bytes);
      if (completed.sqlstate !== undefined) span.setAttribute("db.response.status_code", completed.sqlstate);
    }
    if (effect === "deny" || effect === "fault" || (completed !== undefined && completed.outcome !== "ok")) {
      span.setStatus({ code: SpanStatusCode.ERROR });
    }
    span.end(new Date(Math.max(atMs, completed?.atMs ?? atMs)));
  };
  return {
    decided: (event) => {
      const begun = begin(event);
      if (event.effect !== "allow") {
        write(begun, undefined);
        return;
      }
      if (running.size >= limits.monitorRunningMax) {
        const oldest = running.keys().next().value;
        if (oldest !== undefined) running.delete(oldest);
      }
      running.set(event.decisionId, begun);
    },
    completed: (event) => {
      const begun = running.get(event.decisionId);
      running.delete(event.decisionId);
      if (begun !== undefined) write(begun, event);
    },
  };
}

/** What a span needs of a decision: the event itself would keep a statement's text in memory. */
type Begun = Pick<Decided, "effect" | "atMs"> & {
  readonly name: string;
  readonly attributes: Record<string, string | string[]>;
  readonly place: SpanPlace | undefined;
};

/** The client's span, as another process's. Whether it is sampled is the client's choice. */
function parentOf(place: SpanPlace | undefined): Context {
  if (place?.parentId === undefined) return ROOT_CONTEXT;
  const traceFlags = place.isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return trace.setSpanContext(ROOT_CONTEXT, {
    ...{ traceId: place.traceId, spanId: place.parentId, traceFlags, isRemote: true },
  });
}

/** Random ids, but for a span whose own is known to others already. */
class GivenIds {
  #place: SpanPlace | undefined;

  whileGiven<T>(place: SpanPlace | undefined, start: () => T): T {
    this.#place = place;
    try {
      return start();
    } finally {
      this.#place = undefined;
    }
  }

  readonly generateTraceId = (): string => this.#place?.traceId ?? randomBytes(16).toString("hex");
  readonly generateSpanId = (): string => this.#place?.spanId ?? randomBytes(8).toString("hex");
}

/** As sqlcommenter writes it: a comment before or behind the statement. Ids of somebody else's trace and nothing more. */
function placeInSql(text: string): SpanPlace | undefined {
  if (!text.includes("traceparent='")) return undefined;
  const found = /\/\*[^*]{0,500}traceparent='00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})'[^*]{0,500}\*\//.exec(text);
  const [, traceId = "", parentId = "", flags = ""] = found ?? [];
  if (found === null || /^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, spanId: undefined, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

const begin = ({ session, sql, protocol, effect, decision, decisionId, revision, atMs, ...of }: Decided): Begun => ({
  ...{ effect, atMs },
  place: of.trace ?? (sql === undefined ? undefined : placeInSql(sql.text)),
  name: sql === undefined ? protocol : `${protocol} ${sql.verb}`,
  attributes: {
    "gw.decision.id": decisionId,
    "gw.decision.effect": effect,
    "gw.decision.rules": [...(decision?.rules ?? [])],
    "gw.policy.revision": revision,
    "gw.connection": session.connection.name,
    "gw.session.id": session.id,
    ...(sql === undefined
      ? {}
      : { "db.system.name": "postgresql", "db.operation.name": sql.verb, "gw.fingerprint": sql.fingerprint }),
  },
});
