// answers of a batch whose record is lost -> what the server is sent in its place, and the answers to that
import { failingNamedParse, failingQuery, failingUnnamedParse, refusals } from "./deny.ts";
import { encodeSync } from "./protocol/encode.ts";
import type { Answer, Refusal } from "./session-state.ts";

export type InPlace = {
  readonly messages: readonly Buffer[];
  readonly answers: readonly Answer[];
  /** What the server will never hear of. */
  readonly lost: readonly Answer[];
};

/**
 * Nothing of the batch was written. Each Query becomes one that fails, and of the extended protocol the first message up to a
 * Sync does: what stands behind it the server would have skipped. So the server itself answers each Query and Sync, and an
 * open transaction fails there too. `segment` is the one that is being sent.
 */
export function inPlaceOf(batch: readonly Answer[], segment: number): InPlace {
  const messages: Buffer[] = [];
  const answers: Answer[] = [];
  const lost: Answer[] = [];
  let isSkipping = false;
  for (const answer of batch) {
    if (answer.kind === "sync") {
      messages.push(encodeSync());
      answers.push(answer);
      isSkipping = false;
      continue;
    }
    if (answer.kind !== "refusal") lost.push(answer);
    if (isSkipping) continue;
    const refusal = answer.kind === "refusal" ? answer : refusalInPlaceOf(answer, segment);
    messages.push(refusal.isSimple ? failingQuery : refusal.dropsUnnamed ? failingUnnamedParse : failingNamedParse);
    answers.push(refusal);
    isSkipping = !refusal.isSimple;
  }
  return { messages, answers, lost };
}

function refusalInPlaceOf(
  answer: Exclude<Answer, { readonly kind: "sync" | "refusal" }>,
  segment: number,
): Answer & { readonly kind: "refusal" } {
  const refusal: Refusal = refusals.notRecorded;
  const isSimple = answer.kind === "query" || answer.kind === "function-call";
  const dropsUnnamed = answer.kind === "parse" && answer.name === "" && !answer.isHidden;
  const own = answer.kind === "query" || answer.kind === "function-call" ? answer.segment : segment;
  return { kind: "refusal", refusal, isSimple, dropsUnnamed, segment: own, isAnswered: false };
}
