// Identifiers that sort by time: `st_` and 26 characters of Crockford's base 32 (48 bits of ms, 80 random bits).
import { randomBytes } from "node:crypto";
import type { Clock, NewId } from "./deps.ts";

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

export function createNewId(clock: Clock): NewId {
  let pool = randomText();
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
      pool = randomText();
      at = 0;
    }
    at += 16;
    return `${prefix}_${timePart}${pool.slice(at - 16, at)}`;
  };
}

/** 160 identifiers' worth: 5 random bits a character. */
const randomText = (): string =>
  Buffer.from(randomBytes(2_560).map((byte) => alphabet.charCodeAt(byte & 31))).toString("latin1");

function encodeTime(ms: number): string {
  let text = "";
  let rest = ms;
  for (let i = 0; i < 10; i += 1) {
    text = (alphabet[rest % 32] ?? "0") + text;
    rest = Math.floor(rest / 32);
  }
  return text;
}
