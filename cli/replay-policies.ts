// recorded statements + another bundle -> what it would have decided
import { limits } from "../engine/limits.ts";
import type { Decision } from "../engine/model/decision.ts";
import { isStricterMask } from "../engine/model/mask.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import { renderRowPredicate } from "../engine/model/row-predicate.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import { withinOwner } from "../engine/within-owner.ts";
import { contributionsOf } from "../proxy/gate/contributions.ts";
import { WindowCounters } from "../proxy/gate/counters.ts";
import { timeFactsOf } from "../proxy/gate/time-facts.ts";
import { describeContentMask } from "../proxy/gate/traffic-events.ts";
import type { RecordedEvent } from "../proxy/recording/read.ts";
import { RecordedRequests, type RecordedStatement } from "./recorded-request.ts";
import type { SnapshotAnalyzer } from "./snapshot-analyzer.ts";

type Effect = Decision["effect"];

/**
 * `permitted`: it was refused or waited, and would pass. `refused`: the other way round. `held`: it passed and would wait
 * for people. `revealed`: it would show more (a mask or filter is gone); `reduced`: less.
 */
export type ReplayKind = "permitted" | "refused" | "held" | "revealed" | "reduced";

export type ReplayExample = {
  readonly id: string;
  readonly session: string;
  readonly sub: string;
  readonly statement: string;
  readonly before: Effect;
  readonly after: Effect;
};

/** Decisions that differ in the same way, because of the same rules. */
export type ReplayDifference = {
  readonly kind: ReplayKind;
  /** Rules that make the difference, as far as they can be named. */
  readonly rules: readonly string[];
  readonly count: number;
  /** The first ones: `limits.replayExamplesMax`. */
  readonly examples: readonly ReplayExample[];
};

export type Replay = {
  readonly statements: number;
  readonly alike: number;
  /** Most frequent first. */
  readonly differences: readonly ReplayDifference[];
  /** Decisions that rest on what isn't recorded: a body, a header, a claim that the configuration doesn't name. */
  readonly open: number;
  /** Cut, sealed, refused by the gateway itself, or not understood with the bundle's catalogs. */
  readonly skipped: number;
};

export type ReplayOptions = {
  readonly policies: PolicySet;
  readonly analyze: SnapshotAnalyzer;
  readonly fromMs: number;
  readonly untilMs: number;
};

/** Counters and rates are counted again as the recording goes by. */
export async function replayPolicies(
  events: AsyncIterable<RecordedEvent> | Iterable<RecordedEvent>,
  { policies, analyze, fromMs, untilMs }: ReplayOptions,
): Promise<Replay> {
  let nowMs = 0;
  const counters = new WindowCounters({ nowMs: () => nowMs });
  const counter = (name: string, key: string) => counters.read(name, key);
  const requests = new RecordedRequests(
    analyze,
    timeFactsOf(() => policies),
  );
  const consents = new Consents();
  const bounded = withinOwner(policies);
  const differences = new Map<string, { -readonly [K in keyof ReplayDifference]: ReplayDifference[K] }>();
  let [statements, alike, open, skipped] = [0, 0, 0, 0];
  for await (const event of events) {
    requests.see(event);
    consents.see(event);
    if (event.type !== "statement" || event.atMs < fromMs || event.atMs > untilMs) continue;
    statements += 1;
    nowMs = event.atMs;
    const recorded = requests.requestOf(event);
    if (recorded === undefined) {
      skipped += 1;
      continue;
    }
    const request: PolicyRequest = { ...recorded, counter };
    const deciding = request.identity.owner === undefined ? policies : bounded;
    const decision = deciding.decide(request);
    for (const part of contributionsOf(decision, policies, request)) counters.count(part);
    if (decision.effect === "deny" && event.effect !== "deny" && restsOnUnknown(deciding, request)) {
      open += 1;
      continue;
    }
    const kind = differenceOf(event, decision, consents);
    if (kind === undefined) {
      alike += 1;
      continue;
    }
    const rules = rulesOf(decision, event, kind);
    const key = `${kind} ${rules.join(" ")}`;
    const group = differences.get(key) ?? { kind, rules, count: 0, examples: [] };
    differences.set(key, group);
    group.count += 1;
    if (group.examples.length >= limits.replayExamplesMax) continue;
    const { id, session, statement, effect } = event;
    const sub = requests.startOf(event)?.principal.sub ?? "unknown";
    group.examples = [...group.examples, { id, session, sub, statement, before: effect, after: decision.effect }];
  }
  const sorted = [...differences.values()].sort((a, b) => b.count - a.count);
  return { statements, alike, differences: sorted, open, skipped };
}

