// event -> line of the recording: {"seq":…,"prev":…, …event…,"hash":…}
import { hash as digestOf } from "node:crypto";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { type EventText, eventText } from "./event-text.ts";

/** Where a chain stands: the number and the hash of its last line. */
export type ChainHead = { readonly seq: number; readonly hash: string };

/** Before the first line: a hash that no line has. */
export const chainStart: ChainHead = { seq: 0, hash: "0".repeat(64) };

/** Length of `,"hash":"<64 hex>"}`. */
const tailLength = 75;

/** What lines are put together in: written out before the next ones are made. */
let page = Buffer.allocUnsafeSlow(65_536);
/** Around the fields of an event: number, two hashes, names. */
const aroundBytes = 256;

/**
 * Lines of the recording. A line's hash covers every byte before `,"hash":`, the previous line's hash among them: so one
 * changed, lost or moved line breaks the chain from there on. `bytes` is good until the next call.
 */
export function chainLines(
  head: ChainHead,
  events: readonly (SessionEvent | EventText)[],
): { readonly head: ChainHead; readonly bytes: Buffer } {
  let { seq, hash } = head;
  let at = 0;
  for (const event of events) {
    const rest = typeof event === "string" ? event : eventText(event);
    makeRoom(at, at + rest.length * 3 + aroundBytes);
    seq += 1;
    const start = at;
    at += page.write(`{"seq":${seq},"prev":"${hash}"${rest === "" ? "" : `,${rest}`}`, at, "utf8");
    hash = sha256(page.subarray(start, at));
    at += page.write(`,"hash":"${hash}"}\n`, at, "latin1");
  }
  return { head: { seq, hash }, bytes: page.subarray(0, at) };
}

function makeRoom(used: number, needed: number): void {
  if (needed <= page.length) return;
  const grown = Buffer.allocUnsafeSlow(Math.max(needed, page.length * 2));
  page.copy(grown, 0, 0, used);
  page = grown;
}

export type LineFault = "not-a-record" | "hash-wrong" | "sequence-broken" | "link-broken";

export type CheckedLine =
  | { readonly ok: true; readonly head: ChainHead }
  | { readonly ok: false; readonly fault: LineFault };

/**
 * A line's own hash, its number and its link. With `head` undefined only the line itself is checked. Bytes, not text:
 * decoding maps different invalid bytes to one character, and the hash would miss that change.
 */
export function checkLine(line: Buffer, head: ChainHead | undefined): CheckedLine {
  const start = /^\{"seq":(\d{1,16}),"prev":"([0-9a-f]{64})"/.exec(line.toString("latin1", 0, 110));
  const tail = /^,"hash":"([0-9a-f]{64})"\}$/.exec(line.subarray(-tailLength).toString("latin1"));
  const [, seqText, prev] = start ?? [];
  const hash = tail?.[1];
  if (seqText === undefined || prev === undefined || hash === undefined) return { ok: false, fault: "not-a-record" };
  if (sha256(line.subarray(0, -tailLength)) !== hash) return { ok: false, fault: "hash-wrong" };
  const seq = Number(seqText);
  if (head !== undefined && seq !== head.seq + 1) return { ok: false, fault: "sequence-broken" };
  if (head !== undefined && prev !== head.hash) return { ok: false, fault: "link-broken" };
  return { ok: true, head: { seq, hash } };
}

const sha256 = (content: string | Buffer): string => digestOf("sha256", content);
