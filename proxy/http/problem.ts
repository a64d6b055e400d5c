// refusal, fault -> application/problem+json (RFC 9457): the same facts everywhere
import type { HttpFault } from "../../engine/http/request.ts";
import type { Refusal } from "../gate/traffic.ts";
import type { HttpAnswer } from "./exchange.ts";

const problem = (status: number, members: Readonly<Record<string, unknown>>): HttpAnswer => ({
  status,
  headers: [
    ["content-type", "application/problem+json"],
    ["cache-control", "no-store"],
  ],
  body: `${JSON.stringify({ type: `urn:gatewright:${String(members.code)}`, status, ...members })}\n`,
});

export const problemOfFault = ({ status, code, message, help }: HttpFault): HttpAnswer =>
  problem(status, { title: message, code, help, retry: status === 503 || status === 504 ? "after-wait" : "never" });

const statusOf: Readonly<Record<string, number>> = {
  limit: 429,
  "internal-error": 500,
  "record-failed": 503,
  "approval-unavailable": 503,
};

/** `status`: for refusals that come of a fault of the request or its answer. */
export function problemOfRefusal(refusal: Refusal, status = statusOf[refusal.code] ?? 403): HttpAnswer {
  const { code, reason, rules, decisionId, help, retry, approvalId } = refusal;
  return problem(status, {
    title: reason,
    code,
    rules,
    decision: decisionId,
    help,
    retry,
    ...(approvalId === undefined ? {} : { approval: approvalId }),
  });
}

/** For `Prefer: respond-async`: the request waits for people, and the client doesn't. */
export function acceptedForApproval(refusal: Refusal, approvalId: string, statusUrl: string): HttpAnswer {
  const answer = problemOfRefusal(refusal, 202);
  return {
    ...answer,
    headers: [
      ["content-type", "application/json"],
      ["cache-control", "no-store"],
      ["location", statusUrl],
      ["preference-applied", "respond-async"],
      ["retry-after", "5"],
    ],
    body: `${JSON.stringify({
      state: "pending",
      approval: approvalId,
      decision: refusal.decisionId,
      rules: refusal.rules,
      status: statusUrl,
      help: refusal.help,
      retry: refusal.retry,
    })}\n`,
  };
}

export const notRecorded: HttpFault = {
  status: 503,
  code: "record-failed",
  message: "the request could not be recorded, so it went nowhere",
  help: "try again in a minute; if it stays, tell whoever runs the gateway",
};
