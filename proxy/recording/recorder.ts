// SessionEvent -> chained line -> segment. An intent is written before `recordIntent` returns, or it throws.
import { mkdirSync } from "node:fs";
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";
import type { Durability } from "../gateway-config.ts";
import { type ChainHead, chainLines } from "./chain.ts";
import type { EventText } from "./event-text.ts";
import { type Disk, FileSink } from "./file-sink.ts";
import { lockDirectory, reopenChain, segmentPath } from "./segments.ts";

export type Recorder = {
  /**
   * Writes events that must precede what they announce.
   * @throws GatewayError `record-failed`: then nothing of what they announce may happen
   */
  readonly recordIntent: (events: readonly (SessionEvent | EventText)[]) => void;
  /**
   * `recordIntent`, with what others give in this turn of the event loop: one write for all. `written` is called at the end
   * of the turn; what the events announce may happen once it was called with true.
   * @throws GatewayError `record-failed` where the recording doesn't work: `written` isn't called then
   */
  readonly recordTogether: (events: readonly (SessionEvent | EventText)[], written: Written) => void;
  /** Writes an event about something that has happened already: with the next intent, at the latest at the end of this turn. */
  readonly recordOutcome: (event: SessionEvent | EventText) => void;
  /** Undefined while the recording works, else the system's code. */
  readonly failure: () => string | undefined;
  readonly head: () => ChainHead;
  readonly close: () => Promise<void>;
};

export type Written = (isRecorded: boolean) => void;

export type RecorderOptions = {
  readonly directory: string;
  readonly durability: Durability;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly segmentBytesMax?: number;
  /** Default: the system's. */
  readonly disk?: Disk | undefined;
};

/** @throws GatewayError when the directory can't be made, locked, read or written: a gateway doesn't start unrecorded. */
export function openRecorder(options: RecorderOptions): Recorder {
  try {
    mkdirSync(options.directory, { recursive: true, mode: 0o750 });
    return new FileRecorder(options);
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw recordFailed(options.directory, error);
  }
}

function recordFailed(directory: string, error: unknown): GatewayError {
  return new GatewayError(
    "record-failed",
    `the recording in \`${directory}\` can't be written: ${causeCode(error)}`,
    "free space or mend permissions there; statements run again by themselves once it can be written",
    error,
  );
}

/** Intents among what waits, and who may go on once they are written. */
type Pledge = {
  readonly first: number;
  readonly count: number;
  readonly written: Written;
  state: "waits" | "written" | "lost";
};

