// alerts -> one message per rule, principal, connection and window -> the sinks of its channel
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import type { Metric } from "../admin/metrics.ts";
import { DeliveryQueue, type DropReason } from "../delivery.ts";
import type { Clock, Log, NewId } from "../deps.ts";
import type { AlertMessage, RaisedAlert } from "./alert-message.ts";
import type { AlertsConfig } from "./config.ts";
import { type AlertSink, sendAlert } from "./sinks.ts";

export type AlertDeskDeps = {
  readonly node: string;
  /** Told of every message that reaches nobody. Must not throw. */
  readonly record: (event: SessionEvent) => void;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
  readonly backoffMs?: number;
};

type Open = { readonly first: RaisedAlert; last: RaisedAlert; more: number };
type WhyDropped = DropReason | "rate";

/** Raising returns at once and never throws: who raises an alert is in the middle of a request. */
export class AlertDesk {
  readonly #config: AlertsConfig;
  readonly #deps: AlertDeskDeps;
  readonly #channels: ReadonlyMap<string, readonly Receiver[]>;
  readonly #default: readonly Receiver[];
  /** Windows that are open, in the order in which they end. */
  readonly #open = new Map<string, Open>();
  readonly #raised = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(config: AlertsConfig, deps: AlertDeskDeps) {
    this.#config = config;
    this.#deps = deps;
    const receivers = (sinks: readonly AlertSink[]): readonly Receiver[] =>
      sinks.map((sink) => new Receiver(sink, config.perMinuteMax, deps));
    this.#channels = new Map([...config.channels].map(([channel, sinks]) => [channel, receivers(sinks)]));
    this.#default = receivers(config.fallback);
  }

  /** The first of a kind goes out at once; those that follow in its window go out as one message, when it ends. */
  raise(alert: RaisedAlert): void {
    this.endWindows();
    const counted = this.#channels.has(alert.channel) ? alert.channel : "(default)";
    this.#raised.set(counted, (this.#raised.get(counted) ?? 0) + 1);
    const key = [alert.channel, alert.rule, alert.principal, alert.connection].join("\u0000");
    const open = this.#open.get(key);
    if (open !== undefined) {
      open.more += 1;
      open.last = alert;
      return;
    }
    if (this.#open.size >= limits.alertKeysMax) this.#endOldest();
    this.#open.set(key, { first: alert, last: alert, more: 0 });
    this.#send(alert, 1, alert.atMs);
    this.#schedule();
  }

  /** Windows whose time is up, or all of them. */
  endWindows(all = false): void {
    const nowMs = this.#deps.clock.nowMs();
    for (const [key, { first }] of this.#open) {
      if (!all && nowMs - first.atMs < this.#config.windowMs && nowMs >= first.atMs) break;
      this.#end(key);
    }
  }

  /** What is under way may still arrive, for `limits.alertDrainMs`. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.endWindows(true);
    const receivers = this.#receivers();
    const sent = Promise.all(receivers.map((receiver) => receiver.idle()));
    await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, limits.alertDrainMs).unref())]);
    for (const receiver of receivers) receiver.close();
  }

  metrics(): readonly Metric[] {
    const receivers = this.#receivers();
    const dropped = receivers.flatMap((receiver) =>
      [...receiver.dropped].map(([why, value]) => ({ labels: { sink: receiver.sink.name, why }, value })),
    );
    const sent = receivers.map(({ sink, delivered }) => ({ labels: { sink: sink.name }, value: delivered }));
    return [
      {
        name: "gw_alerts_total",
        help: "alerts that were raised, by channel",
        type: "counter",
        samples: [...this.#raised].map(([channel, value]) => ({ labels: { channel }, value })),
      },
      { name: "gw_alert_messages_total", help: "messages that a receiver took", type: "counter", samples: sent },
      {
        name: "gw_alert_messages_dropped_total",
        help: "messages that reached nobody, by cause",
        type: "counter",
        samples: dropped,
      },
    ];
  }

  #receivers(): readonly Receiver[] {
    return [...this.#channels.values(), this.#default].flat();
  }

  #endOldest(): void {
    const oldest = this.#open.keys().next().value;
    if (oldest !== undefined) this.#end(oldest);
  }

  #end(key: string): void {
    const open = this.#open.get(key);
    this.#open.delete(key);
    if (open !== undefined && open.more > 0) this.#send(open.last, open.more, open.first.atMs);
  }

  #send(alert: RaisedAlert, count: number, firstAtMs: number): void {
    const message = {
      ...alert,
      message: alert.message.slice(0, limits.alertTextCharsMax),
      id: this.#deps.newId("alt"),
      node: this.#deps.node,
      count,
      firstAtMs,
    };
    for (const receiver of this.#channels.get(alert.channel) ?? this.#default) receiver.put(message);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.endWindows();
      if (this.#open.size > 0) this.#schedule();
    }, this.#config.windowMs).unref();
  }
}

/** One sink's queue and its rate. */
class Receiver {
  readonly sink: AlertSink;
  readonly dropped = new Map<WhyDropped, number>();
  delivered = 0;
  readonly #perMinuteMax: number;
  readonly #deps: AlertDeskDeps;
  readonly #queue: DeliveryQueue<AlertMessage>;
  #minute = 0;
  #inMinute = 0;
  /** When a drop was recorded last, by cause: a flood doesn't become one of the recording. */
  readonly #recordedAtMs = new Map<WhyDropped, number>();

  constructor(sink: AlertSink, perMinuteMax: number, deps: AlertDeskDeps) {
    this.sink = sink;
    this.#perMinuteMax = perMinuteMax;
    this.#deps = deps;
    const { clock, log, backoffMs } = deps;
    this.#queue = new DeliveryQueue({
      attempt: async (message, signal) => {
        const outcome = await sendAlert(sink, message, signal, clock, log);
        if (outcome === "delivered") this.delivered += 1;
        return outcome;
      },
      dropped: (message, why) => this.#drop(message, why),
      queueMax: limits.alertQueueMax,
      ...(backoffMs === undefined ? {} : { backoffMs }),
    });
  }

  put(message: AlertMessage): void {
    const minute = Math.floor(this.#deps.clock.nowMs() / 60_000);
    if (minute !== this.#minute) this.#inMinute = 0;
    this.#minute = minute;
    this.#inMinute += 1;
    if (this.#inMinute > this.#perMinuteMax) this.#drop(message, "rate");
    else this.#queue.put(message);
  }

  idle(): Promise<void> {
    return this.#queue.idle();
  }

  close(): void {
    this.#queue.close();
  }

  #drop({ id, rule, channel, session }: AlertMessage, why: WhyDropped): void {
    const total = (this.dropped.get(why) ?? 0) + 1;
    this.dropped.set(why, total);
    const { clock, log, record } = this.#deps;
    const nowMs = clock.nowMs();
    const lastMs = this.#recordedAtMs.get(why);
    if (lastMs !== undefined && nowMs - lastMs < limits.alertDropRecordMs) return;
    this.#recordedAtMs.set(why, nowMs);
    const sink = this.sink.name;
    log.error({ code: "alert-dropped", sink, rule, why, total }, "a message about an alert reached nobody");
    record({ atMs: nowMs, session, type: "alert-dropped", id, rule, channel, sink, why, total });
  }
}
