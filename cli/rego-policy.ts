// a Rego bundle -> what it decides, in this process and without a deadline: for tests and questions
import { combineDecisions } from "../engine/combine.ts";
import { limits } from "../engine/limits.ts";
import type { Decision } from "../engine/model/decision.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import { type RegoBundle, readRegoBundle } from "../engine/rego/bundle.ts";
import { RegoEvaluator } from "../engine/rego/evaluator.ts";
import { noNeeds, regoPolicySet } from "../engine/rego/policy-set.ts";
import { GatewayError } from "../proxy/errors.ts";
import { readBytes } from "./read-bytes.ts";

export type LoadedRego = { readonly bundle: RegoBundle; readonly evaluator: RegoEvaluator };

/** @throws GatewayError `config-unreadable`, `policy-rejected` */
export function loadRego(path: string, entrypoint: string | undefined): LoadedRego {
  const bundle = readRegoBundle(readBytes(path), limits);
  if (!bundle.ok) throw new GatewayError("policy-rejected", `\`${path}\` can't be loaded: ${bundle.error}`);
  const { module, data } = bundle.value;
  const evaluator = RegoEvaluator.load({ module, data, entrypoint, pagesMax: limits.regoMemoryPagesMax });
  if (!evaluator.ok) throw new GatewayError("policy-rejected", `\`${path}\` can't be loaded: ${evaluator.error}`);
  return { bundle: bundle.value, evaluator: evaluator.value };
}

/** What the policies and the Rego bundle decide together, as in a gateway that has both. */
export function joinedWithRego(
  path: string,
  entrypoint: string | undefined,
): (own: Decision, request: PolicyRequest) => Decision {
  const set = regoSet(loadRego(path, entrypoint));
  return (own, request) => combineDecisions(own, set.decide(request));
}

/** A test needn't name the facts that it isn't about, and of Rego nobody can tell which ones it reads. */
const leftOpen = "the test does not give";

const regoSet = ({ bundle, evaluator }: LoadedRego): PolicySet =>
  regoPolicySet({
    hash: bundle.hash,
    revision: bundle.revision,
    timeZone: "UTC",
    entrypoint: evaluator.entrypoint,
    evaluate: (input, nowMs) => evaluator.evaluate(input, nowMs),
    needs: { ...noNeeds, estimatedRows: bundle.namesEstimatedRows },
    tags: () => undefined,
    limits,
    isOpen: ({ why }) => why.startsWith(leftOpen),
  });
