// subject -> evaluate -> (hold) -> record -> release: the one ordering, for every protocol but SQL
import { BugError } from "../../engine/lib/assert.ts";
import type {
  ApprovalRequirement,
  Decision,
  LimitObligation,
  Obligations,
  RuleId,
} from "../../engine/model/decision.ts";
import { maskKey } from "../../engine/model/mask.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { describeApprovers } from "../approvals/approval.ts";
import { grantDigest, requesterOf } from "../approvals/digest.ts";
import { causeCode, GatewayError } from "../errors.ts";
import { approvalIdOf } from "./approval-hold.ts";
import { contributionsOf } from "./contributions.ts";
import type { GateDeps } from "./deps.ts";
import { Reservations } from "./reservations.ts";
import { alertEvents, recordedText } from "./session-events.ts";
import type {
  HoldOptions,
  Refusal,
  SessionEnd,
  Subject,
  TrafficCompletion,
  TrafficGate,
  TrafficHoldOutcome,
  TrafficSession,
  TrafficVerdict,
  Unable,
  Withdrawal,
} from "./traffic.ts";
import { completionEvent, verdictEvent } from "./traffic-events.ts";
import { refusalOfDenial, refusalOfUnable } from "./traffic-refusal.ts";

export type TrafficGateDeps = Pick<
  GateDeps,
  | "connection"
  | "policies"
  | "counters"
  | "recorder"
  | "content"
  | "approvals"
  | "approvalHoldMs"
  | "isRevoked"
  | "isEnded"
  | "timeFacts"
  | "metrics"
  | "shadow"
  | "watch"
  | "monitor"
  | "clock"
  | "newId"
  | "log"
>;

/** What the gate remembers of a verdict that it gave; nobody else can make one. */
type State = {
  readonly policies: PolicySet;
  readonly request: PolicyRequest | undefined;
  readonly internalCause: string | undefined;
  isRecorded: boolean;
};

const noRules: ReadonlySet<RuleId> = new Set();

