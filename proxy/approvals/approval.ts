// What waits for people: a request, the votes on it, and when votes are enough.

import { isKnown } from "../../engine/lib/truth.ts";
import type { ApprovalRequirement } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";

export type ApprovalState = "pending" | "granted" | "denied" | "withdrawn" | "used" | "expired";

export type Requester = {
  readonly sub: string;
  readonly kind: string;
  /** Everyone the requester acts for: none of them may approve. */
  readonly onBehalfOf: readonly string[];
};

/** What is asked for. `digest` binds it: a grant lets exactly this through, once. */
export type ApprovalDraft = {
  readonly id: string;
  readonly digest: string;
  readonly decisionId: string;
  readonly session: string;
  readonly requester: Requester;
  readonly connection: string;
  /** The whole statement, never cut. */
  readonly statement: string;
  /** Bind values as text where they are text, else `\x…`; null for NULL. Never cut. */
  readonly parameters: readonly (string | null)[];
  readonly accesses: readonly string[];
  readonly requirements: readonly ApprovalRequirement[];
  readonly policyHash: string;
};

export type Vote = {
  readonly by: string;
  /** Groups that the voter had then: what the requirement is checked against. */
  readonly groups: readonly string[];
  readonly verdict: "approve" | "deny";
  readonly reason: string | undefined;
  readonly atMs: number;
};

export type Approval = ApprovalDraft & {
  readonly state: ApprovalState;
  readonly votes: readonly Vote[];
  readonly createdAtMs: number;
  /** A pending request can be decided, and a granted one used, before this. */
  readonly expiresAtMs: number;
};

/** How long a request stays open, and its grant valid, whichever comes first over all requirements: ms. */
export const lifeMs = (requirements: readonly ApprovalRequirement[]): number =>
  Math.min(...requirements.map((r) => r.withinMs));

/** Every requirement is met by distinct people; one person's vote may serve several requirements. */
export function isSatisfied(requirements: readonly ApprovalRequirement[], votes: readonly Vote[]): boolean {
  return requirements.every((requirement) => missingFor(requirement, votes) === 0);
}

/** People still needed for the entry of `requirement` that is nearest to being met. */
export function missingFor(requirement: ApprovalRequirement, votes: readonly Vote[]): number {
  const approvals = votes.filter((vote) => vote.verdict === "approve");
  const people = (fits: (vote: Vote) => boolean) => new Set(approvals.filter(fits).map((vote) => vote.by)).size;
  if (requirement.approvers.length === 0) return Math.max(0, 1 - people(() => true));
  return Math.min(
    ...requirement.approvers.map((entry) =>
      Math.max(
        0,
        entry.count -
          people((vote) => (entry.kind === "user" ? vote.by === entry.name : vote.groups.includes(entry.name))),
      ),
    ),
  );
}

/**
 * Why `voter` may not decide, or undefined. The requester, whoever the requester acts for, programs, and programs'
 * owners through their programs never count.
 */
export function whyNotEligible(
  draft: Pick<ApprovalDraft, "requester" | "requirements">,
  voter: IdentityFacts,
): string | undefined {
  const { sub, kind, groups, on_behalf_of } = voter;
  if (!isKnown(sub) || !isKnown(kind) || !isKnown(groups) || !isKnown(on_behalf_of)) return "who you are isn't known";
  if (kind !== "human") return "only people approve, and this token is a program's";
  if (on_behalf_of !== undefined) return "this token acts for somebody else";
  if (sub === draft.requester.sub) return "nobody approves their own request";
  if (draft.requester.onBehalfOf.includes(sub)) return "the one an agent acts for can't approve its requests";
  const fits = draft.requirements.some(
    (requirement) =>
      requirement.approvers.length === 0 ||
      requirement.approvers.some((entry) => (entry.kind === "user" ? entry.name === sub : groups.has(entry.name))),
  );
  return fits ? undefined : `you are not among the approvers: ${describeApprovers(draft.requirements)}`;
}

/** `group "dba" or 2 of group "lead"`. */
export function describeApprovers(requirements: readonly ApprovalRequirement[]): string {
  return requirements
    .map((requirement) =>
      requirement.approvers.length === 0
        ? "anyone else"
        : requirement.approvers.map((a) => `${a.count > 1 ? `${a.count} of ` : ""}${a.kind} "${a.name}"`).join(" or "),
    )
    .join(" and ");
}
