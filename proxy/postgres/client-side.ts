// frontend messages -> decided, recorded, and sent upstream as text that the gateway wrote.
import { ClientGate, type ClientGateParts } from "./client-gate.ts";
import { refusals } from "./deny.ts";
import { ExtendedQuery } from "./extended-query.ts";
import { FunctionCalls } from "./function-call.ts";
import { copyFault, type Handled, unknownType } from "./handled.ts";
import { hasLongName } from "./name-length.ts";
import { encodeReady } from "./protocol/encode.ts";
import { decodeFrontend, type FrontendMessage, frontendType } from "./protocol/frontend.ts";
import type { SessionState } from "./session-state.ts";
import { handleQuery } from "./simple-query.ts";

/** Handles one client message at a time, in order. Holds no bytes of its own but what `parts.toUpstream` gathers. */
export class ClientSide {
  readonly #parts: ClientGateParts;
  readonly #state: SessionState;
  readonly #gate: ClientGate;
  readonly #extended: ExtendedQuery;
  readonly #calls: FunctionCalls;
  #isForwardingPieces = false;

  constructor(parts: ClientGateParts) {
    this.#parts = parts;
    this.#state = parts.state;
    this.#gate = new ClientGate(parts);
    this.#extended = new ExtendedQuery(this.#gate);
    this.#calls = new FunctionCalls(this.#gate);
  }

  /** Ends a wait for people: a CancelRequest, or a client that went away. True if there was one. */
  withdrawHold(): boolean {
    return this.#gate.withdrawHold();
  }

  /** Before the batch is written: what of it has no record yet gets one. False when it can't be written. */
  recordRest(): boolean {
    return this.#gate.recordRest();
  }

  /** What was sent may not be written yet: its record comes with the end of this turn. */
  get isAwaitingRecord(): boolean {
    return this.#gate.isAwaitingRecord;
  }

  /** A piece of a long message was sent, and not its last one. */
  get isForwardingPieces(): boolean {
    return this.#isForwardingPieces;
  }

  /** COPY data is not decided upon piece by piece: the statement that asked for it was. */
  forwardPiece(bytes: Buffer, isLast: boolean): void {
    // A message that was begun is finished, or the server would take the next one for the rest of it.
    if (this.#state.copy === "in" || this.#isForwardingPieces) {
      this.#parts.toUpstream.add(bytes);
      this.#isForwardingPieces = !isLast;
    }
  }

  handle(type: number, frame: Buffer): Handled {
    const state = this.#state;
    if (state.copy === "in") return this.#duringCopy(type, frame);
    if (state.isSkippingAtServer && type === frontendType.sync) state.isSkippingAtServer = false;
    const isSkipping = this.#gate.isSkipping || state.isSkippingAtServer;
    if (isSkipping && type !== frontendType.sync && type !== frontendType.terminate) {
      this.#gate.forgetEstimate();
      this.#calls.forget();
      return "done";
    }
    if (type === frontendType.copyData) return "done"; // stray COPY data is ignored, as the server does
    const decoded = decodeFrontend(type, frame);
    if (!decoded.ok) {
      if (decoded.error.code === "unknown-type") return unknownType(type);
      const isSimple = type === frontendType.query || type === frontendType.functionCall;
      return this.#gate.refuse(refusals.badLayout, isSimple ? "query" : "named");
    }
    if (hasLongName(decoded.value)) return this.#gate.refuse(refusals.longName, "named");
    return this.#dispatch(decoded.value, frame);
  }

  #dispatch(message: FrontendMessage, frame: Buffer): Handled {
    switch (message.kind) {
      case "query":
        return handleQuery(this.#gate, message.text);
      case "parse":
        return this.#extended.parse(message);
      case "bind":
        return this.#extended.bind(message, frame);
      case "describe":
        return this.#extended.describe(message, frame);
      case "execute":
        return this.#extended.execute(message, frame);
      case "close":
        return this.#extended.close(message, frame);
      case "flush":
        this.#parts.toUpstream.add(frame);
        return "done";
      case "sync":
        return this.#sync(frame);
      case "terminate":
        return "terminate";
      case "function-call":
        return this.#calls.handle(message, frame);
      case "copy-data":
      case "copy-done":
      case "copy-fail":
        return "done";
      case "password":
        return unknownType(frontendType.password);
    }
  }

  #sync(frame: Buffer): Handled {
    if (this.#gate.isSkipping) {
      this.#gate.isSkipping = false;
      this.#parts.tellClient(encodeReady("idle"));
      return "done";
    }
    const state = this.#state;
    this.#parts.toUpstream.add(frame);
    state.sent({ kind: "sync", segment: state.segment, hasFailed: false });
    state.nextSegment();
    return "done";
  }

  /** The server ignores Flush and Sync while it waits for COPY data, and ends the COPY at anything else. */
  #duringCopy(type: number, frame: Buffer): Handled {
    switch (type) {
      case frontendType.copyData:
        this.#parts.toUpstream.add(frame);
        return "done";
      case frontendType.copyDone:
      case frontendType.copyFail: {
        const decoded = decodeFrontend(type, frame);
        if (!decoded.ok) return copyFault;
        this.#parts.toUpstream.add(frame);
        // A Query may hold a second COPY behind this one: only its ReadyForQuery says.
        this.#state.copy = this.#state.answers.first()?.kind === "query" ? "expected" : "none";
        return "done";
      }
      case frontendType.flush:
      case frontendType.sync:
        return "done";
      case frontendType.terminate:
        return "terminate";
      default:
        return copyFault;
    }
  }
}
