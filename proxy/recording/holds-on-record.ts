// the chain's `hold` events + holds.jsonl -> what was taken away from that file while nobody looked
import { GatewayError } from "../errors.ts";
import { type HoldEvent, holdEvent, holdsName, readHolds } from "./holds.ts";
import { linesOf, type Place } from "./read.ts";

const holdMark = Buffer.from('"type":"hold"');

/** Reads a chain's holds; a later call goes on where the last one ended. Their lines stay for as long as they are in force. */
export class HoldsOnRecord {
  readonly #directory: string;
  readonly #known = new Map<string, HoldEvent>();
  #place: Place | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** @throws GatewayError `recording-damaged` where a hold is on record and holds.jsonl doesn't have it: nothing may be pruned */
  async check(): Promise<void> {
    for await (const line of linesOf(this.#directory, this.#place)) {
      if (line.isTorn) break;
      this.#place = { segment: line.path.slice(-14), offset: line.end };
      if (!line.text.includes(holdMark)) continue;
      const event = holdIn(line.text.toString("utf8"));
      if (event !== undefined) this.#known.set(keyOf(event), event);
    }
    const [gone] = holdsGone(this.#directory, [...this.#known.values()]);
    if (gone === undefined) return;
    throw new GatewayError(
      "recording-damaged",
      gone,
      "nothing is pruned until it is put right: bring it back from a copy",
    );
  }
}

function holdIn(text: string): HoldEvent | undefined {
  try {
    // SAFETY: what isn't as we write it fits no line of the file, and stops pruning.
    const event = JSON.parse(text) as HoldEvent | { readonly type: "statement" };
    return event.type === "hold" ? event : undefined;
  } catch {
    return undefined; // damage is told by whoever checks the chain
  }
}

/** A sentence for each hold that is on record and not in holds.jsonl, or for the file where it can't be read. */
export function holdsGone(directory: string, recorded: readonly HoldEvent[]): readonly string[] {
  if (recorded.length === 0) return [];
  let held: ReadonlySet<string>;
  try {
    held = new Set(readHolds(directory).lines.map((line) => keyOf(holdEvent(line))));
  } catch (error) {
    if (error instanceof GatewayError) return [error.message];
    throw error;
  }
  return recorded
    .filter((event) => !held.has(keyOf(event)))
    .map(({ id, state }) => `\`${holdsName}\` lacks that the hold ${id} was ${state}, which is on record`);
}

const keyOf = ({ atMs, id, state, scope, subject, until, by, reason }: HoldEvent): string =>
  JSON.stringify([atMs, id, state, scope, subject, until, by, reason]);
