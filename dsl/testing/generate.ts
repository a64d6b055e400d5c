// Requests worth trying: identities from the rules' own literals, statements from the catalog. Seeded, so that a run can
// be repeated.
import type { Catalog, Relation } from "../../engine/model/catalog.ts";
import { quoteIdent } from "../../engine/model/row-predicate.ts";
import type { Checked, CheckedRule, Core } from "../checked.ts";
import { anyMatches } from "../glob.ts";
import { type Literals, literalsOf, pathOf } from "./literals.ts";

/** mulberry32: 32 bits of state, enough to spread cases. */
export class Dice {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }
  /** From 0 to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }
  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.next() * items.length)];
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
}

/** An identity as a test writes it: `{ sub: "a", kind: agent, groups: ["ops"], mfa: true }`. */
export type IdentityDraft = {
  readonly sub: string;
  readonly kind: "human" | "service" | "agent";
  readonly groups: readonly string[];
  readonly mfa: boolean;
  readonly email: string | undefined;
  readonly ip: string;
  readonly on_behalf_of: string | undefined;
  readonly claims: Readonly<Record<string, string | number | boolean>>;
};

export const simplestIdentity: IdentityDraft = {
  sub: "a",
  kind: "human",
  groups: [],
  mfa: false,
  email: undefined,
  ip: "192.0.2.1",
  on_behalf_of: undefined,
  claims: {},
};

const kinds = ["human", "service", "agent"] as const;
const textsOf = (literals: Literals, path: string): readonly string[] =>
  [...(literals.get(path) ?? [])].filter((v) => typeof v === "string").sort();

/** Half of the time directed: what one rule asks of the identity is set. */
export function drawIdentity(dice: Dice, literals: Literals, rule: CheckedRule | undefined): IdentityDraft {
  const claims: Record<string, string | number | boolean> = {};
  for (const [path, values] of literals) {
    if (!path.startsWith("claims.")) continue;
    claims[path.slice("claims.".length)] = dice.pick([...values, "a"]) ?? "a";
  }
  const free: IdentityDraft = {
    sub: dice.pick([...textsOf(literals, "identity.sub"), "a"]) ?? "a",
    kind: dice.pick(kinds) ?? "agent",
    groups: textsOf(literals, "identity.groups").filter(() => dice.chance(0.4)),
    mfa: dice.chance(0.5),
    email: dice.pick([...textsOf(literals, "identity.email"), undefined]),
    ip: dice.pick(["192.0.2.1", "10.1.2.3"]) ?? "192.0.2.1",
    on_behalf_of: dice.pick([...textsOf(literals, "identity.on_behalf_of"), undefined]),
    claims,
  };
  return rule && dice.chance(0.7) ? satisfy(rule, free) : free;
}

/** Sets what the top-level conjuncts of a rule's `when`s ask for, where it is a plain value. */
function satisfy(rule: CheckedRule, draft: IdentityDraft): IdentityDraft {
  let out = draft;
  const visit = (core: Core): void => {
    if (core.op === "let") visit(core.body);
    else if (core.op === "and") core.operands.forEach(visit);
    else if (core.op === "fact" && core.root === "identity" && core.field === "mfa") out = { ...out, mfa: true };
    else if (core.op === "compare" && (core.how === "equal" || core.how === "in")) {
      const [path, value] = wanted(core);
      if (path === "identity.kind") out = { ...out, kind: kinds.find((k) => k === value) ?? out.kind };
      else if (path === "identity.groups" && typeof value === "string")
        out = { ...out, groups: [...new Set([...out.groups, value])].sort() };
      else if (path === "identity.sub" && typeof value === "string") out = { ...out, sub: value };
      else if (path?.startsWith("claims.") && (typeof value === "string" || typeof value === "number")) {
        out = { ...out, claims: { ...out.claims, [path.slice("claims.".length)]: value } };
      }
    }
  };
  for (const clause of rule.clauses) if (clause.kind === "when") visit(clause.condition);
  return out;
}

function wanted(core: Core & { op: "compare" }): readonly [string | undefined, unknown] {
  const [fact, other] = core.left.op === "const" ? [core.right, core.left] : [core.left, core.right];
  const value = other.op === "const" ? (other.value instanceof Set ? [...other.value][0] : other.value) : undefined;
  return [pathOf(fact), value];
}

