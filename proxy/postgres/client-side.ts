// frontend messages -> decided, recorded, and sent upstream as text that the gateway wrote.
import { isUtf8 } from "node:buffer";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { Contexts } from "./contexts.ts";
import {
  encodeRefusal,
  failingNamedParse,
  failingQuery,
  failingUnnamedParse,
  queryOf,
  refusalOf,
  refusals,
} from "./deny.ts";
import { askPeople, type HoldAnswer } from "./hold.ts";
import type { PostgresListenerOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import {
  type ErrorText,
  encodeClose,
  encodeDescribe,
  encodeFlush,
  encodeNotice,
  encodeParse,
  encodeQuery,
  encodeReady,
} from "./protocol/encode.ts";
import { decodeFrontend, type FrontendMessage, frontendType } from "./protocol/frontend.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import type { Answer, Prepared, Refusal, Release, Run, SessionState } from "./session-state.ts";
import type { GateSession, SqlGate, SqlVerdict } from "./sql-gate.ts";

/** What became of one message. */
export type Handled =
  | "done"
  /** The server must answer first; the same message comes again then. */
  | "again"
  /** People are asked; `resume` is called when they have answered. */
  | "held"
  | "terminate"
  | { readonly end: ErrorText; readonly reason: string };

export type ClientSideParts = {
  readonly options: PostgresListenerOptions;
  readonly session: GateSession;
  readonly state: SessionState;
  readonly toUpstream: Outbox;
  /** Puts bytes between two messages to the client, as soon as there is a between. */
  readonly tellClient: (bytes: Buffer) => void;
  /** Writes what waits for the upstream. */
  readonly flush: () => void;
  /** A hold is over. `failure` ends the session. */
  readonly resume: (failure?: { readonly end: ErrorText; readonly reason: string }) => void;
};

/** Bind formats and parameters of a message that are needed when it is decided. */
type Bind = FrontendMessage & { readonly kind: "bind" };
type ParseAnswer = Answer & { readonly kind: "parse" };
type Parse = FrontendMessage & { readonly kind: "parse" };

const copyData = frontendType.copyData;

/** Handles one client message at a time, in order. Holds no bytes of its own but what `parts.toUpstream` gathers. */
export class ClientSide {
  readonly #parts: ClientSideParts;
  readonly #gate: SqlGate;
  readonly #state: SessionState;
  /** Refused without a word to the server: messages are dropped up to the next Sync. */
  #isSkipping = false;
  readonly #contexts: Contexts;
  /** Released Parse messages of this batch that nothing recorded yet: a Bind of the same batch records more. */
  #unrecorded: { readonly prepared: Prepared; readonly verdict: SqlVerdict; readonly answer: ParseAnswer }[] = [];
  #holding: AbortController | undefined;

  constructor(parts: ClientSideParts) {
    this.#parts = parts;
    this.#gate = parts.options.gate;
    this.#state = parts.state;
    this.#contexts = new Contexts(parts.options);
  }

  /** Ends a wait for people: a CancelRequest, or a client that went away. True if there was one. */
  withdrawHold(): boolean {
    if (!this.#holding) return false;
    this.#holding.abort();
    return true;
  }

  /** Before the batch is written: what of it has no record yet gets one. Throws when it can't be written. */
  recordRest(): void {
    if (this.#unrecorded.length === 0) return;
    const waiting = this.#unrecorded;
    this.#unrecorded = [];
    for (const { verdict, answer } of waiting) answer.decisionId = verdict.decisionId;
    this.#gate.record(
      this.#parts.session,
      waiting.map((u) => u.verdict),
      [],
    );
  }

  handle(type: number, frame: Buffer): Handled {
    const state = this.#state;
    if (state.copy === "in") return this.#duringCopy(type, frame);
    if (state.isSkippingAtServer && type === frontendType.sync) state.isSkippingAtServer = false;
    const isSkipping = this.#isSkipping || state.isSkippingAtServer;
    if (isSkipping && type !== frontendType.sync && type !== frontendType.terminate) return "done";
    if (type === copyData) return "done"; // stray COPY data is ignored, as the server does
    const decoded = decodeFrontend(type, frame);
    if (!decoded.ok) {
      if (decoded.error.code === "unknown-type") return unknownType(type);
      return this.#refuse(refusals.badLayout, type === frontendType.query || type === frontendType.functionCall, false);
    }
    if (hasLongName(decoded.value)) return this.#refuse(refusals.longName, false, false);
    return this.#dispatch(decoded.value, frame);
  }

  #dispatch(message: FrontendMessage, frame: Buffer): Handled {
    switch (message.kind) {
      case "query":
        return this.#query(message.text);
      case "parse":
        return this.#parse(message);
      case "bind":
        return this.#bind(message, frame);
      case "describe":
        return this.#describe(message, frame);
      case "execute":
        return this.#execute(message, frame);
      case "close":
        return this.#close(message, frame);
      case "flush":
        this.#parts.toUpstream.add(frame);
        return "done";
      case "sync":
        return this.#sync(frame);
      case "terminate":
        return "terminate";
      case "function-call":
        return this.#refuse(refusals.functionCall, true, false);
      case "copy-data":
      case "copy-done":
      case "copy-fail":
        return "done";
      case "password":
        return unknownType(frontendType.password);
    }
  }

  // Simple protocol.

  #query(bytes: Buffer): Handled {
    const context = this.#currentContext();
    if (!context) return "again";
    const expired = this.#expiry();
    if (expired) return expired;
    const text = this.#textOf(bytes);
    if (typeof text !== "string") return this.#refuse(text, true, false);
    // The analysis itself lets a later statement see what an earlier one of the same text sets.
    const verdicts = this.#gate.decide(this.#parts.session, context, text);
    if (verdicts.length === 0) {
      this.#parts.toUpstream.add(encodeQuery(""));
      this.#sentQuery([]);
      return "done";
    }
    const refused = verdicts.filter((v) => v.kind === "refuse");
    const [first] = refused;
    if (first) return this.#recordAndRefuse(refused, refusalOf(first.refusal), true, false);
    if (verdicts.some((v) => v.kind === "hold")) {
      return this.#hold(context, verdicts, [], (releases) => this.#releaseQuery(releases), true);
    }
    const recorded = this.#record(verdicts, []);
    return recorded ? this.#releaseQuery(releasesOf(verdicts)) : this.#refuse(refusals.notRecorded, true, false);
  }

  #releaseQuery(releases: readonly Release[]): Handled {
    const [only] = releases;
    const bytes =
      releases.length === 1 && only
        ? queryOf(only.rewritten)
        : encodeQuery(releases.map((r) => r.rewritten.text).join(";\n"));
    this.#parts.toUpstream.add(bytes);
    this.#sentQuery(releases);
    return "done";
  }

  #sentQuery(releases: readonly Release[]): void {
    const state = this.#state;
    for (const release of releases) this.#announce(release);
    state.sent({
      kind: "query",
      runs: releases.map((release) => this.#newRun(release)),
      at: 0,
      segment: state.segment,
      hasFailed: false,
    });
    if (releases.some(isCopy)) state.copy = "expected";
    state.nextSegment();
  }

  // Extended protocol.

  #parse(message: Parse): Handled {
    const state = this.#state;
    const context = this.#currentContext();
    if (!context) return "again";
    const expired = this.#expiry();
    if (expired) return expired;
    const dropsUnnamed = message.name === "";
    const namesMax = this.#parts.options.limits.preparedStatementsMax;
    if (state.statements.size + state.portals.size >= namesMax) {
      return this.#refuse(refusals.tooManyNames(namesMax), false, dropsUnnamed);
    }
    const text = this.#textOf(message.text);
    if (typeof text !== "string") return this.#refuse(text, false, dropsUnnamed);
    const { parameterTypes } = message;
    const verdicts = this.#gate.decide(
      this.#parts.session,
      parameterTypes.length === 0 ? context : { ...context, parameterTypes },
      text,
    );
    if (verdicts.length > 1) return this.#refuse(refusals.severalStatements, false, dropsUnnamed);
    const [verdict] = verdicts;
    if (verdict?.kind === "refuse") {
      return this.#recordAndRefuse([verdict], refusalOf(verdict.refusal), false, dropsUnnamed);
    }
    if (verdict && verdict.statement === undefined) {
      return this.#refuse(refusals.badLayout, false, dropsUnnamed);
    }
    const prepared: Prepared = {
      statement: verdict?.statement,
      parameterTypes,
      sent: verdict?.rewritten ?? nothingSent,
      searchPath: this.#contexts.searchPath,
    };
    // A name that is taken is the server's to refuse, after it has looked at the text: the slot changes only with a
    // ParseComplete.
    const answer = this.#sendParse(message.name, prepared, false);
    if (verdict) this.#unrecorded.push({ prepared, verdict, answer });
    return "done";
  }

  #sendParse(name: string, prepared: Prepared, isHidden: boolean): ParseAnswer {
    const sent = prepared.sent ?? nothingSent;
    this.#parts.toUpstream.add(encodeParse(name, sent.text, prepared.parameterTypes));
    this.#state.statements.announce(name, prepared, this.#state.segment);
    const answer: ParseAnswer = { kind: "parse", name, prepared, isHidden, decisionId: undefined };
    this.#state.sent(answer);
    if (sent.maskedOrigins.size === 0) return answer;
    // The server's own word on where the columns come from, before anything can run.
    this.#parts.toUpstream.add(encodeDescribe({ of: "statement", name }));
    this.#state.sent({ kind: "describe", rewritten: sent, isHidden: true });
    return answer;
  }

  #bind(message: Bind, frame: Buffer): Handled {
    const state = this.#state;
    const slot = state.statements.get(message.statement, state.segment);
    const context = this.#currentContext();
    if (!context || slot.kind === "unsettled") return "again";
    const expired = this.#expiry();
    if (expired) return expired;
    if (slot.kind === "empty") return this.#refuse(refusals.unknownStatement(message.statement), false, false);
    const prepared = slot.value;
    if (prepared.statement === undefined) {
      this.#parts.toUpstream.add(frame);
      state.portals.announce(message.portal, undefined, state.segment);
      state.sent({ kind: "bind", portal: message.portal, run: undefined });
      return "done";
    }
    const verdict = this.#decideAgain(context, prepared, prepared.statement, message.parameters);
    if (verdict.kind === "refuse") return this.#recordAndRefuse([verdict], refusalOf(verdict.refusal), false, false);
    // The Bind's own record, with its values, stands for the Parse of the same batch.
    this.#forgetUnrecorded(prepared);
    if (verdict.kind === "hold") {
      // Collected chunks are reused by nobody, but they would be kept alive for as long as people think.
      const copy = Buffer.from(frame);
      const again = message.parameters.map((p) => (p === null ? null : Buffer.from(p)));
      const then = (releases: readonly Release[]): Handled => this.#releaseBind(message, copy, prepared, releases);
      return this.#hold(context, [verdict], again, then, false);
    }
    if (!this.#record([verdict], message.parameters)) return this.#refuse(refusals.notRecorded, false, false);
    return this.#releaseBind(message, frame, prepared, [verdict]);
  }

  #decideAgain(
    context: SqlContext,
    prepared: Prepared,
    statement: AnalyzedStatement,
    parameters: readonly (Buffer | null)[],
  ): SqlVerdict {
    const { session } = this.#parts;
    const own =
      prepared.parameterTypes.length === 0 ? context : { ...context, parameterTypes: prepared.parameterTypes };
    const isCurrent =
      prepared.searchPath === this.#contexts.searchPath && statement.catalogVersion === context.catalog.version;
    if (isCurrent) return this.#gate.redecide(session, own, statement, parameters);
    // PostgreSQL too analyses a prepared statement anew when search_path or a relation has changed.
    const [verdict] = this.#gate.decide(session, own, statement.facts.text);
    if (!verdict?.statement || verdict.kind === "refuse") {
      return verdict ?? this.#gate.redecide(session, own, statement, parameters);
    }
    return this.#gate.redecide(session, own, verdict.statement, parameters);
  }

  #releaseBind(message: Bind, frame: Buffer, prepared: Prepared, releases: readonly Release[]): Handled {
    const [release] = releases;
    if (!release) return this.#refuse(refusals.badLayout, false, false);
    const state = this.#state;
    if (prepared.sent?.text !== release.rewritten.text) this.#parseAnew(message.statement, prepared, release);
    const run = this.#newRun(release);
    this.#parts.toUpstream.add(frame);
    state.portals.announce(message.portal, run, state.segment);
    state.sent({ kind: "bind", portal: message.portal, run });
    return "done";
  }

  /** Policies, grants or names have moved on: the server must have the statement's new text under its name. */
  #parseAnew(name: string, prepared: Prepared, release: Release): void {
    const state = this.#state;
    const remains = { ...prepared, sent: undefined };
    if (name !== "") {
      this.#parts.toUpstream.add(encodeClose({ of: "statement", name }));
      state.statements.announce(name, remains, state.segment);
      state.sent({ kind: "close", target: { of: "statement", name }, isHidden: true, remains });
    }
    const renewed: Prepared = {
      statement: release.statement ?? prepared.statement,
      parameterTypes: prepared.parameterTypes,
      sent: release.rewritten,
      searchPath: this.#contexts.searchPath,
    };
    this.#sendParse(name, renewed, true);
  }

  #describe(message: FrontendMessage & { readonly kind: "describe" }, frame: Buffer): Handled {
    const { target } = message;
    const state = this.#state;
    let rewritten: Release["rewritten"] | undefined;
    if (target.of === "statement") {
      const slot = state.statements.get(target.name, state.segment);
      if (slot.kind === "unsettled") return "again";
      if (slot.kind === "holds") rewritten = slot.value.sent;
    } else {
      const slot = state.portals.get(target.name, state.segment);
      if (slot.kind === "unsettled") return "again";
      if (slot.kind === "holds") rewritten = slot.value.release.rewritten;
    }
    this.#parts.toUpstream.add(frame);
    state.sent({ kind: "describe", rewritten, isHidden: false });
    return "done";
  }

  #execute(message: FrontendMessage & { readonly kind: "execute" }, frame: Buffer): Handled {
    const state = this.#state;
    const slot = state.portals.get(message.portal, state.segment);
    if (slot.kind === "unsettled") return "again";
    const expired = this.#expiry();
    if (expired) return expired;
    const run = slot.kind === "holds" ? slot.value : undefined;
    this.#parts.toUpstream.add(frame);
    // A portal that isn't ours is a cursor that a decided DECLARE made, or an error at the server.
    state.sent({ kind: "execute", run });
    if (run) this.#announce(run.release);
    if (run && isCopy(run.release)) {
      // The server sends COPY's first answer only when asked to.
      this.#parts.toUpstream.add(encodeFlush());
      state.copy = "expected";
    }
    return "done";
  }

  #close(message: FrontendMessage & { readonly kind: "close" }, frame: Buffer): Handled {
    const { target } = message;
    const state = this.#state;
    const names = target.of === "statement" ? state.statements : state.portals;
    names.announce(target.name, undefined, state.segment);
    this.#parts.toUpstream.add(frame);
    state.sent({ kind: "close", target, isHidden: false, remains: undefined });
    return "done";
  }

  #sync(frame: Buffer): Handled {
    if (this.#isSkipping) {
      this.#isSkipping = false;
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
      case copyData:
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

  // Decisions.

  #textOf(bytes: Buffer): string | Refusal {
    const max = this.#parts.options.limits.sqlTextBytesMax;
    if (bytes.length > max) return refusals.textTooLong(max);
    return isUtf8(bytes) ? bytes.toString("utf8") : refusals.badEncoding;
  }

  /** `undefined` while the server's answer decides what names mean. */
  #currentContext(): SqlContext | undefined {
    const path = this.#state.searchPath();
    return path === undefined ? undefined : this.#contexts.of(path, this.#state.sqlPrepared);
  }

  #expiry(): Handled | undefined {
    const { session, options } = this.#parts;
    if (session.expiresAtS === undefined || options.nowMs() < session.expiresAtS * 1000) return undefined;
    return {
      reason: "token-expired",
      end: {
        severity: "FATAL",
        sqlstate: sqlstate.invalidAuthorization,
        message: "the token of this session has expired",
        hint: "Connect again with a fresh token as the password.",
      },
    };
  }

  #announce(release: Release): void {
    const { statement } = release;
    if (!statement) return;
    if (statement.effects.length > 0) this.#state.announce(statement.effects);
    if (statement.facts.verb === "listen") this.#state.isListening = true;
  }

  /** False when the record can't be written: then nothing of the message may go on. */
  #record(verdicts: readonly SqlVerdict[], parameters: readonly (Buffer | null)[]): boolean {
    try {
      this.#gate.record(this.#parts.session, verdicts, parameters);
      return true;
    } catch {
      this.#parts.options.log.error(
        { session: this.#parts.session.id, code: "record-failed" },
        "a decision could not be recorded",
      );
      return false;
    }
  }

  #forgetUnrecorded(prepared: Prepared): void {
    if (this.#unrecorded.length > 0) this.#unrecorded = this.#unrecorded.filter((u) => u.prepared !== prepared);
  }

  #recordAndRefuse(
    verdicts: readonly SqlVerdict[],
    refusal: Refusal,
    isSimple: boolean,
    dropsUnnamed: boolean,
  ): Handled {
    const isRecorded = this.#record(verdicts, []);
    return this.#refuse(isRecorded ? refusal : refusals.notRecorded, isSimple, dropsUnnamed);
  }

  /** Answers at once where the server owes nothing and has no transaction; else lets the server fail in its place. */
  #refuse(refusal: Refusal, isSimple: boolean, dropsUnnamed: boolean): Handled {
    const state = this.#state;
    if (state.isQuiet && state.status === "idle") {
      if (dropsUnnamed) state.statements.confirm("", undefined);
      this.#parts.tellClient(encodeRefusal(refusal));
      if (isSimple) this.#parts.tellClient(encodeReady("idle"));
      else this.#isSkipping = true;
      return "done";
    }
    this.#parts.toUpstream.add(isSimple ? failingQuery : dropsUnnamed ? failingUnnamedParse : failingNamedParse);
    state.sent({ kind: "refusal", refusal, isSimple, dropsUnnamed, segment: state.segment, isAnswered: false });
    if (isSimple) state.nextSegment();
    return "done";
  }

  #newRun(release: Release): Run {
    const run = { release, rows: 0, bytes: 0, startedUs: stopwatchUs(), segment: this.#state.segment };
    this.#state.openRuns.add(run);
    return run;
  }

  /** Asks people about each verdict that needs it, in order, then goes on with `then`. */
  #hold(
    context: SqlContext,
    verdicts: readonly SqlVerdict[],
    parameters: readonly (Buffer | null)[],
    then: (releases: readonly Release[]) => Handled,
    isSimple: boolean,
  ): Handled {
    if (!this.#record(verdicts, parameters)) return this.#refuse(refusals.notRecorded, isSimple, false);
    const controller = new AbortController();
    this.#holding = controller;
    // What stands before it in the pipeline must not wait for people.
    this.#parts.flush();
    const question = { session: this.#parts.session, context, verdicts, parameters, signal: controller.signal };
    const tell = (notice: string): void => this.#parts.tellClient(encodeNotice({ sqlstate: "00000", message: notice }));
    void askPeople(this.#gate, question, tell)
      .then((answer) => {
        this.#holding = undefined;
        const handled = this.#afterHold(answer, then, isSimple);
        this.#parts.resume(typeof handled === "object" ? handled : undefined);
      })
      .catch(() => {
        this.#holding = undefined;
        this.#parts.resume({ reason: "hold-failed", end: holdFailed });
      });
    return "held";
  }

  #afterHold(answer: HoldAnswer, then: (releases: readonly Release[]) => Handled, isSimple: boolean): Handled {
    if (!this.#state.isSkippingAtServer) {
      return answer.kind === "refused" ? this.#refuse(answer.refusal, isSimple, false) : then(answer.releases);
    }
    // Something before it has failed meanwhile: the server skips it, as it would have without people.
    for (const release of answer.kind === "granted" ? answer.releases : []) {
      this.#gate.complete(this.#parts.session, release.decisionId, {
        outcome: "aborted",
        tag: undefined,
        sqlstate: undefined,
        rows: 0,
        bytes: 0,
        durationUs: 0,
      });
    }
    return "done";
  }
}

