// Why a statement doesn't run -> what the person at the prompt reads
import { unreachable } from "../../engine/lib/assert.ts";
import type { Cause, Decision } from "../../engine/model/decision.ts";
import type { SqlFault } from "../../engine/sql/types.ts";
import type { SqlRefusal } from "../postgres/sql-gate.ts";

/** insufficient_privilege: the code of everything that a policy decides. */
const policySqlstate = "42501";

/** Message: the first cause in the policy's words. Detail: every rule, and the id that finds the record. Hint: the way out. */
export function refusalOfDecision(decision: Decision & { readonly effect: "deny" }, decisionId: string): SqlRefusal {
  const [first] = decision.causes;
  const rules = [...new Set(decision.causes.map(nameOfCause))];
  return {
    sqlstate: policySqlstate,
    message: first.message,
    detail: `${rules.join(", ")}; decision ${decisionId}`,
    hint: wayOut(first, decisionId),
    position: undefined,
  };
}

export function refusalOfFault(fault: SqlFault, decisionId: string): SqlRefusal {
  return {
    sqlstate: fault.sqlstate,
    message: fault.message,
    detail: `${fault.code}; decision ${decisionId}`,
    hint: fault.help,
    position: fault.position,
  };
}

/** A refusal around approvals: `code` is of proxy/errors.ts. */
export function refusalOfApproval(
  code: string,
  message: string,
  approvalId: string,
  decisionId: string,
  hint: string,
): SqlRefusal {
  return {
    sqlstate: policySqlstate,
    message,
    detail: `${code}; approval ${approvalId}; decision ${decisionId}`,
    hint,
    position: undefined,
  };
}

function nameOfCause(cause: Cause): string {
  switch (cause.kind) {
    case "rule":
    case "limit":
      return `rule ${cause.rule}`;
    case "rule-error":
      return `rule ${cause.rule} could not be decided`;
    case "uncovered":
      return `no rule allows ${cause.access}`;
    case "unsupported":
      return cause.code;
    default:
      return unreachable(cause);
  }
}

/** The same for every protocol. */
export function wayOut(cause: Cause, decisionId: string): string | undefined {
  switch (cause.kind) {
    case "rule":
      return `if you need this, show ${decisionId} to the owner of rule ${cause.rule}`;
    case "rule-error":
      return `the rule needs a fact that isn't known here: show ${decisionId} to the owner of rule ${cause.rule}`;
    case "uncovered":
      return `ask the policy's owner for a rule that allows ${cause.access}, and show ${decisionId}`;
    case "limit":
      return "wait until the limit's window has passed, or ask for less";
    case "unsupported":
      return cause.help;
    default:
      return unreachable(cause);
  }
}
