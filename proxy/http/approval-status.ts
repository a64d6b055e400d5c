// GET /.gw/approvals/<id> -> how a request that waits for people stands; for whoever asked
import { isKnown } from "../../engine/lib/truth.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { ApprovalDesk } from "../approvals/desk.ts";
import type { HttpAnswer } from "./exchange.ts";
import { problemOfFault } from "./problem.ts";

/** The id that a path of the gateway's own asks about; undefined for every other path. */
export const statusPath = (segments: readonly string[]): string | undefined =>
  segments[0] === ".gw" ? (segments[1] === "approvals" && segments.length === 3 ? (segments[2] ?? "") : "") : undefined;

export const statusUrlOf = (approvalId: string): string => `/.gw/approvals/${approvalId}`;

export async function approvalStatus(
  approvals: Pick<ApprovalDesk, "get">,
  id: string,
  { sub }: IdentityFacts,
): Promise<HttpAnswer> {
  const approval = /^[a-z]+_[0-9a-z]+$/.test(id) ? await approvals.get(id) : undefined;
  if (approval === undefined || !isKnown(sub) || approval.requester.sub !== sub) {
    return problemOfFault({
      status: 404,
      code: "approval-not-found",
      message: "you have asked for no approval with this id",
      help: undefined,
    });
  }
  const isOpen = approval.state === "pending";
  return {
    status: 200,
    headers: [
      ["content-type", "application/json"],
      ["cache-control", "no-store"],
      ...(isOpen ? [["retry-after", "5"] as const] : []),
    ],
    body: `${JSON.stringify({
      approval: id,
      state: approval.state,
      expires: new Date(approval.expiresAtMs).toISOString(),
      help: approval.state === "granted" ? "repeat exactly the same request: it passes once" : undefined,
    })}\n`,
  };
}
