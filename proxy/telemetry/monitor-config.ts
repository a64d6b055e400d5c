// `monitoring` of gw.yaml
import type { PrincipalKind, Weekday } from "../../engine/model/principal.ts";
import type { ConfigReader } from "../config-reader.ts";
import { durationMs, durationSchema, keysIn } from "../config-schema.ts";
import { z } from "../schema.ts";
import type { CanaryRow } from "./canary-scan.ts";

const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const satisfies readonly Weekday[];
const kinds = ["human", "service", "agent"] as const satisfies readonly PrincipalKind[];
export const detectors = [
  "surge",
  "first-access",
  "bulk-export",
  "off-hours",
  "new-shape",
  "repeated-denials",
  "canary",
] as const;
export type Detector = (typeof detectors)[number];
const clockTime = "(?:[01]\\d|2[0-3]):[0-5]\\d";

const surgeSchema = z.strictObject({
  factor: z.number().min(1).default(4),
  at_least: z.int().min(1).default(50),
});
const bulkSchema = z.strictObject({
  rows: z.int().min(1).optional(),
  bytes: z.int().min(1).optional(),
  window: durationSchema.default("10m"),
});
const offHoursSchema = z.strictObject({
  hours: z.string().regex(new RegExp(`^${clockTime}-${clockTime}$`), "write `07:00-20:00`"),
  days: z.array(z.enum(weekdays)).min(1).default(["mon", "tue", "wed", "thu", "fri"]),
  kinds: z.array(z.enum(kinds)).min(1).default(["human"]),
});
const denialsSchema = z.strictObject({
  count: z.int().min(1).default(10),
  window: durationSchema.default("5m"),
});
const canariesSchema = z.strictObject({
  tables: z.array(z.string().regex(/^[^.]+\.[^.]+$/, "write a table as `schema.table`")).default([]),
  columns: z.array(z.string().regex(/^[^.]+\.[^.]+\.[^.]+$/, "write a column as `schema.table.column`")).default([]),
  rows: z
    .array(z.strictObject({ name: z.string().min(1).max(100), text: z.string().min(8).max(200) }))
    .max(100)
    .default([]),
});

export const monitoringSchema = z.strictObject({
  channel: z.string().min(1).default("#monitoring"),
  surge: surgeSchema.optional(),
  first_access: z.strictObject({ tags: z.array(z.string().min(1)).min(1) }).optional(),
  bulk: bulkSchema.optional(),
  off_hours: offHoursSchema.optional(),
  new_shape: z.strictObject({ after: z.int().min(1).default(200) }).optional(),
  denials: denialsSchema.optional(),
  canaries: canariesSchema.optional(),
  end_session: z.array(z.enum(detectors)).optional(),
});
export const monitoringKeys: readonly string[] = [
  ...[monitoringSchema, surgeSchema, bulkSchema, offHoursSchema, denialsSchema, canariesSchema].flatMap(keysIn),
  "after",
];

/** A detector that isn't configured is off. */
export type MonitorConfig = {
  readonly channel: string;
  /** Writes in a minute: more than `factor` times what is usual, and at least `atLeast`. */
  readonly surge?: { readonly factor: number; readonly atLeast: number };
  readonly firstAccess?: { readonly tags: ReadonlySet<string> };
  readonly bulk?: { readonly rows: number; readonly bytes: number; readonly windowMs: number };
  /** Minutes of the day, in the time zone of the policies. */
  readonly offHours?: {
    readonly from: number;
    readonly to: number;
    readonly days: ReadonlySet<Weekday>;
    readonly kinds: ReadonlySet<PrincipalKind>;
  };
  /** `after`: statements of one principal, before which every shape is new. */
  readonly newShape?: { readonly after: number };
  readonly denials?: { readonly count: number; readonly windowMs: number };
  /** `schema.table` and `schema.table.column`. */
  /** Findings of these end the session at its next statement. */
  readonly endsSession?: ReadonlySet<Detector>;
  readonly canaries?: {
    readonly tables: ReadonlySet<string>;
    readonly columns: ReadonlySet<string>;
    readonly rows: readonly CanaryRow[];
  };
};

export function buildMonitoring(parsed: z.infer<typeof monitoringSchema>, at: ConfigReader): MonitorConfig {
  const { surge, first_access, bulk, off_hours, new_shape, denials, canaries } = parsed;
  if (bulk !== undefined && bulk.rows === undefined && bulk.bytes === undefined) {
    at.complain(["monitoring", "bulk"], "say how many `rows` or `bytes` are bulk");
  }
  return {
    channel: parsed.channel,
    ...(surge && { surge: { factor: surge.factor, atLeast: surge.at_least } }),
    ...(first_access && { firstAccess: { tags: new Set(first_access.tags) } }),
    ...(bulk && {
      bulk: {
        rows: bulk.rows ?? Number.POSITIVE_INFINITY,
        bytes: bulk.bytes ?? Number.POSITIVE_INFINITY,
        windowMs: durationMs(bulk.window),
      },
    }),
    ...(off_hours && {
      offHours: {
        from: minuteOf(off_hours.hours.slice(0, 5)),
        to: minuteOf(off_hours.hours.slice(6)),
        days: new Set(off_hours.days),
        kinds: new Set(off_hours.kinds),
      },
    }),
    ...(new_shape && { newShape: new_shape }),
    ...(parsed.end_session && { endsSession: new Set(parsed.end_session) }),
    ...(denials && { denials: { count: denials.count, windowMs: durationMs(denials.window) } }),
    ...(canaries && {
      canaries: { tables: new Set(canaries.tables), columns: new Set(canaries.columns), rows: canaries.rows },
    }),
  };
}

const minuteOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3));
