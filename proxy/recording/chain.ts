// event -> line of the recording: {"seq":…,"prev":…, …event…,"hash":…}
import { createHash } from "node:crypto";

/** Where a chain stands: the number and the hash of its last line. */
export type ChainHead = { readonly seq: number; readonly hash: string };

/** Before the first line: a hash that no line has. */
export const chainStart: ChainHead = { seq: 0, hash: "0".repeat(64) };

/** Length of `,"hash":"<64 hex>"}`. */
const tailLength = 75;

/**
 * One line without its line feed. The hash covers every byte before `,"hash":`, the previous line's hash among them:
 * so one changed, lost or moved line breaks the chain from there on.
 */
export function chainLine(head: ChainHead, fields: object): { readonly line: string; readonly head: ChainHead } {
  const seq = head.seq + 1;
  const rest = JSON.stringify(fields).slice(1, -1);
  const body = `{"seq":${seq},"prev":"${head.hash}"${rest === "" ? "" : `,${rest}`}`;
  const hash = sha256(body);
  return { line: `${body},"hash":"${hash}"}`, head: { seq, hash } };
}

export type LineFault = "not-a-record" | "hash-wrong" | "sequence-broken" | "link-broken";

/** A line's own hash, its number and its link. With `head` undefined only the line itself is checked. */
export function checkLine(
  line: string,
  head: ChainHead | undefined,
): { readonly ok: true; readonly head: ChainHead } | { readonly ok: false; readonly fault: LineFault } {
  const start = /^\{"seq":(\d{1,16}),"prev":"([0-9a-f]{64})"/.exec(line);
  const tail = /^,"hash":"([0-9a-f]{64})"\}$/.exec(line.slice(-tailLength));
  const [, seqText, prev] = start ?? [];
  const hash = tail?.[1];
  if (seqText === undefined || prev === undefined || hash === undefined) return { ok: false, fault: "not-a-record" };
  if (sha256(line.slice(0, -tailLength)) !== hash) return { ok: false, fault: "hash-wrong" };
  const seq = Number(seqText);
  if (head !== undefined && seq !== head.seq + 1) return { ok: false, fault: "sequence-broken" };
  if (head !== undefined && prev !== head.hash) return { ok: false, fault: "link-broken" };
  return { ok: true, head: { seq, hash } };
}

const sha256 = (text: string): string => createHash("sha256").update(text, "utf8").digest("hex");
