// The built-in functions that OPA leaves to the host and that are pure: of their arguments and of the request's time.
// What isn't here is refused when the module is loaded. Names and meaning: https://www.openpolicyagent.org/docs/policy-reference
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** A wrong argument throws: a deny. OPA itself would answer `undefined`, and a `deny` rule would silently not fire. */
export type HostBuiltin = (...args: readonly unknown[]) => unknown;

/** The SDK implements these in a way that agrees with OPA, or differs in texts only (`sprintf`, see docs/rego.md). */
export const sdkBuiltins: ReadonlySet<string> = new Set(["sprintf", "json.is_valid"]);

/** The SDK implements these otherwise than OPA does: with a backtracking regex engine, with YAML 1.1 and no bounds. */
export const refusedSdkBuiltins: ReadonlySet<string> = new Set([
  "regex.split",
  "yaml.marshal",
  "yaml.unmarshal",
  "yaml.is_valid",
]);

class BuiltinError extends Error {
  override readonly name = "BuiltinError";
}

/** `nowMs` is the moment of the request under evaluation, so that a decision can be made again from its record. */
export function hostBuiltins(nowMs: () => number): Readonly<Record<string, HostBuiltin>> {
  return {
    "time.now_ns": () => nowMs() * 1e6,
    "time.clock": (when) => {
      const { hour, minute, second } = localTime(when);
      return [hour, minute, second];
    },
    "time.date": (when) => {
      const { year, month, day } = localTime(when);
      return [year, month, day];
    },
    "time.weekday": (when) => localTime(when).weekday,
    "time.parse_rfc3339_ns": (text) => parseRfc3339(asString(text)),
    "time.parse_duration_ns": (text) => parseDuration(asString(text)),
    "crypto.md5": (text) => createHash("md5").update(asString(text)).digest("hex"),
    "crypto.sha1": (text) => createHash("sha1").update(asString(text)).digest("hex"),
    "crypto.sha256": (text) => createHash("sha256").update(asString(text)).digest("hex"),
    "crypto.hmac.sha256": (text, key) => createHmac("sha256", asString(key)).update(asString(text)).digest("hex"),
    "crypto.hmac.equal": (a, b) => {
      const [left, right] = [Buffer.from(asString(a)), Buffer.from(asString(b))];
      return left.length === right.length && timingSafeEqual(left, right);
    },
  };
}

function asString(value: unknown): string {
  if (typeof value !== "string") throw new BuiltinError("a built-in function was not given a string");
  return value;
}

type LocalTime = {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly weekday: string;
};

/** `ns` or `[ns, "Area/City"]`. JSON carries a present-day `ns` to 256 ns only: rounding to µs first keeps whole seconds whole. */
function localTime(argument: unknown): LocalTime {
  const [ns, zone] = Array.isArray(argument) ? [argument[0], argument[1]] : [argument, undefined];
  if (typeof ns !== "number") throw new BuiltinError("a time is nanoseconds, or nanoseconds and a time zone");
  const timeZone = zone === undefined || zone === "" ? "UTC" : asString(zone);
  const date = new Date(Math.floor(Math.round(ns / 1e3) / 1e3));
  const parts = new Map<string, string>();
  try {
    for (const part of zoneFormat(timeZone).formatToParts(date)) parts.set(part.type, part.value);
  } catch {
    throw new BuiltinError("a time is out of range, or its time zone is not known");
  }
  const number = (name: string): number => Number(parts.get(name));
  return {
    year: number("year"),
    month: number("month"),
    day: number("day"),
    hour: number("hour"),
    minute: number("minute"),
    second: number("second"),
    weekday: parts.get("weekday") ?? "",
  };
}

const zoneFormat = (timeZone: string): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat("en-US", {
    timeZone,
    calendar: "iso8601",
    numberingSystem: "latn",
    hourCycle: "h23",
    weekday: "long",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });

function parseRfc3339(text: string): number {
  const match = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:[Zz]|[+-]\d\d:\d\d)$/.exec(text);
  const wholeMs = match ? Date.parse(text.toUpperCase().replace(/\.\d+/, "")) : Number.NaN;
  if (Number.isNaN(wholeMs)) throw new BuiltinError("a text is not an RFC 3339 time");
  return wholeMs * 1e6 + Number((match?.[1] ?? "").padEnd(9, "0"));
}

const nsOfUnit: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/** Go's time.ParseDuration: `1h30m`, `-1.5s`, `0`. */
function parseDuration(text: string): number {
  if (!/^[+-]?(?:0|(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+)$/.test(text)) {
    throw new BuiltinError("a text is not a duration such as 1h30m");
  }
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) {
    total += Number(amount) * (nsOfUnit[unit ?? ""] ?? 0);
  }
  return text.startsWith("-") ? -total : total;
}
