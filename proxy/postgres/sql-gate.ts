// The one ordering, as the PostgreSQL wire sees it: analyze -> evaluate -> (hold) -> record -> release.
import type { Decision } from "../../engine/model/decision.ts";
import type { ConnectionFacts, IdentityFacts } from "../../engine/model/principal.ts";
import type { RecordedResult } from "../../engine/model/session-event.ts";
import type { AnalyzedStatement, RewrittenSql, SqlContext, SqlFault } from "../../engine/sql/types.ts";
import type { ResultCaps } from "../recording/results.ts";
import type { CanaryScan } from "../telemetry/canary-scan.ts";

/** A client session after login. */
export type GateSession = {
  readonly id: string;
  readonly identity: IdentityFacts;
  readonly connection: ConnectionFacts;
  readonly startedAtMs: number;
  readonly purpose: string | undefined;
  /** application_name; `agent/<id>` joins the channels of one agent run. */
  readonly application: string | undefined;
  /** Seconds since the epoch at which the token ends; the session ends at the next statement after it. */
  readonly expiresAtS: number | undefined;
};

/** What the client is told: an ErrorResponse of severity ERROR. `detail` names rule and decision id, `hint` the way out. */
export type SqlRefusal = {
  readonly sqlstate: string;
  readonly message: string;
  readonly detail: string;
  readonly hint: string | undefined;
  readonly position: number | undefined;
};

export type SqlVerdict = {
  readonly decisionId: string;
  readonly statement: AnalyzedStatement | undefined;
} & (
  | {
      readonly kind: "release";
      readonly decision: Decision;
      readonly rewritten: RewrittenSql;
      readonly obligationsKey: string;
    }
  | {
      readonly kind: "hold";
      readonly decision: Decision & { readonly effect: "approval" };
      readonly rewritten: RewrittenSql;
      readonly obligationsKey: string;
    }
  | {
      readonly kind: "refuse";
      readonly decision: Decision | undefined;
      readonly fault: SqlFault | undefined;
      readonly refusal: SqlRefusal;
    }
);

export type HeldClient = {
  /** One line for a NoticeResponse: who must approve, how, the id. */
  readonly tell: (notice: string) => void;
  /** The approval was taken back while its statement runs: end it. */
  readonly end: () => void;
};

export type HoldOutcome =
  | { readonly kind: "granted"; readonly verdict: SqlVerdict }
  | { readonly kind: "refused"; readonly refusal: SqlRefusal }
  | { readonly kind: "withdrawn" };

export type Completion = {
  readonly outcome: "ok" | "error" | "cancelled" | "aborted";
  readonly tag: string | undefined;
  readonly sqlstate: string | undefined;
  readonly rows: number;
  readonly bytes: number;
  /** Microseconds from release to the last message of the answer. */
  readonly durationUs: number;
  /** Where the CancelRequest with this session's key came from, of what was cancelled by one. */
  readonly cancelledBy?: string;
  /** Its session ended before its answer did: nobody can tell whether it has happened. */
  readonly isCutOff?: true;
  /** The rule whose ceiling of changed rows it went over: the server has undone it. */
  readonly overLimit?: string;
  /** Names of canary rows among those that the client got; left out: none. */
  readonly canaries?: readonly string[];
  /** What the client got, where the gate asks for it. For the recording alone. */
  readonly result?: RecordedResult;
};

/**
 * `decide` never throws: what goes wrong is a refusal. `record` throws when the intent can't be written; then nothing
 * of the message may be forwarded.
 */
export type SqlGate = {
  /** One verdict per statement of `text`, in order; an empty text gives []. A syntax error gives one refusal for the whole. */
  readonly decide: (
    session: GateSession,
    context: SqlContext,
    text: string,
    /** Nothing of it runs yet: each Bind is decided by itself. */
    isPrepare?: boolean,
  ) => readonly SqlVerdict[];
  /** False: nobody has to ask for estimates. */
  readonly readsEstimates?: () => boolean;
  /**
   * Before a text, or an execution of a statement with these values, is decided: what the rules want to know of the planner.
   * Undefined where that is nothing. Never rejects; `decide` and `redecide` find the answers of the session's latest question.
   */
  readonly estimate?: (
    session: GateSession,
    context: SqlContext,
    of: string | AnalyzedStatement,
    parameters: readonly (Uint8Array | null)[] | undefined,
    signal: AbortSignal,
  ) => Promise<void> | undefined;
  /** Decide an already analysed statement again, e.g. at Bind: policies, grants, time and counters may have moved on. */
  readonly redecide: (
    session: GateSession,
    context: SqlContext,
    statement: AnalyzedStatement,
    parameters: readonly (Uint8Array | null)[],
  ) => SqlVerdict;
  /** The policies that gave the verdict are still those in force: what it released may go on without being asked about. */
  readonly isCurrent: (verdict: SqlVerdict) => boolean;
  /**
   * Writes the intent of each verdict, refusals included, before anything moves: before it returns, or, where `written` is
   * given, together with what others record in this turn of the event loop. Then nothing of the message may be forwarded
   * before `written` was called with true; it isn't called where this throws.
   */
  readonly record: (
    session: GateSession,
    verdicts: readonly SqlVerdict[],
    parameters: readonly (Uint8Array | null)[],
    written?: (isRecorded: boolean) => void,
  ) => void;
  /**
   * Waits for people. `signal` aborts it when the client cancels or goes away; `client` is spoken to while it waits and
   * while what was approved runs.
   */
  readonly hold: (
    session: GateSession,
    context: SqlContext,
    verdict: SqlVerdict & { kind: "hold" },
    parameters: readonly (Uint8Array | null)[],
    signal: AbortSignal,
    client: HeldClient,
  ) => Promise<HoldOutcome>;
  readonly complete: (session: GateSession, decisionId: string, completion: Completion) => void;
  /** How much of an answer is to be kept for its completion; undefined: nothing. */
  readonly resultCaps?: ResultCaps | undefined;
  /** Looks for canary rows in one run's answer; left out: nobody looks. */
  readonly newScan?: (() => CanaryScan) | undefined;
  readonly open: (session: GateSession) => void;
  readonly close: (session: GateSession, reason: string) => void;
};
