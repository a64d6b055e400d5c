// verdicts that need people -> what they said
import type { SqlContext } from "../../engine/sql/types.ts";
import { refusalOf, refusals } from "./deny.ts";
import type { Refusal, Release } from "./session-state.ts";
import type { Completion, GateSession, HeldClient, SqlGate, SqlVerdict } from "./sql-gate.ts";

/** The statements of one message, and what they are to be judged with. */
export type Question = {
  readonly session: GateSession;
  readonly context: SqlContext;
  readonly verdicts: readonly SqlVerdict[];
  readonly parameters: readonly (Uint8Array | null)[];
  /** Aborted when the client cancels or goes away. */
  readonly signal: AbortSignal;
};

export type HoldAnswer =
  | { readonly kind: "granted"; readonly releases: readonly Release[] }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** Asks about each verdict that needs it, in order. What is granted is on record when this resolves. */
export async function askPeople(gate: SqlGate, question: Question, client: HeldClient): Promise<HoldAnswer> {
  const releases: Release[] = [];
  const answer = await ask(gate, question, client, releases);
  if (answer.kind === "refused")
    for (const { decisionId } of releases) gate.complete(question.session, decisionId, neverRan);
  return answer;
}

const neverRan: Completion = {
  outcome: "aborted",
  tag: undefined,
  sqlstate: undefined,
  rows: 0,
  bytes: 0,
  durationUs: 0,
};

/** `releases`: what was let through so far, on record; whoever asks ends it when the message is refused. */
async function ask(gate: SqlGate, question: Question, client: HeldClient, releases: Release[]): Promise<HoldAnswer> {
  const { session, context, verdicts, parameters, signal } = question;
  /** Approvals that are taken back while others are waited for: nothing runs yet that could be ended. */
  let isTakenBack = false;
  const end = (): void => {
    isTakenBack = true;
    client.end();
  };
  const granted: Release[] = [];
  for (const verdict of verdicts) {
    if (verdict.kind === "release") releases.push(verdict);
    if (verdict.kind !== "hold") continue;
    const outcome = await gate.hold(session, context, verdict, parameters, signal, { ...client, end });
    if (outcome.kind === "withdrawn") return { kind: "refused", refusal: refusals.cancelled };
    if (outcome.kind === "refused") return { kind: "refused", refusal: refusalOf(outcome.refusal) };
    const now = outcome.verdict;
    try {
      gate.record(session, [now], parameters);
    } catch {
      return { kind: "refused", refusal: refusals.notRecorded };
    }
    if (now.kind === "refuse") return { kind: "refused", refusal: refusalOf(now.refusal) };
    if (now.kind === "hold") return { kind: "refused", refusal: refusals.cancelled };
    releases.push(now);
    granted.push(now);
  }
  const early = granted.slice(0, -1);
  const holds = !isTakenBack && stillHolds(gate, question) && early.every((one) => stillGranted(gate, question, one));
  return holds ? { kind: "granted", releases } : { kind: "refused", refusal: refusals.overtaken };
}

/**
 * What people let through before the last wait: under the policies in force it must still be what they were asked about.
 * Judged without the grant, which is used up, so that it asks again; that much is what was approved.
 */
function stillGranted(gate: SqlGate, { session, context, parameters }: Question, release: Release): boolean {
  if (!gate.isCurrent(release) || release.statement === undefined) return false;
  const now = gate.redecide(session, context, release.statement, parameters);
  return now.kind !== "refuse" && now.obligationsKey === release.obligationsKey;
}

/** Waiting took time: what needed no approval was decided before it, and policies or counters may have moved on. */
function stillHolds(gate: SqlGate, { session, context, verdicts, parameters }: Question): boolean {
  return verdicts.every((verdict) => {
    if (verdict.kind !== "release" || verdict.statement === undefined) return true;
    const now = gate.redecide(session, context, verdict.statement, parameters);
    return now.kind === "release" && now.obligationsKey === verdict.obligationsKey;
  });
}
