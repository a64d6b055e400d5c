// event -> line of the recording: {"seq":…,"prev":…, …event…,"hash":…}
import { hash as digestOf } from "node:crypto";

/** Where a chain stands: the number and the hash of its last line. */
export type ChainHead = { readonly seq: number; readonly hash: string };

/** Before the first line: a hash that no line has. */
export const chainStart: ChainHead = { seq: 0, hash: "0".repeat(64) };

/** Length of `,"hash":"<64 hex>"}`. */
const tailLength = 75;

/**
 * One line without its line feed. The hash covers every byte before `,"hash":`, the previous line's hash among them:
 * so one changed, lost or moved line breaks the chain from there on. `rest`: the fields as JSON, without braces.
 */
export function chainLine(head: ChainHead, rest: string): { readonly line: string; readonly head: ChainHead } {
  const seq = head.seq + 1;
  const body = `{"seq":${seq},"prev":"${head.hash}"${rest === "" ? "" : `,${rest}`}`;
  const hash = sha256(body);
  return { line: `${body},"hash":"${hash}"}`, head: { seq, hash } };
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
