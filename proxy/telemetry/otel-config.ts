// `telemetry` of gw.yaml
import type { ConfigReader } from "../config-reader.ts";
import { keysIn, secretSchema } from "../config-schema.ts";
import { z } from "../schema.ts";

export const telemetrySchema = z.strictObject({
  /** Base address of a collector's OTLP/HTTP receiver. */
  otlp: z.url({ protocol: /^https?$/ }),
  /** Header of each request → its value. */
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]+$/), secretSchema).default({}),
  traces: z.boolean().default(true),
  logs: z.boolean().default(true),
});
export const telemetryKeys: readonly string[] = keysIn(telemetrySchema);

export type TelemetryConfig = {
  readonly otlp: string;
  readonly headers: ReadonlyMap<string, () => Promise<string>>;
  readonly hasTraces: boolean;
  readonly hasLogs: boolean;
};

export function buildTelemetry(parsed: z.infer<typeof telemetrySchema>, at: ConfigReader): TelemetryConfig {
  return {
    otlp: parsed.otlp.replace(/\/$/, ""),
    headers: new Map(
      Object.entries(parsed.headers).map(([name, secret]) => [name, at.secret(secret, ["telemetry", "headers", name])]),
    ),
    hasTraces: parsed.traces,
    hasLogs: parsed.logs,
  };
}
