// retention, holds, what is there -> what may go; a record of it -> it goes. Whole segments, the oldest first.
import { closeSync, fdatasyncSync, fsyncSync, openSync, rmSync, statSync } from "node:fs";
import { basename } from "node:path";
import { leafHash } from "../../engine/evidence/merkle.ts";
import { limits } from "../../engine/limits.ts";
import type { PruneBoundary } from "../../engine/model/session-event.ts";
import type { Clock, Log, NewId } from "../deps.ts";
import { GatewayError } from "../errors.ts";
import { type ChainHead, type CheckedLine, checkLine } from "./chain.ts";
import { type HoldLine, holdsInForce, readHolds } from "./holds.ts";
import { HoldsOnRecord } from "./holds-on-record.ts";
import { frontierOf, headBefore, keepPruneRecord, keptFrom, type PruneEvent, signPrune } from "./prunes.ts";
import { linesOfSegment } from "./read.ts";
import type { Recorder } from "./recorder.ts";
import { segmentsOf } from "./segments.ts";

export type Retention = {
  /** What is older may go. */
  readonly ageMs: number | undefined;
  /** Bytes of one chain: over it the oldest goes, but nothing younger than `atLeastMs`. */
  readonly bytesMax: number | undefined;
  readonly atLeastMs: number;
};

export type PrunePlan = {
  /** Paths, oldest first. */
  readonly segments: readonly { readonly path: string; readonly bytes: number; readonly lastMs: number }[];
  readonly why: PruneEvent["why"];
  /** A segment that would go next, but for this hold. */
  readonly heldBy: { readonly path: string; readonly hold: HoldLine } | undefined;
};

export type PlanOptions = {
  readonly directory: string;
  /** Where holds.jsonl lies: the whole recording's folder. */
  readonly holdsDirectory: string;
  readonly retention: Retention;
  readonly nowMs: number;
  /** Of `holdsDirectory`; default: one that reads it from its beginning. */
  readonly onRecord?: HoldsOnRecord;
};

/** @throws GatewayError where holds or segments can't be read: then nothing goes */
export async function planPrune(options: PlanOptions): Promise<PrunePlan> {
  const plan = await planUnder(options);
  if (plan.segments.length > 0) await (options.onRecord ?? new HoldsOnRecord(options.holdsDirectory)).check();
  return plan;
}

async function planUnder({ directory, holdsDirectory, retention, nowMs }: PlanOptions): Promise<PrunePlan> {
  const holds = holdsInForce(readHolds(holdsDirectory), nowMs);
  const all = segmentsOf(directory).map((path) => ({ path, bytes: statSync(path).size }));
  // The last one is being written, and says how the chain goes on.
  const closed = all.slice(0, -1);
  let total = all.reduce((sum, { bytes }) => sum + bytes, 0);
  const going: { path: string; bytes: number; lastMs: number }[] = [];
  let why: PruneEvent["why"] = "age";
  const known = holds.length === 0 ? undefined : await sessionsIn(directory, holds);
  for (const { path, bytes } of closed) {
    if (going.length >= limits.pruneSegmentsMax) break;
    const lastMs = await newestIn(path);
    const isOld = retention.ageMs !== undefined && lastMs < nowMs - retention.ageMs;
    const isOver =
      retention.bytesMax !== undefined && total > retention.bytesMax && lastMs < nowMs - retention.atLeastMs;
    if (!isOld && !isOver) break;
    const hold = known && (await holdOn(path, holds, known));
    if (hold !== undefined) return { segments: going, why, heldBy: { path, hold } };
    if (!isOld) why = "size";
    going.push({ path, bytes, lastMs });
    total -= bytes;
  }
  return { segments: going, why, heldBy: undefined };
}

/** Clocks jump back: the newest of all lines counts, not the last one. */
async function newestIn(path: string): Promise<number> {
  let newest = 0;
  for await (const { text } of linesOfSegment(path)) {
    const at = /"atMs":(\d{1,15})/.exec(text.toString("latin1", 0, 200))?.[1];
    newest = Math.max(newest, at === undefined ? Number.MAX_SAFE_INTEGER : Number(at));
  }
  return newest;
}

type KnownSessions = {
  /** Sessions whose start is still there. */
  readonly started: ReadonlySet<string>;
  /** Those of people who are held. */
  readonly held: ReadonlyMap<string, HoldLine>;
};

const startMark = Buffer.from('"type":"session-start"');

async function sessionsIn(directory: string, holds: readonly HoldLine[]): Promise<KnownSessions> {
  const people = holds.filter(({ scope }) => scope === "person");
  const started = new Set<string>();
  const held = new Map<string, HoldLine>();
  if (people.length === 0) return { started, held };
  for (const path of segmentsOf(directory)) {
    for await (const { text } of linesOfSegment(path)) {
      if (!text.includes(startMark)) continue;
      const line = text.toString("utf8");
      const session = sessionOf(line);
      if (session === undefined) continue;
      started.add(session);
      const hold = people.find(({ subject }) => line.includes(JSON.stringify(subject)));
      if (hold !== undefined) held.set(session, hold);
    }
  }
  return { started, held };
}

const sessionOf = (line: string): string | undefined => /"session":"([^"\\]{1,128})"/.exec(line)?.[1];

