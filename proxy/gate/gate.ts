// analyze -> evaluate -> (hold) -> record -> release: the one ordering
import { BugError } from "../../engine/lib/assert.ts";
import type { Decision, LimitObligation, RuleId } from "../../engine/model/decision.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { RecordedContent, SessionEvent } from "../../engine/model/session-event.ts";
import type { SqlFacts } from "../../engine/model/statement.ts";
import { parameterFact } from "../../engine/sql/parameters.ts";
import type { AnalyzedStatement, SqlContext, SqlFault } from "../../engine/sql/types.ts";
import { GatewayError } from "../errors.ts";
import type { GateSession, HoldOutcome, SqlGate, SqlVerdict } from "../postgres/sql-gate.ts";
import type { BindValues } from "../recording/bind-values.ts";
import type { EventText } from "../recording/event-text.ts";
import type { GateWatch } from "../telemetry/watch.ts";
import { holdForApproval } from "./approval-hold.ts";
import { type Contribution, contributionsOf } from "./contributions.ts";
import type { GateDeps } from "./deps.ts";
import { completionText, statementText } from "./event-texts.ts";
import { MeasuredWindows, reservationsOf } from "./measured-windows.ts";
import { obligationsKey } from "./obligations-key.ts";
import { refusalOfDecision, refusalOfFault } from "./refusal.ts";
import { type Judged, RowEstimates, type SqlRequest } from "./row-estimates.ts";
import { alertEvents, recordedText, sessionStartEvent } from "./session-events.ts";
import { StatementCache } from "./statement-cache.ts";

/** What the gate remembers of a verdict that it gave. Travels with it, under a key that nobody else has. */
class VerdictState {
  readonly text: string;
  readonly policies: PolicySet;
  readonly request: SqlRequest | undefined;
  readonly internalCause: string | undefined;
  /** Says how to read the values of a Bind; undefined where it was decided without them. */
  readonly context: SqlContext | undefined;
  isCounted = false;
  /** A hold is put on record when it starts to wait, and then not again. */
  isHoldRecorded = false;

  constructor({ text, policies, request, internalCause, context }: NewState) {
    this.text = text;
    this.policies = policies;
    this.request = request;
    this.internalCause = internalCause;
    this.context = context;
  }
}

export type Parameters = readonly (Uint8Array | null)[];

const noRules: ReadonlySet<RuleId> = new Set();

