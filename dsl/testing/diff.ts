// Two versions of a bundle -> requests that they decide differently, as tests. A search, not a proof.
import { evaluate } from "../../engine/evaluate.ts";
import type { Decision, Obligations } from "../../engine/model/decision.ts";
import { joinMasks, maskKey } from "../../engine/model/mask.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";
import type { Checked } from "../checked.ts";
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
  const statements = statementsOf(new Map([...before.catalogs, ...after.catalogs]));
  const rules = [...before.rules, ...after.rules];
  const [old, now] = [compileProgram(before), compileProgram(after)];
  const found = new Map<string, Difference>();
  const cases = options.cases ?? 4_000;
  for (let i = 0; i < cases; i += 1) {
    const rule = dice.chance(0.6) ? dice.pick(rules) : undefined;
    const identity = drawIdentity(dice, literals, rule);
    const statement = drawStatement(dice, statements, rule);
    if (!statement) break;
    const hour = dice.pick([3, 12, 23]) ?? 12;
    for (const request of requestsOf(statement, identity, hour, dice, options.analyzeSql)) {
      const difference = compareDecisions(evaluate(old, request), evaluate(now, request));
      if (!difference) continue;
      const access = request.protocol === "sql" ? describeStatement(request) : request.protocol;
      const key = `${difference.what} ${access} ${difference.rules.join(" ")}`;
      const known = found.get(key);
      if (known) {
        found.set(key, { ...known, count: known.count + 1 });
        continue;
      }
      const witness = `given identity ${writeIdentity(identity)}\ngiven time { hour: ${hour} }\ngiven sql ${JSON.stringify(statement.sql)} at ${JSON.stringify(statement.connection)}`;
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

function requestsOf(
  statement: Statement,
  identity: IdentityDraft,
  hour: number,
  dice: Dice,
  analyzeSql: AnalyzeSql,
): readonly PolicyRequest[] {
  const facts = analyzeSql(statement.sql, statement.connection);
  if (!("map" in facts)) return [];
  const count = dice.pick([0, 0, 50, 5_000, 50_000]) ?? 0;
  return facts.map(
    (sql): PolicyRequest => ({
      protocol: "sql",
      sql,
      identity: { ...identity, groups: new Set(identity.groups) },
      connection: { name: statement.connection, env: new NotGiven("connection.env"), tags: new Set<string>() },
      session: { id: "test-session", age: 0, purpose: undefined },
      time: { now: Date.UTC(2026, 0, 7, hour), hour, minute: 0, weekday: "wed" },
      counter: () => count,
      approved: new Set(),
    }),
  );
}

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
