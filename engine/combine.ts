// two policy sets -> one that lets through only what both do. The algebra is the language's: section 6.
import { createHash } from "node:crypto";
import { sortCauses } from "./causes.ts";
import { invariant } from "./lib/assert.ts";
import { isNonEmpty, type NonEmpty } from "./lib/non-empty.ts";
import type {
  Cause,
  ColumnMask,
  Decision,
  LimitObligation,
  Obligations,
  RuleId,
  TableFilter,
} from "./model/decision.ts";
import { joinMasks } from "./model/mask.ts";
import type { CatalogTags, PolicySet } from "./model/policy.ts";
import { type RowPredicate, renderRowPredicate } from "./model/row-predicate.ts";
import { sortItems } from "./obligations.ts";

/** Deny by either denies, approvals of both are needed, obligations of both hold. Order doesn't change what is enforced. */
export function combinePolicySets(a: PolicySet, b: PolicySet): PolicySet {
  invariant((a.timeZone ?? "UTC") === (b.timeZone ?? "UTC"), "policy sets that decide together have one time zone");
  return {
    hash: `sha256:${createHash("sha256").update(`${a.hash}\n${b.hash}`).digest("hex")}`,
    ...(a.timeZone === undefined ? {} : { timeZone: a.timeZone }),
    revision: [a.revision, b.revision].filter((r) => r !== "").join("+"),
    packages: union(a.packages, b.packages),
    decide: (request) => combineDecisions(a.decide(request), b.decide(request)),
    needs: {
      estimatedRows: a.needs.estimatedRows || b.needs.estimatedRows,
      parameters: a.needs.parameters || b.needs.parameters,
      body: a.needs.body || b.needs.body,
    },
    tags: (connection) => combineTags(a.tags(connection), b.tags(connection)),
    counters: [...a.counters, ...b.counters],
    endsSession: new Set([...(a.endsSession ?? []), ...(b.endsSession ?? [])]),
  };
}

/** `added` takes part only in requests of this connection. */
export function addForConnection(base: PolicySet, added: PolicySet, connection: string): PolicySet {
  const both = combinePolicySets(base, added);
  return {
    ...both,
    decide: (request) => (request.connection.name === connection ? both.decide(request) : base.decide(request)),
    tags: (name) => (name === connection ? both.tags(name) : base.tags(name)),
    counters: [
      ...base.counters,
      ...added.counters.map((counter) => ({
        ...counter,
        contribution: (request: Parameters<typeof counter.contribution>[0]) =>
          request.connection.name === connection ? counter.contribution(request) : undefined,
      })),
    ],
  };
}

export function combineDecisions(a: Decision, b: Decision): Decision {
  const common = {
    alerts: [...a.alerts, ...b.alerts].sort((x, y) => (x.rule < y.rule ? -1 : 1)),
    shadow: sortCauses([...a.shadow, ...b.shadow]),
  };
  if (a.effect === "deny" || b.effect === "deny") {
    const causes: readonly Cause[] = [
      ...(a.effect === "deny" ? a.causes : []),
      ...(b.effect === "deny" ? b.causes : []),
    ];
    const [first, ...rest] = sortCauses(causes);
    const rules = union(a.effect === "deny" ? a.rules : [], b.effect === "deny" ? b.rules : []);
    if (first !== undefined) return { ...common, effect: "deny", causes: [first, ...rest], rules };
  }
  if (a.effect === "deny") return a;
  if (b.effect === "deny") return b;
  const rules = unionOfSome(a.rules, b.rules);
  const obligations = combineObligations(a.obligations, b.obligations);
  const requirements = [
    ...(a.effect === "approval" ? a.requirements : []),
    ...(b.effect === "approval" ? b.requirements : []),
  ];
  if (!isNonEmpty(requirements)) return { ...common, effect: "allow", rules, obligations };
  const [first, ...rest] = union(
    requirements.map((r) => r.rule),
    [],
  );
  return { ...common, effect: "approval", rules: [first ?? requirements[0].rule, ...rest], requirements, obligations };
}

