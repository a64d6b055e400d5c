// recording -> index, as far as it has grown; query -> recorded lines, each checked where it stands
import { closeSync, openSync, readSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { GatewayError } from "../errors.ts";
import { checkLine } from "./chain.ts";
import { chainFolders } from "./chains.ts";
import { linesOf, type RecordedEvent } from "./read.ts";
import { type LinePlace, OldIndexError, type Progress, SearchIndex, type SearchQuery } from "./search-index.ts";
import { segmentsOf } from "./segments.ts";

export const indexName = "search-index.sqlite";

/** Lines between two commits: a reader beside it doesn't wait long, and little is read again after a crash. */
const linesPerCommit = 50_000;
const [statementMark, startMark] = [Buffer.from('"type":"statement"'), Buffer.from('"type":"session-start"')];

export type IndexOptions = {
  readonly path: string;
  readonly isRebuilt?: boolean;
  readonly onLines?: (lines: number) => void;
  /** Default: that of `limits`. */
  readonly searchTextsListed?: number;
};

/** Brings the index up to what the recording holds now; one of another recording is built anew. */
export async function openSearchIndex(
  directory: string,
  { path, isRebuilt, onLines, searchTextsListed }: IndexOptions,
): Promise<SearchIndex> {
  if (isRebuilt === true) removeIndex(path);
  let index = openOrReplace(path, searchTextsListed);
  try {
    const chains = chainFolders(directory);
    if (chains.some((chain) => !isOf(join(directory, chain), index.progress(chain)))) {
      index.close();
      removeIndex(path);
      index = new SearchIndex(path, searchTextsListed);
    }
    let lines = 0;
    for (const chain of chains) {
      const [first] = segmentsOf(join(directory, chain));
      if (first !== undefined) index.forget(chain, basename(first));
      for await (const added of indexed(directory, chain, index)) {
        lines += added;
        onLines?.(lines);
      }
    }
    return index;
  } catch (error) {
    index.close();
    throw error;
  }
}

function openOrReplace(path: string, searchTextsListed: number | undefined): SearchIndex {
  try {
    return new SearchIndex(path, searchTextsListed);
  } catch (error) {
    if (!(error instanceof OldIndexError)) throw error;
    removeIndex(path);
    return new SearchIndex(path, searchTextsListed);
  }
}

/** Damage is for `gw audit verify`: a line that is none is passed over here. */
async function* indexed(directory: string, chain: string, index: SearchIndex): AsyncGenerator<number> {
  const from = index.progress(chain);
  let last: Progress | undefined;
  let lines = 0;
  for await (const line of linesOf(join(directory, chain), from)) {
    if (line.isTorn) break;
    lines += 1;
    const { text, end } = line;
    const segment = basename(line.path);
    if (text.includes(statementMark) || text.includes(startMark)) {
      const event = eventOf(text);
      const place = { chain, segment, offset: end - text.length - 1, length: text.length };
      if (event?.type === "session-start") index.addStart(event, place);
      if (event?.type === "statement") index.add(event, place);
    }
    last = { segment, offset: end, hash: text.toString("latin1", text.length - 66, text.length - 2) };
    if (lines === linesPerCommit) {
      index.commit(chain, last);
      last = undefined;
      yield lines;
      lines = 0;
    }
  }
  if (last !== undefined) index.commit(chain, last);
  if (lines > 0) yield lines;
}

function eventOf(text: Buffer): SessionEvent | undefined {
  try {
    // SAFETY: what is found is read again and checked against its hash before anybody sees it.
    return JSON.parse(text.toString("utf8")) as SessionEvent;
  } catch {
    return undefined;
  }
}

/** The line before `progress` is still the one that was read last. */
function isOf(folder: string, progress: Progress | undefined): boolean {
  if (progress === undefined) return true;
  try {
    const bytes = readAt(join(folder, progress.segment), progress.offset - 67, 67);
    return bytes.toString("latin1") === `${progress.hash}"}\n`;
  } catch {
    return false;
  }
}

function removeIndex(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
}

/** @throws GatewayError `recording-damaged` where the recording doesn't hold what the index says */
export function searchRecording(directory: string, index: SearchIndex, query: SearchQuery): readonly RecordedEvent[] {
  return index.search(query).map((place) => readLine(directory, place));
}

function readLine(directory: string, { chain, segment, offset, length }: LinePlace): RecordedEvent {
  const path = join(directory, chain, segment);
  const line = readAt(path, offset, length);
  const checked = checkLine(line, undefined);
  if (!checked.ok) {
    throw new GatewayError(
      "recording-damaged",
      `${path} at byte ${offset} doesn't hold what the index found: ${checked.fault}`,
      "`gw audit verify` says whether the recording is whole; `--rebuild` makes a new index",
    );
  }
  // SAFETY: the hash says that our recorder wrote this line from a SessionEvent.
  return JSON.parse(line.toString("utf8")) as RecordedEvent;
}

function readAt(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(file, bytes, 0, length, offset));
  } finally {
    closeSync(file);
  }
}
