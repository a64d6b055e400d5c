// Two sockets after login: one loop per direction, backpressure, half-close, cancel and the end of a session.
import type { Socket } from "node:net";
import type { CancelKey } from "./cancel.ts";
import { cancelUpstream } from "./cancel.ts";
import { ClientSide } from "./client-side.ts";
import { endings, frameFault, quietReasons, surprised } from "./endings.ts";
import type { Ending, Handled } from "./handled.ts";
import { cancelTimeoutMs, leaveClient, leaveUpstream, probeClient } from "./leave.ts";
import { inPlaceOf } from "./lost-batch.ts";
import type { PostgresListenerOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { backendType } from "./protocol/backend.ts";
import { encodeTerminate } from "./protocol/encode.ts";
import { type Frame, FrameReader, type FrameRules } from "./protocol/frame.ts";
import { frontendType } from "./protocol/frontend.ts";
import type { SessionRules } from "./session-rules.ts";
import { type Run, SessionState } from "./session-state.ts";
import { kept, readShared } from "./shared-reads.ts";
import type { GateSession } from "./sql-gate.ts";
import { stopwatchUs } from "./stopwatch.ts";
import type { UpstreamSession } from "./upstream.ts";
import { UpstreamSide } from "./upstream-side.ts";

export type RelayParts = {
  readonly options: PostgresListenerOptions;
  readonly session: GateSession;
  readonly client: Socket;
  /** Bytes that the client sent behind its password. */
  readonly clientRest: Buffer;
  readonly upstream: UpstreamSession;
  readonly searchPath: string;
  /** The session at the server may go to another client when this one has left it idle. */
  readonly isReusable: boolean;
  /** `upstream` is the server's session where that lives on: reset it, then use it again. */
  readonly onClosed: (upstream: Socket | undefined) => void;
};

/** Rows and COPY data above this size are handed on in pieces; smaller ones wait until they are whole. */
const streamedAboveBytes = 65_536;

const endOfSocket = ["end", "error", "close"] as const;

const fromServer: FrameRules = {
  lengthMax: () => 0x7fff_ffff,
  isStreamed: (type, total) =>
    total > streamedAboveBytes && (type === backendType.dataRow || type === backendType.copyData),
};

export class Relay {
  readonly #parts: RelayParts;
  readonly #state: SessionState;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #toClient: Outbox;
  readonly #toUpstream: Outbox;
  readonly #fromClient: FrameReader;
  readonly #fromUpstream = new FrameReader(fromServer);
  readonly #clientSide: ClientSide;
  readonly #upstreamSide: UpstreamSide;
  /** Answers that were owed, ever, when the upstream was last written to. */
  #answersWritten = 0;
  /** The message that waits for the server's answer. */
  #waiting: Frame | undefined;
  /** People, or the catalog, are waited for: no message is handled. */
  #isHeld = false;
  #isRefreshing = false;
  #isClientDone = false;
  #isTerminating = false;
  #isDraining = false;
  #isClosed = false;
  /** A piece of a long server message was the last that the client got. */
  #isMidMessage = false;
  /** For the client, as soon as it is between two messages. */
  #betweenMessages: Buffer[] = [];
  #isForwardingPieces = false;
  #probe: NodeJS.Timeout | undefined;
  /** When the client last said something. */
  #heardUs = stopwatchUs();
  /** The run that was cancelled because it took too long. */
  #timedOut: Run | undefined;

  constructor(parts: RelayParts) {
    const { options, session, client, upstream } = parts;
    this.#parts = parts;
    this.#client = readShared(client, (chunk) => this.#guarded(this.#onClientData, chunk));
    this.#upstream = readShared(upstream.socket, (chunk) => this.#guarded(this.#onUpstreamData, chunk));
    this.#state = new SessionState(parts.searchPath, upstream.parameters);
    this.#toClient = new Outbox(this.#client);
    this.#toUpstream = new Outbox(this.#upstream);
    this.#fromClient = new FrameReader(clientRules(options));
    const shared = { options, session, state: this.#state };
    this.#clientSide = new ClientSide({
      ...shared,
      toUpstream: this.#toUpstream,
      tellClient: (bytes) => this.#tellClient(bytes),
      flush: () => this.#flushUpstream(),
      recorded: (isRecorded) => this.#guarded(this.#onRecorded, isRecorded),
      endRunning: () => void cancelUpstream(options.upstream, this.#upstreamKey, cancelTimeoutMs),
      resume: (failure) => this.#resume(failure),
    });
    this.#upstreamSide = new UpstreamSide({ ...shared, toClient: this.#toClient });
  }

  /** `greeting`: what the client hears first. */
  start(greeting: Buffer): void {
    const { clientRest, upstream } = this.#parts;
    this.#listen();
    this.#client.write(greeting);
    if (upstream.rest.length > 0) this.#guarded(this.#onUpstreamData, upstream.rest);
    if (clientRest.length > 0) this.#guarded(this.#onClientData, clientRest);
    this.#client.resume();
    this.#upstream.resume();
  }

  /** A CancelRequest with this session's key, from `by`. Resolves when it has had its effect or can't have one. */
  /** False when nothing was under way. It is passed on all the same: the server knows better what has just begun. */
  async cancel(by: string): Promise<boolean> {
    if (this.#clientSide.withdrawHold()) return true;
    const isBusy = this.#state.answers.length > 0;
    this.#upstreamSide.isCancelledBy(by);
    await cancelUpstream(this.#parts.options.upstream, this.#upstreamKey, cancelTimeoutMs);
    return isBusy;
  }

  get session(): string {
    return this.#parts.session.id;
  }

  /** Ends as soon as no transaction is open. */
  drain(): void {
    this.#isDraining = true;
    this.#endIfDrained();
  }

  /** Ends now. */
  shutDown(): void {
    this.#end(endings.goingDown);
  }

  get #upstreamKey(): CancelKey {
    const { processId, secret } = this.#parts.upstream;
    return { processId, secret };
  }

  #listen(): void {
    const client = this.#client;
    const upstream = this.#upstream;
    client.on("end", () => this.#guarded(this.#onClientEnd, undefined));
    client.on("error", () => this.#end(quietly("client-reset")));
    client.on("close", () => this.#end(quietly("client-closed")));
    client.on("drain", () => {
      if (this.#isClosed) return;
      this.#upstream.resume();
      this.#client.resume();
    });
    for (const event of endOfSocket) upstream.on(event, this.#onUpstreamGone);
    upstream.on("drain", this.#onUpstreamDrain);
  }

  /** The server's session, with nothing of this one attached to it. */
  #letGo(): Socket {
    const upstream = readShared(this.#upstream, () => undefined);
    for (const event of endOfSocket) upstream.off(event, this.#onUpstreamGone);
    return upstream.off("drain", this.#onUpstreamDrain).pause();
  }

  readonly #onUpstreamDrain = (): void => {
    if (!this.#isClosed) this.#client.resume();
  };

  /** What throws here is a bug: the session ends, the others go on. */
  #guarded<T>(work: (of: T) => void, of: T): void {
    try {
      work.call(this, of);
    } catch (bug) {
      const { log } = this.#parts.options;
      const cause = bug instanceof Error ? bug.name : "unknown";
      const at = bug instanceof Error ? /[\w-]+\.[jt]s:\d+:\d+/.exec(bug.stack ?? "")?.[0] : undefined;
      log.error({ session: this.#parts.session.id, code: "session-bug", cause, at }, "a session broke");
      this.#end(endings.internalError);
    }
  }

  // From the client.

  #onClientData(chunk: Buffer): void {
    if (this.#isClosed || this.#isTerminating) return;
    this.#heardUs = stopwatchUs();
    this.#fromClient.push(chunk);
    if (this.#isBlocked) this.#boundWaiting();
    else this.#readClient();
    this.#fromClient.release();
  }

  /** A message, or the rest of one, must not be looked at yet. */
  get #isBlocked(): boolean {
    return this.#isHeld || this.#isRefreshing || this.#waiting !== undefined || this.#state.copy === "expected";
  }

  get #hasUnread(): boolean {
    return this.#waiting !== undefined || this.#fromClient.waitingBytes > 0 || this.#isClientDone;
  }

  /** Somebody else must move first: a client that talks on is held by TCP, one that leaves is still noticed. */
  #boundWaiting(): void {
    if (this.#fromClient.waitingBytes > this.#parts.options.limits.relayHighWaterBytes) this.#client.pause();
  }

  #readClient(): void {
    while (!this.#isClosed && !this.#isTerminating) {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (this.#isBlocked) {
        this.#waiting = waiting;
        break;
      }
      const step = waiting ? ({ kind: "frame", frame: waiting } as const) : this.#fromClient.next();
      if (step.kind === "more") break;
      if (step.kind === "fault") {
        this.#end(frameFault(step.fault));
        return;
      }
      if (step.kind === "piece") {
        this.#forwardPiece(step.bytes, step.isLast);
        continue;
      }
      const { type, bytes } = step.frame;
      if (!this.#act(this.#clientSide.handle(type, bytes), step.frame)) break;
    }
    if (this.#isClosed) return;
    this.#flushUpstream();
    this.#flushClient();
    if (this.#isClientDone) this.#finishClient();
  }

  /** False where no further message may be handled now. */
  #act(handled: Handled, frame: Frame): boolean {
    if (handled === "done") return true;
    if (handled === "again") {
      this.#waiting = { type: frame.type, bytes: kept(frame.bytes) };
      return false;
    }
    if (handled === "held") {
      this.#isHeld = true;
      return false;
    }
    if (handled === "asked") {
      this.#waiting = { type: frame.type, bytes: kept(frame.bytes) };
      this.#isHeld = true;
      return false;
    }
    if (handled === "terminate") {
      this.#terminate();
      return false;
    }
    this.#end(handled);
    return false;
  }

  /** COPY data is not decided upon piece by piece: the statement that asked for it was. */
  #forwardPiece(bytes: Buffer, isLast: boolean): void {
    // A message that was begun is finished, or the server would take the next one for the rest of it.
    if (this.#state.copy === "in" || this.#isForwardingPieces) {
      this.#toUpstream.add(bytes);
      this.#isForwardingPieces = !isLast;
    }
  }

  #flushUpstream(): void {
    if (this.#toUpstream.isEmpty) return;
    // INVARIANT: nothing is forwarded before it is recorded.
    if (!this.#clientSide.recordRest()) this.#onRecorded(false);
    else if (this.#clientSide.isAwaitingRecord) this.#toUpstream.keep();
    else this.#writeUpstream();
  }

  #onRecorded(isRecorded: boolean): void {
    if (this.#isClosed) return;
    if (!isRecorded) this.#replaceBatch();
    if (!this.#isClosed) this.#writeUpstream();
  }

  /** Of what waits to be written nothing may run: each of it is refused, in its order, and the session goes on. */
  #replaceBatch(): void {
    const { answers, copy, segment } = this.#state;
    this.#toUpstream.clear();
    if (copy === "in" || this.#isForwardingPieces) {
      // Data of a COPY has no place where a refusal could stand.
      this.#end(endings.notRecorded);
      return;
    }
    const inPlace = inPlaceOf(answers.takeBack(this.#answersWritten), segment);
    this.#upstreamSide.giveUp(inPlace.lost);
    for (const answer of inPlace.answers) answers.add(answer);
    for (const bytes of inPlace.messages) this.#toUpstream.add(bytes);
    if (this.#isTerminating) this.#toUpstream.add(encodeTerminate());
  }

  #writeUpstream(): void {
    this.#answersWritten = this.#state.answers.added;
    if (!this.#toUpstream.flush()) this.#client.pause();
    if (this.#isTerminating) this.#upstream.end();
  }

  #resume(failure?: Ending): void {
    if (this.#isClosed) return;
    this.#isHeld = false;
    this.#client.resume();
    if (failure) this.#end(failure);
    else this.#guarded(this.#readClient, undefined);
  }

  #onClientEnd(): void {
    this.#isClientDone = true;
    if (this.#clientSide.withdrawHold()) return;
    this.#finishClient();
  }

  /** The client has sent its last: the server answers what is out and leaves. */
  #finishClient(): void {
    if (this.#isTerminating || this.#isBlocked) return;
    if (this.#state.copy === "in") this.#end(quietly("client-left-in-copy"));
    else this.#terminate();
  }

  #terminate(): void {
    if (this.#isTerminating) return;
    if (this.#canReuse) {
      this.#end(quietly("client-done"));
      return;
    }
    this.#isTerminating = true;
    this.#toUpstream.add(encodeTerminate());
    this.#flushUpstream();
    if (this.#isClosed) return;
    this.#upstream.resume();
    this.#client.resume();
    this.#probe = probeClient(this.#client, () => this.#isClientDone && !this.#isMidMessage);
  }

  // From the upstream.

  #onUpstreamData(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#fromUpstream.push(chunk);
    const fault = this.#readUpstream();
    if (fault) {
      this.#end(surprised(fault));
      return;
    }
    this.#flushClient();
    this.#fromUpstream.release();
    if (this.#state.isCatalogStale && this.#state.status === "idle") this.#refreshCatalog();
    else if (this.#hasUnread && !this.#isHeld && !this.#isRefreshing) {
      this.#client.resume();
      this.#readClient();
    }
    if (this.#isDraining) this.#endIfDrained();
  }

  /** The reason why the session must end, if there is one. */
  #readUpstream(): string | undefined {
    for (;;) {
      const bulk = this.#fromUpstream.takeRun(backendType.dataRow) ?? this.#fromUpstream.takeRun(backendType.copyData);
      if (bulk) {
        const fault = this.#upstreamSide.handleBulk(bulk.bytes, bulk.count);
        if (fault) return fault.reason;
        continue;
      }
      const step = this.#fromUpstream.next();
      if (step.kind === "more") return undefined;
      if (step.kind === "fault") return "upstream-frame";
      const fault =
        step.kind === "piece"
          ? this.#upstreamSide.handleBulk(step.bytes, step.isLast ? 1 : 0)
          : this.#upstreamSide.handle(step.frame.type, step.frame.bytes);
      if (fault) return fault.reason;
      if (step.kind === "piece") {
        this.#isMidMessage = !step.isLast;
        if (step.isLast) this.#addBetween();
      }
    }
  }

  #tellClient(bytes: Buffer): void {
    this.#betweenMessages.push(bytes);
    if (!this.#isMidMessage) this.#addBetween();
    // What the gateway itself answers doesn't slow the server: who doesn't read it isn't read either.
    if (!this.#flushClient()) this.#client.pause();
  }

  #addBetween(): void {
    for (const bytes of this.#betweenMessages) this.#toClient.add(bytes);
    this.#betweenMessages = [];
  }

  /** False when the client must read first. */
  #flushClient(): boolean {
    const canTakeMore = this.#toClient.flush();
    if (!canTakeMore) this.#upstream.pause();
    return canTakeMore;
  }

  #refreshCatalog(): void {
    if (this.#isRefreshing) return;
    this.#state.isCatalogStale = false;
    this.#isRefreshing = true;
    const { options, session } = this.#parts;
    options.catalog
      .refresh()
      .catch(() => {
        options.log.warn(
          { session: session.id, connection: options.name, code: "catalog-refresh" },
          "the catalog could not be read again",
        );
      })
      .finally(() => {
        this.#isRefreshing = false;
        if (this.#isClosed || this.#isHeld) return;
        this.#client.resume();
        this.#guarded(this.#readClient, undefined);
      });
  }

  readonly #onUpstreamGone = (): void => {
    if (this.#isClosed) return;
    if (this.#isTerminating) this.#end(quietly("client-done"));
    else if (this.#state.hasServerEnded) this.#end(quietly("upstream-ended"));
    else this.#end(endings.upstreamLost);
  };

  /** Outside of a transaction, and nothing is owed, half sent or half read. */
  get #canReuse(): boolean {
    const { isReusable } = this.#parts;
    const { isQuiet, status, hasServerEnded } = this.#state;
    if (!isReusable || !isQuiet || status !== "idle" || hasServerEnded || this.#isTerminating) return false;
    const isWhole = this.#fromUpstream.waitingBytes === 0 && this.#toUpstream.isEmpty && !this.#isForwardingPieces;
    return isWhole && !this.#upstream.destroyed && this.#upstream.writableLength === 0;
  }

  /** Called now and then: what has lasted too long ends, or is cancelled. */
  enforce({ idleTimeoutMs, statementTimeoutMs }: SessionRules): void {
    const nowUs = stopwatchUs();
    const isIdle = this.#state.isQuiet && this.#state.status === "idle" && !this.#isHeld && !this.#waiting;
    if (isIdle && idleTimeoutMs !== undefined && nowUs - this.#heardUs > idleTimeoutMs * 1_000) {
      this.#end(endings.idleTimeout);
      return;
    }
    if (statementTimeoutMs === undefined || this.#state.answers.length === 0) return;
    for (const run of this.#state.openRuns) {
      if (run === this.#timedOut || nowUs - run.startedUs <= statementTimeoutMs * 1_000) continue;
      this.#timedOut = run;
      this.#parts.options.log.info({ session: this.#parts.session.id, code: "statement-timeout" }, "cancelled");
      void cancelUpstream(this.#parts.options.upstream, this.#upstreamKey, cancelTimeoutMs).catch(() => undefined);
      return;
    }
  }

  // The end.

  #endIfDrained(): void {
    const isIdle = this.#state.isQuiet && this.#state.status === "idle";
    if (isIdle && !this.#isHeld && !this.#waiting) this.#end(endings.goingDown);
  }

  /** Once. The client hears why where it can still be told; the upstream is left at once, and cancelled if it works. */
  #end({ reason, end }: Ending | Quietly): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#probe);
    this.#clientSide.withdrawHold();
    const { options, session, onClosed } = this.#parts;
    const isReused = this.#canReuse && quietReasons.has(reason);
    this.#toUpstream.clear();
    if (!isReused) leaveUpstream(this.#upstream, options.upstream, this.#upstreamKey, this.#state.answers.length > 0);
    if (this.#isMidMessage) this.#client.destroy();
    else leaveClient(this.#client, this.#toClient, end);
    const fields = { session: session.id, connection: options.name, reason };
    if (quietReasons.has(reason)) options.log.info(fields, "session ended");
    else options.log.warn(fields, "session ended by the gateway");
    this.#upstreamSide.abandon();
    options.gate.close(session, reason);
    onClosed(isReused ? this.#letGo() : undefined);
  }
}

/** An end that the client is told nothing of: it left, or has heard the server's own words. */
type Quietly = { readonly reason: string; readonly end: undefined };
const quietly = (reason: string): Quietly => ({ reason, end: undefined });

const clientRules = ({ limits }: PostgresListenerOptions): FrameRules => ({
  lengthMax: (type) =>
    type === frontendType.bind || type === frontendType.copyData
      ? limits.frontendDataBytesMax
      : limits.frontendMessageBytesMax,
  isStreamed: (type) => type === frontendType.copyData,
});
