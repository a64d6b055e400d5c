// While a gateway runs: holds go on record, and what is past its time is pruned. Never in the way of the traffic.
import { limits } from "../../engine/limits.ts";
import type { Clock, Log, NewId } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { Checkpointer } from "./checkpointer.ts";
import { holdEvent, readHolds } from "./holds.ts";
import { HoldsOnRecord } from "./holds-on-record.ts";
import { planPrune, prune, type Retention } from "./prune.ts";
import type { Recorder } from "./recorder.ts";

export type PrunerOptions = {
  readonly directory: string;
  readonly holdsDirectory: string;
  readonly node: string;
  /** undefined: nothing goes; holds are put on record all the same. */
  readonly retention: Retention | undefined;
  /** Of the checkpoints, PKCS #8 PEM. */
  readonly key: string | undefined;
  readonly recorder: Pick<Recorder, "recordIntent" | "recordOutcome" | "failure">;
  readonly checkpointer: Pick<Checkpointer, "checkpoint" | "newest"> | undefined;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly log: Log;
  readonly everyMs?: number;
};

export type Pruner = {
  /** Looks now. Resolves with the number of segments that went. */
  readonly look: () => Promise<number>;
  readonly close: () => Promise<void>;
};

export function startPruner(options: PrunerOptions): Pruner {
  const { directory, holdsDirectory, retention, checkpointer, clock, log } = options;
  const onRecord = new HoldsOnRecord(holdsDirectory);
  let holdsHead: string | undefined;
  let isClosed = false;

  /** Holds are the whole recording's: whoever writes the chain in its folder puts them on record. */
  const noteHolds = (): void => {
    const { lines, head } = readHolds(holdsDirectory);
    if (head === holdsHead) return;
    // All of them after a start: what was said before is said again, and none is left out.
    const known = holdsHead === undefined ? 0 : lines.findIndex(({ prev }) => prev === holdsHead);
    if (known < 0) throw new GatewayError("recording-damaged", "holds that were there are gone: nothing is pruned");
    if (directory === holdsDirectory) {
      for (const line of lines.slice(known)) options.recorder.recordOutcome(holdEvent(line));
    }
    holdsHead = head;
  };
  const isCovered = async (size: number): Promise<boolean> => {
    if (checkpointer === undefined) return true;
    await checkpointer.checkpoint();
    return (checkpointer.newest()?.size ?? 0) > size;
  };
  const once = async (): Promise<number> => {
    if (isClosed) return 0;
    try {
      noteHolds();
      if (retention === undefined) return 0;
      const plan = await planPrune({ directory, holdsDirectory, retention, nowMs: clock.nowMs(), onRecord });
      return isClosed ? 0 : await prune(plan, { ...options, isCovered });
    } catch (error) {
      log.error({ code: "prune-failed", cause: causeCode(error) }, "nothing is pruned from the recording");
      return 0;
    }
  };
  let running: Promise<number> = Promise.resolve(0);
  const look = (): Promise<number> => {
    running = running.then(once);
    return running;
  };
  const timer = setInterval(() => void look(), options.everyMs ?? limits.pruneEveryMs).unref();
  void look();
  return {
    look,
    close: async () => {
      isClosed = true;
      clearInterval(timer);
      await running;
    },
  };
}
