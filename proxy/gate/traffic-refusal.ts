// Why a request doesn't go on -> what its sender reads, in any protocol
import { unreachable } from "../../engine/lib/assert.ts";
import type { Cause, Decision } from "../../engine/model/decision.ts";
import { wayOut } from "./refusal.ts";
import type { Refusal, Unable } from "./traffic.ts";

export function refusalOfDenial(decision: Decision & { readonly effect: "deny" }, decisionId: string): Refusal {
  const [first] = decision.causes;
  // Waiting helps only where nothing else stands in the way.
  const onlyLimits = decision.causes.every((cause) => cause.kind === "limit");
  return {
    decisionId,
    code: codeOf(first),
    reason: first.message,
    rules: decision.rules,
    help: wayOut(first, decisionId),
    approvalId: undefined,
    retry: onlyLimits ? "after-wait" : "never",
  };
}

export const refusalOfUnable = ({ code, message, help }: Unable, decisionId: string): Refusal => ({
  decisionId,
  code,
  reason: message,
  rules: [],
  help,
  approvalId: undefined,
  retry: "never",
});

function codeOf(cause: Cause): string {
  switch (cause.kind) {
    case "rule":
      return "denied";
    case "rule-error":
      return "undecidable";
    case "uncovered":
    case "limit":
      return cause.kind;
    case "unsupported":
      return cause.code;
    default:
      return unreachable(cause);
  }
}
