// Two versions of a bundle -> requests that they decide differently, as tests. A search, not a proof.

import { describeRequest } from "../../engine/describe-access.ts";
import { evaluate } from "../../engine/evaluate.ts";
import type { Decision, Obligations } from "../../engine/model/decision.ts";
import { joinMasks, maskKey } from "../../engine/model/mask.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";
import type { SqlFacts } from "../../engine/model/statement.ts";
import type { Checked, CheckedRule } from "../checked.ts";
import { compileProgram } from "../compile-program.ts";
import {
  Dice,
  directedLiterals,
  drawIdentity,
  drawStatement,
  type IdentityDraft,
  type Statement,
  statementsOf,
  writeIdentity,
} from "./generate.ts";
import { type AnalyzeSql, NotGiven } from "./given.ts";
import { drawProbe, type Place, type ProbeFacts, placesOf, wantsOf } from "./probes.ts";

export type DiffOptions = {
  readonly analyzeSql: AnalyzeSql;
  readonly seed: number;
  readonly cases?: number | undefined;
};

export type Difference = {
  /** widened: the new version permits or reveals more. */
  readonly direction: "widened" | "narrowed" | "changed";
  /** `deny → allow`, `allow, mask public.customers.email → allow`. */
  readonly what: string;
  /** `select public.orders`. */
  readonly access: string;
  /** Rules of either version that the difference is about. */
  readonly rules: readonly string[];
  /** The givens of a test that shows it. */
  readonly witness: string;
  /** Requests of this kind that were found. */
  readonly count: number;
};
export type BundleDiff = {
  readonly differences: readonly Difference[];
  readonly isWidened: boolean;
  readonly cases: number;
};

export function diffBundles(before: Checked, after: Checked, options: DiffOptions): BundleDiff {
  const dice = new Dice(options.seed);
  const literals = directedLiterals([before, after]);
  const rules = [...before.rules, ...after.rules];
  const data = new Map([...before.data, ...after.data]);
  const world: World = {
    dice,
    analyzeSql: options.analyzeSql,
    statements: statementsOf(new Map([...before.catalogs, ...after.catalogs])),
    places: placesOf(rules),
    data,
    wants: wantsOf(rules, data),
  };
  const [old, now] = [compileProgram(before), compileProgram(after)];
  const found = new Map<string, Difference>();
  const cases = options.cases ?? 4_000;
  for (let i = 0; i < cases; i += 1) {
    const rule = dice.chance(0.6) ? dice.pick(rules) : undefined;
    const identity = drawIdentity(dice, literals, rule);
    const drawn = draw(world, rule, identity);
    if (!drawn) break;
    const hour = dice.pick([3, 12, 23]) ?? 12;
    const count = dice.pick([0, 0, 50, 5_000, 50_000]) ?? 0;
    for (const facts of drawn.facts) {
      const request = requestOf(facts, drawn.connection, identity, hour, count);
      const difference = compareDecisions(evaluate(old, request), evaluate(now, request));
      if (!difference) continue;
      const access = request.protocol === "sql" ? describeStatement(request) : describeRequest(request, undefined);
      const key = `${difference.what} ${access} ${difference.rules.join(" ")}`;
      const known = found.get(key);
      if (known) {
        found.set(key, { ...known, count: known.count + 1 });
        continue;
      }
      const witness = `given identity ${writeIdentity(identity)}\ngiven time { hour: ${hour} }\ngiven ${drawn.given}`;
      found.set(key, { ...difference, access, witness, count: 1 });
    }
  }
  const order = { widened: 0, changed: 1, narrowed: 2 };
  const differences = [...found.values()].sort((a, b) => order[a.direction] - order[b.direction] || b.count - a.count);
  return { differences, isWidened: differences.some((d) => d.direction === "widened"), cases };
}

const describeStatement = (request: PolicyRequest & { protocol: "sql" }): string =>
  request.sql.accesses
    .map((a) => (a.relation ? `${a.verb} ${a.relation.schema}.${a.relation.name}` : a.verb))
    .join(", ");

/** Where requests come from. */
type World = {
  readonly dice: Dice;
  readonly analyzeSql: AnalyzeSql;
  readonly statements: readonly Statement[];
  readonly places: readonly Place[];
  readonly data: Checked["data"];
  readonly wants: ReturnType<typeof wantsOf>;
};

type Facts = ProbeFacts | { readonly protocol: "sql"; readonly sql: SqlFacts };
type Drawn = { readonly facts: readonly Facts[]; readonly connection: string; readonly given: string };