/** One gate per connection: what it remembers of statements is valid for its catalog only. */
export function createSqlGate(deps: GateDeps): SqlGate {
  const cache = new StatementCache(deps.engine, deps.limits);
  /** Windows that grow by what a result holds: waiting for the completion, by decision id. */
  const measured = new MeasuredWindows(deps.counters, deps.clock);

  /** Decisions whose record was lost in this turn: a completion of theirs would be about nothing. */
  const lost = new Set<string>();

  /** Statements that run on an approval, by decision id: how to stop listening for its withdrawal. */
  const running = new Map<string, () => void>();

  /** A verdict of another gate has none under this key. */
  const stateKey = Symbol("state of a verdict");

  type WithState = SqlVerdict & { [stateKey]?: VerdictState };

  /** Not a weak map: one of what lives for a single statement keeps the collector busy. */
  const remember = (verdict: SqlVerdict, state: NewState): SqlVerdict => {
    const own: WithState = verdict;
    own[stateKey] = new VerdictState(state);
    return verdict;
  };

  /** What earlier statements of the same message would add: none of them is counted before the message is recorded. */
  let tentative = new Map<string, readonly Contribution[]>();

  const requestOf = (
    session: GateSession,
    statement: AnalyzedStatement,
    approved: ReadonlySet<RuleId>,
    values: BoundValues | undefined,
  ): SqlRequest => {
    const nowMs = deps.clock.nowMs();
    // Written out, because this is made for every statement: spreading costs more than the decision.
    const request: SqlRequest = {
      protocol: "sql",
      sql: statement.facts,
      identity: session.identity,
      connection: session.connection,
      session: { id: session.id, age: Math.max(0, nowMs - session.startedAtMs), purpose: session.purpose },
      time: deps.timeFacts(nowMs),
      counter: readCounter,
      approved,
    };
    if (values === undefined && deps.monitor === undefined) return request;
    return {
      ...request,
      ...withValues(statement, values),
      ...(deps.monitor === undefined ? {} : { monitor: deps.monitor.factsOf(session, statement.facts) }),
    };
  };

  const readCounter: SqlRequest["counter"] = (name, key) => {
    const pending = tentative.size === 0 ? undefined : tentative.get(`${name}\u0000${key}`);
    return deps.counters.read(name, key, pending);
  };

  const refuseFault = (text: string, statement: AnalyzedStatement | undefined, fault: SqlFault): SqlVerdict => {
    const decisionId = deps.newId("dec");
    const refusal = refusalOfFault(fault, decisionId);
    return remember(
      { kind: "refuse", decisionId, statement, decision: undefined, fault, refusal },
      { text, policies: deps.policies(), request: undefined, internalCause: undefined, context: undefined },
    );
  };

  /** Whatever breaks inside is a refusal with a recorded cause, never a pass. */
  const refuseBug = (text: string, statement: AnalyzedStatement | undefined, error: unknown): SqlVerdict => {
    const decisionId = deps.newId("dec");
    const internalCause = error instanceof Error ? error.name : "unknown";
    deps.log.error({ code: "internal-error", decisionId, cause: internalCause, at: placeOf(error) }, "refused");
    const fault: SqlFault = {
      code: "internal-error",
      sqlstate: "XX000",
      message: "the gateway could not judge this statement, so it did not run",
      help: `show ${decisionId} to whoever runs the gateway`,
      position: undefined,
    };
    const refusal = refusalOfFault(fault, decisionId);
    return remember(
      { kind: "refuse", decisionId, statement, decision: undefined, fault, refusal },
      { text, policies: deps.policies(), request: undefined, internalCause, context: undefined },
    );
  };

  const judge = (
    session: GateSession,
    context: SqlContext,
    statement: AnalyzedStatement,
    approved: ReadonlySet<RuleId>,
    parameters: Parameters | undefined,
    isPrepare: boolean,
  ): SqlVerdict => {
    const policies = deps.policies();
    const text = statement.facts.text;
    const values = policies.needs.parameters ? { parameters, context } : undefined;
    let request = requestOf(session, statement, approved, values);
    if (policies.needs.estimatedRows) {
      const judged = { session, context, statement, parameters: parameters ?? [], policies, request };
      request = isPrepare || isNamedOnly(statement) ? asProbe(judged) : withEstimate(judged);
    }
    const decision = policies.decide(request);
    const decisionId = deps.newId("dec");
    const bindContext = parameters === undefined ? undefined : context;
    const state = { text, policies, request, internalCause: undefined, context: bindContext };
    if (decision.effect === "deny") {
      const refusal = refusalOfDecision(decision, decisionId);
      return remember({ kind: "refuse", decisionId, statement, decision, fault: undefined, refusal }, state);
    }
    const rewritten = cache.rewrite(statement, decision.obligations, context);
    if (!rewritten.ok) {
      const fault = rewritten.error;
      const refusal = refusalOfFault(fault, decisionId);
      return remember({ kind: "refuse", decisionId, statement, decision, fault, refusal }, state);
    }
    if (isUncounted(statement, decision)) {
      const refusal = refusalOfFault(uncounted, decisionId);
      return remember({ kind: "refuse", decisionId, statement, decision, fault: uncounted, refusal }, state);
    }
    const key = obligationsKey(decision.obligations);
    const sent = rewritten.value;
    return decision.effect === "allow"
      ? remember({ kind: "release", decisionId, statement, decision, rewritten: sent, obligationsKey: key }, state)
      : remember({ kind: "hold", decisionId, statement, decision, rewritten: sent, obligationsKey: key }, state);
  };

  /** `judge`, with anything thrown turned into a refusal. */
  const judgeSafely: typeof judge = (session, context, statement, approved, parameters, isPrepare) => {
    try {
      return judge(session, context, statement, approved, parameters, isPrepare);
    } catch (error) {
      return refuseBug(statement.facts.text, statement, error);
    }
  };

  const estimates = new RowEstimates(deps.estimateRows, (statement, obligations, context) =>
    cache.rewrite(statement, obligations, context),
  );

  const withEstimate = (judged: Judged): SqlRequest => {
    const fact = estimates.factFor(judged);
    if (fact === undefined) return judged.request;
    return { ...judged.request, sql: { ...judged.request.sql, estimatedRows: fact.rows } };
  };

  /** Nothing runs yet: asked is whether some number of rows could pass. */
  const asProbe = (judged: Judged): SqlRequest =>
    estimates.isRead(judged) ? { ...judged.request, isProbe: true } : judged.request;

  const estimate: SqlGate["estimate"] = (session, context, of, parameters, signal) => {
    const policies = deps.policies();
    try {
      const analyzed = typeof of === "string" ? cache.analyze(of, context) : undefined;
      const statements = typeof of !== "string" ? [of] : analyzed?.ok ? analyzed.value : [];
      const all = statements
        .filter((statement) => !isNamedOnly(statement))
        .map((statement): Judged => {
          const values = policies.needs.parameters ? { parameters: parameters ?? [], context } : undefined;
          const request = requestOf(session, statement, noRules, values);
          return { session, context, statement, parameters: parameters ?? [], policies, request };
        });
      return estimates.ask(session, all, signal);
    } catch {
      return undefined; // `decide` meets it too, and refuses
    }
  };

  const decide = (session: GateSession, context: SqlContext, text: string, isPrepare: boolean) => {
    try {
      const analyzed = cache.analyze(text, context);
      if (!analyzed.ok) {
        if (analyzed.error.code.startsWith("unknown-")) deps.onUnknownName();
        return [refuseFault(text, undefined, analyzed.error)];
      }
      return analyzed.value.map((statement, i) => {
        const verdict = judgeSafely(session, context, statement, noRules, undefined, isPrepare);
        if (i < analyzed.value.length - 1) countTentatively(verdict);
        return verdict;
      });
    } catch (error) {
      return [refuseBug(text, undefined, error)];
    } finally {
      tentative = new Map();
    }
  };

  const countTentatively = (verdict: SqlVerdict): void => {
    const state = stateOf(verdict);
    if (verdict.kind === "refuse") return;
    const reserved = reservationsOf(limitsOf(verdict.decision), verdict.statement);
    for (const part of [...contributionsOf(verdict.decision, state.policies, state.request), ...reserved]) {
      const id = `${part.name}\u0000${part.key}`;
      tentative.set(id, [...(tentative.get(id) ?? []), part]);
    }
  };

  const count = (verdict: SqlVerdict & { kind: "release" }, state: VerdictState): void => {
    if (state.isCounted || state.request === undefined) return;
    state.isCounted = true;
    for (const part of contributionsOf(verdict.decision, state.policies, state.request)) deps.counters.count(part);
    measured.begin(verdict.decisionId, limitsOf(verdict.decision), verdict.statement);
  };

  const record: SqlGate["record"] = (session, verdicts, parameters, written) => {
    const atMs = deps.clock.nowMs();
    const events: (SessionEvent | EventText)[] = [];
    const isFresh = (verdict: SqlVerdict): boolean => !stateOf(verdict).isHoldRecorded;
    const fresh = verdicts.every(isFresh) ? verdicts : verdicts.filter(isFresh);
    for (const verdict of fresh) {
      const { text, policies, internalCause, context } = stateOf(verdict);
      const bound = { values: parameters, context, parameters: verdict.statement?.parameters };
      events.push(
        statementText({
          atMs,
          session: session.id,
          verdict,
          text,
          parameters: parameters.length,
          policyHash: policies.hash,
          revision: policies.revision,
          internalCause,
          ...contentOf(session, verdict, bound, text),
        }),
      );
      if (verdict.decision && verdict.decision.alerts.length > 0) {
        events.push(...alertEvents(atMs, session.id, verdict.decisionId, verdict.decision));
      }
      const differs = shadowEvent(session, verdict);
      if (differs !== undefined) events.push(differs);
    }
    // INVARIANT: throws before anything is counted or released when the intent can't be written. What waits for the end of
    // the turn counts already, or statements of one turn wouldn't see each other.
    if (written === undefined) deps.recorder.recordIntent(events);
    else {
      deps.recorder.recordTogether(events, (isRecorded) => {
        if (!isRecorded) forgetLater(fresh);
        written(isRecorded);
      });
    }
    for (const verdict of fresh) {
      if (verdict.kind === "hold") stateOf(verdict).isHoldRecorded = true;
      if (verdict.kind === "release") count(verdict, stateOf(verdict));
      deps.metrics.count(deps.connection, effectOf(verdict));
      if (verdict.decision) logAlerts(verdict.decisionId, verdict.decision);
      if (deps.watch !== undefined) tell(deps.watch, atMs, session, verdict);
    }
  };

  /** What a record says beside the decision: values as the configuration asks, and the estimate that was decided by. */
  const contentOf = (
    session: GateSession,
    verdict: SqlVerdict,
    bound: BindValues,
    text: string,
  ): { readonly content?: RecordedContent; readonly isTextSealed?: boolean } | undefined => {
    const { policies, request } = stateOf(verdict);
    const rows = policies.needs.estimatedRows ? request?.sql.estimatedRows : undefined;
    const estimate = typeof rows === "number" ? { estimatedRows: rows } : undefined;
    if (deps.content === undefined) return estimate && { content: estimate };
    return {
      content: { ...deps.content.ofSql(session.id, bound, recordedText(text)), ...estimate },
      isTextSealed: deps.content.isStatementSealed,
    };
  };

  /** Whoever is told that the record is lost gives up what was released in the same turn. */
  const forgetLater = (verdicts: readonly SqlVerdict[]): void => {
    for (const { decisionId } of verdicts) lost.add(decisionId);
    setImmediate(() => {
      for (const { decisionId } of verdicts) lost.delete(decisionId);
    });
  };

  const tell = (watch: GateWatch, atMs: number, session: GateSession, verdict: SqlVerdict): void => {
    const { hash, revision } = stateOf(verdict).policies;
    watch.decided({
      atMs,
      decisionId: verdict.decisionId,
      session,
      protocol: "sql",
      effect: effectOf(verdict),
      decision: verdict.decision,
      sql: verdict.statement?.facts,
      access: undefined,
      policyHash: hash,
      revision,
    });
  };

  const shadowEvent = (session: GateSession, verdict: SqlVerdict): SessionEvent | undefined => {
    const { request } = stateOf(verdict);
    if (deps.shadow === undefined || request === undefined || verdict.decision === undefined) return undefined;
    return deps.shadow.compare(session.id, verdict.decisionId, request, verdict.decision);
  };

  const stateOf = (verdict: SqlVerdict): VerdictState => {
    const own: WithState = verdict;
    const state = own[stateKey];
    if (!(state instanceof VerdictState)) throw new BugError("a verdict that this gate did not give");
    return state;
  };

  const logAlerts = (decisionId: string, decision: Decision): void => {
    for (const alert of decision.alerts) {
      deps.log.warn({ code: "alert", decisionId, rule: alert.rule, channel: alert.channel }, "a rule raised an alert");
    }
  };

  const recordLate = (event: SessionEvent | EventText): void => deps.recorder.recordOutcome(event);

  const recordUnreleased = (session: GateSession, verdict: SqlVerdict, outcome: HoldOutcome): void =>
    recordLate({
      atMs: deps.clock.nowMs(),
      session: session.id,
      type: "completion",
      id: verdict.decisionId,
      outcome: outcome.kind,
      tag: undefined,
      sqlstate: outcome.kind === "refused" ? outcome.refusal.sqlstate : undefined,
      rows: 0,
      bytes: 0,
      durationUs: 0,
    });

  const timed = <T>(work: () => T): T => {
    const began = performance.now();
    const result = work();
    deps.metrics.observe("decision", deps.connection, performance.now() - began);
    return result;
  };

  return {
    readsEstimates: () => deps.policies().needs.estimatedRows,
    estimate,
    decide: (session, context, text, isPrepare) => timed(() => decide(session, context, text, isPrepare === true)),
    isCurrent: (verdict) => stateOf(verdict).policies === deps.policies(),
    redecide: (session, context, statement, parameters) =>
      timed(() => judgeSafely(session, context, statement, noRules, parameters, false)),
    record,
    hold: async (session, context, verdict, parameters, signal, client) => {
      const began = performance.now();
      try {
        const rejudge = (approved: ReadonlySet<RuleId>): SqlVerdict => {
          if (verdict.statement === undefined) throw new BugError("a hold without a statement");
          return judgeSafely(session, context, verdict.statement, approved, parameters, false);
        };
        record(session, [verdict], parameters);
        const policyHash = (v: SqlVerdict): string => stateOf(v).policies.hash;
        const held = { session, context, verdict, parameters, signal, rejudge, policyHash, client };
        const { outcome, approval } = await holdForApproval(deps, held);
        deps.metrics.observe("hold", deps.connection, performance.now() - began);
        if (outcome.kind === "granted" && approval !== undefined) {
          const stop = deps.approvals.onRevoked(approval, client.end);
          running.set(outcome.verdict.decisionId, stop);
        }
        if (outcome.kind !== "granted") recordUnreleased(session, verdict, outcome);
        return outcome;
      } catch (error) {
        const refused =
          error instanceof GatewayError
            ? refuseFault(verdict.statement?.facts.text ?? "", verdict.statement, {
                code: error.code,
                sqlstate: "53000",
                message: error.message,
                help: error.help,
                position: undefined,
              })
            : refuseBug(verdict.statement?.facts.text ?? "", verdict.statement, error);
        return refused.kind === "refuse" ? { kind: "refused", refusal: refused.refusal } : { kind: "withdrawn" };
      }
    },
    complete: (session, decisionId, completion) => {
      if (running.size > 0) {
        running.get(decisionId)?.();
        running.delete(decisionId);
      }
      measured.end(decisionId, completion);
      const atMs = deps.clock.nowMs();
      // Content goes into the recording and nowhere else: who watches gets numbers.
      const { result } = completion;
      const content = result === undefined ? undefined : deps.content?.ofResult(session.id, result);
      if (lost.size === 0 || !lost.delete(decisionId)) {
        recordLate(completionText(atMs, session.id, decisionId, completion, content));
      }
      deps.metrics.observe("upstream", deps.connection, completion.durationUs / 1_000);
      if (deps.watch === undefined) return;
      const { result: _, ...numbers } = completion;
      deps.watch.completed({ atMs, decisionId, session, ...numbers });
    },
    resultCaps: deps.content?.resultCaps(deps.connection),
    newScan: deps.newScan,
    open: (session) =>
      deps.recorder.recordIntent([sessionStartEvent(session, deps.clock.nowMs(), "postgres", deps.content)]),
    close: (session, reason) =>
      recordLate({ atMs: deps.clock.nowMs(), session: session.id, type: "session-end", reason }),
  };
}

