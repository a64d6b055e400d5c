// Two sockets after login: one loop per direction, backpressure, half-close, cancel and the end of a session.
import type { Socket } from "node:net";
import { cancelUpstream } from "./cancel.ts";
import { ClientSide } from "./client-side.ts";
import { ClientVoice } from "./client-voice.ts";
import { endings, frameFault, type Quietly, quietly, quietReasons, surprised } from "./endings.ts";
import type { Ending, Handled } from "./handled.ts";
import { cancelTimeoutMs, leaveClient, leaveUpstream, probeClient } from "./leave.ts";
import { inPlaceOf } from "./lost-batch.ts";
import { Outbox } from "./outbox.ts";
import { overdue } from "./overdue.ts";
import { encodeTerminate } from "./protocol/encode.ts";
import { type Frame, FrameReader } from "./protocol/frame.ts";
import { readUpstream } from "./read-upstream.ts";
import { RelayLog } from "./relay-log.ts";
import { clientRules, fromServer, type RelayParts } from "./relay-parts.ts";
import type { SessionRules } from "./session-rules.ts";
import { type Run, SessionState } from "./session-state.ts";
import { kept, readShared } from "./shared-reads.ts";
import { stopwatchUs } from "./stopwatch.ts";
import { UpstreamSide } from "./upstream-side.ts";

const endOfSocket = ["end", "error", "close"] as const;

export class Relay {
  readonly #parts: RelayParts;
  readonly #log: RelayLog;
  readonly #state: SessionState;
  readonly #client: Socket;
  readonly #upstream: Socket;
  readonly #voice: ClientVoice;
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
  #probe: NodeJS.Timeout | undefined;
  /** When the client last said something. */
  #heardUs = stopwatchUs();
  /** The run that was cancelled because it took too long. */
  #timedOut: Run | undefined;

  constructor(parts: RelayParts) {
    const { options, session, client, upstream } = parts;
    this.#parts = parts;
    this.#log = new RelayLog(parts);
    this.#client = readShared(client, (chunk) => this.#guarded(this.#onClientData, chunk));
    this.#upstream = readShared(upstream.socket, (chunk) => this.#guarded(this.#onUpstreamData, chunk));
    this.#state = new SessionState(parts.searchPath, upstream.parameters);
    this.#voice = new ClientVoice(new Outbox(this.#client));
    this.#toUpstream = new Outbox(this.#upstream);
    this.#fromClient = new FrameReader(clientRules(options));
    const shared = { options, session, state: this.#state };
    this.#clientSide = new ClientSide({
      ...shared,
      toUpstream: this.#toUpstream,
      tellClient: (bytes) => this.#tellClient(bytes),
      flush: () => this.#flushUpstream(),
      recorded: (isRecorded) => this.#guarded(this.#onRecorded, isRecorded),
      endRunning: () => void cancelUpstream(options.upstream, this.#parts.upstream, cancelTimeoutMs),
      resume: (failure) => this.#resume(failure),
    });
    this.#upstreamSide = new UpstreamSide({ ...shared, toClient: this.#voice.outbox });
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
    await cancelUpstream(this.#parts.options.upstream, this.#parts.upstream, cancelTimeoutMs);
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
      this.#log.broke(bug);
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

  readonly #hasUnread = (): boolean =>
    this.#waiting !== undefined || this.#fromClient.waitingBytes > 0 || this.#isClientDone;

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
        this.#clientSide.forwardPiece(step.bytes, step.isLast);
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
    if (copy === "in" || this.#clientSide.isForwardingPieces) {
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
    this.#probe = probeClient(this.#client, () => this.#isClientDone && !this.#voice.isMidMessage);
  }

  // From the upstream.

  #onUpstreamData(chunk: Buffer): void {
    if (this.#isClosed) return;
    this.#fromUpstream.push(chunk);
    const fault = readUpstream(this.#fromUpstream, this.#upstreamSide, this.#voice);
    if (fault) {
      this.#end(surprised(fault));
      return;
    }
    this.#flushClient();
    this.#fromUpstream.release();
    if (this.#state.isCatalogStale && this.#state.status === "idle") this.#refreshCatalog();
    else if (!this.#isHeld && !this.#isRefreshing && this.#hasUnread()) {
      this.#client.resume();
      this.#readClient();
    }
    if (this.#isDraining) this.#endIfDrained();
  }

  #tellClient(bytes: Buffer): void {
    this.#voice.say(bytes);
    // What the gateway itself answers doesn't slow the server: who doesn't read it isn't read either.
    if (!this.#flushClient()) this.#client.pause();
  }

  /** False when the client must read first. */
  #flushClient(): boolean {
    const canTakeMore = this.#voice.outbox.flush();
    if (!canTakeMore) this.#upstream.pause();
    return canTakeMore;
  }

  #refreshCatalog(): void {
    if (this.#isRefreshing) return;
    this.#state.isCatalogStale = false;
    this.#isRefreshing = true;
    this.#parts.options.catalog
      .refresh()
      .catch(() => this.#log.catalogNotRead())
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
    const isWhole =
      this.#fromUpstream.waitingBytes === 0 && this.#toUpstream.isEmpty && !this.#clientSide.isForwardingPieces;
    return isWhole && !this.#upstream.destroyed && this.#upstream.writableLength === 0;
  }

  /** Called now and then: what has lasted too long ends, or is cancelled. */
  enforce(rules: SessionRules): void {
    const isWaiting = this.#isHeld || this.#waiting !== undefined;
    const found = overdue(this.#state, rules, { heardUs: this.#heardUs, isWaiting, timedOut: this.#timedOut });
    if (found === "idle") this.#end(endings.idleTimeout);
    else if (found) {
      this.#timedOut = found;
      this.#log.timedOut();
      void cancelUpstream(this.#parts.options.upstream, this.#parts.upstream, cancelTimeoutMs).catch(() => undefined);
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
    if (!isReused)
      leaveUpstream(this.#upstream, options.upstream, this.#parts.upstream, this.#state.answers.length > 0);
    if (this.#voice.isMidMessage) this.#client.destroy();
    else leaveClient(this.#client, this.#voice.outbox, end);
    this.#log.ended(reason);
    this.#upstreamSide.abandon();
    options.gate.close(session, reason);
    onClosed(isReused ? this.#letGo() : undefined);
  }
}
