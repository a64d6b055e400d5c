// Requests in, votes in, grants out: the waiting and the rules around the store.
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import type { Clock } from "../deps.ts";
import { GatewayError } from "../errors.ts";
import {
  type Approval,
  type ApprovalDraft,
  type ApprovalState,
  isSatisfied,
  lifeMs,
  type Vote,
  whyNotEligible,
} from "./approval.ts";
import type { ApprovalStore } from "./store.ts";

export type WaitOutcome = "granted" | "denied" | "expired" | "timeout" | "aborted";

export type ApprovalDesk = {
  readonly get: (id: string) => Approval | undefined;
  readonly list: (state: ApprovalState | undefined) => readonly Approval[];
  /** The open request for the same digest, or the id that a new one would get. Asks for nothing. */
  readonly idFor: (digest: string, newId: string) => string;
  /** Joins the open request for the same digest, or opens one. @throws GatewayError `approval-unavailable` */
  readonly ask: (draft: ApprovalDraft) => Approval;
  /** Uses up a grant for `digest`: of many callers exactly one gets it. */
  readonly take: (
    digest: string,
    session: string,
  ) => { readonly id: string; readonly rules: ReadonlySet<RuleId> } | undefined;
  readonly wait: (id: string, timeoutMs: number, signal: AbortSignal) => Promise<WaitOutcome>;
  /** The requester is gone. Others who wait for the same request keep it open. */
  readonly withdraw: (id: string) => void;
  /** @throws GatewayError `approval-not-found`, `approval-not-eligible`, `approval-closed` */
  readonly vote: (id: string, voter: IdentityFacts, verdict: Vote["verdict"], reason: string | undefined) => Approval;
  /** Told of each new request and each change. Returns how to stop. */
  readonly watch: (onChange: (approval: Approval) => void) => () => void;
  readonly close: () => void;
};

export type ApprovalDeskDeps = {
  readonly store: ApprovalStore;
  readonly clock: Clock;
  /** Puts an event on record before it takes effect; throws when it can't. */
  readonly record: (event: SessionEvent) => void;
};

