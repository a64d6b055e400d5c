// policy set -> the same, with agents held to the rights of whom they act for
import { combineDecisions } from "./combine.ts";
import { isKnown, Unknown } from "./lib/truth.ts";
import type { Decision } from "./model/decision.ts";
import type { PolicySet } from "./model/policy.ts";
import type { IdentityFacts } from "./model/principal.ts";
import type { PolicyRequest } from "./model/request.ts";

/**
 * A request of somebody who acts for a person passes only if it would pass for that person too, and what policies do to
 * the person's result they do to it as well: masks, filters, limits, approvals. A policy lifts that by giving the right to
 * agents as such: where the one who asks would be refused if they were a person, with everything else the same, the
 * right comes from a rule about agents, and it stands.
 */
export function withinOwner(policies: PolicySet): PolicySet {
  return { ...policies, decide: (request) => decideWithin(policies, request) };
}

function decideWithin(policies: PolicySet, request: PolicyRequest): Decision {
  const decision = policies.decide(request);
  const owner = ownerOf(request.identity);
  if (owner === undefined || decision.effect === "deny") return decision;
  const theirs = policies.decide({ ...request, identity: owner.identity });
  if (theirs.effect !== "deny") return combineDecisions(decision, addedBy(theirs, decision));
  const asPerson = policies.decide({ ...request, identity: { ...request.identity, kind: "human" } });
  if (request.identity.kind !== "human" && asPerson.effect === "deny") return decision;
  const [cause] = theirs.causes;
  const message = `\`${owner.name}\`, for whom this is done, may not do it: ${cause.message}`;
  const exceeding = { kind: "unsupported", code: "beyond-owner", message, help: wayOut } as const;
  return { effect: "deny", causes: [exceeding], rules: theirs.rules, alerts: decision.alerts, shadow: decision.shadow };
}

const wayOut =
  "the token must say which groups that person is in, or a rule must give the right to agents (`when identity.kind == agent`)";

function ownerOf(identity: IdentityFacts): { readonly name: string; readonly identity: IdentityFacts } | undefined {
  const { on_behalf_of: name, owner } = identity;
  if (!isKnown(name) || name === undefined) return undefined;
  const groups = owner?.groups ?? new Unknown("the groups of the one acted for aren't known");
  return {
    name,
    // What else the token says (tenant, region, second factor) is said of the delegation, and holds for both.
    identity: { ...identity, sub: name, kind: "human", groups, email: undefined, on_behalf_of: undefined },
  };
}

/** What the person's decision asks for beyond the agent's own: the same rule twice is once. Their alerts are nobody's business. */
function addedBy(theirs: Exclude<Decision, { effect: "deny" }>, mine: Exclude<Decision, { effect: "deny" }>): Decision {
  const common = { alerts: [], shadow: [], rules: theirs.rules };
  const { content, items, ...rest } = theirs.obligations;
  const isNew = <T>(known: readonly T[] | undefined) => {
    const texts = new Set((known ?? []).map((one) => JSON.stringify(one)));
    return (one: T): boolean => !texts.has(JSON.stringify(one));
  };
  const newContent = content?.filter(isNew(mine.obligations.content)) ?? [];
  const newItems = items?.filter(isNew(mine.obligations.items)) ?? [];
  const obligations = {
    ...rest,
    ...(newContent.length === 0 ? {} : { content: newContent }),
    ...(newItems.length === 0 ? {} : { items: newItems }),
  };
  const known = new Set(mine.effect === "approval" ? mine.requirements.map((r) => r.rule) : []);
  const [first, ...more] = theirs.effect === "approval" ? theirs.requirements.filter((r) => !known.has(r.rule)) : [];
  if (first === undefined) return { ...common, effect: "allow", obligations };
  return { ...common, effect: "approval", requirements: [first, ...more], obligations };
}
