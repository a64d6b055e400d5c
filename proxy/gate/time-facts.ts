// ms since the epoch -> the `time` root in the bundle's zone
import type { PolicySet } from "../../engine/model/policy.ts";
import type { TimeFacts, Weekday } from "../../engine/model/principal.ts";

const weekdays: Readonly<Record<string, Weekday>> = {
  Sun: "sun",
  Mon: "mon",
  Tue: "tue",
  Wed: "wed",
  Thu: "thu",
  Fri: "fri",
  Sat: "sat",
};

/**
 * Hour and weekday change at whole minutes in every zone: one look-up per minute, not per statement.
 * @throws RangeError for a zone that doesn't exist
 */
export function timeFactsIn(timeZone: string): (nowMs: number) => TimeFacts {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone,
    hourCycle: "h23",
    hour: "numeric",
    minute: "numeric",
    weekday: "short",
  });
  let cachedMinute = Number.NaN;
  let hour = 0;
  let minute = 0;
  let weekday: Weekday = "mon";
  return (nowMs) => {
    const epochMinute = Math.floor(nowMs / 60_000);
    if (epochMinute !== cachedMinute) {
      const parts = Object.fromEntries(format.formatToParts(nowMs).map((part) => [part.type, part.value]));
      hour = Number(parts.hour);
      minute = Number(parts.minute);
      weekday = weekdays[parts.weekday ?? ""] ?? "mon";
      cachedMinute = epochMinute;
    }
    return { now: nowMs, hour, minute, weekday };
  };
}

/** In the zone of the policies in force, which an edit may change. */
export function timeFactsOf(policies: () => Pick<PolicySet, "timeZone">): (nowMs: number) => TimeFacts {
  let zone = "UTC";
  let facts = timeFactsIn(zone);
  return (nowMs) => {
    const wanted = policies().timeZone ?? "UTC";
    if (wanted !== zone) {
      facts = timeFactsIn(wanted);
      zone = wanted;
    }
    return facts(nowMs);
  };
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
