// What a store of approvals must do. Every change is a compare-and-set: several gateways may share one store.
import type { ApprovalRequirement, RuleId } from "../../engine/model/decision.ts";
import type { Approval, ApprovalDraft, ApprovalState, BrokenGlass, StandIn, Vote } from "./approval.ts";

/** Every function rejects with GatewayError `approval-unavailable` when the store can't be used. */
export type ApprovalStore = {
  /** False when an open request for the same digest is there already: at most one is. */
  readonly insert: (draft: ApprovalDraft, createdAtMs: number, expiresAtMs: number) => Promise<boolean>;
  readonly get: (id: string) => Promise<Approval | undefined>;
  /** The newest request for `digest` in `state` that has not expired at `nowMs`. */
  readonly find: (digest: string, state: "pending" | "granted", nowMs: number) => Promise<Approval | undefined>;
  readonly list: (state: ApprovalState | undefined, max: number) => Promise<readonly Approval[]>;
  /** The newest one of this likeness on the connection that people let through. */
  readonly lastApproved: (connection: string, likeness: string) => Promise<Approval | undefined>;
  readonly countPending: (nowMs: number) => Promise<number>;
  /** One vote a person, and one for each person's right: another gives false and replaces nothing. */
  readonly addVote: (id: string, vote: Vote) => Promise<boolean>;
  /** True when the request was in `from` and had not expired, and now is in `to`. The one way in which a state changes. */
  readonly transition: (
    id: string,
    from: ApprovalState,
    to: ApprovalState,
    nowMs: number,
    expiresAtMs?: number,
  ) => Promise<boolean>;
  /** Takes back what was granted or used, also after its time: what runs on it is to end. */
  readonly revoke: (id: string) => Promise<boolean>;
  /** Moves what has run out to `expired`. Gives the ids. */
  readonly expire: (nowMs: number) => Promise<readonly string[]>;
  /** Pending becomes granted, marked. False when it wasn't pending. */
  readonly breakGlass: (id: string, glass: BrokenGlass, nowMs: number, expiresAtMs: number) => Promise<boolean>;
  /** False when it was reviewed already, or its glass is whole. */
  readonly review: (id: string, review: NonNullable<BrokenGlass["review"]>) => Promise<boolean>;
  /** Broken glass that nobody has looked at, oldest first. */
  readonly unreviewed: (max: number) => Promise<readonly Approval[]>;
  /** One stand-in for each absent person: a new one replaces the old one, `undefined` ends it. */
  readonly putStandIn: (absent: string, standIn: StandIn | undefined) => Promise<void>;
  /** Those that hold at `nowMs`. */
  readonly standIns: (nowMs: number) => Promise<readonly StandIn[]>;
  /** Told of the id of each change that another gateway made, soon after; it may miss some. Returns how to stop. */
  readonly watch: (onChange: (id: string) => void) => () => void;
  readonly close: () => Promise<void>;
};

/** Clocks of gateways that share a store, and one gateway's over a restart, may differ by this: ms. */
export const storeSkewMs = 60_000;

/** A row as both databases give it. `draft` and the others are JSON text. */
export type ApprovalRow = {
  readonly state: string;
  readonly created_ms: number;
  readonly expires_ms: number;
  readonly draft: string;
  readonly glass: string | null;
  readonly review: string | null;
};

export function decodeApproval(row: ApprovalRow, votes: readonly Vote[]): Approval {
  // SAFETY: written by `insert` from an ApprovalDraft, and by nobody else.
  const draft = JSON.parse(row.draft) as ApprovalDraft & { requirements: (ApprovalRequirement & { rule: RuleId })[] };
  return {
    ...draft,
    state: row.state as ApprovalState,
    votes,
    brokenGlass: row.glass === null ? undefined : decodeGlass(row.glass, row.review),
    createdAtMs: row.created_ms,
    expiresAtMs: row.expires_ms,
  };
}

function decodeGlass(glass: string, review: string | null): BrokenGlass {
  // SAFETY: written by `breakGlass` and `review`.
  const broken = JSON.parse(glass) as BrokenGlass;
  return { ...broken, review: review === null ? undefined : (JSON.parse(review) as BrokenGlass["review"]) };
}
