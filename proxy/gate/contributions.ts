// a decision that lets something through -> what counters and rate limits add for it
import type { Decision } from "../../engine/model/decision.ts";
import type { CounterContribution, CounterMeasure, PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";

export type Contribution = CounterContribution & {
  readonly name: string;
  readonly windowMs: number;
  readonly measure?: CounterMeasure;
};

/** What letting it through adds to counters and to windows of requests and calls; other units are known at completion only. */
export function contributionsOf(
  decision: Decision,
  policies: PolicySet,
  request: PolicyRequest | undefined,
): readonly Contribution[] {
  const found: Contribution[] = [];
  if (request === undefined || decision.effect === "deny") return found;
  for (const { name, windowMs, measure, contribution } of policies.counters) {
    const part = contribution(request);
    if (part) found.push({ ...part, name, windowMs, ...(measure === undefined ? {} : { measure }) });
  }
  for (const { rule, unit, window } of decision.obligations.limits) {
    if (window === undefined || (unit !== "requests" && unit !== "calls")) continue;
    found.push({ name: rule, key: window.key, windowMs: window.ms, amount: 1 });
  }
  return found;
}
