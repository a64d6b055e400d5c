// hold verdict -> people -> the verdict that is released, or why not

import { isKnown } from "../../engine/lib/truth.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { SqlContext } from "../../engine/sql/types.ts";
import type { ApprovalDraft, Requester } from "../approvals/approval.ts";
import type { GateSession, HoldOutcome, SqlVerdict } from "../postgres/sql-gate.ts";
import { approvalDigest, formatOf } from "./approval-digest.ts";
import type { GateDeps } from "./deps.ts";
import { refusalOfApproval } from "./refusal.ts";
import { describeAccess } from "./session-events.ts";

export type Held = {
  readonly session: GateSession;
  readonly context: SqlContext;
  readonly verdict: SqlVerdict & { kind: "hold" };
  readonly parameters: readonly (Uint8Array | null)[];
  readonly signal: AbortSignal;
  /** Judges again, now, under the policies in force. */
  readonly rejudge: (approved: ReadonlySet<RuleId>) => SqlVerdict;
  readonly policyHash: (verdict: SqlVerdict) => string;
};

const noRules: ReadonlySet<RuleId> = new Set();

/** The request of a hold is named after the decision that asked first. */
export const approvalIdOf = (decisionId: string): string => decisionId.replace(/^[a-z]+_/, "apr_");

/**
 * Until the hold limit: ask, wait, use the grant, judge again. A policy that changed meanwhile asks anew or refuses.
 * @throws GatewayError when the store or the recording fails: the caller refuses
 */
export async function holdForApproval(deps: GateDeps, held: Held): Promise<HoldOutcome> {
  const deadlineMs = deps.clock.nowMs() + deps.approvalHoldMs;
  const catalogVersion = held.context.catalog.version;
  let verdict: SqlVerdict = held.verdict;
  for (;;) {
    // Waiting took time: policies, counters, the hour and the catalog may have moved on.
    if (deps.catalogVersion() !== catalogVersion) return refuse(verdict, "approval-overtaken", catalogMoved);
    const { expiresAtS } = held.session;
    if (expiresAtS !== undefined && expiresAtS * 1_000 <= deps.clock.nowMs()) {
      return refuse(verdict, "token-expired", sessionEnded);
    }
    if (verdict.kind === "release") return { kind: "granted", verdict };
    if (verdict.kind === "refuse") return { kind: "refused", refusal: verdict.refusal };
    const digest = approvalDigest(
      held.session,
      deps.connection,
      verdict,
      held.context,
      held.parameters,
      held.policyHash(verdict),
    );
    const grant = deps.approvals.take(digest, held.session.id);
    if (grant) {
      const approved = held.rejudge(grant.rules);
      if (approved.kind === "release") return { kind: "granted", verdict: approved };
      if (approved.kind === "refuse") return { kind: "refused", refusal: approved.refusal };
      return refuse(verdict, "approval-overtaken", policyMoved);
    }
    const approval = deps.approvals.ask(draftOf(deps, held, verdict, digest));
    const outcome = await deps.approvals.wait(approval.id, deadlineMs - deps.clock.nowMs(), held.signal);
    switch (outcome) {
      case "granted":
      case "expired":
        verdict = held.rejudge(noRules);
        break;
      case "denied":
        return refuse(verdict, "approval-denied", deniedText(deps, approval.id), approval.id);
      case "timeout":
        return refuse(verdict, "approval-pending", undecided(approval.id), approval.id);
      case "aborted":
        deps.approvals.withdraw(approval.id);
        return { kind: "withdrawn" };
    }
  }
}

type Wording = { readonly message: string; readonly hint: string };

const catalogMoved: Wording = {
  message: "the database's definitions changed while this statement waited for approval",
  hint: "repeat the statement: it is judged by the new definitions",
};
const sessionEnded: Wording = {
  message: "this session's token ended while the statement waited for approval",
  hint: "connect again with a fresh token and repeat the statement",
};
const policyMoved: Wording = {
  message: "the policies changed while this statement waited for approval, and ask for another one",
  hint: "repeat the statement to ask again",
};
const undecided = (id: string): Wording => ({
  message: "this statement needs approval, and nobody has decided yet",
  hint: `once it is approved (\`gw approvals approve ${id}\`), repeat exactly this statement: it then runs once`,
});

function deniedText(deps: GateDeps, id: string): Wording {
  const refusal = deps.approvals.get(id)?.votes.find((vote) => vote.verdict === "deny");
  const reason = refusal?.reason === undefined ? "" : `: ${refusal.reason}`;
  return { message: `an approver refused this statement${reason}`, hint: `talk to ${refusal?.by ?? "the approvers"}` };
}

function refuse(verdict: SqlVerdict, code: string, wording: Wording, id?: string): HoldOutcome {
  const approvalId = id ?? approvalIdOf(verdict.decisionId);
  return {
    kind: "refused",
    refusal: refusalOfApproval(code, wording.message, approvalId, verdict.decisionId, wording.hint),
  };
}

function draftOf(deps: GateDeps, held: Held, verdict: SqlVerdict & { kind: "hold" }, digest: string): ApprovalDraft {
  return {
    id: approvalIdOf(verdict.decisionId),
    digest,
    decisionId: verdict.decisionId,
    session: held.session.id,
    requester: requesterOf(held.session),
    connection: deps.connection,
    statement: verdict.statement?.facts.text ?? "",
    parameters: held.parameters.map((value, i) => showParameter(value, formatOf(held.context.parameterFormats, i))),
    accesses: (verdict.statement?.facts.accesses ?? []).map(describeAccess),
    requirements: verdict.decision.requirements,
    policyHash: held.policyHash(verdict),
  };
}

export function requesterOf({ identity }: GateSession): Requester {
  const owners = new Set<string>();
  if (isKnown(identity.on_behalf_of) && identity.on_behalf_of !== undefined) owners.add(identity.on_behalf_of);
  if (isKnown(identity.claims)) addActors(identity.claims.act, owners);
  return {
    sub: isKnown(identity.sub) ? identity.sub : "unknown",
    kind: isKnown(identity.kind) ? identity.kind : "unknown",
    onBehalfOf: [...owners],
  };
}

/** Everyone in the `act` chain (RFC 8693 section 4.1). Depth is bounded by the token's own size. */
function addActors(act: unknown, into: Set<string>): void {
  let actor = act;
  while (typeof actor === "object" && actor !== null) {
    if ("sub" in actor && typeof actor.sub === "string") into.add(actor.sub);
    actor = "act" in actor ? actor.act : undefined;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** Bytes of a binary value may happen to be text, of another meaning: they are shown as bytes. */
function showParameter(value: Uint8Array | null, format: number): string | null {
  if (value === null) return null;
  const asBytes = `\\x${Buffer.from(value).toString("hex")}`;
  if (format !== 0) return `${asBytes} (binary)`;
  try {
    return utf8.decode(value);
  } catch {
    return asBytes;
  }
}