/** Of the rule's protocol; without a rule of any that the bundles speak of. */
function draw(world: World, rule: CheckedRule | undefined, identity: IdentityDraft): Drawn | undefined {
  const { dice, statements, places, data } = world;
  const protocol = rule?.scope.protocol ?? "any";
  const isSql = protocol === "sql" || (protocol === "any" && (places.length === 0 || dice.chance(0.5)));
  if (isSql && statements.length > 0) return drawSql(world, rule);
  const own = rule && dice.chance(0.7) ? placesOf([rule]) : [];
  const place = dice.pick(own.length > 0 ? own : places);
  if (!place) return drawSql(world, rule);
  const wants = rule && dice.chance(0.7) ? wantsOf([rule], data) : world.wants;
  const { facts, given } = drawProbe(dice, place, wants, [identity.sub, identity.on_behalf_of]);
  return { facts: [facts], connection: place.connection, given };
}

function drawSql({ dice, statements, analyzeSql }: World, rule: CheckedRule | undefined): Drawn | undefined {
  const statement = drawStatement(dice, statements, rule);
  if (!statement) return undefined;
  const facts = analyzeSql(statement.sql, statement.connection);
  const { connection } = statement;
  const given = `sql ${JSON.stringify(statement.sql)} at ${JSON.stringify(connection)}`;
  return { facts: "map" in facts ? facts.map((sql) => ({ protocol: "sql", sql })) : [], connection, given };
}

const requestOf = (
  facts: Facts,
  connection: string,
  identity: IdentityDraft,
  hour: number,
  count: number,
): PolicyRequest => ({
  ...facts,
  identity: { ...identity, groups: new Set(identity.groups) },
  connection: { name: connection, env: new NotGiven("connection.env"), tags: new Set<string>() },
  session: { id: "test-session", age: 0, purpose: undefined },
  time: { now: Date.UTC(2026, 0, 7, hour), hour, minute: 0, weekday: "wed" },
  counter: () => count,
  approved: new Set(),
});

const strictness: Readonly<Record<Decision["effect"], number>> = { allow: 0, approval: 1, deny: 2 };

function compareDecisions(
  before: Decision,
  after: Decision,
): Pick<Difference, "direction" | "what" | "rules"> | undefined {
  const rules = [...new Set([...before.rules, ...after.rules])].sort();
  if (before.effect !== after.effect) {
    const direction = strictness[after.effect] < strictness[before.effect] ? "widened" : "narrowed";
    return { direction, what: `${before.effect} → ${after.effect}`, rules };
  }
  if (before.effect === "deny" || after.effect === "deny") return undefined;
  const [lost, gained] = [weaker(before.obligations, after.obligations), weaker(after.obligations, before.obligations)];
  if (lost.length === 0 && gained.length === 0) return undefined;
  if (lost.length > 0) return { direction: "widened", what: `no longer ${lost.join(", ")}`, rules };
  return { direction: "narrowed", what: `now ${gained.join(", ")}`, rules };
}

/** Obligations of `a` that `b` lacks or weakens. */
function weaker(a: Obligations, b: Obligations): readonly string[] {
  const out: string[] = [];
  for (const [table, columns] of a.masks) {
    for (const [column, { mask }] of columns) {
      const other = b.masks.get(table)?.get(column)?.mask;
      if (!other || maskKey(joinMasks([mask, other]) ?? mask) !== maskKey(other))
        out.push(`mask ${table}.${column} using ${mask.kind}`);
    }
  }
  for (const [table, { predicate }] of a.filters) {
    const other = b.filters.get(table)?.predicate;
    const parts = other?.kind === "and" ? [other, ...other.parts] : other ? [other] : [];
    const text = renderRowPredicate(predicate);
    if (!parts.some((p) => renderRowPredicate(p) === text)) out.push(`filter ${table} as ${text}`);
  }
  for (const { content, mask } of a.content ?? []) {
    for (const pattern of content.patterns) {
      const isKept = (b.content ?? []).some(
        (other) =>
          other.content.format === content.format &&
          other.content.patterns.includes(pattern) &&
          maskKey(joinMasks([mask, other.mask]) ?? mask) === maskKey(other.mask),
      );
      if (!isKept) out.push(`mask ${content.format} ${pattern} using ${mask.kind}`);
    }
  }
  for (const { path, predicate } of a.items ?? []) {
    const text = renderRowPredicate(predicate);
    const isKept = (b.items ?? []).some((other) => other.path === path && renderRowPredicate(other.predicate) === text);
    if (!isKept) out.push(`filter json ${path} as ${text}`);
  }
  for (const limit of a.limits) {
    const isKept = b.limits.some(
      (l) => l.unit === limit.unit && l.window?.ms === limit.window?.ms && l.max <= limit.max,
    );
    if (!isKept) out.push(`limit ${limit.max} ${limit.unit}`);
  }
  return out;
}
