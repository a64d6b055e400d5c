// segments -> events, checked line by line
import { createReadStream } from "node:fs";
import { basename } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { type ChainHead, type CheckedLine, chainStart, checkLine, type LineFault } from "./chain.ts";
import { headBefore, type KeptFrom, keptFrom, pruneRecordOf } from "./prunes.ts";
import { segmentsOf } from "./segments.ts";

export type RecordedEvent = SessionEvent & { readonly seq: number; readonly hash: string };

export type Damage = {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly fault: LineFault | "torn-line" | "beginning-missing" | "prune-unrecorded";
};

export type Verification = {
  readonly lines: number;
  readonly head: ChainHead;
  readonly damage: readonly Damage[];
  /** Whether a line that was noted earlier is still there; undefined when none was asked for. `pruned`: it was taken away, on record. */
  readonly anchor: "found" | "missing" | "pruned" | undefined;
  /** Lines that were taken away from the beginning, as a record in the chain says. */
  readonly pruned: number;
};

/**
 * Reads the whole recording. Damage doesn't stop it: after a broken link it goes on from what the next line claims.
 * `anchor` is number and hash of a line, noted elsewhere: lines cut off at the end are missed by it alone.
 */
export async function verifyRecording(directory: string, anchor?: ChainHead, damageMax = 100): Promise<Verification> {
  const damage: Damage[] = [];
  const kept = knownStart(directory);
  let head: ChainHead | undefined = headBefore(kept);
  let last = head ?? chainStart;
  let lines = 0;
  let isAnchored = false;
  let isPruneRecorded = kept.kind !== "pruned";
  for await (const { path, number, text, isTorn } of linesOf(directory)) {
    lines += 1;
    if (lines === 1 && kept.kind === "unexplained") damage.push({ path, line: 1, fault: "beginning-missing" });
    if (kept.kind === "pruned" && !isPruneRecorded && text.includes(pruneMark)) {
      isPruneRecorded = isDeepStrictEqual(pruneRecordOf(text.toString("utf8")), kept.record);
    }
    const checked: CheckedLine = checkLine(text, head);
    if (checked.ok && !isTorn) {
      head = checked.head;
      last = checked.head;
      isAnchored ||= anchor !== undefined && last.seq === anchor.seq && last.hash === anchor.hash;
      continue;
    }
    if (damage.length < damageMax) damage.push({ path, line: number, fault: checked.ok ? "torn-line" : checked.fault });
    const alone: CheckedLine = checkLine(text, undefined);
    head = alone.ok ? alone.head : undefined;
    if (alone.ok) last = alone.head;
  }
  const [first] = segments(directory);
  if (!isPruneRecorded && first !== undefined) damage.push({ path: first, line: 1, fault: "prune-unrecorded" });
  const pruned = kept.kind === "pruned" ? kept.boundary.size : 0;
  const isGone =
    anchor !== undefined && anchor.seq <= pruned && (anchor.seq < pruned || anchor.hash === headBefore(kept)?.hash);
  const found = isAnchored ? "found" : isGone ? "pruned" : "missing";
  return { lines, head: last, damage, anchor: anchor === undefined ? undefined : found, pruned };
}

const pruneMark = Buffer.from('"type":"prune"');

function knownStart(directory: string): KeptFrom {
  try {
    return keptFrom(directory);
  } catch {
    return { kind: "start" }; // whoever reads the folder itself says what is wrong with it
  }
}

/** Events of a recording in order, each line's own hash checked. @throws GatewayError `recording-damaged` at the first bad line */
export async function* readEvents(directory: string): AsyncGenerator<RecordedEvent> {
  for await (const { path, number, text, isTorn } of linesOf(directory)) {
    // The line that a running gateway is writing just now.
    if (isTorn) return;
    const checked = checkLine(text, undefined);
    if (!checked.ok) {
      throw new GatewayError(
        "recording-damaged",
        `${path}:${number} is not a record: ${checked.fault}`,
        "`gw audit verify` lists every damaged line",
      );
    }
    // SAFETY: the hash says that our recorder wrote this line from a SessionEvent.
    yield JSON.parse(text.toString("utf8")) as RecordedEvent;
  }
}

export type Line = {
  readonly path: string;
  /** From 1, counted from where reading began. */
  readonly number: number;
  /** Without its line feed. Good until the next line. */
  readonly text: Buffer;
  readonly isTorn: boolean;
  /** Of the first byte behind it, in its file. */
  readonly end: number;
};

/** A place between two lines: file name and offset in bytes. */
export type Place = { readonly segment: string; readonly offset: number };

/** Lines from `from` on, or all of them. @throws GatewayError `config-unreadable` */
export async function* linesOf(directory: string, from?: Place): AsyncGenerator<Line> {
  for (const path of segments(directory)) {
    const name = basename(path);
    if (from !== undefined && name < from.segment) continue;
    yield* linesOfSegment(path, name === from?.segment ? from.offset : 0);
  }
}

/** Of one file, from byte `start` on. */
export async function* linesOfSegment(path: string, start = 0): AsyncGenerator<Line> {
  let end = start;
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576, start })) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (let feed = bytes.indexOf(0x0a); feed >= 0; feed = bytes.indexOf(0x0a, at)) {
      number += 1;
      end += feed + 1 - at;
      yield { path, number, text: bytes.subarray(at, feed), isTorn: false, end };
      at = feed + 1;
    }
    rest = bytes.subarray(at);
  }
  if (rest.length > 0) yield { path, number: number + 1, text: rest, isTorn: true, end: end + rest.length };
}

function segments(directory: string): readonly string[] {
  try {
    return segmentsOf(directory);
  } catch (error) {
    throw new GatewayError(
      "config-unreadable",
      `the recording \`${directory}\` can't be read: ${causeCode(error)}`,
      "name it with `--recording`, or the configuration with `--config`",
    );
  }
}
