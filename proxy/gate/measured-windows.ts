// Windows of rows and bytes: what a running statement may still come to counts at once, what it came to when it ends.
import { isKnown } from "../../engine/lib/truth.ts";
import type { LimitObligation } from "../../engine/model/decision.ts";
import type { AnalyzedStatement } from "../../engine/sql/types.ts";
import type { Clock } from "../deps.ts";
import type { Completion } from "../postgres/sql-gate.ts";
import type { Contribution } from "./contributions.ts";
import type { Counters } from "./counters.ts";

type Measured = {
  readonly limit: LimitObligation;
  readonly window: NonNullable<LimitObligation["window"]>;
  readonly reserved: number;
  /** The most that the statement may have come to, as far as this window is concerned. */
  readonly most: number;
  readonly atMs: number;
};

/** By decision id, from the record of a decision to its completion. */
export class MeasuredWindows {
  readonly #counters: Counters;
  readonly #clock: Clock;
  readonly #open = new Map<string, readonly Measured[]>();

  constructor(counters: Counters, clock: Clock) {
    this.#counters = counters;
    this.#clock = clock;
  }

  /** Takes out of each window what the statement's own ceiling allows it, and no more than what is left. */
  begin(decisionId: string, limits: readonly LimitObligation[], statement: AnalyzedStatement | undefined): void {
    const measured: Measured[] = [];
    for (const limit of limits) {
      const { window, rule, max } = limit;
      if (window === undefined || (limit.unit !== "rows" && limit.unit !== "bytes")) continue;
      const used = this.#counters.read(rule, window.key);
      const left = isKnown(used) ? Math.max(0, max - used) : 0;
      const ceiling = ceilingOf(limit, limits, statement);
      const reserved = Math.min(left, ceiling ?? 0);
      const atMs = this.#clock.nowMs();
      if (reserved > 0) this.#counters.reserve(rule, window.key, window.ms, reserved, atMs);
      measured.push({ limit, window, reserved, most: Math.min(left, ceiling ?? left), atMs });
    }
    if (measured.length > 0) this.#open.set(decisionId, measured);
  }

  end(decisionId: string, completion: Completion): void {
    const measured = this.#open.size === 0 ? undefined : this.#open.get(decisionId);
    if (measured === undefined) return;
    this.#open.delete(decisionId);
    for (const { limit, window, reserved, most, atMs } of measured) {
      if (reserved > 0) this.#counters.reserve(limit.rule, window.key, window.ms, -reserved, atMs);
      this.#counters.add(limit.rule, window.key, window.ms, amountOf(limit, most, completion));
    }
  }
}

/** What statements of the same message would take out, for those behind them. */
export const reservationsOf = (
  limits: readonly LimitObligation[],
  statement: AnalyzedStatement | undefined,
): readonly Contribution[] =>
  limits.flatMap((limit): readonly Contribution[] => {
    const { window, rule: name } = limit;
    const amount = window === undefined ? undefined : ceilingOf(limit, limits, statement);
    return window === undefined || amount === undefined ? [] : [{ name, key: window.key, windowMs: window.ms, amount }];
  });

/** The most that one answer may hold: by a limit on it, or by a constant LIMIT of its own. Undefined: nobody can tell. */
function ceilingOf(
  { unit, counts }: LimitObligation,
  limits: readonly LimitObligation[],
  statement: AnalyzedStatement | undefined,
): number | undefined {
  if (unit !== "rows") return undefined;
  const ceilings = limits
    .filter((l) => l.unit === unit && l.window === undefined && l.counts === counts)
    .map((l) => l.max);
  const own = counts === undefined && statement?.facts.verb === "select" ? statement.facts.limit : undefined;
  if (typeof own === "number") ceilings.push(own);
  return ceilings.length === 0 ? undefined : Math.max(0, Math.min(...ceilings));
}

/**
 * Only its tag tells what a statement changed. A portal of RETURNING that is read in part has changed everything, and a
 * statement whose session broke off may have: that counts as the most it can be.
 */
function amountOf({ unit, counts }: LimitObligation, most: number, completion: Completion): number {
  const { rows, bytes, tag, outcome, isCutOff } = completion;
  if (unit === "bytes") return bytes;
  if (counts === undefined) return rows;
  if (tag === undefined) return outcome === "ok" || isCutOff === true ? most : 0;
  return Number(changedTag.exec(tag)?.[1] ?? 0);
}

const changedTag = /^(?:INSERT \d+|UPDATE|DELETE|MERGE|COPY) (\d+)$/;