/** In doubt it is held: whose session it was can't be told any more where its start is gone. */
async function holdOn(
  path: string,
  holds: readonly HoldLine[],
  { started, held }: KnownSessions,
): Promise<HoldLine | undefined> {
  const all = holds.find(({ scope }) => scope === "all");
  if (all !== undefined) return all;
  const named = holds.map((hold) => ({ hold, mark: Buffer.from(JSON.stringify(hold.subject ?? "")) }));
  const person = holds.find(({ scope }) => scope === "person");
  for await (const { text } of linesOfSegment(path)) {
    const found = named.find(({ mark }) => text.includes(mark));
    if (found !== undefined) return found.hold;
    if (person === undefined) continue;
    const session = sessionOf(text.toString("latin1", 0, 400));
    if (session === undefined) continue;
    const hold = held.get(session) ?? (started.has(session) ? undefined : person);
    if (hold !== undefined) return hold;
  }
  return undefined;
}

export type PruneOptions = {
  readonly directory: string;
  readonly node: string;
  /** Of the checkpoints, PKCS #8 PEM; undefined: the record isn't signed. */
  readonly key: string | undefined;
  readonly recorder: Pick<Recorder, "recordIntent" | "failure">;
  /** Makes a checkpoint that covers so many lines and more, where there are checkpoints. False: nothing may go. */
  readonly isCovered: (size: number) => Promise<boolean>;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
};

/**
 * Record, make it durable, keep a copy of it, cover it with a checkpoint, then delete: after a crash at any point what is left is
 * whole, or begins where a record says. @throws GatewayError, and then no more is deleted
 */
export async function prune(plan: Pick<PrunePlan, "segments" | "why">, options: PruneOptions): Promise<number> {
  if (plan.segments.length === 0) return 0;
  const { directory, node, recorder, clock, newId, key } = options;
  const { boundaries, keys } = await boundariesOf(
    directory,
    plan.segments.map(({ path }) => path),
  );
  const id = newId("prn");
  const signed = key === undefined ? undefined : await signPrune({ node, id, boundaries }, key);
  if (signed !== undefined && !signed.ok) throw new GatewayError("config-invalid", signed.error);
  const event: PruneEvent & { readonly atMs: number; readonly session: string } = {
    atMs: clock.nowMs(),
    session: "",
    type: "prune",
    id,
    node,
    why: plan.why,
    boundaries,
    keys,
    ...(signed === undefined ? {} : { signed: signed.value }),
  };
  recorder.recordIntent([event]);
  await durable(directory, id, recorder);
  keepPruneRecord(directory, event);
  if (!(await options.isCovered(boundaries.at(-1)?.size ?? 0))) {
    throw new GatewayError("record-failed", "nothing is pruned: no checkpoint covers it yet");
  }
  for (const { path } of plan.segments) rmSync(path);
  syncFolder(directory);
  options.log.info({ code: "recording-pruned", id, segments: plan.segments.length, why: plan.why }, "segments went");
  return plan.segments.length;
}

const keyMark = Buffer.from('"type":"content-key"');
const pruneMark = Buffer.from('"type":"prune"');

/** Their ends, each line checked on the way: what is damaged isn't taken away. */
async function boundariesOf(directory: string, paths: readonly string[]) {
  const kept = keptFrom(directory);
  const before = headBefore(kept);
  if (before === undefined) throw notWhole(directory, "its beginning is missing");
  let head: ChainHead = before;
  const frontier = frontierOf(kept);
  const boundaries: PruneBoundary[] = [];
  const keys = new Map<string, PruneEvent["keys"][number]>();
  const carry = (list: PruneEvent["keys"]): void => {
    for (const key of list) {
      keys.delete(key.id);
      keys.set(key.id, key);
    }
  };
  if (kept.kind === "pruned") carry(kept.record.keys);
  for (const path of paths) {
    for await (const { text, isTorn } of linesOfSegment(path)) {
      const checked: CheckedLine = checkLine(text, head);
      if (!checked.ok) throw notWhole(path, checked.fault);
      if (isTorn) throw notWhole(path, "torn-line");
      head = checked.head;
      frontier.append(leafHash(text));
      if (text.includes(keyMark) || text.includes(pruneMark)) carry(keysIn(text.toString("utf8")));
    }
    const roots = frontier.roots.map((root) => root.toString("hex"));
    boundaries.push({ segment: basename(path), size: frontier.size, hash: head.hash, roots });
  }
  // The newest two: what was sealed while the last one was being made may stand behind it.
  return { boundaries, keys: [...keys.values()].slice(-2) };
}

function keysIn(text: string): PruneEvent["keys"] {
  // SAFETY: its hash says that our recorder wrote this line.
  const event = JSON.parse(text) as
    | { readonly type: "content-key"; readonly id: string; readonly recipient: string; readonly wrapped: string }
    | PruneEvent;
  if (event.type === "prune") return event.keys;
  const { id, recipient, wrapped } = event;
  return event.type === "content-key" ? [{ id, recipient, wrapped }] : [];
}

const notWhole = (where: string, why: string): GatewayError =>
  new GatewayError(
    "recording-damaged",
    `nothing of the recording is pruned: \`${where}\` doesn't verify: ${why}`,
    "`gw audit verify` lists every damaged line",
  );

/** Whatever the durability of statements is: the record is on disk before anything goes. */
async function durable(directory: string, id: string, recorder: Pick<Recorder, "failure">): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  const failure = recorder.failure();
  if (failure !== undefined) throw new GatewayError("record-failed", `pruning can't be put on record: ${failure}`);
  const mark = Buffer.from(`"id":${JSON.stringify(id)}`);
  for (const path of segmentsOf(directory).slice(-2).toReversed()) {
    for await (const { text, isTorn } of linesOfSegment(path)) {
      if (isTorn || !text.includes(mark)) continue;
      const file = openSync(path, "r+");
      try {
        fdatasyncSync(file);
      } finally {
        closeSync(file);
      }
      return;
    }
  }
  throw new GatewayError("record-failed", "pruning can't be put on record");
}

function syncFolder(directory: string): void {
  const folder = openSync(directory, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
