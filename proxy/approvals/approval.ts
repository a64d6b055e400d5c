// What waits for people: a request, the votes on it, and when votes are enough.

import { isKnown } from "../../engine/lib/truth.ts";
import type { ApprovalRequirement } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { Protocol } from "../../engine/model/request.ts";

export type ApprovalState = "pending" | "granted" | "denied" | "withdrawn" | "used" | "expired";

export type Requester = {
  readonly sub: string;
  readonly kind: string;
  /** Everyone the requester acts for, and every actor in between: none of them may approve. */
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
  readonly protocol: Protocol;
  /** The whole statement, HTTP request or tool call, never cut. */
  readonly statement: string;
  /** Bind values as text where they are text, else `\x…`; null for NULL. Never cut. */
  readonly parameters: readonly (string | null)[];
  readonly accesses: readonly string[];
  /** Rows that the planner expects it to touch; absent where nobody asked it. */
  readonly estimatedRows?: number;
  /** Rows that a result may have, from the policy. */
  readonly rowsMax?: number;
  /** The shape without its values (fingerprint, route, tool): finds what was approved before, to show the differences. */
  readonly likeness: string;
  readonly requirements: readonly ApprovalRequirement[];
  readonly policyHash: string;
};

export type Vote = {
  readonly by: string;
  /** The absent person whose stand-in `by` is: the vote counts as that person's, and as nobody else's. */
  readonly standsInFor?: string;
  /** Groups that the voter (or the one stood in for) had then: what the requirement is checked against. */
  readonly groups: readonly string[];
  readonly verdict: "approve" | "deny";
  readonly reason: string | undefined;
  readonly atMs: number;
};

/** Somebody let it through without the approvers. Others must look at it afterwards. */
export type BrokenGlass = {
  readonly by: string;
  readonly reason: string;
  readonly atMs: number;
  readonly reviewByMs: number;
  readonly review:
    | {
        readonly by: string;
        readonly verdict: "accepted" | "objected";
        readonly comment: string;
        readonly atMs: number;
      }
    | undefined;
};

export type Approval = ApprovalDraft & {
  readonly state: ApprovalState;
  readonly votes: readonly Vote[];
  readonly brokenGlass: BrokenGlass | undefined;
  readonly createdAtMs: number;
  /** A pending request can be decided, and a granted one used, before this. */
  readonly expiresAtMs: number;
};

/** While `absent` is away, `by` may vote in their place. Nobody passes on what they hold for another. */
export type StandIn = {
  readonly absent: string;
  /** Groups that the absent person had when they said so. */
  readonly groups: readonly string[];
  readonly by: string;
  readonly fromMs: number;
  readonly untilMs: number;
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
  if (requirement.approvers.length === 0) return Math.max(0, 1 - countPeople(approvals));
  return Math.min(
    ...requirement.approvers.map((entry) =>
      Math.max(
        0,
        entry.count -
          countPeople(
            approvals.filter((vote) =>
              entry.kind === "user" ? authorityOf(vote) === entry.name : vote.groups.includes(entry.name),
            ),
          ),
      ),
    ),
  );
}

/** Whose right the vote exercises. */
export const authorityOf = (vote: Pick<Vote, "by" | "standsInFor">): string => vote.standsInFor ?? vote.by;

/** Neither one person in two roles nor two people with one person's right count twice. */
function countPeople(votes: readonly Vote[]): number {
  return Math.min(new Set(votes.map((vote) => vote.by)).size, new Set(votes.map(authorityOf)).size);
}

/** By what right a person votes, or why they may not. */
export type Eligibility =
  | { readonly kind: "yes"; readonly standsInFor: string | undefined; readonly groups: readonly string[] }
  | { readonly kind: "no"; readonly why: string };

/**
 * The requester, whoever the requester acts for, programs, and programs' owners through their programs never count,
 * neither themselves nor through somebody who stands in for them.
 */
export function eligibilityOf(
  draft: Pick<ApprovalDraft, "requester" | "requirements">,
  voter: IdentityFacts,
  standIns: readonly StandIn[],
): Eligibility {
  const { sub, kind, groups, on_behalf_of } = voter;
  if (!isKnown(sub) || !isKnown(kind) || !isKnown(groups) || !isKnown(on_behalf_of))
    return no("who you are isn't known");
  if (kind !== "human") return no("only people approve, and this token is a program's");
  if (on_behalf_of !== undefined) return no("this token acts for somebody else");
  const involved = [draft.requester.sub, ...draft.requester.onBehalfOf];
  if (sub === draft.requester.sub) return no("nobody approves their own request");
  if (involved.includes(sub)) return no("the one an agent acts for can't approve its requests");
  if (isApprover(draft.requirements, sub, groups))
    return { kind: "yes", standsInFor: undefined, groups: [...groups].sort() };
  const mine = standIns.filter((standIn) => standIn.by === sub);
  const usable = mine.find(
    ({ absent, groups: held }) => !involved.includes(absent) && isApprover(draft.requirements, absent, new Set(held)),
  );
  if (usable) return { kind: "yes", standsInFor: usable.absent, groups: usable.groups };
  if (mine.some(({ absent }) => involved.includes(absent)))
    return no("you stand in for somebody who is behind this request");
  return no(`you are not among the approvers: ${describeApprovers(draft.requirements)}`);
}

const no = (why: string): Eligibility => ({ kind: "no", why });

function isApprover(requirements: readonly ApprovalRequirement[], sub: string, groups: ReadonlySet<string>): boolean {
  return requirements.some(
    (requirement) =>
      requirement.approvers.length === 0 ||
      requirement.approvers.some((entry) => (entry.kind === "user" ? entry.name === sub : groups.has(entry.name))),
  );
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
