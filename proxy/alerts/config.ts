// `alerts` of gw.yaml
import { limits } from "../../engine/limits.ts";
import type { ConfigReader, Path } from "../config-reader.ts";
import { addressOf, durationMs, durationSchema, keysIn, secretSchema } from "../config-schema.ts";
import { z } from "../schema.ts";
import type { AlertSink } from "./sinks.ts";

const urlSchema = z.union([z.url({ protocol: /^https?$/ }), secretSchema]);

const sinkSchema = z.strictObject({
  webhook: urlSchema.optional(),
  /** Of a webhook: its signature's key. */
  secret: secretSchema.optional(),
  slack: urlSchema.optional(),
  /** The routing key. */
  pagerduty: secretSchema.optional(),
  /** Of PagerDuty: where its Events API is, for accounts in the EU. */
  url: z.url({ protocol: /^https?$/ }).optional(),
  syslog: z
    .string()
    .regex(
      /^(?:udp|tcp|tls):\/\/(?:\[[0-9A-Fa-f:.]+\]|[^:/[\]\s]+):\d{1,5}$/,
      "write `tls://host:6514`, `tcp://host:601` or `udp://host:514`",
    )
    .optional(),
  /** Of syslog over TLS: who vouches for the server, in place of the system's authorities. */
  ca: z.string().min(1).optional(),
});
const sinksSchema = z.array(sinkSchema).max(16);

export const alertsSchema = z.strictObject({
  window: durationSchema.optional(),
  per_minute: z.int().min(1).max(10_000).optional(),
  channels: z.record(z.string().min(1), sinksSchema).default({}),
  default: sinksSchema.default([]),
});
export const alertsKeys: readonly string[] = [alertsSchema, sinkSchema].flatMap(keysIn);

export type AlertsConfig = {
  /** Alerts of one rule, principal and connection within it are one message. */
  readonly windowMs: number;
  /** Messages to one sink. */
  readonly perMinuteMax: number;
  readonly channels: ReadonlyMap<string, readonly AlertSink[]>;
  /** For channels that aren't listed. */
  readonly fallback: readonly AlertSink[];
};

export function buildAlerts(parsed: z.infer<typeof alertsSchema>, at: ConfigReader): AlertsConfig {
  const build = (sinks: z.infer<typeof sinksSchema>, name: string, path: Path): readonly AlertSink[] =>
    sinks.flatMap((sink, i) => buildSink(sink, `${name} ${i + 1}`, [...path, i], at));
  return {
    windowMs: parsed.window === undefined ? limits.alertWindowMs : durationMs(parsed.window),
    perMinuteMax: parsed.per_minute ?? limits.alertsPerMinuteMax,
    channels: new Map(
      Object.entries(parsed.channels).map(([channel, sinks]) => [
        channel,
        build(sinks, channel, ["alerts", "channels", channel]),
      ]),
    ),
    fallback: build(parsed.default, "default", ["alerts", "default"]),
  };
}

function buildSink(
  parsed: z.infer<typeof sinkSchema>,
  name: string,
  path: Path,
  at: ConfigReader,
): readonly AlertSink[] {
  const { webhook, slack, pagerduty, syslog, secret, url, ca } = parsed;
  const urlOf = (given: z.infer<typeof urlSchema>, key: string): (() => Promise<string>) =>
    typeof given === "string" ? async () => given : at.secret(given, [...path, key]);
  if ([webhook, slack, pagerduty, syslog].filter((x) => x !== undefined).length !== 1) {
    at.complain(path, "an alert goes to exactly one of `webhook`, `slack`, `pagerduty`, `syslog`");
    return [];
  }
  if (secret !== undefined && webhook === undefined) at.complain([...path, "secret"], "only a webhook is signed");
  if (ca !== undefined && !syslog?.startsWith("tls:")) at.complain([...path, "ca"], "`ca` is for `tls://` of syslog");
  if (url !== undefined && pagerduty === undefined) at.complain([...path, "url"], "`url` is PagerDuty's");
  if (webhook !== undefined) {
    if (secret === undefined) {
      at.complain(path, "a webhook needs a `secret`: its receiver tells our messages from others' by the signature");
      return [];
    }
    const key = at.secret(secret, [...path, "secret"]);
    return [{ kind: "webhook", name: `${name} webhook`, url: urlOf(webhook, "webhook"), secret: key }];
  }
  if (slack !== undefined) return [{ kind: "slack", name: `${name} slack`, url: urlOf(slack, "slack") }];
  if (pagerduty !== undefined) {
    const routingKey = at.secret(pagerduty, [...path, "pagerduty"]);
    return [{ kind: "pagerduty", name: `${name} pagerduty`, url: url ?? pagerDutyUrl, routingKey }];
  }
  const transport = (["tls", "tcp"] as const).find((known) => syslog?.startsWith(`${known}:`)) ?? "udp";
  const to = addressOf((syslog ?? "").slice("udp://".length));
  const vouching = ca === undefined ? undefined : at.file(ca, [...path, "ca"]);
  return [{ kind: "syslog", name: `${name} syslog`, transport, to, ca: vouching }];
}

const pagerDutyUrl = "https://events.pagerduty.com/v2/enqueue";
