// recorded statements + another bundle -> what it would have decided
import { Unknown } from "../engine/lib/truth.ts";
import type { Decision } from "../engine/model/decision.ts";
import type { PolicySet } from "../engine/model/policy.ts";
import type { IdentityFacts, PrincipalKind } from "../engine/model/principal.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import { renderRowPredicate } from "../engine/model/row-predicate.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import type { SqlFacts } from "../engine/model/statement.ts";
import { contributionsOf } from "../proxy/gate/contributions.ts";
import { WindowCounters } from "../proxy/gate/counters.ts";
import { timeFactsOf } from "../proxy/gate/time-facts.ts";
import type { RecordedEvent } from "../proxy/recording/read.ts";
import type { SnapshotAnalyzer } from "./snapshot-analyzer.ts";

type Effect = Decision["effect"];

/**
 * `permitted`: it was refused or waited, and would pass. `refused`: the other way round. `held`: it passed and would wait
 * for people. `revealed`: it would show more (a mask or filter is gone); `reduced`: less.
 */
export type ReplayKind = "permitted" | "refused" | "held" | "revealed" | "reduced";

export type ReplayDifference = {
  readonly kind: ReplayKind;
  readonly id: string;
  readonly session: string;
  readonly sub: string;
  readonly statement: string;
  readonly before: Effect;
  readonly after: Effect;
  /** Rules that make the difference, as far as they can be named. */
  readonly rules: readonly string[];
};

export type Replay = {
  readonly statements: number;
  readonly alike: number;
  readonly differences: readonly ReplayDifference[];
  /** Ids of decisions that rest on what isn't recorded: claims, a second factor, tags of connections. */
  readonly open: readonly string[];
  /** Not SQL, cut, or not understood with the bundle's catalogs. */
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
  const sessions = new Map<string, Start>();
  let nowMs = 0;
  const counters = new WindowCounters({ nowMs: () => nowMs });
  const timeFacts = timeFactsOf(() => policies);
  const analyzed = new Map<string, readonly SqlFacts[] | undefined>();
  const factsOf = (text: string, connection: string): readonly SqlFacts[] | undefined => {
    const key = `${connection}\u0000${text}`;
    if (!analyzed.has(key)) {
      const found = analyze(text, connection);
      analyzed.set(key, "code" in found ? undefined : found);
    }
    return analyzed.get(key);
  };
  const differences: ReplayDifference[] = [];
  const open: string[] = [];
  let [statements, alike, skipped] = [0, 0, 0];
  for await (const event of events) {
    if (event.type === "session-start") sessions.set(event.session, event);
    if (event.type === "session-end") sessions.delete(event.session);
    if (event.type !== "statement" || event.atMs < fromMs || event.atMs > untilMs) continue;
    statements += 1;
    nowMs = event.atMs;
    const start = sessions.get(event.session);
    const facts =
      start?.protocol === "postgres" && !event.isCut ? factsOf(event.statement, start.connection) : undefined;
    const [sql, more] = facts ?? [];
    if (start === undefined || sql === undefined || more !== undefined || wasFault(event)) {
      skipped += 1;
      continue;
    }
    const request: PolicyRequest = {
      protocol: "sql",
      sql,
      ...around(start, event.atMs, timeFacts),
      counter: (name, key) => counters.read(name, key),
    };
    const decision = policies.decide(request);
    for (const part of contributionsOf(decision, policies, request)) counters.count(part);
    if (decision.effect === "deny" && event.effect !== "deny" && restsOnUnknown(policies, request)) {
      open.push(event.id);
      continue;
    }
    const kind = differenceOf(event, decision);
    if (kind === undefined) alike += 1;
    else {
      const { id, session, statement, effect } = event;
      const rules = rulesOf(decision, event, kind);
      differences.push({
        kind,
        id,
        session,
        sub: start.principal.sub,
        statement,
        before: effect,
        after: decision.effect,
        rules,
      });
    }
  }
  return { statements, alike, differences, open, skipped };
}

/** What the new policies would let through or show that was kept back. */
export const permitsMore = ({ differences }: Replay): boolean =>
  differences.some(({ kind }) => kind === "permitted" || kind === "revealed");

type Start = Extract<SessionEvent, { readonly type: "session-start" }>;
type Statement = Extract<SessionEvent, { readonly type: "statement" }>;

/** The gateway itself refused it, whatever the policies said. */
const wasFault = ({ causes }: Statement): boolean =>
  causes.some((cause) => typeof cause === "object" && cause !== null && Reflect.get(cause, "kind") === "fault");

const notRecorded = new Unknown("it is not recorded");

function around(
  { connection, principal, client, session }: Start,
  atMs: number,
  timeFacts: ReturnType<typeof timeFactsOf>,
) {
  const identity: IdentityFacts = {
    sub: principal.sub,
    kind: kindOf(principal.kind),
    groups: new Set(principal.groups),
    email: notRecorded,
    ip: client === "unknown" ? notRecorded : client,
    mfa: notRecorded,
    on_behalf_of: principal.onBehalfOf,
    claims: notRecorded,
  };
  return {
    identity,
    connection: { name: connection, env: notRecorded, tags: notRecorded },
    session: { id: session, age: notRecorded, purpose: notRecorded },
    time: timeFacts(atMs),
    approved: new Set<never>(),
  };
}

const kinds: readonly PrincipalKind[] = ["human", "agent", "service"];
const kindOf = (text: string): PrincipalKind | Unknown => kinds.find((kind) => kind === text) ?? notRecorded;

/** With everything that isn't known in its favour it would pass. */
const restsOnUnknown = (policies: PolicySet, request: PolicyRequest): boolean =>
  policies.decide({ ...request, isProbe: true }).effect !== "deny";

const rank: Readonly<Record<Effect, number>> = { deny: 0, approval: 1, allow: 2 };

function differenceOf(event: Statement, decision: Decision): ReplayKind | undefined {
  if (decision.effect !== event.effect) {
    if (rank[decision.effect] > rank[event.effect]) return "permitted";
    return decision.effect === "deny" ? "refused" : "held";
  }
  if (decision.effect === "deny") return undefined;
  const now = new Set(reductionsOf(decision));
  const before = new Set([...event.masks, ...event.filters]);
  if ([...before].some((reduction) => !now.has(reduction))) return "revealed";
  return [...now].some((reduction) => !before.has(reduction)) ? "reduced" : undefined;
}

/** Spelled as the recording spells them. */
function reductionsOf(decision: Exclude<Decision, { readonly effect: "deny" }>): readonly string[] {
  const { masks, filters } = decision.obligations;
  return [
    ...[...masks].flatMap(([relation, columns]) =>
      [...columns].map(([column, { mask }]) => `${relation}.${column} ${mask.kind}`),
    ),
    ...[...filters].map(([relation, { predicate }]) => `${relation}: ${renderRowPredicate(predicate)}`),
  ];
}

function rulesOf(decision: Decision, event: Statement, kind: ReplayKind): readonly string[] {
  if (kind === "refused") return decision.rules.length > 0 ? decision.rules : ["no rule allows it"];
  if (kind === "held" || kind === "reduced") return decision.rules;
  return event.rules.length > 0 ? event.rules : decision.rules;
}