export function createTrafficGate(deps: TrafficGateDeps): TrafficGate {
  const states = new WeakMap<TrafficVerdict, State>();
  /** Windows that grow by what an answer holds: waiting for the completion, by decision id. */
  const measured = new Map<string, readonly LimitObligation[]>();

  const reservations = new Reservations();

  /** Requests that run on an approval, by decision id: how to stop listening for its withdrawal. */
  const running = new Map<string, () => void>();

  const remember = (verdict: TrafficVerdict, state: Omit<State, "isRecorded">): TrafficVerdict => {
    states.set(verdict, { ...state, isRecorded: false });
    return verdict;
  };
  const stateOf = (verdict: TrafficVerdict): State => {
    const state = states.get(verdict);
    if (state === undefined) throw new BugError("a verdict that this gate did not give");
    return state;
  };

  const requestOf = (session: TrafficSession, subject: Subject, approved: ReadonlySet<RuleId>): PolicyRequest => {
    const nowMs = deps.clock.nowMs();
    return {
      ...subject.facts,
      identity: session.identity,
      connection: session.connection,
      session: { id: session.id, age: Math.max(0, nowMs - session.startedAtMs), purpose: session.purpose },
      time: deps.timeFacts(nowMs),
      ...(deps.monitor === undefined ? {} : { monitor: deps.monitor.factsOf(session, undefined) }),
      counter: (name, key) => deps.counters.read(name, key, reservations.of(name, key)),
      approved,
    };
  };

  const refuse = (
    subject: Subject,
    refusal: Refusal,
    decision: Decision | undefined,
    state: Omit<State, "isRecorded">,
  ): TrafficVerdict => {
    const { decisionId } = refusal;
    return remember({ kind: "refuse", decisionId, subject, decision, refusal }, state);
  };

  /** Whatever breaks inside is a refusal with a recorded cause, never a pass. */
  const refuseBug = (subject: Subject, error: unknown): TrafficVerdict => {
    const decisionId = deps.newId("dec");
    const internalCause = error instanceof Error ? error.name : "unknown";
    deps.log.error({ code: "internal-error", decisionId, cause: internalCause }, "refused");
    const unable = {
      code: "internal-error",
      message: "the gateway could not judge this request, so it went nowhere",
      help: `show ${decisionId} to whoever runs the gateway`,
    };
    return refuse(subject, refusalOfUnable(unable, decisionId), undefined, {
      policies: deps.policies(),
      request: undefined,
      internalCause,
    });
  };

  const judge = (session: TrafficSession, subject: Subject, approved: ReadonlySet<RuleId>): TrafficVerdict => {
    try {
      if (deps.isEnded?.(session)) {
        const refusal = refusalOfUnable(sessionOver, deps.newId("dec"));
        const state = { policies: deps.policies(), request: undefined, internalCause: undefined };
        return refuse(subject, refusal, undefined, state);
      }
      const policies = deps.policies();
      const request = requestOf(session, subject, approved);
      const decision = policies.decide(request);
      const decisionId = deps.newId("dec");
      const state = { policies, request, internalCause: undefined };
      if (decision.effect === "deny") {
        return refuse(subject, refusalOfDenial(decision, decisionId), decision, state);
      }
      const { obligations } = decision;
      const unable = whyUnable(subject, obligations);
      if (unable !== undefined) return refuse(subject, refusalOfUnable(unable, decisionId), decision, state);
      if (decision.effect === "allow") {
        return remember({ kind: "release", decisionId, subject, decision, obligations }, state);
      }
      return remember({ kind: "hold", decisionId, subject, decision, obligations }, state);
    } catch (error) {
      return refuseBug(subject, error);
    }
  };

  /** Principal and delegation, connection, what is asked for, what would be masked, policies. One of them other: ask again. */
  const digestOf = (
    session: TrafficSession,
    subject: Subject,
    obligations: Obligations,
    policyHash: string,
  ): string => {
    return grantDigest({
      identity: session.identity,
      connection: deps.connection,
      protocol: subject.facts.protocol,
      action: [subject.text, subject.binding],
      obligations: JSON.stringify(contentKey(obligations)),
      policyHash,
    });
  };

  const count = (verdict: TrafficVerdict & { readonly kind: "release" }, { policies, request }: State): void => {
    for (const part of contributionsOf(verdict.decision, policies, request)) deps.counters.count(part);
    const windows = verdict.obligations.limits.filter(
      ({ unit, window }) => window !== undefined && unit !== "requests" && unit !== "calls",
    );
    if (windows.length > 0) measured.set(verdict.decisionId, windows);
    reservations.add(verdict.decisionId, windows, verdict.subject.reserve);
  };

  const record: TrafficGate["record"] = (session, verdicts) => {
    const atMs = deps.clock.nowMs();
    const fresh = verdicts.filter((verdict) => !stateOf(verdict).isRecorded);
    const events = fresh.flatMap((verdict) => {
      const { policies, request, internalCause } = stateOf(verdict);
      const event = verdictEvent({
        atMs,
        session: session.id,
        verdict,
        policyHash: policies.hash,
        revision: policies.revision,
        internalCause,
        ...(deps.content === undefined
          ? undefined
          : {
              content: deps.content.ofTexts(session.id, verdict.subject.shown, recordedText(verdict.subject.text)),
              isTextSealed: deps.content.isStatementSealed,
            }),
      });
      const alerts = verdict.decision ? alertEvents(atMs, session.id, verdict.decisionId, verdict.decision) : [];
      const differs =
        request && verdict.decision && deps.shadow?.compare(session.id, verdict.decisionId, request, verdict.decision);
      return differs === undefined ? [event, ...alerts] : [event, ...alerts, differs];
    });
    // INVARIANT: throws before anything is counted or released when the intent isn't written.
    if (events.length > 0) deps.recorder.recordIntent(events);
    for (const verdict of fresh) {
      const state = stateOf(verdict);
      state.isRecorded = true;
      if (verdict.kind === "release") count(verdict, state);
      deps.metrics.count(deps.connection, effectOf(verdict));
      for (const { rule, channel } of verdict.decision?.alerts ?? []) {
        deps.log.warn({ code: "alert", decisionId: verdict.decisionId, rule, channel }, "a rule raised an alert");
      }
      deps.watch?.decided({
        atMs,
        decisionId: verdict.decisionId,
        session,
        protocol: verdict.subject.facts.protocol,
        effect: effectOf(verdict),
        decision: verdict.decision,
        sql: undefined,
        access: verdict.subject.access,
        ...(verdict.subject.trace === undefined ? {} : { trace: verdict.subject.trace }),
        policyHash: state.policies.hash,
        revision: state.policies.revision,
      });
    }
  };

  const complete: TrafficGate["complete"] = (session, decisionId, completion) => {
    running.get(decisionId)?.();
    running.delete(decisionId);
    for (const { rule, unit, window } of measured.get(decisionId) ?? []) {
      if (window !== undefined) deps.counters.add(rule, window.key, window.ms, amountOf(unit, completion));
    }
    measured.delete(decisionId);
    reservations.end(decisionId);
    const atMs = deps.clock.nowMs();
    const { result } = completion;
    const content = result === undefined ? undefined : deps.content?.ofResult(session.id, result);
    deps.recorder.recordOutcome(completionEvent(atMs, session.id, decisionId, completion, content));
    const { outcome, tag, rows, bytes, durationUs } = completion;
    deps.metrics.observe("upstream", deps.connection, durationUs / 1_000);
    deps.watch?.completed({ atMs, decisionId, session, outcome, tag, sqlstate: undefined, rows, bytes, durationUs });
  };

  const notReleased = (session: TrafficSession, decisionId: string, outcome: TrafficHoldOutcome): void =>
    deps.recorder.recordOutcome({
      atMs: deps.clock.nowMs(),
      session: session.id,
      type: "completion",
      id: decisionId,
      outcome: outcome.kind,
      tag: outcome.kind === "refused" ? outcome.refusal.code : undefined,
      sqlstate: undefined,
      rows: 0,
      bytes: 0,
      durationUs: 0,
    });

  type Held = TrafficVerdict & { readonly kind: "hold" };

  const ask = async (
    session: TrafficSession,
    held: Held,
    digest: string,
    alsoShown: readonly string[],
  ): Promise<string> => {
    const { subject, decision } = held;
    const asked = await deps.approvals.ask({
      id: approvalIdOf(held.decisionId),
      digest,
      decisionId: held.decisionId,
      session: session.id,
      requester: requesterOf(session.identity),
      connection: deps.connection,
      protocol: subject.facts.protocol,
      statement: subject.text,
      parameters: [...subject.shown, ...alsoShown],
      accesses: [subject.access],
      likeness: subject.access,
      requirements: decision.requirements,
      policyHash: stateOf(held).policies.hash,
    });
    return asked.id;
  };

  const whyEnded: TrafficGate["whyEnded"] = (session) => {
    if (deps.isRevoked?.(session)) return "token-revoked";
    if (deps.isEnded?.(session)) return "session-ended";
    const { expiresAtS } = session;
    return expiresAtS !== undefined && expiresAtS * 1_000 <= deps.clock.nowMs() ? "token-expired" : undefined;
  };

  const waitForPeople = async (
    session: TrafficSession,
    first: Held,
    signal: AbortSignal,
    { waitMs = deps.approvalHoldMs, onAsked, alsoShown = [] }: HoldOptions,
  ): Promise<WaitEnd> => {
    const deadlineMs = deps.clock.nowMs() + waitMs;
    const { subject } = first;
    let tell = onAsked;
    let verdict: TrafficVerdict = first;
    for (;;) {
      // Waiting took time: policies, counters and the hour may have moved on, and the token may have ended.
      const ended = whyEnded(session);
      if (ended !== undefined) {
        return refusedWhileHeld(verdict, ended, endedWhileHeld[ended]);
      }
      if (verdict.kind === "release") return { kind: "granted", verdict };
      if (verdict.kind === "refuse") return { kind: "refused", refusal: verdict.refusal };
      const digest = digestOf(session, subject, verdict.obligations, stateOf(verdict).policies.hash);
      const grant = await deps.approvals.take(digest, session.id);
      if (grant) {
        const approved = judge(session, subject, grant.rules);
        if (approved.kind === "release") return { kind: "granted", verdict: approved, approvalId: grant.id };
        if (approved.kind === "refuse") return { kind: "refused", refusal: approved.refusal };
        return refusedWhileHeld(approved, "approval-overtaken", policyMoved);
      }
      const approvalId = await ask(session, verdict, digest, alsoShown);
      tell?.({ approvalId, notice: noticeOf(approvalId, verdict.decision.requirements) });
      tell = undefined;
      const outcome = await deps.approvals.wait(approvalId, deadlineMs - deps.clock.nowMs(), signal);
      switch (outcome) {
        case "granted":
        case "expired":
          verdict = judge(session, subject, noRules);
          break;
        case "denied":
        case "withdrawn":
          return refusedWhileHeld(verdict, "approval-denied", await deniedText(deps, approvalId), approvalId);
        case "timeout":
          return refusedWhileHeld(verdict, "approval-pending", undecided(approvalId), approvalId);
        case "aborted":
          await deps.approvals.withdraw(approvalId);
          return { kind: "withdrawn" };
      }
    }
  };

  const listenForWithdrawal = ({ decisionId, decision }: TrafficVerdict, approvalId: string): Withdrawal => {
    const abort = new AbortController();
    running.set(
      decisionId,
      deps.approvals.onRevoked(approvalId, () => abort.abort()),
    );
    const rules = decision?.rules ?? [];
    const code = "approval-withdrawn";
    return { signal: abort.signal, refusal: { decisionId, code, ...takenBack, rules, approvalId, retry: "never" } };
  };

  const hold: TrafficGate["hold"] = async (session, verdict, signal, options = {}) => {
    try {
      record(session, [verdict]);
      const began = performance.now();
      const outcome = await waitForPeople(session, verdict, signal, options);
      deps.metrics.observe("hold", deps.connection, performance.now() - began);
      if (outcome.kind !== "granted") {
        notReleased(session, verdict.decisionId, outcome);
        return outcome;
      }
      record(session, [outcome.verdict]);
      const { approvalId } = outcome;
      if (approvalId === undefined) return outcome;
      return { ...outcome, withdrawal: listenForWithdrawal(outcome.verdict, approvalId) };
    } catch (error) {
      if (!(error instanceof GatewayError)) {
        const refused = refuseBug(verdict.subject, error);
        return refused.kind === "refuse" ? { kind: "refused", refusal: refused.refusal } : { kind: "withdrawn" };
      }
      deps.log.error({ code: causeCode(error), decisionId: verdict.decisionId }, "a request could not be held");
      const unable = { code: error.code, message: error.message, help: error.help };
      return { kind: "refused", refusal: refusalOfUnable(unable, verdict.decisionId) };
    }
  };

  return {
    decide: (session, subject) => {
      const began = performance.now();
      const verdict = judge(session, subject, noRules);
      deps.metrics.observe("decision", deps.connection, performance.now() - began);
      return verdict;
    },
    whyEnded,
    preview: (session, subject, mode) => {
      try {
        const request = requestOf(session, subject, noRules);
        return deps.policies().decide(mode === undefined ? request : { ...request, isProbe: true });
      } catch (error) {
        deps.log.error({ code: "internal-error", cause: causeCode(error) }, "a preview failed");
        return undefined;
      }
    },
    refuse: (_session, subject, fault) => {
      const state = { policies: deps.policies(), request: undefined, internalCause: undefined };
      return refuse(subject, refusalOfUnable(fault, deps.newId("dec")), undefined, state);
    },
    record,
    hold,
    complete,
    resultCaps: deps.content?.resultCaps(deps.connection),
  };
}