export function createApprovalDesk(deps: ApprovalDeskDeps): ApprovalDesk {
  const { store, clock } = deps;
  const waiting = new Map<string, Set<(state: ApprovalState) => void>>();
  const watchers = new Set<(approval: Approval) => void>();

  const put = (approval: ApprovalDraft, state: RecordedState, by?: string, reason?: string): void =>
    deps.record({
      atMs: clock.nowMs(),
      session: approval.session,
      type: "approval",
      id: approval.id,
      statementId: approval.decisionId,
      state,
      by,
      reason,
    });
  const changed = (id: string): void => {
    const approval = store.get(id);
    if (!approval) return;
    for (const resolve of waiting.get(id) ?? []) resolve(approval.state);
    for (const watcher of watchers) watcher(approval);
  };
  const sweep = (): void => {
    for (const id of store.expire(clock.nowMs())) {
      const approval = store.get(id);
      if (approval) put(approval, "expired");
      changed(id);
    }
  };
  const timer = setInterval(() => {
    try {
      sweep();
    } catch {
      // The recording or the store is down: the next turn tries again; nothing is let through meanwhile.
    }
  }, limits.approvalSweepMs);
  timer.unref();

  const ask = (draft: ApprovalDraft): Approval => {
    const nowMs = clock.nowMs();
    const open = store.find(draft.digest, "pending", nowMs);
    if (open) return open;
    if (store.countPending(nowMs) >= limits.approvalsPendingMax) {
      throw new GatewayError(
        "approval-unavailable",
        `more than ${limits.approvalsPendingMax} requests wait for approval`,
        "try again when some are decided",
      );
    }
    put(draft, "requested");
    store.insert(draft, nowMs, nowMs + lifeMs(draft.requirements));
    changed(draft.id);
    return {
      ...draft,
      state: "pending",
      votes: [],
      createdAtMs: nowMs,
      expiresAtMs: nowMs + lifeMs(draft.requirements),
    };
  };

  const take: ApprovalDesk["take"] = (digest, session) => {
    for (;;) {
      const nowMs = clock.nowMs();
      const grant = store.find(digest, "granted", nowMs);
      if (!grant) return undefined;
      if (!store.transition(grant.id, "granted", "used", nowMs)) continue; // somebody else was faster
      put({ ...grant, session }, "used");
      changed(grant.id);
      return { id: grant.id, rules: new Set(grant.requirements.map((r) => r.rule)) };
    }
  };

  const vote: ApprovalDesk["vote"] = (id, voter, verdict, reason) => {
    const nowMs = clock.nowMs();
    const approval = store.get(id);
    if (!approval) throw new GatewayError("approval-not-found", `there is no approval request \`${id}\``);
    const why = whyNotEligible(approval, voter);
    if (why !== undefined) throw new GatewayError("approval-not-eligible", why);
    if (approval.state !== "pending" || approval.expiresAtMs <= nowMs) {
      const state = approval.state === "pending" ? "expired" : approval.state;
      throw new GatewayError("approval-closed", `the request \`${id}\` is ${state} already`);
    }
    const by = isKnown(voter.sub) ? voter.sub : "";
    const groups = isKnown(voter.groups) ? [...voter.groups].sort() : [];
    const mine: Vote = { by, groups, verdict, reason, atMs: nowMs };
    if (approval.votes.some((v) => v.by === by)) {
      throw new GatewayError("approval-closed", `you have decided \`${id}\` already`);
    }
    // Recorded before it takes effect: an unrecorded grant would let something run that nobody can explain.
    put(approval, verdict === "deny" ? "refused" : "approved", by, reason);
    if (!store.addVote(id, mine)) throw new GatewayError("approval-closed", `you have decided \`${id}\` already`);
    // Read again: a vote may have come through another gateway meanwhile, and together they may be enough.
    const votes = store.get(id)?.votes ?? [];
    const to = verdict === "deny" ? "denied" : isSatisfied(approval.requirements, votes) ? "granted" : undefined;
    if (to !== undefined) {
      if (to === "granted") put(approval, "granted");
      const grantEndsMs = nowMs + lifeMs(approval.requirements);
      if (!store.transition(id, "pending", to, nowMs, grantEndsMs)) {
        throw new GatewayError("approval-closed", `the request \`${id}\` was decided a moment ago`);
      }
    }
    changed(id);
    return store.get(id) ?? approval;
  };

  const wait: ApprovalDesk["wait"] = (id, timeoutMs, signal) =>
    new Promise((resolve) => {
      const set = waiting.get(id) ?? new Set();
      waiting.set(id, set);
      const finish = (outcome: WaitOutcome): void => {
        clearTimeout(timeout);
        clearInterval(poll);
        signal.removeEventListener("abort", onAbort);
        set.delete(look);
        if (set.size === 0 && waiting.get(id) === set) waiting.delete(id);
        resolve(outcome);
      };
      const look = (state: ApprovalState): void => {
        if (state === "granted" || state === "used") finish("granted");
        else if (state === "denied") finish("denied");
        else if (state === "expired" || state === "withdrawn") finish("expired");
      };
      const lookInStore = (): void => {
        const approval = store.get(id);
        if (approval)
          look(approval.state === "pending" && approval.expiresAtMs <= clock.nowMs() ? "expired" : approval.state);
      };
      const onAbort = (): void => finish("aborted");
      const timeout = setTimeout(() => finish("timeout"), Math.max(0, timeoutMs));
      // Votes may come through another gateway on the same store.
      const poll = setInterval(lookInStore, limits.approvalPollMs);
      signal.addEventListener("abort", onAbort, { once: true });
      set.add(look);
      if (signal.aborted) finish("aborted");
      else lookInStore();
    });

  return {
    get: store.get,
    list: (state) => store.list(state, limits.approvalsListMax),
    idFor: (digest, newId) => store.find(digest, "pending", clock.nowMs())?.id ?? newId,
    ask,
    take,
    wait,
    withdraw: (id) => {
      if ((waiting.get(id)?.size ?? 0) > 0) return;
      const approval = store.get(id);
      if (!approval || !store.transition(id, "pending", "withdrawn", clock.nowMs())) return;
      put(approval, "withdrawn");
      changed(id);
    },
    vote,
    watch: (onChange) => {
      watchers.add(onChange);
      return () => watchers.delete(onChange);
    },
    close: () => {
      clearInterval(timer);
      store.close();
    },
  };
}

type RecordedState = Extract<SessionEvent, { readonly type: "approval" }>["state"];
