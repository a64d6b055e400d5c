// Identifiers that sort by time: `st_` and 26 characters of Crockford's base 32 (48 bits of ms, 80 random bits).
import { randomBytes } from "node:crypto";
import type { Clock, NewId } from "./deps.ts";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

export function createNewId(clock: Clock): NewId {
  let pool = randomBytes(2_560);
  let at = 0;
  let lastMs = -1;
  let timePart = "";
  return (prefix) => {
    const nowMs = clock.nowMs();
    if (nowMs !== lastMs) {
      timePart = encodeTime(nowMs);
      lastMs = nowMs;
    }
    if (at + 16 > pool.length) {
      pool = randomBytes(pool.length);
      at = 0;
    }
    let random = "";
    for (let i = 0; i < 16; i += 1) random += alphabet[(pool[at + i] ?? 0) & 31];
    at += 16;
    return `${prefix}_${timePart}${random}`;
  };
}

function encodeTime(ms: number): string {
  let text = "";
  let rest = ms;
  for (let i = 0; i < 10; i += 1) {
    text = (alphabet[rest % 32] ?? "0") + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
