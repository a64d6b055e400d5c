// hold verdict -> people -> the verdict that is released, or why not
import { isKnown } from "../../engine/lib/truth.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { SqlContext } from "../../engine/sql/types.ts";
import type { ApprovalDraft } from "../approvals/approval.ts";
import { requesterOf } from "../approvals/digest.ts";
import { holdRequest, waitingText } from "../approvals/hold.ts";
import type { GateSession, HeldClient, HoldOutcome, SqlVerdict } from "../postgres/sql-gate.ts";
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
  readonly client: HeldClient;
  /** Judges again, now, under the policies in force. */
  readonly rejudge: (approved: ReadonlySet<RuleId>) => SqlVerdict;
  readonly policyHash: (verdict: SqlVerdict) => string;
};

/** The request of a hold is named after the decision that asked first. */
export const approvalIdOf = (decisionId: string): string => decisionId.replace(/^[a-z]+_/, "apr_");

type Judged =
  | { readonly kind: "release"; readonly verdict: SqlVerdict }
  | { readonly kind: "hold"; readonly verdict: SqlVerdict & { kind: "hold" }; readonly draft: ApprovalDraft }
  | { readonly kind: "refuse"; readonly outcome: HoldOutcome };

/**
 * Until the hold limit: ask, wait, use the grant, judge again. A policy that changed meanwhile asks anew or refuses.
 * @returns with the approval that was used, where one was
 * @throws GatewayError when the store or the recording fails: the caller refuses
 */
export async function holdForApproval(
  deps: GateDeps,
  held: Held,
): Promise<{ readonly outcome: HoldOutcome; readonly approval?: string }> {
  const { verdict, signal, client } = held;
  const estimate = await estimateOf(deps, held);
  const judge = (now: SqlVerdict): Judged => judgedOf(deps, held, now, estimate);
  const end = await holdRequest<Judged>(
    deps,
    judge(verdict),
    (approved) => judge(held.rejudge(approved)),
    signal,
    (approval) => client.tell(waitingText(approval)),
  );
  switch (end.kind) {
    case "released":
      return {
        outcome: { kind: "granted", verdict: end.judged.verdict },
        ...(end.approval === undefined ? {} : { approval: end.approval }),
      };
    case "refused":
      return { outcome: end.judged.outcome };
    case "overtaken":
      return { outcome: refuse(verdict, "approval-overtaken", policyMoved) };
    case "pending":
      return { outcome: refuse(verdict, "approval-pending", undecided(end.approval.id), end.approval.id) };
    case "denied": {
      const why = end.reason === undefined ? "" : `: ${end.reason}`;
      const wording = {
        message: `an approver refused this statement${why}`,
        hint: `talk to ${end.by ?? "the approvers"}`,
      };
      return { outcome: refuse(verdict, "approval-denied", wording, end.approval?.id) };
    }
    case "withdrawn":
      return { outcome: { kind: "withdrawn" } };
  }
}

/** Waiting takes time: policies, counters, the hour, the catalog and the token may have moved on. */
function judgedOf(deps: GateDeps, held: Held, verdict: SqlVerdict, estimate: number | undefined): Judged {
  if (deps.catalogVersion() !== held.context.catalog.version) {
    return { kind: "refuse", outcome: refuse(verdict, "approval-overtaken", catalogMoved) };
  }
  if (deps.isRevoked?.(held.session)) {
    return { kind: "refuse", outcome: refuse(verdict, "token-revoked", sessionRevoked) };
  }
  const { expiresAtS } = held.session;
  if (expiresAtS !== undefined && expiresAtS * 1_000 <= deps.clock.nowMs()) {
    return { kind: "refuse", outcome: refuse(verdict, "token-expired", sessionEnded) };
  }
  if (verdict.kind === "release") return { kind: "release", verdict };
  if (verdict.kind === "refuse") return { kind: "refuse", outcome: { kind: "refused", refusal: verdict.refusal } };
  return { kind: "hold", verdict, draft: draftOf(deps, held, verdict, estimate) };
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
const sessionRevoked: Wording = {
  message: "this session's token was revoked while the statement waited for approval",
  hint: "talk to whoever runs the gateway",
};
const policyMoved: Wording = {
  message: "the policies changed while this statement waited for approval, and ask for another one",
  hint: "repeat the statement to ask again",
};
const undecided = (id: string): Wording => ({
  message: "this statement needs approval, and nobody has decided yet",
  hint: `once it is approved (\`gw approvals approve ${id}\`), repeat exactly this statement: it then runs once`,
});

function refuse(verdict: SqlVerdict, code: string, wording: Wording, id?: string): HoldOutcome {
  const approvalId = id ?? approvalIdOf(verdict.decisionId);
  return {
    kind: "refused",
    refusal: refusalOfApproval(code, wording.message, approvalId, verdict.decisionId, wording.hint),
  };
}

/** For the approvers' eyes only: no part of the digest, and the client never hears of it. */
async function estimateOf(deps: GateDeps, { session, context, verdict, parameters, signal }: Held) {
  const { statement, rewritten } = verdict;
  if (statement === undefined) return undefined;
  const { verb, functions } = statement.facts;
  const { searchPath } = context;
  const question = { verb, functions, text: rewritten.text, searchPath, parameters: textsOf(context, parameters) };
  return deps.estimateRows?.(session, question, signal);
}

/** undefined: at least one isn't a text. */
function textsOf(context: SqlContext, parameters: Held["parameters"]): (string | null)[] | undefined {
  if (parameters.some((value, i) => value !== null && formatOf(context.parameterFormats, i) !== 0)) return undefined;
  try {
    return parameters.map((value) => (value === null ? null : utf8.decode(value)));
  } catch {
    return undefined;
  }
}

function draftOf(
  deps: GateDeps,
  held: Held,
  verdict: SqlVerdict & { kind: "hold" },
  estimate: number | undefined,
): ApprovalDraft {
  const { session, context, parameters } = held;
  const policyHash = held.policyHash(verdict);
  const facts = verdict.statement?.facts;
  const rows = facts !== undefined && isKnown(facts.estimatedRows) ? facts.estimatedRows : estimate;
  const ceilings = verdict.decision.obligations.limits.filter((l) => l.unit === "rows" && l.window === undefined);
  return {
    id: approvalIdOf(verdict.decisionId),
    digest: approvalDigest(session, deps.connection, verdict, context, parameters, policyHash),
    decisionId: verdict.decisionId,
    session: session.id,
    requester: requesterOf(session.identity),
    connection: deps.connection,
    protocol: "sql",
    statement: facts?.text ?? "",
    parameters: parameters.map((value, i) => showParameter(value, formatOf(context.parameterFormats, i))),
    accesses: (facts?.accesses ?? []).map(describeAccess),
    ...(rows === undefined ? {} : { estimatedRows: rows }),
    ...(ceilings.length === 0 ? {} : { rowsMax: Math.min(...ceilings.map((l) => l.max)) }),
    likeness: facts?.fingerprint ?? "",
    requirements: verdict.decision.requirements,
    policyHash,
  };
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
