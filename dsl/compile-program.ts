// Checked -> Program: rules compiled, and found by (connection, protocol, verb, object) and then by identity.

import type { Relation } from "../engine/model/catalog.ts";
import type { PolicyRequest, Protocol } from "../engine/model/request.ts";
import type { SqlAccess, SqlVerb } from "../engine/model/statement.ts";
import type { Candidates, EvaluationContext, ExecutableRule, Program } from "../engine/program.ts";
import type { Checked, CheckedRule, TablePattern } from "./checked.ts";
import { compileCore, Frame } from "./compile.ts";
import { type Guarded, type GuardedList, guardList, guardsOf } from "./compile-guards.ts";
import { type CompiledRule, compileRule } from "./compile-rule.ts";
import { type CodeChoice, CodeMaker } from "./generate-code.ts";
import { anyMatches } from "./glob.ts";
import {
  columnHasTag,
  isRestricting,
  maskedColumns,
  matchScope,
  namesTable,
  payloadConcerns,
  tableHasTag,
} from "./matching.ts";

type Indexed = CompiledRule & { readonly guards: Guarded["guards"] };

/** Candidate lists of one place; alerts apart. */
type Entry = { readonly rules: GuardedList; readonly alerts: GuardedList };

export function compileProgram(checked: Checked, code: CodeChoice = "automatic"): Program {
  const maker = CodeMaker.open(code);
  const compiled = checked.rules.map(
    (rule): Indexed => ({ ...compileRule(rule, checked.data, maker), guards: guardsOf(rule) }),
  );
  const defaults = compileDefaults(checked);
  const connections = new Map<string, ConnectionIndex>();
  const indexOf = (connection: string): ConnectionIndex => {
    const known = connections.get(connection);
    if (known) return known;
    const index = new ConnectionIndex(compiled.filter(({ checked: rule }) => anyMatches(rule.at, connection)));
    connections.set(connection, index);
    return index;
  };
  return {
    candidates: (request, access) => indexOf(request.connection.name).candidates(request, access),
    defaultMessage: defaults.message,
    localsMax: Math.max(defaults.locals, ...compiled.map((c) => c.locals), 0),
  };
}

/** The texts of all packages' defaults, each once, in the order of the packages. */
function compileDefaults(checked: Checked): { readonly message: Program["defaultMessage"]; readonly locals: number } {
  const frame = new Frame(checked.data);
  const taking = new Set(checked.packages);
  const runs = checked.defaults
    .filter((d) => taking.has(d.package))
    .sort((a, b) => (a.package < b.package ? -1 : 1))
    .flatMap((d) => (d.because ? [compileCore(d.because, frame)] : []));
  const message = (c: EvaluationContext): string | undefined =>
    runs.length === 0 ? undefined : [...new Set(runs.map((run) => String(run(c))))].join("; ");
  return { message, locals: frame.size };
}

/** Rules of one connection. SQL is found by verb and relation, the rest by protocol. */
class ConnectionIndex {
  readonly #rules: readonly Indexed[];
  readonly #sql = new Map<SqlVerb, { none: Entry | undefined; readonly relations: WeakMap<Relation, Entry> }>();
  readonly #other = new Map<Protocol, readonly Indexed[]>();

  constructor(rules: readonly Indexed[]) {
    this.#rules = rules;
  }

  candidates(request: PolicyRequest, access: SqlAccess | undefined): Candidates {
    if (access === undefined) return this.#byProtocol(request);
    const entry = this.#bySql(access);
    return { rules: entry.rules.select(request), alerts: entry.alerts.select(request) };
  }

