// many cases -> a count of what became of them, and the smallest one that tells too much
import fc from "fast-check";
import { caseOf, type TwinCase } from "./twin-cases.ts";
import type { TwinChecker } from "./twin-check.ts";
import { Tape, tapes } from "./twin-tape.ts";

export type Tally = {
  cases: number;
  /** A case is a session's worth of statements. */
  statements: number;
  refused: number;
  otherErrors: number;
  /** Refusals by code and message, most frequent first when printed. */
  readonly reasons: Map<string, number>;
};
export type Counterexample = { readonly case: TwinCase; readonly oracle: string; readonly detail: string };

export const newTally = (): Tally => ({ cases: 0, statements: 0, refused: 0, otherErrors: 0, reasons: new Map() });

/** Runs cases until one differs or `runs` are through; shrinks what it finds. `seed` makes it again. */
export async function searchCases(
  checker: TwinChecker,
  tally: Tally,
  options: {
    readonly seed: number;
    readonly runs: number;
    readonly timeLimitMs: number;
    readonly isShrinking?: boolean;
  },
): Promise<Counterexample | undefined> {
  let smallest: Counterexample | undefined;
  const property = fc.asyncProperty(tapes, async (numbers) => {
    const made = caseOf(new Tape(numbers));
    const verdict = await checker.check(made);
    tally.cases += 1;
    tally.statements += made.steps.length;
    if (verdict.kind === "refused") {
      tally.refused += 1;
      const reason = `${made.form}: ${verdict.code}: ${verdict.message}`;
      tally.reasons.set(reason, (tally.reasons.get(reason) ?? 0) + 1);
    }
    if (verdict.kind === "agrees" && verdict.reference === "other-error") tally.otherErrors += 1;
    if (verdict.kind !== "differs") return true;
    const size = (c: TwinCase) => c.steps.reduce((sum, s) => sum + s.text.length, 0);
    if (!smallest || size(made) <= size(smallest.case))
      smallest = { case: made, oracle: verdict.oracle, detail: verdict.detail };
    return false;
  });
  const checked = await fc.check(property, {
    seed: options.seed,
    numRuns: options.runs,
    interruptAfterTimeLimit: options.timeLimitMs,
    endOnFailure: options.isShrinking === false,
  });
  // A server that is away, a session that can't be had: nothing was compared.
  if (checked.failed && smallest === undefined) throw checked.errorInstance;
  return smallest;
}

/** Percent of the cases that were let through. */
export const acceptance = (tally: Tally): number =>
  Math.round((1_000 * (tally.cases - tally.refused)) / Math.max(1, tally.cases)) / 10;

export const topReasons = (tally: Tally, count: number): readonly string[] =>
  [...tally.reasons]
    .sort(([, a], [, b]) => b - a)
    .slice(0, count)
    .map(([reason, n]) => `${n} × ${reason}`);
