// a request for approval -> what people may see of it, and who may
import { isKnown } from "../../engine/lib/truth.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import { type Approval, describeApprovers, missingFor, type StandIn } from "../approvals/approval.ts";

/** People see what they asked for, what was asked in their name, and what they may decide; statements hold content. */
export function maySee(
  approval: Approval,
  { sub, groups, kind }: IdentityFacts,
  standIns: readonly StandIn[] = [],
): boolean {
  if (!isKnown(sub) || !isKnown(groups) || !isKnown(kind)) return false;
  if (approval.requester.sub === sub || approval.requester.onBehalfOf.includes(sub)) return true;
  if (kind !== "human") return false;
  const isFor = (name: string, held: ReadonlySet<string>): boolean =>
    approval.requirements.some(
      (requirement) =>
        requirement.approvers.length === 0 ||
        requirement.approvers.some((a) => (a.kind === "user" ? a.name === name : held.has(a.name))),
    );
  return (
    isFor(sub, groups) ||
    standIns.some((standIn) => standIn.by === sub && isFor(standIn.absent, new Set(standIn.groups)))
  );
}

const iso = (ms: number): string => new Date(ms).toISOString();

/** What an approver decides on: the whole statement, every bind value, who is behind it, who is still needed. */
export function showApproval(approval: Approval) {
  const { requirements, votes, brokenGlass } = approval;
  return {
    id: approval.id,
    state: approval.state,
    requester: approval.requester,
    connection: approval.connection,
    protocol: approval.protocol,
    session: approval.session,
    decision: approval.decisionId,
    statement: approval.statement,
    parameters: approval.parameters,
    accesses: approval.accesses,
    ...(approval.estimatedRows === undefined ? {} : { estimatedRows: approval.estimatedRows }),
    ...(approval.rowsMax === undefined ? {} : { rowsMax: approval.rowsMax }),
    rules: requirements.map((r) => ({ rule: r.rule, message: r.message, missing: missingFor(r, votes) })),
    approvers: describeApprovers(requirements),
    votes: votes.map(({ by, standsInFor, verdict, reason, atMs }) => ({
      by,
      ...(standsInFor === undefined ? {} : { standsInFor }),
      verdict,
      ...(reason === undefined ? {} : { reason }),
      at: iso(atMs),
    })),
    ...(brokenGlass === undefined
      ? {}
      : {
          brokenGlass: {
            by: brokenGlass.by,
            reason: brokenGlass.reason,
            at: iso(brokenGlass.atMs),
            reviewBy: iso(brokenGlass.reviewByMs),
            ...(brokenGlass.review === undefined
              ? {}
              : {
                  review: {
                    by: brokenGlass.review.by,
                    verdict: brokenGlass.review.verdict,
                    comment: brokenGlass.review.comment,
                    at: iso(brokenGlass.review.atMs),
                  },
                }),
          },
        }),
    policy: approval.policyHash,
    created: iso(approval.createdAtMs),
    expires: iso(approval.expiresAtMs),
  };
}
export type ShownApproval = ReturnType<typeof showApproval>;
