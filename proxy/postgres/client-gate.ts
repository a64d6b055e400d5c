// One client's way through the gate: in what context a text is read, what is recorded, refused, or asked of people.
import { isUtf8 } from "node:buffer";
import { watchedRelations } from "../../engine/sql/definition-watch.ts";
import type { AnalyzedStatement, SqlContext } from "../../engine/sql/types.ts";
import { RowCapture } from "../recording/results.ts";
import { Contexts } from "./contexts.ts";
import { encodeRefusal, failingNamedParse, failingQuery, failingUnnamedParse, refusalOf, refusals } from "./deny.ts";
import { type Ending, endedByRule, type Handled, holdFailed, tokenExpired, tokenRevoked } from "./handled.ts";
import { askPeople, type HoldAnswer } from "./hold.ts";
import type { PostgresListenerOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { encodeNotice, encodeReady } from "./protocol/encode.ts";
import type { TemporaryTables } from "./search-path.ts";
import type { Answer, Prepared, Refusal, Release, Run, SessionState } from "./session-state.ts";
import type { GateSession, SqlVerdict } from "./sql-gate.ts";
import { stopwatchUs } from "./stopwatch.ts";
import { mayChangeStyle, setsStyle } from "./text-style.ts";

export type ClientGateParts = {
  readonly options: PostgresListenerOptions;
  readonly session: GateSession;
  readonly state: SessionState;
  readonly toUpstream: Outbox;
  /** Puts bytes between two messages to the client, as soon as there is a between. */
  readonly tellClient: (bytes: Buffer) => void;
  /** Writes what waits for the upstream. */
  readonly flush: () => void;
  /** What runs at the server lost its approval: ends it. */
  readonly endRunning: () => void;
  /** All that was sent so far is on record and may be written, or some of it never will be and none may. */
  readonly recorded: (isRecorded: boolean) => void;
  /** A hold is over. `failure` ends the session. */
  readonly resume: (failure?: Ending) => void;
};

export type ParseAnswer = Answer & { readonly kind: "parse" };
type Parameters = readonly (Buffer | null)[];

/** How a refused message is answered: a Query gets its ReadyForQuery, a Parse of the unnamed statement drops that. */
export type RefusedAs = "query" | "named" | "unnamed-parse";

/** A name that the catalog doesn't have, or didn't when it was read. */
const isUnknownName = (verdict: SqlVerdict): boolean =>
  verdict.kind === "refuse" && unknownNames.has(verdict.fault?.code ?? "");
const unknownNames: ReadonlySet<string> = new Set(["unknown-relation", "unknown-column", "unknown-type"]);

type Look = { outcome: "out" | "answered" | "failed" };

/** What both protocols, simple and extended, need around a decision. */
export class ClientGate {
  readonly parts: ClientGateParts;
  /** Refused without a word to the server: messages are dropped up to the next Sync. */
  isSkipping = false;
  readonly #contexts: Contexts;
  /** Released Parse messages of this batch that nothing recorded yet: a Bind of the same batch records more. */
  #unrecorded: { readonly prepared: Prepared; readonly verdict: SqlVerdict; readonly answer: ParseAnswer }[] = [];
  #recordsPending = 0;
  #hasLost = false;
  /** How texts of dates were read when people were asked, of what they let through. */
  readonly #approvedStyles = new WeakMap<Release, string>();
  #holding: AbortController | undefined;
  /** What the planner has just answered about. */
  #estimated: string | AnalyzedStatement | undefined;
  /** The server is asked, or was asked, about what the message that waits for it reads. */
  #look: Look | undefined;

  constructor(parts: ClientGateParts) {
    this.parts = parts;
    this.#contexts = new Contexts(parts.options);
  }

  /** Of the latest context, as the server spells it. */
  get searchPath(): string {
    return this.#contexts.searchPath;
  }

  /** Temporary tables of the latest context. */
  get temporary(): TemporaryTables {
    return this.#contexts.temporary;
  }

  /** `undefined` while the server's answer decides what names mean. */
  context(): SqlContext | undefined {
    const { state } = this.parts;
    const path = state.searchPath();
    return path === undefined ? undefined : this.#contexts.of(path, state.sqlPrepared, state.temporary);
  }

  expiry(): Ending | undefined {
    const { session, options } = this.parts;
    if (options.isRevoked?.(session)) return tokenRevoked;
    if (options.isEnded?.(session)) return endedByRule;
    if (session.expiresAtS === undefined || options.nowMs() < session.expiresAtS * 1000) return undefined;
    return tokenExpired;
  }

  textOf(bytes: Buffer): string | Refusal {
    const max = this.parts.options.limits.sqlTextBytesMax;
    if (bytes.length > max) return refusals.textTooLong(max);
    return isUtf8(bytes) ? bytes.toString("utf8") : refusals.badEncoding;
  }

  decide(context: SqlContext, text: string, isPrepare = false): readonly SqlVerdict[] {
    return this.parts.options.gate.decide(this.parts.session, context, text, isPrepare);
  }

  /** "asked" where the planner must answer before the message can be decided: the same message comes again then. */
  estimate(context: SqlContext, of: string | AnalyzedStatement, parameters: Parameters): "asked" | undefined {
    const { options, session, flush, resume } = this.parts;
    const isAnswered = this.#estimated === of;
    this.#estimated = undefined;
    if (isAnswered || options.gate.readsEstimates?.() !== true) return undefined;
    const controller = new AbortController();
    const answer = options.gate.estimate?.(session, context, of, parameters, controller.signal);
    if (answer === undefined) return undefined;
    this.#holding = controller;
    flush(); // what stands before it in the pipeline must not wait
    void answer.then(() => {
      this.#holding = undefined;
      this.#estimated = of;
      resume();
    });
    return "asked";
  }

  /** The message that the planner was asked about is not decided after all. */
  forgetEstimate(): void {
    this.#estimated = undefined;
  }

  redecide(context: SqlContext, statement: AnalyzedStatement, parameters: Parameters): SqlVerdict {
    return this.parts.options.gate.redecide(this.parts.session, context, statement, parameters);
  }

  /** False when the record can't be written: then nothing of the message may go on. */
  record(verdicts: readonly SqlVerdict[], parameters: Parameters): boolean {
    try {
      this.parts.options.gate.record(this.parts.session, verdicts, parameters);
      return true;
    } catch {
      this.#logUnrecorded();
      return false;
    }
  }

  /** `record`, with what other sessions record in this turn: the batch waits for `parts.recorded`. */
  recordTogether(verdicts: readonly SqlVerdict[], parameters: Parameters): boolean {
    const { options, session } = this.parts;
    try {
      options.gate.record(session, verdicts, parameters, this.#onWritten);
      this.#recordsPending += 1;
      return true;
    } catch {
      this.#logUnrecorded();
      return false;
    }
  }

  /** Something that was sent waits for its record. */
  get isAwaitingRecord(): boolean {
    return this.#recordsPending > 0;
  }

  readonly #onWritten = (isRecorded: boolean): void => {
    this.#recordsPending -= 1;
    if (!isRecorded) {
      this.#logUnrecorded();
      this.#hasLost = true;
    }
    if (this.#recordsPending > 0) return;
    const { recorded } = this.parts;
    const hasLost = this.#hasLost;
    this.#hasLost = false;
    recorded(!hasLost);
  };

  #logUnrecorded(): void {
    const { log } = this.parts.options;
    log.error({ session: this.parts.session.id, code: "record-failed" }, "a decision could not be recorded");
  }

  /** A released Parse: recorded by a Bind of the same batch, or before the batch is written. */
  recordLater(prepared: Prepared, verdict: SqlVerdict, answer: ParseAnswer): void {
    this.#unrecorded.push({ prepared, verdict, answer });
  }

  /** The Bind's own record, with its values, stands for the Parse of the same batch. */
  isRecordedByBind(prepared: Prepared): void {
    if (this.#unrecorded.length > 0) this.#unrecorded = this.#unrecorded.filter((u) => u.prepared !== prepared);
  }

  /** Before the batch is written: what of it has no record yet gets one. False when it can't be written. */
  recordRest(): boolean {
    if (this.#unrecorded.length === 0) return true;
    const waiting = this.#unrecorded;
    this.#unrecorded = [];
    const verdicts = waiting.map((u) => u.verdict);
    if (!this.recordTogether(verdicts, [])) return false;
    for (const { verdict, answer } of waiting) answer.decisionId = verdict.decisionId;
    return true;
  }

  /**
   * A portal lives on after its Bind. The refusal, where the policies that it was released under are gone and those of now
   * would not release it, or not with these masks and filters.
   */
  overtaken(release: Release, as: RefusedAs = "named"): Handled | undefined {
    const { statement } = release;
    if (this.parts.options.gate.isCurrent(release) || !statement) return undefined;
    const context = this.context();
    if (!context) return "again";
    const now = this.redecide(context, statement, []);
    if (now.kind === "refuse") return this.recordAndRefuse([now], refusalOf(now.refusal), as);
    if (now.kind === "release" && now.obligationsKey === release.obligationsKey) return undefined;
    return this.refuse(refusals.portalOvertaken, as);
  }

  /** The same for what FETCH, or an Execute of a cursor's name, may read: any cursor that may be open. */
  cursorOvertaken(as: RefusedAs): Handled | undefined {
    for (const release of this.parts.state.cursors.releases()) {
      const handled = this.overtaken(release, as);
      if (handled !== undefined) return handled;
    }
    return undefined;
  }

  /** Why a message with these statements can't be sent although each is released. */
  hindrance(verdicts: readonly SqlVerdict[], as: RefusedAs): Handled | undefined {
    const look = this.#lookFirst(verdicts, as);
    if (look !== undefined) return look;
    const { state, options } = this.parts;
    const verbs = verdicts.map((verdict) => verdict.statement?.facts.verb);
    const namesMax = options.limits.preparedStatementsMax;
    if (verbs.includes("declare") && state.cursors.size >= namesMax)
      return this.refuse(refusals.tooManyNames(namesMax), as);
    if (verbs.includes("prepare") && state.statements.size >= namesMax) {
      return this.refuse(refusals.tooManyNames(namesMax), as);
    }
    return verbs.includes("fetch") && state.cursors.size > 0 ? this.cursorOvertaken(as) : undefined;
  }

  /**
   * Views, and tables that may be another one's partition by now, mean what they mean at this moment: before they are read
   * the server is asked whether they are still what they were, and before a name is called unknown whether it still is. The
   * message comes again then, and is analysed again.
   */
  #lookFirst(verdicts: readonly SqlVerdict[], as: RefusedAs): Handled | undefined {
    const { catalog, log, name } = this.parts.options;
    const before = this.#look;
    if (before?.outcome === "out") return "again";
    this.#look = undefined;
    if (before?.outcome === "failed") return this.refuse(refusals.catalogUnavailable, as);
    if (before !== undefined || catalog.isFresh === undefined) return undefined;
    const known = catalog.current();
    const relations = verdicts.flatMap(({ statement }) => (statement ? watchedRelations(statement, known) : []));
    if (relations.length === 0 && !verdicts.some(isUnknownName)) return undefined;
    const look: Look = { outcome: "out" };
    this.#look = look;
    const after = (outcome: "answered" | "failed"): void => {
      look.outcome = outcome;
      if (outcome === "failed") {
        log.warn({ connection: name, code: "catalog-unavailable" }, "the catalog can't be asked about a view");
      }
      if (this.#look === look) this.parts.resume();
    };
    catalog.isFresh(relations).then(
      () => after("answered"),
      () => after("failed"),
    );
    return "again";
  }

  announce(release: Release): void {
    const { statement } = release;
    if (!statement) return;
    const { state } = this.parts;
    state.cursors.sent(release, state.segment);
    if (statement.effects.length > 0) state.announce(statement.effects);
    if (statement.facts.verb === "listen") state.isListening = true;
  }

  /** `formats`: those of the result that its Bind asks for. */
  newRun(release: Release, formats: readonly number[] = []): Run {
    const { state, options } = this.parts;
    const caps = options.gate.resultCaps;
    const capture = caps && { rows: new RowCapture(caps), formats, columns: undefined };
    const scan = options.gate.newScan?.();
    const looks = scan === undefined ? {} : { scan };
    const started = { release, rows: 0, bytes: 0, startedUs: stopwatchUs(), segment: state.segment, ...looks };
    const run: Run = capture === undefined ? started : { ...started, capture };
    state.openRuns.add(run);
    return run;
  }

  recordAndRefuse(verdicts: readonly SqlVerdict[], refusal: Refusal, as: RefusedAs): Handled {
    const look = this.#lookFirst(verdicts, as);
    if (look !== undefined) return look;
    const isRecorded = this.record(verdicts, []);
    return this.refuse(isRecorded ? refusal : refusals.notRecorded, as);
  }

  /** Answers at once where the server owes nothing and has no transaction; else lets the server fail in its place. */
  refuse(refusal: Refusal, as: RefusedAs): Handled {
    this.#look = undefined;
    const { state, tellClient, toUpstream } = this.parts;
    const isSimple = as === "query";
    const dropsUnnamed = as === "unnamed-parse";
    if (state.isQuiet && state.status === "idle") {
      if (dropsUnnamed) state.statements.confirm("", undefined);
      tellClient(encodeRefusal(refusal));
      if (isSimple) tellClient(encodeReady("idle"));
      else this.isSkipping = true;
      return "done";
    }
    toUpstream.add(isSimple ? failingQuery : dropsUnnamed ? failingUnnamedParse : failingNamedParse);
    state.sent({ kind: "refusal", refusal, isSimple, dropsUnnamed, segment: state.segment, isAnswered: false });
    if (isSimple) state.nextSegment();
    return "done";
  }

  /** Asks people about each verdict that needs it, in order, then goes on with `then`. */
  hold(
    context: SqlContext,
    verdicts: readonly SqlVerdict[],
    parameters: Parameters,
    then: (releases: readonly Release[]) => Handled,
    as: RefusedAs,
    prepared?: Prepared,
  ): Handled {
    const style = this.#styleOf(verdicts, prepared);
    if (style === undefined) return this.refuse(refusals.textStyleMoved, as);
    if (!this.record(verdicts, parameters)) return this.refuse(refusals.notRecorded, as);
    const { options, session, state, tellClient, flush, resume } = this.parts;
    const boundStyle = state.textStyle;
    const controller = new AbortController();
    this.#holding = controller;
    // What stands before it in the pipeline must not wait for people.
    flush();
    const styled = { ...context, textStyle: style };
    const question = { session, context: styled, verdicts, parameters, signal: controller.signal };
    const client = {
      tell: (notice: string): void => tellClient(encodeNotice({ sqlstate: "00000", message: notice })),
      end: this.parts.endRunning,
    };
    void askPeople(options.gate, question, client)
      .then((answer) => {
        this.#holding = undefined;
        for (const release of answer.kind === "granted" ? answer.releases : []) {
          if (boundStyle !== undefined) this.#approvedStyles.set(release, boundStyle);
        }
        const handled = this.#afterHold(answer, then, as);
        resume(typeof handled === "object" ? handled : undefined);
      })
      .catch(() => {
        this.#holding = undefined;
        resume(holdFailed);
      });
    return "held";
  }

  /** What is bound into an approval; `undefined` where another statement changes it on the way. */
  #styleOf(verdicts: readonly SqlVerdict[], prepared: Prepared | undefined): string | undefined {
    const { state } = this.parts;
    const now = state.textStyle;
    const before = verdicts.slice(
      0,
      verdicts.findLastIndex((v) => v.kind === "hold"),
    );
    const changes = state.hasChangedTextStyle ? mayChangeStyle : setsStyle;
    if (now === undefined || before.some((v) => v.statement?.effects.some(changes))) return undefined;
    const isExecute = verdicts.some((v) => v.statement?.facts.verb === "execute");
    if (state.hasChangedTextStyle && (isExecute || (prepared !== undefined && prepared.textStyle !== now)))
      return undefined;
    return now;
  }

  /** A portal that people let through runs under the settings that they were asked with. */
  readsAsApproved(release: Release): boolean {
    const style = this.#approvedStyles.get(release);
    return style === undefined || style === this.parts.state.textStyle;
  }

  /** Ends a wait for people: a CancelRequest, or a client that went away. True if there was one. */
  withdrawHold(): boolean {
    if (!this.#holding) return false;
    this.#holding.abort();
    return true;
  }

  #afterHold(answer: HoldAnswer, then: (releases: readonly Release[]) => Handled, as: RefusedAs): Handled {
    const { state, options, session } = this.parts;
    if (!state.isSkippingAtServer) {
      return answer.kind === "refused" ? this.refuse(answer.refusal, as) : then(answer.releases);
    }
    // Something before it has failed meanwhile: the server skips it, as it would have without people.
    for (const release of answer.kind === "granted" ? answer.releases : []) {
      options.gate.complete(session, release.decisionId, {
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

export const isCopy = (release: Release): boolean => release.statement?.facts.verb === "copy";
