// subject, verdict, completion -> their records
import { createHash } from "node:crypto";
import type { Json } from "../../engine/lib/json.ts";
import type { ContentMask, Obligations } from "../../engine/model/decision.ts";
import type { RecordedContent, SessionEvent } from "../../engine/model/session-event.ts";
import { cutList, describeCause, recordedText, textCharsMax } from "./session-events.ts";
import type { TrafficCompletion, TrafficVerdict } from "./traffic.ts";

export type VerdictRecord = {
  readonly atMs: number;
  readonly session: string;
  readonly verdict: TrafficVerdict;
  readonly policyHash: string;
  readonly revision: string;
  /** What broke inside the gateway: a class name, no content. */
  readonly internalCause: string | undefined;
  readonly content?: RecordedContent | undefined;
  /** The text stands in `content` alone. */
  readonly isTextSealed?: boolean;
};

export function verdictEvent({
  atMs,
  session,
  verdict,
  policyHash,
  revision,
  internalCause,
  content,
  isTextSealed = false,
}: VerdictRecord): SessionEvent {
  const { subject, decision } = verdict;
  const { text } = subject;
  const isCut = text.length > textCharsMax;
  return {
    atMs,
    session,
    type: "statement",
    id: verdict.decisionId,
    statement: isTextSealed ? "" : recordedText(text),
    fingerprint: undefined,
    isCut,
    statementSha256: isCut ? createHash("sha256").update(text).digest("hex") : undefined,
    parameters: subject.shown.length,
    accesses: [subject.access],
    factsDigest: undefined,
    effect: verdict.kind === "release" ? "allow" : verdict.kind === "hold" ? "approval" : "deny",
    rules: decision?.rules ?? [],
    causes: causesOf(verdict, internalCause),
    masks: verdict.kind === "refuse" ? [] : cutList(masksOf(verdict.obligations)),
    filters: [],
    policy: policyHash,
    revision,
    ...(Object.keys(subject.refs).length === 0 ? {} : { refs: subject.refs }),
    ...content,
  };
}

function causesOf(verdict: TrafficVerdict, internalCause: string | undefined): readonly Json[] {
  const causes: Json[] = [];
  if (verdict.kind === "refuse") {
    if (verdict.decision?.effect === "deny") causes.push(...verdict.decision.causes.map(describeCause));
    else causes.push({ kind: "fault", code: verdict.refusal.code, message: verdict.refusal.reason });
    if (internalCause !== undefined) causes.push({ kind: "internal", cause: internalCause });
  }
  for (const cause of verdict.decision?.shadow ?? []) causes.push({ shadow: true, ...describeCause(cause) });
  return causes;
}

/** `json $.iban, $.bic partial`. */
export const describeContentMask = ({ content, mask }: ContentMask): string =>
  `${content.format} ${content.patterns.join(", ")} ${mask.kind}`;

const masksOf = ({ content = [] }: Obligations): readonly string[] => content.map(describeContentMask);

type Completion = Extract<SessionEvent, { readonly type: "completion" }>;

export const completionEvent = (
  atMs: number,
  session: string,
  id: string,
  { outcome, tag, rows, bytes, durationUs, tokens, usd, refs }: TrafficCompletion,
  content?: Pick<Completion, "result" | "sealed">,
): SessionEvent => ({
  atMs,
  session,
  type: "completion",
  id,
  outcome,
  tag,
  sqlstate: undefined,
  rows,
  bytes,
  durationUs,
  ...(tokens === undefined ? {} : { tokens }),
  ...(usd === undefined ? {} : { usd }),
  ...(refs === undefined ? {} : { refs }),
  ...content,
});
