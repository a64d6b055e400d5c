// live decision, other policies -> what would be different under them. Nothing of it is enforced.
import { createHash } from "node:crypto";
import { isKnown } from "../../engine/lib/truth.ts";
import type { Decision } from "../../engine/model/decision.ts";
import { maskKey } from "../../engine/model/mask.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import type { Metric } from "../admin/metrics.ts";
import type { Clock } from "../deps.ts";
import { contributionsOf } from "./contributions.ts";
import type { Counters } from "./counters.ts";
import { obligationsKey } from "./obligations-key.ts";
import { cutList, describeCause } from "./session-events.ts";

export type ShadowDeps = {
  /** undefined: none is loaded. */
  readonly policies: () => PolicySet | undefined;
  /** undefined: all. */
  readonly connections: readonly string[] | undefined;
  /** Of the principals, from 0 to 1: the same ones each time. */
  readonly share: number;
  readonly counters: Counters;
  readonly clock: Clock;
};

export type ShadowCounts = { readonly same: number; readonly different: number; readonly failed: number };

export type Shadow = {
  /** Where the two differ, what is to be recorded of it. Never throws. */
  readonly compare: (
    session: string,
    decisionId: string,
    request: PolicyRequest,
    live: Decision,
  ) => SessionEvent | undefined;
  /** Since the policies of the shadow were loaded. */
  readonly counts: () => ShadowCounts;
  readonly metrics: () => readonly Metric[];
};

export function createShadow(deps: ShadowDeps): Shadow {
  let counted = { policies: "", same: 0, different: 0, failed: 0 };
  const count = (policies: PolicySet, what: keyof ShadowCounts): void => {
    if (counted.policies !== policies.hash) counted = { policies: policies.hash, same: 0, different: 0, failed: 0 };
    counted[what] += 1;
  };
  return {
    compare: (session, decisionId, request, live) => {
      const policies = deps.policies();
      if (policies === undefined || !takesPart(deps, request)) return undefined;
      try {
        // Its counters go on by themselves: what the live policies deny may be allowed here.
        const counter: PolicyRequest["counter"] = (name, key) => deps.counters.read(`shadow ${name}`, key);
        const decision = policies.decide({ ...request, counter });
        for (const part of contributionsOf(decision, policies, { ...request, counter })) {
          deps.counters.count({ ...part, name: `shadow ${part.name}` });
        }
        const isSame = enforced(live) === enforced(decision);
        count(policies, isSame ? "same" : "different");
        if (isSame) return undefined;
        return {
          atMs: deps.clock.nowMs(),
          session,
          type: "shadow",
          id: decisionId,
          policy: policies.hash,
          live: live.effect,
          effect: decision.effect,
          rules: cutList(decision.rules),
          causes: decision.effect === "deny" ? decision.causes.slice(0, 20).map(describeCause) : [],
          obligations: decision.effect === "deny" ? [] : cutList(obligationsOf(decision)),
        };
      } catch {
        count(policies, "failed");
        return undefined;
      }
    },
    counts: () => ({ same: counted.same, different: counted.different, failed: counted.failed }),
    metrics: () => [
      {
        name: "gw_shadow_decisions_total",
        help: "decisions of the shadow policies, by whether they are what the live ones decided",
        type: "counter",
        samples: (["same", "different", "failed"] as const).map((result) => ({
          labels: { result },
          value: counted[result],
        })),
      },
    ],
  };
}

function takesPart({ connections, share }: ShadowDeps, { connection, identity }: PolicyRequest): boolean {
  if (connections !== undefined && !connections.includes(connection.name)) return false;
  return share >= 1 || (isKnown(identity.sub) && placeOf(identity.sub) < share);
}

/** Where a principal lies between 0 and 1, for as long as it is called so. */
const placeOf = (sub: string): number => createHash("sha256").update(sub).digest().readUInt32BE(0) / 2 ** 32;

/** What the two do to a request; why they do it may differ. */
function enforced(decision: Decision): string {
  if (decision.effect === "deny") return "deny";
  const { obligations } = decision;
  const people =
    decision.effect === "approval" ? decision.requirements.map((r) => JSON.stringify([r.approvers, r.withinMs])) : [];
  return JSON.stringify([decision.effect, people.sort(), obligationsKey(obligations), contentOf(decision).sort()]);
}

type Passing = Exclude<Decision, { readonly effect: "deny" }>;

const contentOf = ({ obligations }: Passing): string[] => [
  ...(obligations.content ?? []).map((c) => `${c.content.format} ${c.content.patterns.join(",")} ${maskKey(c.mask)}`),
  ...(obligations.items ?? []).map((item) => `items ${item.path}: ${renderRowPredicate(item.predicate)}`),
  ...obligations.limits.map((l) =>
    `limit ${l.unit} ${l.max} ${l.window === undefined ? "" : `${l.window.ms} ms`}`.trim(),
  ),
];

const obligationsOf = (decision: Passing): readonly string[] => [
  ...[...decision.obligations.masks].flatMap(([relation, columns]) =>
    [...columns].map(([column, { mask }]) => `mask ${relation}.${column} ${mask.kind}`),
  ),
  ...[...decision.obligations.filters].map(
    ([relation, { predicate }]) => `filter ${relation}: ${renderRowPredicate(predicate)}`,
  ),
  ...contentOf(decision),
];
