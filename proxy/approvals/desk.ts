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
  authorityOf,
  type BrokenGlass,
  eligibilityOf,
  isSatisfied,
  lifeMs,
  type StandIn,
  type Vote,
} from "./approval.ts";
import type { ApprovalStore } from "./store.ts";

export type WaitOutcome = "granted" | "denied" | "expired" | "withdrawn" | "timeout" | "aborted";

export type Grant = { readonly id: string; readonly rules: ReadonlySet<RuleId> };

/** What changed about a request; `by` is the person, where there is one. */
export type ApprovalChange = { readonly approval: Approval; readonly what: RecordedState };

/** Every function rejects with GatewayError `approval-unavailable` or `record-failed` when store or recording fail. */
export type ApprovalDesk = {
  readonly get: (id: string) => Promise<Approval | undefined>;
  readonly list: (state: ApprovalState | undefined) => Promise<readonly Approval[]>;
  /** The newest one of the same shape that people let through: what a new one is compared with. */
  readonly lastApproved: (like: Pick<ApprovalDraft, "connection" | "likeness">) => Promise<Approval | undefined>;
  /** Joins the open request for the same digest, or opens one. */
  readonly ask: (draft: ApprovalDraft) => Promise<Approval>;
  /** Uses up a grant for `digest`: of many callers exactly one gets it. */
  readonly take: (digest: string, session: string) => Promise<Grant | undefined>;
  readonly wait: (id: string, timeoutMs: number, signal: AbortSignal) => Promise<WaitOutcome>;
  /** The requester is gone. Others who wait for the same request keep it open. */
  readonly withdraw: (id: string) => Promise<void>;
  /** Calls `end` once when the grant is taken back while what it let through still runs. Returns how to stop listening. */
  readonly onRevoked: (id: string, end: () => void) => () => void;
  /** @throws GatewayError `approval-not-found`, `approval-not-eligible`, `approval-closed` */
  readonly vote: (
    id: string,
    voter: IdentityFacts,
    verdict: Vote["verdict"],
    reason: string | undefined,
  ) => Promise<Approval>;
  /** Takes a request or a grant back; what runs on it ends. For the requester, whoever is behind it, and its approvers. @throws as `vote` */
  readonly revoke: (id: string, person: IdentityFacts, reason: string) => Promise<Approval>;
  /** Lets it through without the approvers, to be reviewed. @throws as `vote` */
  readonly breakGlass: (id: string, person: IdentityFacts, reason: string) => Promise<Approval>;
  /** @throws as `vote` */
  readonly review: (
    id: string,
    person: IdentityFacts,
    verdict: "accepted" | "objected",
    comment: string,
  ) => Promise<Approval>;
  readonly unreviewed: () => Promise<readonly Approval[]>;
  /** Requests that wait for people, as of the last sweep: for a gauge. */
  readonly pending: () => number;
  /** `by` votes in the person's place until then; undefined ends it. @throws GatewayError `approval-not-eligible`, `admin-invalid` */
  readonly setStandIn: (person: IdentityFacts, by: string | undefined, untilMs: number) => Promise<StandIn | undefined>;
  readonly standIns: () => Promise<readonly StandIn[]>;
  /** Told of each change that this gateway makes. Returns how to stop. */
  readonly watch: (onChange: (change: ApprovalChange) => void) => () => void;
  readonly close: () => Promise<void>;
};

/** Who may break glass, and when they no longer may: with too many, or too old, ones that nobody has reviewed. */
export type BreakGlassRules = {
  readonly groups: ReadonlySet<string>;
  readonly unreviewedMax: number;
  readonly reviewWithinMs: number;
};

export type ApprovalDeskDeps = {
  readonly store: ApprovalStore;
  readonly clock: Clock;
  /** Puts an event on record before it takes effect; throws when it can't. */
  readonly record: (event: SessionEvent) => void;
  /** Absent: nobody may. */
  readonly breakGlass?: BreakGlassRules;
};

export function createApprovalDesk(deps: ApprovalDeskDeps): ApprovalDesk {
  return new Desk(deps);
}

