// The guard index: in a long list, the rules that ask for a value of one identity attribute are found by that value.

import { Unknown } from "../engine/lib/truth.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import type { Candidate } from "../engine/program.ts";
import type { CheckedRule, Core } from "./checked.ts";

/** The rule is certainly false unless the attribute has (or holds) one of these values. */
export type Guard = { readonly attribute: string; readonly values: readonly string[] };

/** Below this, asking each rule costs less than finding it. */
export const guardedListMin = 9;

/** From the top-level conjuncts of every `when`, lets expanded. */
export function guardsOf(rule: CheckedRule): readonly Guard[] {
  return rule.clauses.flatMap((clause) => (clause.kind === "when" ? guardsIn(clause.condition) : []));
}

function guardsIn(core: Core): readonly Guard[] {
  if (core.op === "let") return guardsIn(core.body);
  if (core.op === "and") return core.operands.flatMap(guardsIn);
  if (core.op !== "compare") return [];
  const { left, right, how } = core;
  if (how === "equal") return pair(left, right) ?? pair(right, left) ?? [];
  if (how !== "in") return [];
  if (right.op === "fact" && right.root === "identity") return pair(right, left) ?? [];
  if (left.op !== "fact" || left.root !== "identity" || right.op !== "const" || !(right.value instanceof Set))
    return [];
  const values = [...right.value];
  return values.every((v) => typeof v === "string") ? [{ attribute: left.field, values }] : [];
}

const indexable = ["sub", "kind", "groups", "email", "on_behalf_of"];

function pair(fact: Core, value: Core): readonly Guard[] | undefined {
  if (fact.op !== "fact" || fact.root !== "identity" || !indexable.includes(fact.field)) return undefined;
  const inner = value.op === "let" ? value.body : value;
  return inner.op === "const" && typeof inner.value === "string"
    ? [{ attribute: fact.field, values: [inner.value] }]
    : undefined;
}

export type GuardedList = {
  /** undefined: every rule is asked. */
  readonly attribute: string | undefined;
  readonly select: (request: PolicyRequest) => readonly Candidate[];
  /** Rules found by a value, by it. */
  readonly buckets: ReadonlyMap<string, readonly Candidate[]>;
  readonly scanned: readonly Candidate[];
  /** Rules in it. */
  readonly size: number;
};

export type Guarded = { readonly candidate: Candidate; readonly guards: readonly Guard[] };

export function guardList(items: readonly Guarded[]): GuardedList {
  const all = items.map((item) => item.candidate);
  const attribute = items.length < guardedListMin ? undefined : bestAttribute(items);
  if (attribute === undefined)
    return { attribute, select: () => all, buckets: new Map(), scanned: all, size: all.length };
  const buckets = new Map<string, Candidate[]>();
  const scanned: Candidate[] = [];
  for (const { candidate, guards } of items) {
    const guard = guards.find((g) => g.attribute === attribute);
    if (!guard) scanned.push(candidate);
    for (const value of new Set(guard?.values)) {
      const bucket = buckets.get(value);
      if (bucket) bucket.push(candidate);
      else buckets.set(value, [candidate]);
    }
  }
  return { attribute, buckets, scanned, size: all.length, select: selector(attribute, buckets, scanned, all) };
}

function selector(
  attribute: string,
  buckets: ReadonlyMap<string, readonly Candidate[]>,
  scanned: readonly Candidate[],
  all: readonly Candidate[],
): (request: PolicyRequest) => readonly Candidate[] {
  // Bounded by the buckets, which the policy gives: values from requests never grow it.
  const joined = new Map<string, readonly Candidate[]>();
  for (const [value, bucket] of buckets) joined.set(value, scanned.length === 0 ? bucket : [...scanned, ...bucket]);
  return (request) => {
    const value = attributeOf(attribute, request);
    if (value instanceof Unknown) return all;
    if (typeof value === "string") return joined.get(value) ?? scanned;
    if (value === undefined) return scanned;
    let first: string | undefined;
    let many: Set<Candidate> | undefined;
    for (const item of value) {
      const bucket = buckets.get(item);
      if (!bucket) continue;
      if (first === undefined) first = item;
      else {
        many ??= new Set(joined.get(first));
        for (const candidate of bucket) many.add(candidate);
      }
    }
    if (first === undefined) return scanned;
    return many ? [...many] : (joined.get(first) ?? scanned);
  };
}

function attributeOf(
  attribute: string,
  { identity }: PolicyRequest,
): string | undefined | ReadonlySet<string> | Unknown {
  switch (attribute) {
    case "sub":
      return identity.sub;
    case "kind":
      return identity.kind;
    case "groups":
      return identity.groups;
    case "email":
      return identity.email;
    case "on_behalf_of":
      return identity.on_behalf_of;
    default:
      return new Unknown(`\`identity.${attribute}\` is not indexed`);
  }
}

/** The attribute that leaves the fewest rules to ask: shared by many rules, with many values. */
function bestAttribute(items: readonly Guarded[]): string | undefined {
  let best: { readonly attribute: string; readonly saved: number } | undefined;
  for (const attribute of indexable) {
    const values = new Set<string>();
    let rules = 0;
    for (const { guards } of items) {
      const guard = guards.find((g) => g.attribute === attribute);
      if (!guard) continue;
      rules += 1;
      for (const value of guard.values) values.add(value);
    }
    const saved = values.size === 0 ? 0 : rules * (1 - 1 / (values.size + 1));
    if (saved > 0 && (!best || saved > best.saved)) best = { attribute, saved };
  }
  return best?.attribute;
}