/** Masks of columns and row filters are SQL's: no rule about other protocols gives them, and none passes unheeded. */
function whyUnable(subject: Subject, obligations: Obligations): ReturnType<Subject["whyUnable"]> {
  if (obligations.masks.size > 0 || obligations.filters.size > 0) {
    return {
      code: "obligation-unsupported",
      message: "a rule asks for a mask or filter of tables, which only SQL connections have",
      help: "say `on sql` in that rule",
    };
  }
  return subject.whyUnable(obligations);
}

const contentKey = ({ content = [], items = [], limits }: Obligations): readonly string[] => [
  ...items.map((filter) => JSON.stringify(filter)),
  ...content.map(({ content: { format, patterns }, mask }) => JSON.stringify([format, patterns, maskKey(mask)])),
  ...limits.filter(({ window }) => window === undefined).map(({ unit, max }) => `${unit} ${max}`),
];

function amountOf(unit: LimitObligation["unit"], completion: TrafficCompletion): number {
  switch (unit) {
    case "rows":
    case "items":
      return completion.rows;
    case "bytes":
      return completion.bytes;
    case "tokens":
      return completion.tokens ?? 0;
    case "usd":
      return completion.usd ?? 0;
    case "requests":
    case "calls":
      return 0;
    default:
      return unit satisfies never;
  }
}

