// alert -> webhook, Slack, PagerDuty, syslog
import { type Outcome, postJson, signedHeaders } from "../delivery.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { Address } from "../gateway-config.ts";
import { type AlertMessage, dataOf, lineOf, severityOf } from "./alert-message.ts";
import { sendTcp, sendTls, sendUdp, syslogLine } from "./syslog.ts";

type Text = () => Promise<string>;

export type AlertSink = {
  /** In logs, records and metrics: `#security slack 1`. */
  readonly name: string;
} & (
  | { readonly kind: "webhook"; readonly url: Text; readonly secret: Text }
  | { readonly kind: "slack"; readonly url: Text }
  /** Events API v2. */
  | { readonly kind: "pagerduty"; readonly url: string; readonly routingKey: Text }
  /** `ca`: of `tls`; undefined: the system's. */
  | {
      readonly kind: "syslog";
      readonly transport: "udp" | "tcp" | "tls";
      readonly to: Address;
      readonly ca?: string | undefined;
    }
);

/** Never throws. */
export async function sendAlert(
  sink: AlertSink,
  alert: AlertMessage,
  signal: AbortSignal,
  clock: Clock,
  log: Log,
): Promise<Outcome> {
  try {
    return await send(sink, alert, signal, clock);
  } catch (error) {
    log.debug({ code: "alert-failed", sink: sink.name, cause: causeCode(error) }, "not delivered yet");
    return "failed";
  }
}

async function send(sink: AlertSink, alert: AlertMessage, signal: AbortSignal, clock: Clock): Promise<Outcome> {
  switch (sink.kind) {
    case "webhook": {
      const body = JSON.stringify({
        type: "alert",
        timestamp: new Date(alert.atMs).toISOString(),
        data: dataOf(alert),
      });
      const headers = signedHeaders(await sink.secret(), alert.id, clock.nowMs(), body);
      return postJson(await sink.url(), body, headers, signal);
    }
    case "slack":
      return postJson(await sink.url(), JSON.stringify({ text: slackText(lineOf(alert)) }), {}, signal);
    case "pagerduty":
      return postJson(sink.url, JSON.stringify(pagerDutyEvent(alert, await sink.routingKey())), {}, signal);
    case "syslog": {
      const line = syslogLine(alert);
      if (sink.transport === "udp") await sendUdp(sink.to, line);
      else if (sink.transport === "tcp") await sendTcp(sink.to, line, signal);
      else await sendTls(sink.to, sink.ca, line, signal);
      return "delivered";
    }
    default:
      return sink satisfies never;
  }
}

/** Slack reads `<…>` as links and mentions: a name must not ring everybody. */
const slackText = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Repeats of the same trouble join one incident: `dedup_key`. */
const pagerDutyEvent = (alert: AlertMessage, routingKey: string) => ({
  routing_key: routingKey,
  event_action: "trigger",
  dedup_key: `gw:${alert.rule}:${alert.principal}:${alert.connection}`.slice(0, 255),
  payload: {
    summary: lineOf(alert).slice(0, 1_024),
    source: alert.node,
    severity: severityOf(alert),
    timestamp: new Date(alert.atMs).toISOString(),
    component: alert.connection,
    class: alert.rule,
    custom_details: dataOf(alert),
  },
});
