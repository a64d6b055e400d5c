// What the parts of gw.yaml are made of: schemas of single values, and what they decode to.

import type { ConfigReader, Path } from "./config-reader.ts";
import type { Address } from "./gateway-config.ts";
import { z } from "./schema.ts";

export const nameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "a name has letters, digits, `.`, `_` and `-`");

export const addressSchema = z.string().refine((text) => {
  const port = /^(?:\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text)?.[1];
  return port !== undefined && Number(port) <= 65_535;
}, "write an address as `host:port`");

export function addressOf(text: string): Address {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

export const durationSchema = z.string().regex(/^\d+(?:ms|s|m|h)$/, "write a duration like `110s`");

/** Milliseconds. */
export function durationMs(text: string): number {
  const unit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[text.replace(/^\d+/, "")] ?? 1_000;
  return Number.parseInt(text, 10) * unit;
}

/** `ConfigReader.secret` makes a function of it. */
export const secretSchema = z.strictObject({
  env: z.string().min(1).optional(),
  file: z.string().min(1).optional(),
});

/** undefined where none is configured. */
export const secretOf = (
  parsed: z.infer<typeof secretSchema> | undefined,
  path: Path,
  at: ConfigReader,
): (() => Promise<string>) | undefined => (parsed === undefined ? undefined : at.secret(parsed, path));

/** Keys of an object's schema: what a mistyped key is compared with. */
export const keysIn = (schema: z.ZodType): readonly string[] =>
  schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