export function combineObligations(a: Obligations, b: Obligations): Obligations {
  if (isNothing(b)) return a;
  if (isNothing(a)) return b;
  return {
    masks: mergeMaps(a.masks, b.masks, (left, right) => mergeMaps(left, right, combineMasks)),
    filters: mergeMaps(a.filters, b.filters, combineFilters),
    limits: combineLimits([...a.limits, ...b.limits]),
    ...(a.items || b.items ? { items: sortItems([...(a.items ?? []), ...(b.items ?? [])]) } : {}),
    ...(a.content || b.content ? { content: [...(a.content ?? []), ...(b.content ?? [])] } : {}),
  };
}

const isNothing = (o: Obligations): boolean =>
  o.masks.size === 0 &&
  o.filters.size === 0 &&
  o.limits.length === 0 &&
  o.content === undefined &&
  o.items === undefined;

const combineMasks = (a: ColumnMask, b: ColumnMask): ColumnMask => ({
  mask: joinMasks([a.mask, b.mask]) ?? { kind: "redact" },
  rules: unionOfSome(a.rules, b.rules),
});

/** Equal filters are one. Parts are in a fixed order, so that equal policies give equal statements. */
function combineFilters(a: TableFilter, b: TableFilter): TableFilter {
  const parts = new Map<string, RowPredicate>();
  for (const { predicate } of [a, b]) {
    for (const part of predicate.kind === "and" ? predicate.parts : [predicate])
      parts.set(renderRowPredicate(part), part);
  }
  const sorted = [...parts].sort(([x], [y]) => (x < y ? -1 : 1)).map(([, part]) => part);
  const [only] = sorted;
  const predicate: RowPredicate = only !== undefined && sorted.length === 1 ? only : { kind: "and", parts: sorted };
  return { predicate, rules: unionOfSome(a.rules, b.rules) };
}

/** MIN over limits of the same unit, window and key; a window counts under its own rule's name and stays. */
function combineLimits(all: readonly LimitObligation[]): readonly LimitObligation[] {
  const least = new Map<string, LimitObligation>();
  for (const limit of all) {
    const key = limit.window === undefined ? limit.unit : JSON.stringify([limit.rule, limit.unit, limit.window]);
    const known = least.get(key);
    if (!known || limit.max < known.max || (limit.max === known.max && limit.rule < known.rule)) least.set(key, limit);
  }
  return [...least.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1));
}

function mergeMaps<V>(
  a: ReadonlyMap<string, V>,
  b: ReadonlyMap<string, V>,
  join: (x: V, y: V) => V,
): ReadonlyMap<string, V> {
  const merged = new Map(a);
  for (const [key, value] of b) {
    const known = merged.get(key);
    merged.set(key, known === undefined ? value : join(known, value));
  }
  return merged;
}

const union = <T extends string>(a: readonly T[], b: readonly T[]): readonly T[] => [...new Set([...a, ...b])].sort();

function unionOfSome(a: NonEmpty<RuleId>, b: NonEmpty<RuleId>): NonEmpty<RuleId> {
  const [first = a[0], ...rest] = union(a, b);
  return [first, ...rest];
}

/** A tag that either snapshot gives is a tag. A relation that only one of them has, has that one's. */
function combineTags(a: CatalogTags | undefined, b: CatalogTags | undefined): CatalogTags | undefined {
  if (!a || !b) return a ?? b;
  const join = <T>(x: ReadonlySet<T>, y: ReadonlySet<T>): ReadonlySet<T> => new Set([...x, ...y]);
  return {
    relations: mergeMaps(a.relations, b.relations, (x, y) => ({
      tags: join(x.tags, y.tags),
      columns: mergeMaps(x.columns, y.columns, join),
    })),
  };
}
