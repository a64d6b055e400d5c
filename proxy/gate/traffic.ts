// The one ordering for everything that isn't SQL: decide -> (hold) -> record -> release -> complete.
import type { Decision, Obligations, RuleId } from "../../engine/model/decision.ts";
import type { HttpFacts, LlmFacts, McpFacts } from "../../engine/model/request.ts";
import type { RecordedResult } from "../../engine/model/session-event.ts";
import type { GateSession } from "../postgres/sql-gate.ts";
import type { ResultCaps } from "../recording/results.ts";
import type { SpanPlace } from "../telemetry/watch.ts";

/** A client session after login: the same record for every protocol. */
export type TrafficSession = GateSession;

export type TrafficFacts =
  | { readonly protocol: "http"; readonly http: HttpFacts }
  | { readonly protocol: "mcp"; readonly mcp: McpFacts }
  | { readonly protocol: "llm"; readonly llm: LlmFacts };

/** One thing that is decided: an HTTP request, one MCP message, one request to a model or one tool use in its answer. */
export type Subject = {
  readonly facts: TrafficFacts;
  /** What the record calls it: `GET /v1/users?limit=5`, `tools/call crm.refund`. Arguments belong into `text` only as far as approvers and auditors must see them. */
  readonly text: string;
  /** One line for the list of accesses, without values: `GET /v1/users`. */
  readonly access: string;
  /**
   * Everything that an approval is bound to besides principal, connection, obligations and policies: method, target,
   * headers and a digest of the body; or tool and canonical arguments. Any change asks people anew.
   */
  readonly binding: readonly string[];
  /** Shown to approvers beside `text`, never cut: the body, the arguments. */
  readonly shown: readonly string[];
  /** Join keys for the timeline: trace id, JSON-RPC id, the model's tool_use id, MCP session. Ids only, never content. */
  readonly refs: Readonly<Record<string, string>>;
  /** The trace that it belongs to; left out: one of its own. */
  readonly trace?: SpanPlace;
  /**
   * What it may come to, of units that are known at its end only: while it runs, windows of limits hold it, so that
   * requests at the same time don't each spend what is left. Left out: nothing.
   */
  readonly reserve?: { readonly tokens: number; readonly usd: number };
  /** Why this adapter can't carry out these obligations; undefined when it can. Asked before anything is released. */
  readonly whyUnable: (obligations: Obligations) => Unable | undefined;
};

export type Unable = { readonly code: string; readonly message: string; readonly help: string | undefined };

/** What a client is told, in whatever form its protocol has for it. The same facts everywhere. */
export type Refusal = {
  readonly decisionId: string;
  /** A cause's kind, or the stable code of a fault: `denied`, `uncovered`, `limit`, `approval-pending`, … */
  readonly code: string;
  /** One sentence: the first cause in the policy's words. */
  readonly reason: string;
  readonly rules: readonly RuleId[];
  /** The way out. */
  readonly help: string | undefined;
  /** Set when an identical repeat passes once after people said yes. */
  readonly approvalId: string | undefined;
  /** `after-approval`, `after-wait`: repeating the same request may help; `never`: it can't. */
  readonly retry: "never" | "after-approval" | "after-wait";
};

export type TrafficVerdict = { readonly decisionId: string; readonly subject: Subject } & (
  | {
      readonly kind: "release";
      readonly decision: Decision & { readonly effect: "allow" };
      readonly obligations: Obligations;
    }
  | {
      readonly kind: "hold";
      readonly decision: Decision & { readonly effect: "approval" };
      readonly obligations: Obligations;
    }
  | { readonly kind: "refuse"; readonly decision: Decision | undefined; readonly refusal: Refusal }
);

/** An approval may be taken back while what it let through runs: until `complete`, `signal` says so. */
export type Withdrawal = {
  readonly signal: AbortSignal;
  /** What the client is told then. */
  readonly refusal: Refusal;
};

export type TrafficHoldOutcome =
  | {
      readonly kind: "granted";
      readonly verdict: TrafficVerdict & { readonly kind: "release" };
      /** Of the approval that was used for it, if one was. */
      readonly withdrawal?: Withdrawal;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** The client is gone. */
  | { readonly kind: "withdrawn" };

export type TrafficCompletion = {
  /**
   * `error`: the upstream failed. `refused`: the answer could not be let through. `aborted`: the client went away.
   * `cancelled`: its approval was taken back.
   */
  readonly outcome: "ok" | "error" | "refused" | "aborted" | "cancelled";
  /** Status of the answer, stop reason, … : a short word. */
  readonly tag: string | undefined;
  /** Rows, items or events of the answer, as far as they were counted. */
  readonly rows: number;
  /** Bytes of the answer's content as the client got it. */
  readonly bytes: number;
  readonly durationUs: number;
  /** For windows of these units; left out where nothing was measured. */
  readonly tokens?: number;
  readonly usd?: number;
  readonly refs?: Readonly<Record<string, string>>;
  /** What the client got, where the gate asks for it. For the recording alone. */
  readonly result?: RecordedResult | undefined;
};

/** `session-ended`: by a rule with `@ends(session)`, or by a finding of the monitor. */
export type SessionEnd = "token-expired" | "token-revoked" | "session-ended";

export type HoldOptions = {
  /** For approvers beside the subject's `shown`: what else the approval is bound to. */
  readonly alsoShown?: readonly string[];
  /** Default: the configured hold. 0: ask, and don't wait. */
  readonly waitMs?: number;
  /** Once, when people have been asked. `notice` is one line for the client: who must approve, how, the id. */
  readonly onAsked?: (asked: { readonly approvalId: string; readonly notice: string }) => void;
};

/**
 * `decide` never throws: what goes wrong inside is a refusal. `record` throws when the intent can't be written; then
 * nothing of what was decided may be forwarded.
 */
export type TrafficGate = {
  readonly decide: (session: TrafficSession, subject: Subject) => TrafficVerdict;
  /**
   * Asks the policies without giving a verdict: for lists that are filtered (`tools/list`) and for finding out which
   * facts a decision reads. Nothing is counted or recorded.
   */
  readonly preview: (
    session: TrafficSession,
    subject: Subject,
    /** `optimistic`: whether some such request could pass; what isn't known counts in favour, windows don't count. */
    mode?: "optimistic",
  ) => Decision | undefined;
  /** A refusal of the adapter's own (a body that can't be read): recorded like any other. */
  readonly refuse: (session: TrafficSession, subject: Subject, fault: Unable) => TrafficVerdict;
  /** Writes the intent of each verdict, refusals included, before anything moves. Counters and rates count here. @throws GatewayError */
  readonly record: (session: TrafficSession, verdicts: readonly TrafficVerdict[]) => void;
  /**
   * Waits for people. Records the hold, and the verdict that is released after it: a `granted` one is on record already.
   * After the time is up: refused with `approval-pending` and the id; the request stays open, a repeat joins it.
   */
  readonly hold: (
    session: TrafficSession,
    verdict: TrafficVerdict & { readonly kind: "hold" },
    signal: AbortSignal,
    options?: HoldOptions,
  ) => Promise<TrafficHoldOutcome>;
  /** Once per released verdict. */
  readonly complete: (session: TrafficSession, decisionId: string, completion: TrafficCompletion) => void;
  /** Whether a session and its token still hold, for whatever lasts longer than the check at its beginning. */
  readonly whyEnded: (session: TrafficSession) => SessionEnd | undefined;
  /** How much of an answer is to be kept for its completion; undefined: nothing. */
  readonly resultCaps?: ResultCaps | undefined;
};