const nothingSent: Release["rewritten"] = { text: "", touchesProtected: false, maskedOrigins: new Set() };

const releasesOf = (verdicts: readonly SqlVerdict[]): readonly Release[] =>
  verdicts.filter((v): v is Release => v.kind === "release");

/** A stopwatch, not a clock: microseconds since the process began. */
export const stopwatchUs = (): number => Math.round(performance.now() * 1000);

const isCopy = (release: Release): boolean => release.statement?.facts.verb === "copy";

/**
 * The server's tables of statements and portals look at the first 63 bytes of a name only. INVARIANT: two names that
 * differ here differ there, else one would be decided and the other run.
 */
const nameBytesMax = 63;
const isLong = (name: string): boolean => name.length > nameBytesMax / 4 && Buffer.byteLength(name) > nameBytesMax;

function hasLongName(message: FrontendMessage): boolean {
  switch (message.kind) {
    case "parse":
      return isLong(message.name);
    case "bind":
      return isLong(message.portal) || isLong(message.statement);
    case "execute":
      return isLong(message.portal);
    case "describe":
    case "close":
      return isLong(message.target.name);
    default:
      return false;
  }
}

const unknownType = (type: number): Handled => ({
  reason: "unknown-message",
  end: {
    severity: "FATAL",
    sqlstate: sqlstate.protocolViolation,
    message: `invalid frontend message type ${type}`,
  },
});

const copyFault: Handled = {
  reason: "message-during-copy",
  end: {
    severity: "FATAL",
    sqlstate: sqlstate.protocolViolation,
    message: "unexpected message type during COPY from stdin",
  },
};

const holdFailed: ErrorText = {
  severity: "FATAL",
  sqlstate: sqlstate.internalError,
  message: "the approval could not be waited for",
  hint: "Connect again; the operator finds the reason in the gateway's log.",
};
