// A recording of several processes: the primary's chain in the folder itself, each worker's in `worker-N`.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { ChainHead } from "./chain.ts";
import type { HoldEvent } from "./holds.ts";
import { holdsGone } from "./holds-on-record.ts";
import { type RecordedEvent, readEvents, type Verification, verifyRecording } from "./read.ts";

export type VerifiedChain = Verification & {
  /** "" for the folder's own, else `worker-N`. */
  readonly chain: string;
};

export type VerifiedRecording = {
  readonly chains: readonly VerifiedChain[];
  /** Workers that the primary's chain speaks of, and whose folder is gone. */
  readonly missing: readonly string[];
  /** Sentences about legal holds that are on record and not in their file. */
  readonly holds: readonly string[];
};

/** A line that was noted earlier: `chain` is "" for the folder's own. */
export type Anchor = ChainHead & { readonly chain: string };

/**
 * Every chain. Where a worker ended well, the primary noted its last line: so a worker's chain that was cut off at its
 * end or removed as a whole is found, as long as the primary's own is whole.
 */
export async function verifyChains(directory: string, anchor?: Anchor): Promise<VerifiedRecording> {
  const own = await verifyRecording(directory, anchor?.chain === "" ? anchor : undefined);
  const noted = new Map<string, ChainHead | undefined>();
  const recordedHolds: HoldEvent[] = [];
  if (own.damage.length === 0) {
    for await (const event of readEvents(directory)) {
      if (event.type === "hold") recordedHolds.push(event);
      if (event.type === "worker") noted.set(event.worker, headOf(event.head) ?? noted.get(event.worker));
    }
  }
  const workers = workersOf(directory);
  const chains: VerifiedChain[] = [{ chain: "", ...own }];
  for (const chain of workers) {
    const expected = anchor?.chain === chain ? anchor : noted.get(chain);
    chains.push({ chain, ...(await verifyRecording(join(directory, chain), expected)) });
  }
  const missing = new Set([...noted.keys(), ...(anchor && anchor.chain !== "" ? [anchor.chain] : [])]);
  for (const chain of workers) missing.delete(chain);
  return { chains, missing: [...missing].sort(), holds: [...new Set(holdsGone(directory, recordedHolds))] };
}

/** Events of all chains by time; each chain's own order is kept. @throws as `readEvents` */
export async function* readAllEvents(directory: string): AsyncGenerator<RecordedEvent> {
  const workers = workersOf(directory);
  if (workers.length === 0) {
    yield* readEvents(directory);
    return;
  }
  const heads: { readonly rest: AsyncGenerator<RecordedEvent>; event: RecordedEvent }[] = [];
  for (const folder of [directory, ...workers.map((worker) => join(directory, worker))]) {
    const rest = readEvents(folder);
    const first = await rest.next();
    if (!first.done) heads.push({ rest, event: first.value });
  }
  while (heads.length > 0) {
    const next = heads.reduce((a, b) => (b.event.atMs < a.event.atMs ? b : a));
    yield next.event;
    const following = await next.rest.next();
    if (following.done) heads.splice(heads.indexOf(next), 1);
    else next.event = following.value;
  }
}

/** Names of all chains in a recording: "" for the folder's own, then its workers'. */
export const chainFolders = (directory: string): readonly string[] => ["", ...workersOf(directory)];

function workersOf(directory: string): readonly string[] {
  try {
    const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return folders
      .map((entry) => entry.name)
      .filter((name) => /^worker-\d+$/.test(name))
      .sort((a, b) => Number(a.slice(7)) - Number(b.slice(7)));
  } catch {
    return []; // whoever reads the folder itself says what is wrong with it
  }
}

function headOf(text: string | undefined): ChainHead | undefined {
  const [, seq, hash] = /^(\d+):([0-9a-f]{64})$/.exec(text ?? "") ?? [];
  return seq === undefined || hash === undefined ? undefined : { seq: Number(seq), hash };
}
