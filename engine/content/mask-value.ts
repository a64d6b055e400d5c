// mask + JSON value -> what stands in its place: of the same JSON type, total, the same for equal values
import { createHash, createHmac } from "node:crypto";
import { unreachable } from "../lib/assert.ts";
import type { Json } from "../lib/json.ts";
import type { DateUnit, Mask } from "../model/mask.ts";

/** `key`: of the `hash` and `tokenize` masks. Equal keys give the digests that SQL connections give. */
export type MaskKey = Uint8Array;

/**
 * `null` stays null, an object becomes `{}` and an array `[]` (`null` under nullify): names and numbers of what they held
 * would tell of it. What is removed is never asked for; who does all the same is shown `null`.
 */
export function maskJsonValue(value: Json, mask: Mask, key: MaskKey): Json {
  if (value === null || mask.kind === "nullify" || mask.kind === "remove") return null;
  if (typeof value === "string") return maskString(value, mask, key);
  if (typeof value === "number") return maskNumber(value, mask, key);
  if (typeof value === "boolean")
    return mask.kind === "constant" && typeof mask.value === "boolean" ? mask.value : false;
  return Array.isArray(value) ? [] : {};
}

export const redactedText = "***";

export function maskString(value: string, mask: Mask, key: MaskKey): string {
  switch (mask.kind) {
    case "partial":
      return partial(value, mask);
    case "bucket":
      return mask.unit === undefined ? redactedText : startOf(value, mask.unit);
    case "card":
      return lastDigits(value, 12, 4, "**** **** **** ");
    case "phone":
      return lastDigits(value, 5, Math.min(4, mask.last), "+***");
    case "hash":
      return digest(value, mask.salt, key);
    case "tokenize":
      return `tok_${digest(value, mask.salt, key).slice(0, 16)}`;
    case "constant":
      return typeof mask.value === "string" ? mask.value : redactedText;
    case "round":
    case "fields":
    case "redact":
      return redactedText;
    case "nullify":
    case "remove":
      return "";
    default:
      return unreachable(mask);
  }
}

function maskNumber(value: number, mask: Mask, key: MaskKey): number {
  switch (mask.kind) {
    case "bucket":
      return mask.size === undefined ? 0 : finite(Math.floor(value / mask.size) * mask.size);
    case "round":
      return finite(Math.round(value / mask.to) * mask.to);
    case "hash":
    case "tokenize":
      // 48 bits: exact in every reader's double.
      return Number.parseInt(digest(String(value), mask.salt, key).slice(0, 12), 16);
    case "constant":
      return typeof mask.value === "number" ? mask.value : 0;
    case "partial":
    case "card":
    case "phone":
    case "fields":
    case "redact":
    case "nullify":
    case "remove":
      return 0;
    default:
      return unreachable(mask);
  }
}

const finite = (value: number): number => (Number.isFinite(value) ? value + 0 : 0);

/** Kept in step with `digest` of engine/sql/masks.ts. */
function digest(value: string, salt: string, key: MaskKey): string {
  const derived = createHmac("sha256", key).update(salt).digest("hex");
  return createHash("sha256").update(derived).update(value, "utf8").update(derived).digest("hex");
}

/** The fill has a fixed width: its length would tell the value's. */
function partial(value: string, mask: Mask & { readonly kind: "partial" }): string {
  const at = value.lastIndexOf("@");
  if (mask.keepDomain && at > 0) return shown([...value.slice(0, at)], mask) + value.slice(at);
  return shown([...value], mask);
}

/** Of a text that is no longer than what would be shown nothing is. */
function shown(characters: readonly string[], { first, last, fill }: Mask & { readonly kind: "partial" }): string {
  const hidden = fill.repeat(3);
  if (characters.length <= first + last) return hidden;
  return characters.slice(0, first).join("") + hidden + (last === 0 ? "" : characters.slice(-last).join(""));
}

function lastDigits(value: string, least: number, last: number, before: string): string {
  const digits = value.replace(/\D/g, "");
  return digits.length < least || last === 0 ? redactedText : before + digits.slice(-last);
}

/** ISO 8601 dates and moments: `2026-03-14` is in the month `2026-03-01`. Anything else is hidden. */
function startOf(value: string, unit: DateUnit): string {
  const match = /^(\d{4})-(\d{2})-(\d{2})(?:([T ])(\d{2}):\d{2}(?::\d{2}(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/.exec(
    value,
  );
  if (!match) return redactedText;
  const [, year = "", month = "", day = "", separator, hour = "", zone = ""] = match;
  const date = dateStart(Number(year), Number(month), Number(day), unit);
  if (date === undefined) return redactedText;
  if (separator === undefined) return date;
  return `${date}${separator}${unit === "hour" ? hour : "00"}:00:00${zone}`;
}

function dateStart(year: number, month: number, day: number, unit: DateUnit): string | undefined {
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  if (unit === "year") date.setUTCMonth(0, 1);
  if (unit === "quarter") date.setUTCMonth(Math.floor((month - 1) / 3) * 3, 1);
  if (unit === "month") date.setUTCDate(1);
  if (unit === "week") date.setUTCDate(day - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}