class FileRecorder implements Recorder {
  readonly #options: RecorderOptions;
  readonly #unlock: () => void;
  #sink: FileSink;
  #segment: number;
  #head: ChainHead;
  /** Events about the past that wait for the next write: their numbers are given when they are written. */
  #waiting: (SessionEvent | EventText)[] = [];
  #waitingBytes = 0;
  /** Who waits for the intents among them. */
  #pledges: Pledge[] = [];
  #flush: NodeJS.Immediate | undefined;
  #syncTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #failure: string | undefined;
  #isClosed = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#unlock = lockDirectory(options.directory);
    try {
      const reopened = reopenChain(options.directory);
      this.#head = reopened.head;
      this.#segment = reopened.segment;
      this.#sink = new FileSink(segmentPath(options.directory, this.#segment), options.disk);
      const { torn } = reopened;
      if (torn)
        options.log.warn({ code: "recording-recovered", bytes: torn.bytes }, "a torn last line was moved aside");
      this.#write([this.#own("opened"), ...(torn ? [this.#own("recovered", torn)] : [])]);
      this.#sink.syncNow();
    } catch (error) {
      this.#unlock();
      throw error;
    }
  }

  recordIntent(events: readonly (SessionEvent | EventText)[]): void {
    if (this.#isClosed) throw recordFailed(this.#options.directory, new Error("closed"));
    if (this.#options.durability === "async" && this.#failure === undefined) {
      for (const event of events) this.recordOutcome(event);
      return;
    }
    try {
      this.#writeAll(events);
      // After a failure the disk must prove itself: a lost background sync would otherwise go unnoticed.
      if (this.#options.durability === "sync" || this.#failure !== undefined) this.#sink.syncNow();
      else this.#scheduleSync();
    } catch (error) {
      this.#losePledges();
      throw this.#fail(error);
    }
    this.#recovered();
  }

  recordTogether(events: readonly (SessionEvent | EventText)[], written: Written): void {
    if (this.#isClosed || this.#failure !== undefined) {
      this.recordIntent(events);
      setImmediate(written, true);
      return;
    }
    for (const event of events) this.#wait(event);
    this.#pledges.push({ first: this.#waiting.length - events.length, count: events.length, written, state: "waits" });
    if (this.#waitingBytes > limits.recordPendingBytesMax) this.#flushNow();
    this.#flush ??= setImmediate(this.#endTurn);
  }

  recordOutcome(event: SessionEvent | EventText): void {
    this.#wait(event);
    if (this.#waitingBytes > limits.recordPendingBytesMax && this.#failure === undefined) this.#flushNow();
    this.#flush ??= setImmediate(this.#endTurn);
  }

  #wait(event: SessionEvent | EventText): void {
    this.#waiting.push(event);
    this.#waitingBytes += typeof event === "string" ? event.length : 512;
  }

  readonly failure = (): string | undefined => this.#failure;
  readonly head = (): ChainHead => this.#head;

  async close(): Promise<void> {
    if (this.#isClosed) return;
    clearImmediate(this.#flush);
    clearTimeout(this.#syncTimer);
    clearTimeout(this.#retryTimer);
    try {
      this.#writeAll([this.#own("closed")]);
      this.#sink.syncNow();
    } catch (error) {
      this.#losePledges();
      this.#fail(error);
    }
    this.#isClosed = true;
    this.#tellPledges();
    await this.#sink.close();
    this.#unlock();
  }

  /** What waits and then `events`, as one write. When it fails, outcomes are kept, and intents are given up. */
  #writeAll(events: readonly (SessionEvent | EventText)[]): void {
    if (this.#waiting.length === 0) {
      if (events.length > 0) this.#write(events);
      return;
    }
    try {
      this.#write(events.length === 0 ? this.#waiting : [...this.#waiting, ...events]);
      this.#waiting = [];
      for (const pledge of this.#pledges) if (pledge.state === "waits") pledge.state = "written";
    } catch (error) {
      const given = this.#pledges.filter((pledge) => pledge.state === "waits");
      const isIntent = (at: number): boolean => given.some(({ first, count }) => at >= first && at < first + count);
      this.#waiting = this.#waiting.filter((_, at) => !isIntent(at));
      for (const pledge of given) pledge.state = "lost";
      throw error;
    } finally {
      this.#waitingBytes = 512 * this.#waiting.length;
    }
  }

  /** Who waits is told here, never in the middle of somebody's work. */
  readonly #endTurn = (): void => {
    this.#flush = undefined;
    this.#flushNow();
    this.#tellPledges();
  };

  #tellPledges(): void {
    const pledges = this.#pledges;
    if (pledges.length === 0) return;
    this.#pledges = [];
    for (const { written, state } of pledges) written(state === "written");
  }

  /** Written, perhaps, but not known to be durable: nothing that they announce may happen. */
  #losePledges(): void {
    for (const pledge of this.#pledges) pledge.state = "lost";
  }

  #write(events: readonly (SessionEvent | EventText)[]): void {
    if (this.#sink.length > (this.#options.segmentBytesMax ?? limits.recordSegmentBytesMax)) this.#nextSegment();
    const { head, bytes } = chainLines(this.#head, events);
    this.#sink.append(bytes);
    // INVARIANT: the head moves only over bytes that are in the file.
    this.#head = head;
  }

  #nextSegment(): void {
    const next = new FileSink(segmentPath(this.#options.directory, this.#segment + 1), this.#options.disk);
    const old = this.#sink;
    this.#sink = next;
    this.#segment += 1;
    old.sync().then(
      () => old.close(),
      (error: unknown) => this.#fail(error),
    );
  }

  #flushNow(): void {
    if (this.#isClosed) return;
    try {
      const isAwaited = this.#pledges.length > 0;
      // Where nobody asks for a statement, as long as `/readyz` says 503: the disk proves itself by a record of its own.
      if (this.#failure !== undefined) this.#sink.syncNow();
      this.#writeAll(this.#failure === undefined ? [] : [this.#own("resumed")]);
      if (this.#failure !== undefined || (isAwaited && this.#options.durability === "sync")) this.#sink.syncNow();
      else this.#scheduleSync();
      this.#recovered();
    } catch (error) {
      this.#losePledges();
      this.#fail(error);
    }
  }

  /** Outcomes have nobody who tries again for them, nor has a gateway that is sent nothing while it isn't ready. */
  #retryLater(): void {
    if (this.#isClosed || this.#retryTimer !== undefined) return;
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      if (this.#failure !== undefined || this.#waiting.length > 0) this.#flushNow();
    }, limits.recordRetryMs);
    this.#retryTimer.unref();
  }

  #scheduleSync(): void {
    if (this.#syncTimer !== undefined || this.#options.durability === "async") return;
    this.#syncTimer = setTimeout(() => {
      this.#syncTimer = undefined;
      if (this.#isClosed) return;
      this.#sink.sync().catch((error: unknown) => this.#fail(error));
    }, limits.recordSyncIntervalMs);
    this.#syncTimer.unref();
  }

  #fail(error: unknown): GatewayError {
    const code = causeCode(error);
    if (this.#failure !== code) {
      this.#failure = code;
      this.#options.log.error({ code: "record-failed", cause: code }, "the recording can't be written: nothing runs");
    }
    this.#retryLater();
    return recordFailed(this.#options.directory, error);
  }

  #recovered(): void {
    if (this.#failure === undefined) return;
    this.#failure = undefined;
    this.#options.log.info({ code: "record-recovered" }, "the recording can be written again");
  }

  #own(
    state: "opened" | "recovered" | "resumed" | "closed",
    torn?: { readonly bytes: number; readonly kept: string },
  ): SessionEvent {
    return {
      atMs: this.#options.clock.nowMs(),
      session: "",
      type: "recorder",
      state,
      node: this.#options.node,
      bytes: torn?.bytes,
      kept: torn?.kept,
    };
  }
}
