// RegoBundle + something that evaluates it -> PolicySet
import { err, ok, type Result } from "../lib/result.ts";
import { isKnown } from "../lib/truth.ts";
import type { Limits } from "../limits.ts";
import type { Cause, Decision } from "../model/decision.ts";
import type { CatalogTags, PolicyNeeds, PolicySet } from "../model/policy.ts";
import type { PolicyRequest } from "../model/request.ts";
import { readAnswer } from "./answer.ts";
import { causeOfFault, type RegoFault } from "./fault.ts";
import { encodeInput, inputOf, type UnknownFact } from "./input.ts";
import type { InputBytes } from "./opa-wasm.ts";

/** Gives the raw value of the entrypoint. In this thread (`RegoEvaluator`) or in another one, with a deadline. */
export type EvaluateRego = (input: InputBytes, nowMs: number) => Result<unknown, RegoFault>;

export type RegoPolicySource = {
  readonly hash: string;
  readonly revision: string;
  /** Zone of `time.hour` and its siblings in the input. */
  readonly timeZone: string;
  /** As OPA writes it: `acme/orders/decision`. Its package names the rules. */
  readonly entrypoint: string;
  readonly evaluate: EvaluateRego;
  readonly needs: PolicyNeeds;
  readonly tags: (connection: string) => CatalogTags | undefined;
  readonly limits: Limits;
  /** Facts that may be unknown whatever the policy makes of it: those that a test leaves open. */
  readonly isOpen?: (fact: UnknownFact) => boolean;
};

export const noNeeds: PolicyNeeds = { estimatedRows: false, parameters: false, body: false };

export function regoPolicySet(source: RegoPolicySource): PolicySet {
  const packageName = packageOf(source.entrypoint);
  return {
    hash: source.hash,
    revision: source.revision,
    timeZone: source.timeZone,
    packages: [packageName],
    decide: (request) => {
      const decision = decide(source, packageName, request);
      return decision.ok ? decision.value : denyBecause(causeOfFault(decision.error));
    },
    needs: source.needs,
    tags: source.tags,
    counters: [],
  };
}

/** `larch/shop/decision` → `larch.shop`. */
export const packageOf = (entrypoint: string): string => entrypoint.split("/").slice(0, -1).join(".") || entrypoint;

const denyBecause = (cause: Cause): Decision => ({
  effect: "deny",
  causes: [cause],
  rules: [],
  alerts: [],
  shadow: [],
});

function decide(source: RegoPolicySource, packageName: string, request: PolicyRequest): Result<Decision, RegoFault> {
  const input = inputOf(request, source.needs);
  const bytes = encodeInput(input.json, source.limits);
  if (!bytes.ok) return bytes;
  // An unknown time is a gap below, whatever the policy made of 0.
  const raw = source.evaluate(bytes.value, isKnown(request.time.now) ? request.time.now : 0);
  if (!raw.ok) return raw;
  const answer = readAnswer(raw.value, request, packageName, source.limits);
  if (!answer.ok) return answer;
  const { decision, tolerates } = answer.value;
  if (decision.effect === "deny") return ok(decision);
  // In Rego a missing fact makes a `deny` rule silently not fire: a permission that may rest on one is none.
  const gap = input.unknown.find(
    (u) => !u.isGiven && !tolerates.has(u.fact) && !isLater(u, request) && source.isOpen?.(u) !== true,
  );
  return gap ? err(faultOfGap(gap)) : ok(decision);
}

/** Asked is whether some number of rows could pass: what runs is decided with the planner's word. */
const isLater = ({ fact }: UnknownFact, request: PolicyRequest): boolean =>
  request.isProbe === true && fact === "sql.estimated_rows";

const faultOfGap = ({ fact, of, why }: UnknownFact): RegoFault => ({
  code: "rego-fact-unknown",
  message: `\`${fact}\`${of === undefined ? "" : ` of ${of}`} is not known: ${why}`,
  help: `a policy that doesn't rest on it says \`"tolerates": ["${fact}"]\` in its answer`,
});