/** As text in a test. Values that say nothing are left out only by `isShort`. */
export function writeIdentity(draft: IdentityDraft): string {
  const quote = (v: unknown): string => JSON.stringify(v);
  const claims = Object.entries(draft.claims);
  const parts = [
    `sub: ${quote(draft.sub)}`,
    `kind: ${draft.kind}`,
    `groups: [${draft.groups.map(quote).join(", ")}]`,
    `mfa: ${draft.mfa}`,
    ...(draft.email === undefined ? [] : [`email: ${quote(draft.email)}`]),
    ...(draft.on_behalf_of === undefined ? [] : [`on_behalf_of: ${quote(draft.on_behalf_of)}`]),
    ...(draft.ip === simplestIdentity.ip ? [] : [`ip: ${quote(draft.ip)}`]),
    ...(claims.length === 0 ? [] : [`claims: { ${claims.map(([k, v]) => `${k}: ${quote(v)}`).join(", ")} }`]),
  ];
  return `{ ${parts.join(", ")} }`;
}

/** Simpler ones that might show the same, the simplest first. */
export function shrinkIdentity(draft: IdentityDraft): readonly IdentityDraft[] {
  const out: IdentityDraft[] = [];
  for (const group of draft.groups) out.push({ ...draft, groups: draft.groups.filter((g) => g !== group) });
  if (draft.mfa) out.push({ ...draft, mfa: false });
  if (draft.sub !== "a") out.push({ ...draft, sub: "a" });
  if (draft.email !== undefined) out.push({ ...draft, email: undefined });
  if (draft.on_behalf_of !== undefined) out.push({ ...draft, on_behalf_of: undefined });
  if (draft.ip !== simplestIdentity.ip) out.push({ ...draft, ip: simplestIdentity.ip });
  return out;
}

const nameOf = (relation: Relation): string =>
  [relation.schema, relation.name].map((n) => (/^[a-z_][a-z0-9_]*$/.test(n) ? n : quoteIdent(n))).join(".");

const literalOf = (category: string): string =>
  category === "N" ? "0" : category === "S" ? "''" : category === "B" ? "true" : "null";

/** Statements about one relation, the simplest first. */
export function statementsAbout(relation: Relation): readonly string[] {
  const table = nameOf(relation);
  const columns = relation.columns.map((c) => (/^[a-z_][a-z0-9_]*$/.test(c.name) ? c.name : quoteIdent(c.name)));
  const [first = "*"] = columns;
  const value = literalOf(relation.columns[0]?.type.category ?? "");
  return [
    ...columns.map((column) => `select ${column} from ${table}`),
    `select * from ${table}`,
    `select count(*) from ${table}`,
    `select ${first} from ${table} where ${first} = ${value}`,
    `update ${table} set ${first} = ${first} where ${first} = ${value}`,
    `update ${table} set ${first} = ${first}`,
    `delete from ${table} where ${first} = ${value}`,
    `delete from ${table}`,
    `insert into ${table} (${first}) values (${value})`,
    `truncate ${table}`,
    `drop table ${table}`,
    `grant select on ${table} to public`,
  ];
}

const general = ["select 1", "begin", "show search_path"];

export type Statement = { readonly connection: string; readonly sql: string; readonly table: string | undefined };

/** For each connection with a catalog; user tables only. */
export function statementsOf(catalogs: ReadonlyMap<string, Catalog>): readonly Statement[] {
  return [...catalogs].flatMap(([connection, catalog]) => [
    ...[...catalog.relations.values()]
      .filter((r) => ["table", "view", "partitioned-table", "materialized-view", "foreign-table"].includes(r.kind))
      .filter((r) => r.schema !== "pg_catalog" && r.schema !== "information_schema")
      .flatMap((r) => statementsAbout(r).map((sql) => ({ connection, sql, table: `${r.schema}.${r.name}` }))),
    ...general.map((sql) => ({ connection, sql, table: undefined })),
  ]);
}

/** A statement, half of the time about a table that the rule names. */
export function drawStatement(
  dice: Dice,
  statements: readonly Statement[],
  rule: CheckedRule | undefined,
): Statement | undefined {
  if (rule && dice.chance(0.7)) {
    const near = statements.filter((s) => anyMatches(rule.at, s.connection) && isNamed(rule, s.table));
    if (near.length > 0) return dice.pick(near);
  }
  return dice.pick(statements);
}

function isNamed(rule: CheckedRule, table: string | undefined): boolean {
  if (rule.scope.protocol !== "sql" || !rule.scope.tables) return true;
  const [schema, name] = (table ?? "").split(".");
  return rule.scope.tables.some(
    (p) => p.kind === "tagged" || ((p.schema === "*" || p.schema === schema) && (p.table === "*" || p.table === name)),
  );
}

export const directedLiterals = (checked: readonly Checked[]): Literals => {
  const all = new Map<string, Set<string | number | boolean>>();
  for (const [path, values] of checked.flatMap((c) => [...literalsOf(c)])) {
    const known = all.get(path) ?? new Set();
    for (const value of values) known.add(value);
    all.set(path, known);
  }
  return all;
};
