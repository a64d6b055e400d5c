// The values that rules compare facts with: where a search for requests that matter should look.
import type { Json } from "../../engine/lib/json.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { IdentityFacts, PrincipalKind, TimeFacts, Weekday } from "../../engine/model/principal.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { childrenOf } from "../check/cost.ts";
import type { Checked, Core } from "../checked.ts";
import { elementsOf, isPlainRecord } from "../values.ts";

export type Literals = ReadonlyMap<string, ReadonlySet<string | number | boolean>>;

/** By fact (`identity.groups`, `claims.tenant`, `time.hour`). Numbers come with their neighbours. */
export function literalsOf(checked: Checked): Literals {
  const found = new Map<string, Set<string | number | boolean>>();
  const add = (path: string, value: unknown): void => {
    const set = found.get(path) ?? new Set();
    found.set(path, set);
    if (typeof value === "string" || typeof value === "boolean") set.add(value);
    if (typeof value === "number") for (const each of [value - 1, value, value + 1]) set.add(each);
  };
  const visit = (core: Core): void => {
    if (core.op === "compare") {
      for (const [fact, other] of [
        [core.left, core.right],
        [core.right, core.left],
      ] as const) {
        const path = pathOf(fact);
        if (path === undefined) continue;
        for (const value of constantsOf(other, checked)) add(path, value);
      }
    }
    const path = pathOf(core);
    if (path !== undefined) add(path, undefined);
    for (const child of childrenOf(core)) visit(child);
  };
  for (const rule of checked.rules) {
    for (const clause of rule.clauses) visit(clause.kind === "let" ? clause.value : clause.condition);
    if (rule.payload.effect === "filter") visit(rule.payload.where);
  }
  return found;
}

export function pathOf(core: Core): string | undefined {
  if (core.op === "fact") return `${core.root}.${core.field}`;
  if (core.op === "property" && core.of === "claim") return `claims.${core.name}`;
  return core.op === "coalesce" ? pathOf(core.left) : undefined;
}

function constantsOf(core: Core, checked: Checked): readonly unknown[] {
  if (core.op === "let") return constantsOf(core.body, checked);
  if (core.op === "data") return elementsOf(checked.data.get(core.name)?.value).slice(0, 5);
  if (core.op !== "const") return [];
  if (core.value instanceof Set || Array.isArray(core.value)) return elementsOf(core.value);
  if (isPlainRecord(core.value) && "from" in core.value) return [core.value.from, core.value.to];
  return [core.value];
}

/** One thing that could be otherwise about who asks, when and why. */
export type Change = {
  readonly field: string;
  readonly what: string;
  readonly apply: (r: PolicyRequest) => PolicyRequest;
};

export function changesFor(checked: Checked, request: PolicyRequest): readonly Change[] {
  const literals = literalsOf(checked);
  const changes: Change[] = [];
  for (const [path, values] of literals) {
    const candidates = path === "identity.mfa" ? [true, false] : path === "identity.kind" ? kinds : [...values].sort();
    for (const value of candidates) {
      const change = changeOf(path, value, request);
      if (change) changes.push(change);
    }
  }
  return changes.sort((a, b) => (a.what < b.what ? -1 : 1));
}

const kinds: readonly PrincipalKind[] = ["human", "agent", "service"];
const weekdays: readonly Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const withIdentity = (field: string, what: string, part: Partial<IdentityFacts>): Change => ({
  field,
  what,
  apply: (r) => ({ ...r, identity: { ...r.identity, ...part } }),
});
const withTime = (field: string, what: string, part: Partial<TimeFacts>): Change => ({
  field,
  what,
  apply: (r) => ({ ...r, time: { ...r.time, ...part } }),
});

function changeOf(path: string, value: string | number | boolean, request: PolicyRequest): Change | undefined {
  const { identity } = request;
  const what = `${path} = ${String(value)}`;
  if (path.startsWith("claims.")) {
    const claims = identity.claims instanceof Unknown ? {} : identity.claims;
    const claim: Json = value;
    return withIdentity(path, `identity.${what}`, { claims: { ...claims, [path.slice("claims.".length)]: claim } });
  }
  switch (path) {
    case "identity.groups": {
      const groups = identity.groups instanceof Unknown ? new Set<string>() : identity.groups;
      const name = String(value);
      if (!groups.has(name)) return withIdentity(path, `group ${name} added`, { groups: new Set([...groups, name]) });
      return withIdentity(path, `group ${name} removed`, { groups: new Set([...groups].filter((g) => g !== name)) });
    }
    case "identity.kind": {
      const kind = kinds.find((k) => k === value);
      return kind && kind !== identity.kind ? withIdentity(path, what, { kind }) : undefined;
    }
    case "identity.mfa":
      return value === identity.mfa ? undefined : withIdentity(path, what, { mfa: value === true });
    case "identity.sub":
      return value === identity.sub ? undefined : withIdentity(path, what, { sub: String(value) });
    case "identity.on_behalf_of":
      return withIdentity(path, what, { on_behalf_of: String(value) });
    case "identity.email":
      return withIdentity(path, what, { email: String(value) });
    case "time.hour":
      return typeof value === "number" && value >= 0 && value <= 23 ? withTime(path, what, { hour: value }) : undefined;
    case "time.weekday": {
      const weekday = weekdays.find((w) => w === value);
      return weekday ? withTime(path, what, { weekday }) : undefined;
    }
    case "session.purpose":
      return { field: path, what, apply: (r) => ({ ...r, session: { ...r.session, purpose: String(value) } }) };
    default:
      return undefined;
  }
}
