// backend messages -> matched with what was sent, checked, and passed on to the client.

import type { RecordedResult } from "../../engine/model/session-event.ts";
import { mismatchOf, type RowShape } from "../../engine/sql/row-shape.ts";
import { ceilingRefusal, countOf, isOverCeiling, tagOf } from "./change-ceiling.ts";
import { encodeRefusal, refusalOf } from "./deny.ts";
import type { PostgresListenerOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import {
  backendType,
  type ColumnDescription,
  decodeColumns,
  decodeCommandTag,
  decodeErrorFields,
  decodeParameterStatus,
  decodeReady,
  fieldOf,
  hasOrigin,
} from "./protocol/backend.ts";
import { encodeCommandComplete, encodeNoData, encodeOneValueRow } from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import { type About, scrub } from "./scrub.ts";
import type { Answer, Release, Run, SessionState } from "./session-state.ts";
import type { Completion, GateSession, SqlRefusal } from "./sql-gate.ts";
import { stopwatchUs } from "./stopwatch.ts";
import { pinnedSettings } from "./upstream.ts";

/** The session must end, with this reason; the message that shows it is not passed on. */
export type UpstreamFault = { readonly reason: string };

export type UpstreamSideParts = {
  readonly options: PostgresListenerOptions;
  readonly session: GateSession;
  readonly state: SessionState;
  readonly toClient: Outbox;
};

/** Settings whose value decides how text is read. */
const pinnedStatus: ReadonlyMap<string, string> = new Map(pinnedSettings);

/** Handles one server message at a time. A message that no sent message explains ends the session. */
export class UpstreamSide {
  readonly #parts: UpstreamSideParts;
  readonly #state: SessionState;
  readonly #out: Outbox;
  /** Descriptions that were found to agree: the same bytes need no second look. */
  readonly #agreed = new WeakMap<RowShape, Buffer>();

  /** Descriptions that were asked for, for the recording of results. */
  readonly #describedAs = new WeakMap<Release["rewritten"], readonly ColumnDescription[]>();

  #cancelledBy: string | undefined;

  constructor(parts: UpstreamSideParts) {
    this.#parts = parts;
    this.#state = parts.state;
    this.#out = parts.toClient;
  }

  /** Whole messages of a type that is only counted: rows and COPY data. */
  handleBulk(bytes: Buffer, rows: number): UpstreamFault | undefined {
    const run = this.#bulkRun();
    if (run && isFault(run)) return run;
    if (run?.release.rewritten.ceiling?.isCountOnly) {
      run.counted = countOf(bytes);
      return undefined;
    }
    if (run) {
      run.rows += rows;
      run.bytes += bytes.length;
      run.capture?.rows.add(bytes, rows);
      run.scan?.add(bytes);
    }
    this.#out.add(bytes);
    return undefined;
  }

  handle(type: number, frame: Buffer): UpstreamFault | undefined {
    switch (type) {
      case backendType.dataRow:
      case backendType.copyData:
        return this.handleBulk(frame, 1);
      case backendType.commandComplete:
        return this.#completed(frame);
      case backendType.readyForQuery:
        return this.#ready(frame);
      case backendType.parseComplete:
        return this.#parsed(frame);
      case backendType.bindComplete:
        return this.#bound(frame);
      case backendType.closeComplete:
        return this.#closed(frame);
      case backendType.parameterDescription:
      case backendType.noData:
      case backendType.rowDescription:
        return this.#described(type, frame);
      case backendType.emptyQuery:
      case backendType.portalSuspended:
        return this.#executed(type, frame);
      case backendType.error:
        return this.#failed(frame);
      case backendType.functionCall:
        return this.#returned(frame);
      case backendType.notice:
        return this.#notice(frame);
      case backendType.notification:
        if (this.#state.isListening) this.#out.add(frame);
        return undefined;
      case backendType.parameterStatus:
        return this.#parameterStatus(frame);
      case backendType.copyIn:
        return this.#copyIn(frame);
      case backendType.copyOut:
        // Its Execute can't ask for data any more; a Query may hold a COPY of the other direction behind this one.
        if (this.#state.answers.first()?.kind === "execute" && this.#state.answers.length === 1) {
          this.#state.copy = "none";
        }
        this.#out.add(frame);
        return undefined;
      case backendType.copyDone:
        this.#out.add(frame);
        return undefined;
      default:
        // CopyBoth exists in replication only, logins aren't asked for.
        return { reason: `upstream-message-${String.fromCharCode(type)}` };
    }
  }

  /** A CancelRequest is on its way to the server: what runs now may end of it. */
  isCancelledBy(by: string): void {
    if (this.#state.answers.length > 0) this.#cancelledBy = by;
  }

  /** The session is over: what is still open will not be finished. */
  abandon(): void {
    for (const run of this.#state.openRuns) this.#complete(run, "aborted", undefined, undefined, true);
  }

  /** Released, and never sent: the server will not answer it. */
  giveUp(answers: readonly Answer[]): void {
    for (const answer of answers) {
      if (answer.kind === "query") for (const run of answer.runs) this.#complete(run, "aborted", undefined, undefined);
      const run = runOf(answer);
      if (run) this.#complete(run, "aborted", undefined, undefined);
      if (answer.kind === "parse" && answer.decisionId !== undefined) {
        this.#completeParse(answer.decisionId, "aborted", undefined);
      }
    }
  }

  #bulkRun(): Run | UpstreamFault | undefined {
    const head = this.#state.answers.first();
    if (head?.kind === "execute") return head.run;
    if (head?.kind === "query") return head.runs[head.at];
    return outOfStep;
  }

  #completed(frame: Buffer): UpstreamFault | undefined {
    const state = this.#state;
    const head = state.answers.first();
    const run = this.#bulkRun();
    if (!head || (run && isFault(run))) return outOfStep;
    let told = frame;
    if (run) {
      const { ceiling } = run.release.rewritten;
      const tag = ceiling === undefined ? decodeCommandTag(frame) : tagOf(ceiling, run.counted, frame);
      if (ceiling !== undefined) told = encodeCommandComplete(tag);
      const effects = run.release.statement?.effects;
      if (effects && effects.length > 0) state.confirm(effects, tag);
      if (isProtectedWrite(run.release)) state.hasProtectedWrite = true;
      this.#complete(run, "ok", tag, undefined);
    }
    this.#pass(head, told);
    if (head.kind === "query") head.at += 1;
    else {
      state.answers.take();
      this.#copyIsNotIn();
    }
    return undefined;
  }

  #executed(type: number, frame: Buffer): UpstreamFault | undefined {
    const head = this.#state.answers.first();
    if (head?.kind === "execute") {
      this.#state.answers.take();
      if (type === backendType.emptyQuery && head.run) this.#complete(head.run, "ok", undefined, undefined);
    } else if (head?.kind !== "query" || type !== backendType.emptyQuery) return outOfStep;
    this.#out.add(frame);
    return undefined;
  }

  /** A call's value. What the end of its transaction has to say still comes. */
  #returned(frame: Buffer): UpstreamFault | undefined {
    const head = this.#state.answers.first();
    if (head?.kind !== "function-call" || head.hasReturned || head.hasFailed) return outOfStep;
    head.hasReturned = true;
    const { run } = head;
    const row = encodeOneValueRow(frame);
    run.rows += 1;
    run.bytes += frame.length;
    run.capture?.rows.add(row, 1);
    run.scan?.add(row);
    this.#out.add(frame);
    return undefined;
  }

  #parsed(frame: Buffer): UpstreamFault | undefined {
    const head = this.#state.answers.take();
    if (head?.kind !== "parse") return outOfStep;
    this.#state.statements.confirm(head.name, head.prepared);
    if (head.decisionId !== undefined) this.#completeParse(head.decisionId, "ok", undefined);
    this.#pass(head, frame);
    return undefined;
  }

  #bound(frame: Buffer): UpstreamFault | undefined {
    const head = this.#state.answers.take();
    if (head?.kind !== "bind") return outOfStep;
    this.#state.portals.confirm(head.portal, head.run);
    this.#pass(head, frame);
    return undefined;
  }

  #closed(frame: Buffer): UpstreamFault | undefined {
    const head = this.#state.answers.take();
    if (head?.kind !== "close") return outOfStep;
    if (head.target.of === "statement") this.#state.statements.confirm(head.target.name, head.remains);
    else this.#state.portals.confirm(head.target.name, undefined);
    this.#pass(head, frame);
    return undefined;
  }

  #described(type: number, frame: Buffer): UpstreamFault | undefined {
    const head = this.#state.answers.first();
    let rewritten: Release["rewritten"] | undefined;
    if (head?.kind === "describe") {
      rewritten = head.rewritten;
      if (type !== backendType.parameterDescription) this.#state.answers.take();
    } else {
      // A Query's rows; an Execute never describes them.
      if (head?.kind !== "query" || type !== backendType.rowDescription) return outOfStep;
      rewritten = head.runs[head.at]?.release.rewritten;
    }
    if (type === backendType.rowDescription && rewritten && rewritten.maskedOrigins.size > 0) {
      if (hasOrigin(frame, rewritten.maskedOrigins)) return { reason: "masked-origin" };
    }
    if (type === backendType.rowDescription && rewritten?.shape) {
      const fault = this.#shapeFault(rewritten.shape, frame);
      if (fault) return fault;
    }
    if (type === backendType.rowDescription && rewritten?.ceiling?.isCountOnly) {
      if (head?.kind === "describe") this.#pass(head, encodeNoData());
      return undefined;
    }
    if (type === backendType.rowDescription && this.#keepsResults && head && rewritten) {
      this.#keepColumns(head, rewritten, frame);
    }
    this.#pass(head, frame);
    return undefined;
  }

  /** Names and types for the recording: of the Query's run, or of every run of what a Describe was about. */
  #keepColumns(head: Answer, rewritten: Release["rewritten"], frame: Buffer): void {
    const columns = decodeColumns(frame);
    const capture = head.kind === "query" ? head.runs[head.at]?.capture : undefined;
    if (capture !== undefined) capture.columns = columns;
    else this.#describedAs.set(rewritten, columns);
  }

  get #keepsResults(): boolean {
    return this.#parts.options.gate.resultCaps !== undefined;
  }

  /** As much of the result as is recorded. A Query's formats are those of its description: a binary cursor's rows are binary. */
  #resultOf({ capture, release: { rewritten } }: Run): { readonly result?: RecordedResult } {
    if (capture === undefined) return {};
    const { columns: own, formats } = capture;
    const columns = own ?? this.#describedAs.get(rewritten) ?? rewritten.shape?.columns;
    const result = capture.rows.read({ columns, formats: own?.map(({ format }) => format) ?? formats });
    return result === undefined ? {} : { result };
  }

  /** The server reads the statement otherwise than the analysis did, or a table has changed since the catalog was read. */
  #shapeFault(shape: RowShape, frame: Buffer): UpstreamFault | undefined {
    if (this.#agreed.get(shape)?.equals(frame)) return undefined;
    const why = mismatchOf(shape, decodeColumns(frame));
    if (why === undefined) {
      this.#agreed.set(shape, Buffer.from(frame));
      return undefined;
    }
    this.#parts.options.catalog.refresh().catch(() => undefined); // the next regular read reports it
    return { reason: `row-description-${why}` };
  }

  #copyIn(frame: Buffer): UpstreamFault | undefined {
    const state = this.#state;
    const head = state.answers.first();
    // Not foreseen: messages behind it may be on their way already, and the server would take them for something else.
    if (state.copy !== "expected" || (head?.kind !== "execute" && head?.kind !== "query")) return outOfStep;
    state.copy = "in";
    this.#out.add(frame);
    return undefined;
  }

  #ready(frame: Buffer): UpstreamFault | undefined {
    const state = this.#state;
    const head = state.answers.take();
    if (!head || !("segment" in head)) return outOfStep;
    if (head.kind === "refusal" && !(head.isSimple && head.isAnswered)) return outOfStep;
    if (head.kind === "function-call") {
      if (!head.hasReturned && !head.hasFailed) return outOfStep;
      if (!head.hasFailed) this.#complete(head.run, "ok", undefined, undefined);
    }
    const hasFailed = head.kind === "refusal" || head.hasFailed;
    this.#cancelledBy = undefined;
    const status = decodeReady(frame);
    this.#copyIsNotIn();
    const isCorrected = state.ready(head.segment, status, hasFailed);
    if (isCorrected) {
      const { log, name } = this.#parts.options;
      log.warn(
        { session: this.#parts.session.id, connection: name, code: "search-path-corrected" },
        "search_path was not as modelled",
      );
    }
    if (state.openRuns.size > 0) this.#endRuns(head.segment, status === "idle");
    this.#out.add(frame);
    return undefined;
  }

  /** Portals end with their transaction: read in part is done, bound and never run is not. */
  #endRuns(segment: number, isIdle: boolean): void {
    if (!isIdle) return;
    for (const run of this.#state.openRuns) {
      if (run.segment <= segment) this.#complete(run, run.rows > 0 ? "ok" : "aborted", undefined, undefined);
    }
  }

  #failed(frame: Buffer): UpstreamFault | undefined {
    const state = this.#state;
    const fields = decodeErrorFields(frame);
    const severity = fieldOf(fields, "V") ?? fieldOf(fields, "S");
    if (severity === "FATAL" || severity === "PANIC") {
      // The server ends the session; its reason reaches the client, then the close does.
      this.#out.add(frame);
      state.hasServerEnded = true;
      return undefined;
    }
    const head = state.answers.first();
    if (!head) return outOfStep;
    const over = isOverCeiling(frame) ? this.#overCeiling(head) : undefined;
    const code = over?.sqlstate ?? fieldOf(fields, "C");
    state.failed();
    if (head.kind === "refusal") this.#out.add(encodeRefusal(head.refusal));
    else if (over !== undefined) this.#out.add(encodeRefusal(refusalOf(over)));
    else {
      const scrubbed = scrub(backendType.error, frame, this.#about(head), false);
      if (scrubbed) this.#out.add(scrubbed);
    }
    this.#skip(head, code);
    this.#copyIsNotIn();
    return undefined;
  }

  /** The server has undone the statement that it is at: what the client is told in place of the server's own error. */
  #overCeiling(head: Answer): SqlRefusal | undefined {
    const run = head.kind === "query" ? head.runs[head.at] : runOf(head);
    const refusal = run && ceilingRefusal(run.release);
    if (run && refusal) run.overLimit = refusal.rule;
    return refusal;
  }

  /**
   * A message that may ask for COPY data is always the last one sent. Once the server is past it, or is in the middle
   * of an answer that holds none, the client's next message is read again.
   */
  #copyIsNotIn(): void {
    const { answers, copy } = this.#state;
    const head = answers.first();
    const isPast = head === undefined || (head.kind === "query" && head.hasFailed && answers.length === 1);
    if (copy !== "none" && isPast) this.#state.copy = "none";
  }

  /** A simple message still gets its ReadyForQuery; in the extended protocol the server now skips up to Sync. */
  #skip(head: Answer, code: string | undefined): void {
    const { answers, statements } = this.#state;
    if (head.kind === "query") {
      head.hasFailed = true;
      head.runs.slice(head.at).forEach((run, i) => {
        this.#complete(run, i > 0 ? "aborted" : outcomeOf(code), undefined, i > 0 ? undefined : code);
      });
      return;
    }
    if (head.kind === "function-call") {
      head.hasFailed = true;
      this.#complete(head.run, outcomeOf(code), undefined, code);
      return;
    }
    if (head.kind === "sync") {
      head.hasFailed = true;
      return;
    }
    if (head.kind === "refusal" && head.dropsUnnamed) statements.confirm("", undefined);
    if (head.kind === "parse" && head.name === "") statements.confirm("", undefined);
    if (head.kind === "parse" && head.decisionId !== undefined) this.#completeParse(head.decisionId, "error", code);
    if (head.kind === "refusal" && head.isSimple) {
      head.isAnswered = true;
      return;
    }
    const run = runOf(head);
    if (run) this.#complete(run, outcomeOf(code), undefined, code);
    for (let next = answers.first(); next && next.kind !== "sync"; next = answers.first()) {
      answers.take();
      this.giveUp([next]);
    }
    const sync = answers.first();
    if (sync?.kind === "sync") sync.hasFailed = true;
    else this.#state.isSkippingAtServer = true;
  }

  #notice(frame: Buffer): UpstreamFault | undefined {
    const scrubbed = scrub(backendType.notice, frame, this.#about(this.#state.answers.first()), true);
    if (scrubbed) this.#out.add(scrubbed);
    return undefined;
  }

  #about(head: Answer | undefined): About {
    const { hasProtectedWrite } = this.#state;
    if (head?.kind === "parse") {
      const { statement, sent } = head.prepared;
      return { statement, rewritten: sent, hasProtectedWrite, charactersBefore: undefined };
    }
    const release = head && releaseOf(head);
    const charactersBefore = head?.kind === "query" && head.at > 0 ? () => charactersBeforeRun(head) : undefined;
    return { statement: release?.statement, rewritten: release?.rewritten, hasProtectedWrite, charactersBefore };
  }

  #parameterStatus(frame: Buffer): UpstreamFault | undefined {
    const [name, value] = decodeParameterStatus(frame);
    const pinned = pinnedStatus.get(name);
    if (pinned !== undefined && value !== pinned) return { reason: `unexpected-${name}` };
    this.#state.report(name, value);
    this.#out.add(frame);
    return undefined;
  }

  #pass(head: Answer | undefined, frame: Buffer): void {
    if (head && "isHidden" in head && head.isHidden) return;
    this.#out.add(frame);
  }

  #complete(
    run: Run,
    outcome: Completion["outcome"],
    tag: string | undefined,
    state: string | undefined,
    isCutOff = false,
  ): void {
    if (!this.#state.openRuns.delete(run)) return;
    this.#parts.options.gate.complete(this.#parts.session, run.release.decisionId, {
      outcome,
      tag,
      sqlstate: state,
      rows: run.rows,
      bytes: run.bytes,
      durationUs: stopwatchUs() - run.startedUs,
      ...(isCutOff ? { isCutOff } : undefined),
      ...(outcome === "cancelled" && this.#cancelledBy !== undefined ? { cancelledBy: this.#cancelledBy } : undefined),
      ...(run.overLimit === undefined ? undefined : { overLimit: run.overLimit }),
      ...(run.scan === undefined || run.scan.found.size === 0 ? undefined : { canaries: [...run.scan.found] }),
      ...(run.capture === undefined ? undefined : this.#resultOf(run)),
    });
  }

  #completeParse(decisionId: string, outcome: Completion["outcome"], code: string | undefined): void {
    this.#parts.options.gate.complete(this.#parts.session, decisionId, {
      outcome,
      tag: undefined,
      sqlstate: code,
      rows: 0,
      bytes: 0,
      durationUs: 0,
    });
  }
}

const outOfStep: UpstreamFault = { reason: "upstream-out-of-step" };

const isFault = (run: Run | UpstreamFault): run is UpstreamFault => "reason" in run;

const outcomeOf = (code: string | undefined): Completion["outcome"] =>
  code === sqlstate.queryCanceled ? "cancelled" : "error";

function runOf(answer: Answer): Run | undefined {
  return answer.kind === "execute" || answer.kind === "bind" || answer.kind === "function-call"
    ? answer.run
    : undefined;
}

/** The texts of a Query are sent as one, see simple-query.ts. */
const charactersBeforeRun = ({ runs, at }: Answer & { readonly kind: "query" }): number =>
  runs.slice(0, at).reduce((sum, { release }) => sum + [...release.rewritten.text].length + ";\n".length, 0);

function releaseOf(answer: Answer): Release | undefined {
  return answer.kind === "query" ? answer.runs[answer.at]?.release : runOf(answer)?.release;
}

const isProtectedWrite = (release: Release): boolean =>
  release.rewritten.touchesProtected && (release.statement?.facts.writeTables.length ?? 1) > 0;
