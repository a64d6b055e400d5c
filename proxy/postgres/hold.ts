// verdicts that need people -> what they said
import type { SqlContext } from "../../engine/sql/types.ts";
import { refusalOf, refusals } from "./deny.ts";
import type { Refusal, Release } from "./session-state.ts";
import type { GateSession, HeldClient, SqlGate, SqlVerdict } from "./sql-gate.ts";

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
  const { session, context, verdicts, parameters, signal } = question;
  const releases: Release[] = [];
  for (const verdict of verdicts) {
    if (verdict.kind === "release") releases.push(verdict);
    if (verdict.kind !== "hold") continue;
    const outcome = await gate.hold(session, context, verdict, parameters, signal, client);
    if (outcome.kind === "withdrawn") return { kind: "refused", refusal: refusals.cancelled };
    if (outcome.kind === "refused") return { kind: "refused", refusal: refusalOf(outcome.refusal) };
    const granted = outcome.verdict;
    try {
      gate.record(session, [granted], parameters);
    } catch {
      return { kind: "refused", refusal: refusals.notRecorded };
    }
    if (granted.kind === "refuse") return { kind: "refused", refusal: refusalOf(granted.refusal) };
    if (granted.kind === "hold") return { kind: "refused", refusal: refusals.cancelled };
    releases.push(granted);
  }
  return stillHolds(gate, question) ? { kind: "granted", releases } : { kind: "refused", refusal: refusals.overtaken };
}

/** Waiting took time: what needed no approval was decided before it, and policies or counters may have moved on. */
function stillHolds(gate: SqlGate, { session, context, verdicts, parameters }: Question): boolean {
  return verdicts.every((verdict) => {
    if (verdict.kind !== "release" || verdict.statement === undefined) return true;
    const now = gate.redecide(session, context, verdict.statement, parameters);
    return now.kind === "release" && now.obligationsKey === verdict.obligationsKey;
  });
}