function effectOf(verdict: TrafficVerdict): "allow" | "deny" | "approval" | "fault" {
  if (verdict.kind === "release") return "allow";
  if (verdict.kind === "hold") return "approval";
  return verdict.decision === undefined ? "fault" : "deny";
}

/** `approvalId`: the grant that was used for it, if one was. */
type WaitEnd =
  | (Extract<TrafficHoldOutcome, { readonly kind: "granted" }> & { readonly approvalId?: string })
  | Exclude<TrafficHoldOutcome, { readonly kind: "granted" }>;

type Wording = { readonly reason: string; readonly help: string };

const sessionOver = {
  code: "session-ended",
  message: "a rule of the policies has ended this session",
  help: "talk to whoever runs the gateway; the recording says which rule it was",
} satisfies Unable;
const endedWhileHeld: Record<SessionEnd, Wording> = {
  "token-expired": {
    reason: "the token ended while the request waited for approval",
    help: "get a fresh token and repeat the request",
  },
  "token-revoked": {
    reason: "the token was revoked while the request waited for approval",
    help: "talk to whoever runs the gateway",
  },
  "session-ended": { reason: sessionOver.message, help: sessionOver.help },
};
const policyMoved: Wording = {
  reason: "the policies changed while this request waited for approval, and ask for another one",
  help: "repeat the request to ask again",
};
const takenBack: Wording = {
  reason:
    "the approval was taken back while this request ran, so it was cut off: how much of it took effect isn't known",
  help: "`gw approvals show` says who took it back, and why",
};
const undecided = (id: string): Wording => ({
  reason: "this request needs approval, and nobody has decided yet",
  help: `once it is approved (\`gw approvals approve ${id}\`), repeat exactly this request: it then runs once`,
});

const noticeOf = (id: string, requirements: readonly ApprovalRequirement[]): string =>
  `waiting for approval ${id} by ${describeApprovers(requirements)}: \`gw approvals approve ${id}\``;

async function deniedText(deps: TrafficGateDeps, id: string): Promise<Wording> {
  const vote = (await deps.approvals.get(id))?.votes.find(({ verdict }) => verdict === "deny");
  const why = vote?.reason === undefined ? "" : `: ${vote.reason}`;
  return { reason: `an approver refused this request${why}`, help: `talk to ${vote?.by ?? "the approvers"}` };
}

function refusedWhileHeld(
  { decisionId, decision }: TrafficVerdict,
  code: string,
  { reason, help }: Wording,
  approvalId?: string,
): TrafficHoldOutcome & { readonly kind: "refused" } {
  const retry = code === "approval-pending" ? "after-approval" : "never";
  const rules = decision?.rules ?? [];
  return { kind: "refused", refusal: { decisionId, code, reason, rules, help, approvalId, retry } };
}