/** What the new policies would let through or show that was kept back. */
export const permitsMore = ({ differences }: Replay): boolean =>
  differences.some(({ kind }) => kind === "permitted" || kind === "revealed");

/** With everything that isn't known in its favour it would pass. */
const restsOnUnknown = (policies: PolicySet, request: PolicyRequest): boolean =>
  policies.decide({ ...request, isProbe: true }).effect !== "deny";

/** What people said yes to: a statement that ran after it was held is no other decision. */
class Consents {
  readonly #held = new Map<string, string>();
  readonly #given = new Set<string>();

  see(event: SessionEvent): void {
    if (event.type === "statement" && event.effect === "approval") {
      forgetOldest(this.#held);
      this.#held.set(event.id, textOf(event));
    }
    if (event.type !== "approval" || (event.state !== "granted" && event.state !== "used")) return;
    const text = this.#held.get(event.statementId);
    if (text === undefined) return;
    forgetOldest(this.#given);
    this.#given.add(text);
  }

  has(event: RecordedStatement): boolean {
    return this.#given.has(textOf(event));
  }
}

const textOf = (event: RecordedStatement): string =>
  `${event.statementSha256 ?? event.statement}\u0000${event.accesses.join("\u0000")}`;

/** A bound, not a policy: the one that came first gives way. */
function forgetOldest(kept: Map<string, unknown> | Set<string>): void {
  if (kept.size < limits.replaySessionsMax) return;
  for (const oldest of kept.keys()) {
    kept.delete(oldest);
    return;
  }
}

const rank: Readonly<Record<Effect, number>> = { deny: 0, approval: 1, allow: 2 };

function differenceOf(event: RecordedStatement, decision: Decision, consents: Consents): ReplayKind | undefined {
  const isAgreed = decision.effect === "approval" && event.effect === "allow" && consents.has(event);
  if (decision.effect !== event.effect && !isAgreed) {
    if (rank[decision.effect] > rank[event.effect]) return "permitted";
    return decision.effect === "deny" ? "refused" : "held";
  }
  if (decision.effect === "deny") return undefined;
  const now = new Set(reductionsOf(decision));
  const before = new Set([...event.masks, ...event.filters]);
  if ([...before].some((reduction) => !now.has(reduction) && !isMaskedMore(reduction, now))) return "revealed";
  return [...now].some((reduction) => !before.has(reduction)) ? "reduced" : undefined;
}

/** `public.people.iban partial`, where now `public.people.iban redact` holds. */
function isMaskedMore(reduction: string, now: ReadonlySet<string>): boolean {
  const [, place = "", kind = ""] = /^(.*) (\S+)$/s.exec(reduction) ?? [];
  return [...now].some((other) => other.startsWith(`${place} `) && isStricterMask(other.slice(place.length + 1), kind));
}

/** Spelled as the recording spells them. */
function reductionsOf(decision: Exclude<Decision, { readonly effect: "deny" }>): readonly string[] {
  const { masks, filters, content = [] } = decision.obligations;
  return [
    ...[...masks].flatMap(([relation, columns]) =>
      [...columns].map(([column, { mask }]) => `${relation}.${column} ${mask.kind}`),
    ),
    ...[...filters].map(([relation, { predicate }]) => `${relation}: ${renderRowPredicate(predicate)}`),
    ...content.map(describeContentMask),
  ];
}

function rulesOf(decision: Decision, event: RecordedStatement, kind: ReplayKind): readonly string[] {
  if (kind === "refused") return decision.rules.length > 0 ? decision.rules : ["no rule allows it"];
  if (kind === "held" || kind === "reduced") return decision.rules;
  return event.rules.length > 0 ? event.rules : decision.rules;
}