  #bySql(access: SqlAccess): Entry {
    let byVerb = this.#sql.get(access.verb);
    if (!byVerb) {
      byVerb = { none: undefined, relations: new WeakMap() };
      this.#sql.set(access.verb, byVerb);
    }
    const { relation } = access;
    const known = relation ? byVerb.relations.get(relation) : byVerb.none;
    if (known) return known;
    const entry = this.#build(access);
    if (relation) byVerb.relations.set(relation, entry);
    else byVerb.none = entry;
    return entry;
  }

  /** Lists hold for every access of this verb to this relation; what depends on its columns is asked each time. */
  #build(access: SqlAccess): Entry {
    const found = this.#rules.flatMap((indexed): { readonly guarded: Guarded; readonly isAlert: boolean }[] => {
      const how = couldHold(indexed.checked, access);
      if (how === "never") return [];
      const rule = how === "always" ? indexed.rule : checkedPerAccess(indexed.rule, indexed.checked);
      const guarded = { candidate: { rule, params: undefined }, guards: indexed.guards };
      return [{ guarded, isAlert: rule.effect === "alert" }];
    });
    return {
      rules: guardList(found.filter((f) => !f.isAlert).map((f) => f.guarded)),
      alerts: guardList(found.filter((f) => f.isAlert).map((f) => f.guarded)),
    };
  }

  #byProtocol(request: PolicyRequest): Candidates {
    const { protocol } = request;
    let rules = this.#other.get(protocol);
    if (!rules) {
      rules = this.#rules.filter(
        ({ checked }) => checked.scope.protocol === "any" || checked.scope.protocol === protocol,
      );
      this.#other.set(protocol, rules);
    }
    const candidates: Candidates = { rules: [], alerts: [] };
    for (const { rule, checked } of rules) {
      for (const params of matchScope(checked.scope, request, undefined, isRestricting(checked))) {
        const list = rule.effect === "alert" ? candidates.alerts : candidates.rules;
        (list as (typeof list)[number][]).push({ rule, params });
      }
    }
    return candidates;
  }
}

/** The rule's scope once more for each access: for tags, which lie on the columns that an access touches. */
function checkedPerAccess(rule: ExecutableRule, checked: CheckedRule): ExecutableRule {
  const isGuard = isRestricting(checked);
  return {
    ...rule,
    holds: (c) => {
      const isInScope =
        matchScope(checked.scope, c.request, c.access, isGuard).length > 0 && payloadConcerns(checked, c.access);
      return isInScope && rule.holds(c);
    },
  };
}

type Could = "always" | "sometimes" | "never";

function couldHold(checked: CheckedRule, access: SqlAccess): Could {
  const isGuard = isRestricting(checked);
  const { scope, payload } = checked;
  if (scope.protocol !== "any" && scope.protocol !== "sql") return "never";
  const results: Could[] = [];
  if (scope.protocol === "sql") {
    if (scope.verbs && !scope.verbs.has(access.verb)) return "never";
    if (scope.tables) results.push(anyCould(scope.tables, access.relation, isGuard));
    else if (matchScope(scope, anyRequest, access, isGuard).length === 0) return "never";
  }
  if (payload.effect === "mask") {
    results.push(
      access.relation !== undefined && maskedColumns(payload.columns, access.relation).length > 0 ? "always" : "never",
    );
  }
  if (payload.effect === "filter") results.push(anyCould(payload.tables, access.relation, true));
  return results.includes("never") ? "never" : results.includes("sometimes") ? "sometimes" : "always";
}

/** `matchScope` of a scope without routes and selectors asks nothing of the request. */
const anyRequest = { protocol: "sql" } as PolicyRequest;

function anyCould(patterns: readonly TablePattern[], relation: Relation | undefined, isGuard: boolean): Could {
  if (!relation) return "never";
  const each = patterns.map((pattern): Could => {
    if (pattern.kind === "named") return namesTable(pattern, relation) ? "always" : "never";
    if (tableHasTag(relation, pattern.tag, isGuard)) return "always";
    // A column that the catalog doesn't know counts as tagged for a guard, so that no list can leave the rule out.
    return isGuard || relation.columns.some((c) => columnHasTag(c, pattern.tag, isGuard)) ? "sometimes" : "never";
  });
  return each.includes("always") ? "always" : each.includes("sometimes") ? "sometimes" : "never";
}