class Desk implements ApprovalDesk {
  readonly #store: ApprovalStore;
  readonly #clock: Clock;
  readonly #record: (event: SessionEvent) => void;
  readonly #glassRules: BreakGlassRules | undefined;
  readonly #waiting = new Map<string, Set<(state: ApprovalState) => void>>();
  /** Grants whose statements run, and how to end them. */
  readonly #running = new Map<string, Set<() => void>>();
  readonly #watchers = new Set<(change: ApprovalChange) => void>();
  readonly #timer: NodeJS.Timeout;
  readonly #stopWatching: () => void;
  #pending = 0;
  /** A clock that was set back must not give a grant a longer life. */
  #latestMs = Number.NEGATIVE_INFINITY;

  constructor(deps: ApprovalDeskDeps) {
    this.#store = deps.store;
    this.#clock = deps.clock;
    this.#record = deps.record;
    this.#glassRules = deps.breakGlass;
    this.#stopWatching = deps.store.watch((id) => void this.#look(id).catch(() => undefined));
    this.#timer = setInterval(() => {
      // The recording or the store is down: the next turn tries again; nothing is let through meanwhile.
      void this.#sweep().catch(() => undefined);
    }, limits.approvalSweepMs);
    this.#timer.unref();
  }

  get: ApprovalDesk["get"] = (id) => this.#store.get(id);
  list: ApprovalDesk["list"] = (state) => this.#store.list(state, limits.approvalsListMax);
  lastApproved: ApprovalDesk["lastApproved"] = ({ connection, likeness }) =>
    this.#store.lastApproved(connection, likeness);
  unreviewed: ApprovalDesk["unreviewed"] = () => this.#store.unreviewed(limits.approvalsListMax);
  pending: ApprovalDesk["pending"] = () => this.#pending;
  standIns: ApprovalDesk["standIns"] = () => this.#store.standIns(this.#nowMs());

  ask: ApprovalDesk["ask"] = async (draft) => {
    const open = await this.#store.find(draft.digest, "pending", this.#nowMs());
    if (open) return (await this.#settle(open)) ?? open;
    if ((await this.#store.countPending(this.#nowMs())) >= limits.approvalsPendingMax) {
      throw new GatewayError(
        "approval-unavailable",
        `more than ${limits.approvalsPendingMax} requests wait for approval`,
        "try again when some are decided",
      );
    }
    this.#put(draft, "requested");
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const nowMs = this.#nowMs();
      if (await this.#store.insert(draft, nowMs, nowMs + lifeMs(draft.requirements))) {
        const asked = await this.#existing(draft.id);
        this.#tell(asked, "requested");
        return asked;
      }
      // Another client was faster with the same, or one that has run out stands in the way.
      await this.#sweep();
      const other = await this.#store.find(draft.digest, "pending", this.#nowMs());
      if (!other) continue;
      if (other.id !== draft.id) this.#put(draft, "withdrawn", undefined, `the same as ${other.id}`);
      return other;
    }
    throw new GatewayError("approval-unavailable", "the approval store doesn't take the request", "try again");
  };

  take: ApprovalDesk["take"] = async (digest, session) => {
    for (;;) {
      const grant = await this.#store.find(digest, "granted", this.#nowMs());
      if (!grant) return undefined;
      if (!(await this.#store.transition(grant.id, "granted", "used", this.#nowMs()))) continue; // somebody else was faster
      // Throws when it can't be recorded: the grant is used up then, and nothing ran.
      this.#put({ ...grant, session }, "used");
      await this.#changed(grant.id, "used");
      return { id: grant.id, rules: new Set(grant.requirements.map((r) => r.rule)) };
    }
  };

  vote: ApprovalDesk["vote"] = async (id, voter, verdict, reason) => {
    const nowMs = this.#nowMs();
    const approval = await this.#existing(id);
    const right = eligibilityOf(approval, voter, await this.#store.standIns(nowMs));
    if (right.kind === "no") throw new GatewayError("approval-not-eligible", right.why);
    if (verdict === "deny" && (reason ?? "").trim() === "") throw reasonMissing("a refusal");
    this.#mustBePending(approval);
    const by = nameOf(voter);
    const { standsInFor, groups } = right;
    const mine: Vote = {
      by,
      ...(standsInFor === undefined ? {} : { standsInFor }),
      groups,
      verdict,
      reason,
      atMs: nowMs,
    };
    if (approval.votes.some((v) => v.by === by || authorityOf(v) === authorityOf(mine))) throw decidedAlready(id, mine);
    // Recorded before it takes effect: an unrecorded grant would let something run that nobody can explain.
    this.#put(approval, verdict === "deny" ? "refused" : "approved", by, withAuthority(reason, standsInFor));
    if (!(await this.#store.addVote(id, mine))) throw decidedAlready(id, mine);
    // Read again: a vote may have come through another gateway meanwhile, and together they may be enough.
    const counted = await this.#existing(id);
    const settled = await this.#settle(counted);
    if (settled === undefined) this.#tell(counted, "approved");
    const after = settled ?? counted;
    const took = verdict === "deny" ? after.state === "denied" : ["pending", "granted", "used"].includes(after.state);
    if (!took) throw new GatewayError("approval-closed", `the request \`${id}\` was decided a moment ago`);
    return after;
  };

  revoke: ApprovalDesk["revoke"] = async (id, person, reason) => {
    const approval = await this.#existing(id);
    const by = nameOf(person);
    const isTheirs = by === approval.requester.sub || approval.requester.onBehalfOf.includes(by);
    const right = eligibilityOf(approval, person, await this.#store.standIns(this.#nowMs()));
    if (!isTheirs && right.kind === "no") throw new GatewayError("approval-not-eligible", right.why);
    if (reason.trim() === "") throw reasonMissing("a withdrawal");
    this.#put(approval, "withdrawn", by, reason);
    const isDone =
      (await this.#store.transition(id, "pending", "withdrawn", this.#nowMs())) || (await this.#store.revoke(id));
    if (!isDone) throw new GatewayError("approval-closed", `the request \`${id}\` is ${approval.state} already`);
    await this.#changed(id, "withdrawn");
    return this.#existing(id);
  };

  breakGlass: ApprovalDesk["breakGlass"] = async (id, person, reason) => {
    const rules = this.#glassRules;
    const approval = await this.#existing(id);
    const by = nameOf(person);
    const { kind, groups, on_behalf_of } = person;
    if (rules === undefined || !isKnown(groups) || ![...rules.groups].some((group) => groups.has(group))) {
      throw new GatewayError("approval-not-eligible", "you are not among those who may break glass");
    }
    if (kind !== "human" || on_behalf_of !== undefined) {
      throw new GatewayError("approval-not-eligible", "only people break glass, and this token is not a person's own");
    }
    if (reason.trim() === "") throw reasonMissing("breaking glass");
    this.#mustBePending(approval);
    const nowMs = this.#nowMs();
    const open = (await this.#store.unreviewed(limits.approvalsListMax)).filter((a) => a.brokenGlass?.by === by);
    const isOverdue = open.some((a) => (a.brokenGlass?.reviewByMs ?? 0) <= nowMs);
    if (isOverdue || open.length >= rules.unreviewedMax) {
      throw new GatewayError(
        "approval-not-eligible",
        "what you let through before has not been reviewed",
        `ask for a review of ${open.map((a) => a.id).join(", ")}`,
      );
    }
    const glass: BrokenGlass = { by, reason, atMs: nowMs, reviewByMs: nowMs + rules.reviewWithinMs, review: undefined };
    this.#put(approval, "glass-broken", by, reason);
    this.#put(approval, "granted");
    if (!(await this.#store.breakGlass(id, glass, nowMs, nowMs + lifeMs(approval.requirements)))) {
      throw new GatewayError("approval-closed", `the request \`${id}\` was decided a moment ago`);
    }
    await this.#changed(id, "glass-broken");
    return this.#existing(id);
  };

  review: ApprovalDesk["review"] = async (id, person, verdict, comment) => {
    const approval = await this.#existing(id);
    const by = nameOf(person);
    if (approval.brokenGlass === undefined)
      throw new GatewayError("approval-closed", `nobody broke glass for \`${id}\``);
    const right = eligibilityOf(approval, person, await this.#store.standIns(this.#nowMs()));
    if (right.kind === "no") throw new GatewayError("approval-not-eligible", right.why);
    if (by === approval.brokenGlass.by || right.standsInFor === approval.brokenGlass.by) {
      throw new GatewayError("approval-not-eligible", "who broke the glass doesn't review it");
    }
    if (verdict === "objected" && comment.trim() === "") throw reasonMissing("an objection");
    this.#put(approval, "reviewed", by, `${verdict}${comment === "" ? "" : `: ${comment}`}`);
    if (!(await this.#store.review(id, { by, verdict, comment, atMs: this.#nowMs() }))) {
      throw new GatewayError("approval-closed", `\`${id}\` was reviewed already`);
    }
    await this.#changed(id, "reviewed");
    return this.#existing(id);
  };

  setStandIn: ApprovalDesk["setStandIn"] = async (person, by, untilMs) => {
    const { kind, groups, on_behalf_of } = person;
    const absent = nameOf(person);
    if (kind !== "human" || on_behalf_of !== undefined || !isKnown(groups)) {
      throw new GatewayError("approval-not-eligible", "only people name a stand-in, with their own token");
    }
    if (by === absent) throw new GatewayError("admin-invalid", "nobody stands in for themselves");
    const fromMs = this.#nowMs();
    if (by !== undefined && (untilMs <= fromMs || untilMs - fromMs > limits.standInMs)) {
      throw new GatewayError(
        "admin-invalid",
        `a stand-in's time ends in the future, at most ${limits.standInMs / 86_400_000} days from now`,
      );
    }
    const standIn = by === undefined ? undefined : { absent, by, groups: [...groups].sort(), fromMs, untilMs };
    this.#record({
      atMs: fromMs,
      session: "",
      type: "approval",
      id: "",
      statementId: "",
      state: standIn === undefined ? "stand-in-ended" : "stand-in",
      by: absent,
      reason: standIn === undefined ? undefined : `${standIn.by} until ${new Date(untilMs).toISOString()}`,
    });
    await this.#store.putStandIn(absent, standIn);
    return standIn;
  };

  wait: ApprovalDesk["wait"] = (id, timeoutMs, signal) =>
    new Promise((resolve) => {
      const set = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, set);
      const finish = (outcome: WaitOutcome): void => {
        clearTimeout(timeout);
        clearInterval(poll);
        signal.removeEventListener("abort", onAbort);
        set.delete(look);
        if (set.size === 0 && this.#waiting.get(id) === set) this.#waiting.delete(id);
        resolve(outcome);
      };
      const look = (state: ApprovalState): void => {
        if (state === "granted" || state === "used") finish("granted");
        else if (state !== "pending") finish(state);
      };
      // The store is down: who waits goes on waiting, up to its limit.
      const lookInStore = () => void this.#look(id).catch(() => undefined);
      const onAbort = (): void => finish("aborted");
      const timeout = setTimeout(() => finish("timeout"), Math.max(0, timeoutMs));
      // Votes may come through another gateway on the same store, and what tells of them may be lost.
      const poll = setInterval(lookInStore, limits.approvalPollMs);
      signal.addEventListener("abort", onAbort, { once: true });
      set.add(look);
      if (signal.aborted) finish("aborted");
      else lookInStore();
    });

  withdraw: ApprovalDesk["withdraw"] = async (id) => {
    if ((this.#waiting.get(id)?.size ?? 0) > 0) return;
    const approval = await this.#store.get(id);
    if (!approval || !(await this.#store.transition(id, "pending", "withdrawn", this.#nowMs()))) return;
    this.#put(approval, "withdrawn");
    await this.#changed(id, "withdrawn");
  };

  onRevoked: ApprovalDesk["onRevoked"] = (id, end) => {
    const set = this.#running.get(id) ?? new Set();
    this.#running.set(id, set);
    set.add(end);
    // It may have been taken back between its use and now.
    void this.#look(id).catch(() => undefined);
    return () => {
      set.delete(end);
      if (set.size === 0 && this.#running.get(id) === set) this.#running.delete(id);
    };
  };

  watch: ApprovalDesk["watch"] = (onChange) => {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  };

  close: ApprovalDesk["close"] = async () => {
    clearInterval(this.#timer);
    this.#stopWatching();
    await this.#store.close();
  };

  /** Never runs backwards while the process lives; the store refuses requests that come from the future. */
  #nowMs(): number {
    this.#latestMs = Math.max(this.#latestMs, this.#clock.nowMs());
    return this.#latestMs;
  }

  async #existing(id: string): Promise<Approval> {
    const approval = await this.#store.get(id);
    if (!approval) throw new GatewayError("approval-not-found", `there is no approval request \`${id}\``);
    return approval;
  }

  #mustBePending(approval: Approval): void {
    if (approval.state === "pending" && approval.expiresAtMs > this.#nowMs()) return;
    const state = approval.state === "pending" ? "expired" : approval.state;
    throw new GatewayError("approval-closed", `the request \`${approval.id}\` is ${state} already`);
  }

  /** Votes that are enough decide, also those that a crash left undecided. Undefined: not enough, or not open. */
  async #settle(approval: Approval): Promise<Approval | undefined> {
    const { id, requirements, votes } = approval;
    if (approval.state !== "pending") return undefined;
    const isDenied = votes.some((vote) => vote.verdict === "deny");
    if (!isDenied && !isSatisfied(requirements, votes)) return undefined;
    if (!isDenied) this.#put(approval, "granted");
    const nowMs = this.#nowMs();
    const grantEndsMs = nowMs + lifeMs(requirements);
    const state = isDenied ? "denied" : "granted";
    if (!(await this.#store.transition(id, "pending", state, nowMs, grantEndsMs))) return this.#store.get(id);
    await this.#changed(id, isDenied ? "refused" : "granted");
    // As it is by this very vote: who waited may have used it already.
    return { ...approval, state, expiresAtMs: grantEndsMs };
  }

  async #sweep(): Promise<void> {
    this.#pending = await this.#store.countPending(this.#nowMs());
    // What another gateway or process took back: whoever was to tell of it may have failed, or a file has nobody.
    for (const id of [...this.#running.keys()]) await this.#look(id);
    for (const id of await this.#store.expire(this.#nowMs())) {
      const approval = await this.#store.get(id);
      if (approval) this.#put(approval, "expired");
      await this.#changed(id, "expired");
    }
  }

  async #changed(id: string, what: RecordedState): Promise<void> {
    const approval = await this.#look(id);
    if (approval) this.#tell(approval, what);
  }

  #tell(approval: Approval, what: RecordedState): void {
    for (const watcher of this.#watchers) watcher({ approval, what });
  }

  /** Wakes whoever waits here for what the store says of it now. */
  async #look(id: string): Promise<Approval | undefined> {
    if (!this.#waiting.has(id) && !this.#running.has(id) && this.#watchers.size === 0) return undefined;
    const approval = await this.#store.get(id);
    if (!approval) return undefined;
    const hasRunOut = approval.state === "pending" && approval.expiresAtMs <= this.#nowMs();
    for (const resolve of [...(this.#waiting.get(id) ?? [])]) resolve(hasRunOut ? "expired" : approval.state);
    if (approval.state === "withdrawn") {
      const ends = this.#running.get(id) ?? [];
      this.#running.delete(id);
      for (const end of ends) end();
    }
    return approval;
  }

  #put(approval: ApprovalDraft, state: RecordedState, by?: string, reason?: string): void {
    this.#record({
      atMs: this.#clock.nowMs(),
      session: approval.session,
      type: "approval",
      id: approval.id,
      statementId: approval.decisionId,
      state,
      by,
      reason,
    });
  }
}

export type RecordedState = Extract<SessionEvent, { readonly type: "approval" }>["state"];

const nameOf = ({ sub }: IdentityFacts): string => {
  if (!isKnown(sub)) throw new GatewayError("approval-not-eligible", "who you are isn't known");
  return sub;
};

const reasonMissing = (what: string): GatewayError =>
  new GatewayError("admin-invalid", `${what} needs a \`reason\`: others read it`);

const decidedAlready = (id: string, { standsInFor }: Vote): GatewayError =>
  new GatewayError(
    "approval-closed",
    standsInFor === undefined
      ? `you have decided \`${id}\` already`
      : `you or \`${standsInFor}\` have decided \`${id}\` already`,
  );

const withAuthority = (reason: string | undefined, standsInFor: string | undefined): string | undefined =>
  standsInFor === undefined ? reason : `in place of ${standsInFor}${reason === undefined ? "" : `: ${reason}`}`;
