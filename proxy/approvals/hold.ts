// a request that needs people -> released once, or why not: the same for every protocol
import type { RuleId } from "../../engine/model/decision.ts";
import type { Clock } from "../deps.ts";
import { type Approval, type ApprovalDraft, describeApprovers } from "./approval.ts";
import type { ApprovalDesk } from "./desk.ts";

/** What a protocol's gate says of a request, judged now. `draft.id` is the one that a new request gets. */
export type Judged = { readonly kind: "release" | "refuse" } | { readonly kind: "hold"; readonly draft: ApprovalDraft };

export type HoldEnd<J extends Judged> =
  /** `judged` runs, once. `approval`: the grant that was used for it, if one was. */
  | {
      readonly kind: "released";
      readonly judged: J & { readonly kind: "release" };
      readonly approval: string | undefined;
    }
  /** Policies (or whatever `rejudge` looks at) say no by now. */
  | { readonly kind: "refused"; readonly judged: J & { readonly kind: "refuse" } }
  /** Approved, but the policies ask for another approval by now. */
  | { readonly kind: "overtaken" }
  /** Nobody decided within the hold limit: the identical request passes once after approval. */
  | { readonly kind: "pending"; readonly approval: Approval }
  | {
      readonly kind: "denied";
      readonly approval: Approval | undefined;
      readonly reason: string | undefined;
      readonly by: string | undefined;
    }
  /** The client cancelled or went away. */
  | { readonly kind: "withdrawn" };

export type HoldDeps = { readonly approvals: ApprovalDesk; readonly clock: Clock; readonly approvalHoldMs: number };

const noRules: ReadonlySet<RuleId> = new Set();

/**
 * Until the hold limit: ask, wait, use the grant, judge again. `tell` hears of the open request, before the wait.
 * @throws GatewayError when the store or the recording fails: the caller refuses
 */
export async function holdRequest<J extends Judged>(
  deps: HoldDeps,
  first: J,
  rejudge: (approved: ReadonlySet<RuleId>) => J,
  signal: AbortSignal,
  tell: (approval: Approval) => void,
): Promise<HoldEnd<J>> {
  const { approvals, clock } = deps;
  const deadlineMs = clock.nowMs() + deps.approvalHoldMs;
  let judged = first;
  let told: string | undefined;
  for (;;) {
    if (isReleased(judged)) return { kind: "released", judged, approval: undefined };
    if (isRefused(judged)) return { kind: "refused", judged };
    if (!isHeld(judged)) return { kind: "overtaken" };
    const { draft } = judged;
    const grant = await approvals.take(draft.digest, draft.session);
    if (grant) {
      const approved = rejudge(grant.rules);
      if (isReleased(approved)) return { kind: "released", judged: approved, approval: grant.id };
      return isRefused(approved) ? { kind: "refused", judged: approved } : { kind: "overtaken" };
    }
    const approval = await approvals.ask(draft);
    if (told !== approval.id) tell(approval);
    told = approval.id;
    const outcome = await approvals.wait(approval.id, deadlineMs - clock.nowMs(), signal);
    switch (outcome) {
      case "granted":
      case "expired":
        judged = rejudge(noRules);
        break;
      case "denied":
      case "withdrawn":
        return deniedBy(await approvals.get(approval.id), outcome);
      case "timeout":
        return { kind: "pending", approval };
      case "aborted":
        await approvals.withdraw(approval.id);
        return { kind: "withdrawn" };
    }
  }
}

const isReleased = <J extends Judged>(judged: J): judged is J & { readonly kind: "release" } =>
  judged.kind === "release";
const isRefused = <J extends Judged>(judged: J): judged is J & { readonly kind: "refuse" } => judged.kind === "refuse";
const isHeld = <J extends Judged>(judged: J): judged is J & { readonly kind: "hold"; readonly draft: ApprovalDraft } =>
  judged.kind === "hold";

function deniedBy(approval: Approval | undefined, how: "denied" | "withdrawn"): HoldEnd<never> {
  const refusal = approval?.votes.find((vote) => vote.verdict === "deny");
  const reason = how === "withdrawn" ? "the request was withdrawn" : refusal?.reason;
  return { kind: "denied", approval, reason, by: refusal?.by };
}

/** One line for who waits: what for, by whom, and how it goes on. */
export const waitingText = (approval: Approval): string =>
  `waiting for approval ${approval.id} by ${describeApprovers(approval.requirements)}: \`gw approvals approve ${approval.id}\``;
