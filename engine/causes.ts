// causes as a set
import type { Cause } from "./model/decision.ts";

const order: Readonly<Record<Cause["kind"], number>> = {
  rule: 0,
  "rule-error": 1,
  limit: 2,
  uncovered: 3,
  unsupported: 4,
};

const causeKey = (cause: Cause): string =>
  `${order[cause.kind]} ${"rule" in cause ? cause.rule : cause.kind === "uncovered" ? cause.access : cause.code} ${cause.message}`;

/** As a set: sorted, each once. */
export function sortCauses(causes: readonly Cause[]): readonly Cause[] {
  if (causes.length === 1) return causes;
  const unique = new Map(causes.map((cause) => [causeKey(cause), cause]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cause]) => cause);
}
