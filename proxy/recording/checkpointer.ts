// lines on disk -> Merkle tree -> signed checkpoints, beside the traffic and never in its way
import { closeSync, existsSync, openSync, readFileSync, readSync, truncateSync, writeFileSync } from "node:fs";
import { appendFile, readFile, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { Frontier, leafHash } from "../../engine/evidence/merkle.ts";
import { limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import { z } from "../schema.ts";
import { type ChainHead, chainStart, checkLine } from "./chain.ts";
import {
  type Checkpoint,
  checkpointLines,
  checkpointsName,
  hashOfCheckpoint,
  keyIdOf,
  openCheckpoint,
  publicKeyOf,
  signCheckpoint,
} from "./checkpoints.ts";
import { frontierOf, headBefore, keptFrom } from "./prunes.ts";
import { linesOf, type Place } from "./read.ts";
import { segmentsOf } from "./segments.ts";
import { readSentMarks, type SentMarks, sentKeys, unsentOf, writeSentMarks } from "./sent-marks.ts";

/** Where copies of checkpoints go, out of the reach of whoever can change the recording. */
export type CheckpointSink = {
  /** For the log. */
  readonly name: string;
  /** Rejects when it isn't stored there: it is tried again with the next one. */
  readonly send: (line: string, checkpoint: Checkpoint, signal: AbortSignal) => Promise<void>;
};

export type CheckpointerOptions = {
  readonly directory: string;
  readonly node: string;
  /** Ed25519, PKCS #8 PEM. */
  readonly key: string;
  readonly everyMs: number;
  readonly sinks: readonly CheckpointSink[];
  readonly clock: Clock;
  readonly log: Log;
};

export type Checkpointer = {
  /** Covers what is on disk now; undefined when there is nothing new, or the recording is damaged. */
  readonly checkpoint: () => Promise<Checkpoint | undefined>;
  readonly newest: () => Checkpoint | undefined;
  /** Copies that wait for their sink. */
  readonly waiting: () => number;
  readonly close: () => Promise<void>;
};

const stateName = "checkpoints.state.json";
const stateSchema = z.strictObject({
  size: z.int().min(0),
  roots: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(64),
  segment: z.string(),
  offset: z.int().min(0),
  head: z.strictObject({ seq: z.int().min(0), hash: z.string() }),
});

/** Checkpoints every `everyMs` and at the end. What it finds damaged is said in the log, and no checkpoint covers it. */
export async function startCheckpointer(options: CheckpointerOptions): Promise<Checkpointer> {
  const { directory, log, clock } = options;
  mendCheckpoints(directory, log);
  const lines = await checkpointLines(directory);
  const lastLine = lines.at(-1);
  const last = lastLine === undefined ? undefined : await openCheckpoint(lastLine, publicKeyOf(options.key));
  if (last && !last.ok) {
    log.warn(
      { code: "checkpoint-key-changed", kid: keyIdOf(publicKeyOf(options.key)) },
      "the last checkpoint isn't by this gateway's key: from the next one on they are",
    );
  }
  let newest = last?.ok ? last.value : undefined;
  let previous = lastLine === undefined ? undefined : hashOfCheckpoint(lastLine);
  let tree = await takeUp(directory, newest);
  let isDamaged = false;
  const keys = sentKeys(options.sinks.map(({ name }) => name));
  const unsent = options.sinks.map((sink, i) => ({
    sink,
    key: keys[i] ?? sink.name,
    lines: [] as { line: string; checkpoint: Checkpoint }[],
  }));
  let marks: SentMarks = {};

  /** What a crash, or a place that was out of reach at the end, left behind. */
  const takeUpUnsent = async (): Promise<void> => {
    marks = await readSentMarks(directory);
    for (const { key, lines: waiting } of unsent) {
      for (const line of unsentOf(lines, marks[key]).slice(-limits.checkpointsUnsentMax)) {
        // Those of a key that was replaced can't be told from forged ones here: the next one covers what they did.
        const opened = await openCheckpoint(line, publicKeyOf(options.key));
        if (opened.ok) waiting.push({ line, checkpoint: opened.value });
      }
    }
  };

  const damaged = (why: string): undefined => {
    isDamaged = true;
    log.error({ code: "recording-damaged", why }, "the recording doesn't verify: it is not checkpointed any more");
    return undefined;
  };
  const grow = async (): Promise<string | undefined> => {
    let { head, place } = tree;
    // A copy: reading may fail halfway, and what was read then is read again.
    const frontier = new Frontier(tree.frontier.size, tree.frontier.roots);
    for await (const line of linesOf(directory, place)) {
      if (line.isTorn) break;
      const checked = checkLine(line.text, head);
      if (!checked.ok) return checked.fault;
      head = checked.head;
      frontier.append(leafHash(line.text));
      place = { segment: line.path.slice(-14), offset: line.end };
      if (newest !== undefined && frontier.size === newest.size && rootText(frontier) !== newest.root) {
        return "it differs from what the last checkpoint covers";
      }
    }
    tree = { frontier, head, place };
    return undefined;
  };
  const once = async (): Promise<Checkpoint | undefined> => {
    if (isDamaged) return undefined;
    const fault = await grow();
    if (fault !== undefined) return damaged(fault);
    if (newest !== undefined && tree.frontier.size < newest.size) return damaged("lines were cut off at its end");
    if (tree.frontier.size === (newest?.size ?? 0)) return undefined;
    const { node } = options;
    const { frontier, head } = tree;
    const checkpoint: Checkpoint = {
      node,
      size: frontier.size,
      root: rootText(frontier),
      head,
      atMs: clock.nowMs(),
      previous,
    };
    const signed = await signCheckpoint(checkpoint, options.key);
    if (!signed.ok) throw new TypeError(signed.error);
    await appendFile(join(directory, checkpointsName), `${signed.value}\n`, { mode: 0o640, flush: true });
    await writeState(directory, tree);
    newest = checkpoint;
    previous = hashOfCheckpoint(signed.value);
    for (const { lines } of unsent) {
      lines.push({ line: signed.value, checkpoint });
      // A later checkpoint says all that an earlier one does.
      if (lines.length > limits.checkpointsUnsentMax) lines.shift();
    }
    return checkpoint;
  };
  const sendAll = async (): Promise<void> => {
    const before = marks;
    await Promise.all(
      unsent.map(async ({ sink, key, lines }) => {
        for (let next = lines[0]; next !== undefined; next = lines[0]) {
          try {
            await sink.send(next.line, next.checkpoint, AbortSignal.timeout(limits.checkpointSendMs));
          } catch (error) {
            log.error(
              { code: "checkpoint-unsent", sink: sink.name, cause: causeCode(error) },
              "a checkpoint isn't stored elsewhere yet",
            );
            return;
          }
          if (lines[0] === next) lines.shift();
          marks = { ...marks, [key]: hashOfCheckpoint(next.line) };
        }
      }),
    );
    if (marks !== before) await writeSentMarks(directory, marks);
  };

  const failed = (error: unknown): undefined => {
    log.error({ code: "checkpoint-failed", cause: causeCode(error) }, "no checkpoint could be made");
  };
  // Not awaited: a place that is out of reach doesn't keep a gateway from starting.
  let running: Promise<Checkpoint | undefined> = takeUpUnsent()
    .then(sendAll)
    .then(() => undefined, failed);
  const checkpoint = (): Promise<Checkpoint | undefined> => {
    running = running.then(async () => {
      try {
        const made = await once();
        await sendAll();
        return made;
      } catch (error) {
        return failed(error);
      }
    });
    return running;
  };
  const timer = setInterval(() => void checkpoint(), options.everyMs).unref();
  return {
    checkpoint,
    newest: () => newest,
    waiting: () => unsent.reduce((sum, { lines }) => sum + lines.length, 0),
    close: async () => {
      clearInterval(timer);
      await checkpoint();
    },
  };
}

type Tree = { readonly frontier: Frontier; readonly head: ChainHead; readonly place: Place | undefined };

const rootText = (frontier: Frontier): string => frontier.root().toString("hex");

/** Where the last run stopped, if that is what its last checkpoint says; else from the first line. */
async function takeUp(directory: string, newest: Checkpoint | undefined): Promise<Tree> {
  const kept = keptFrom(directory);
  // What is gone without a record has no beginning to go on from: its first line doesn't follow.
  const fromStart: Tree = { frontier: frontierOf(kept), head: headBefore(kept) ?? chainStart, place: undefined };
  if (newest === undefined) return fromStart;
  try {
    const state = stateSchema.parse(JSON.parse(await readFile(join(directory, stateName), "utf8")));
    const frontier = new Frontier(
      state.size,
      state.roots.map((root) => Buffer.from(root, "hex")),
    );
    const isSame =
      state.size === newest.size && rootText(frontier) === newest.root && state.head.hash === newest.head.hash;
    const place = { segment: state.segment, offset: state.offset };
    // The tree is what was signed; the place isn't, and a wrong one would leave lines out of sight for ever.
    return isSame && isBehind(directory, place, newest.head) ? { frontier, head: newest.head, place } : fromStart;
  } catch {
    return fromStart;
  }
}

/** The line that ends there is this one. */
function isBehind(directory: string, { segment, offset }: Place, { hash }: ChainHead): boolean {
  if (!segmentsOf(directory).some((path) => basename(path) === segment)) return false;
  const tail = `${hash}"}\n`;
  const file = openSync(join(directory, segment), "r");
  try {
    const bytes = Buffer.alloc(tail.length);
    const length = offset < tail.length ? 0 : readSync(file, bytes, 0, tail.length, offset - tail.length);
    return length === tail.length && bytes.toString("latin1") === tail;
  } finally {
    closeSync(file);
  }
}

/** A line that a crash tore is moved aside: the next one must not be written behind it. */
function mendCheckpoints(directory: string, log: Log): void {
  const path = join(directory, checkpointsName);
  if (!existsSync(path)) return;
  const bytes = readFileSync(path);
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end === bytes.length) return;
  writeFileSync(`${path}.torn-${bytes.length}`, bytes.subarray(end), { mode: 0o640, flush: true });
  truncateSync(path, end);
  log.warn({ code: "recording-recovered", bytes: bytes.length - end }, "a torn checkpoint was moved aside");
}

async function writeState(directory: string, { frontier, head, place }: Tree): Promise<void> {
  if (place === undefined) return;
  const state = { size: frontier.size, roots: frontier.roots.map((root) => root.toString("hex")), ...place, head };
  const path = join(directory, stateName);
  await writeFile(`${path}.tmp`, JSON.stringify(state), { mode: 0o640 });
  await rename(`${path}.tmp`, path);
}
