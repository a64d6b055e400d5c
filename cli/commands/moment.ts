// `7d`, `12h` or a date -> ms since the epoch
import { InvalidArgumentError } from "commander";

/** How far back, or which day. @throws InvalidArgumentError */
export function moment(text: string): number {
  const [, amount, unit] = /^(\d+)([hd])$/.exec(text) ?? [];
  if (amount !== undefined) return Date.now() - Number(amount) * (unit === "d" ? 86_400_000 : 3_600_000);
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new InvalidArgumentError("write `7d`, `12h`, or a date such as 2026-11-01.");
  return at;
}