/** What a Bind brings, for policies that look at it. */
type BoundValues = { readonly parameters: Parameters | undefined; readonly context: SqlContext };

/**
 * Before a statement with parameters has its values nothing runs: asked is whether some values could pass. Every Bind, and
 * every EXECUTE with its constants, is decided by itself.
 */
function withValues(
  statement: AnalyzedStatement,
  values: BoundValues | undefined,
): { readonly sql: SqlFacts; readonly isProbe?: true } {
  const { facts, parameters: awaited } = statement;
  if (values === undefined || awaited === undefined) return { sql: facts };
  if (values.parameters === undefined) return { sql: facts, isProbe: true };
  return { sql: { ...facts, parameters: parameterFact(awaited, values.parameters, values.context) } };
}

/** Rows are counted with the statement that a limit is on; those of a cursor come with FETCH, which names no table. */
const isUncounted = (statement: AnalyzedStatement, decision: Exclude<Decision, { readonly effect: "deny" }>): boolean =>
  statement.facts.verb === "declare" &&
  decision.obligations.limits.some(({ unit, window }) => window !== undefined && (unit === "rows" || unit === "bytes"));

const uncounted: SqlFault = {
  code: "limit-not-applicable",
  sqlstate: "42501",
  message: "the rows of a cursor can't be counted, and a limit per time is on them",
  help: "use SELECT in place of a cursor",
  position: undefined,
};

function effectOf(verdict: SqlVerdict): "allow" | "deny" | "approval" | "fault" {
  if (verdict.kind === "release") return "allow";
  if (verdict.kind === "hold") return "approval";
  return verdict.fault === undefined ? "deny" : "fault";
}

/** PREPARE runs nothing: each EXECUTE is decided by itself. */
const isNamedOnly = (statement: AnalyzedStatement): boolean =>
  statement.effects.some((effect) => effect.kind === "prepare");

type NewState = Pick<VerdictState, "text" | "policies" | "request" | "internalCause" | "context">;

const limitsOf = (decision: Decision): readonly LimitObligation[] =>
  decision.effect === "deny" ? [] : decision.obligations.limits;

/** File and line of the topmost frame: a place in our own source, no content. */
function placeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  return /[\w./-]+\.[jt]s:\d+:\d+/.exec(error.stack?.split("\n").find((line) => line.includes(" at ")) ?? "")?.[0];
}
