// Checked -> Program: rules compiled, and found by (connection, protocol, verb, object) and then by identity.

import type { Relation } from "../engine/model/catalog.ts";
import type { PolicyRequest, Protocol } from "../engine/model/request.ts";
import type { SqlAccess, SqlVerb } from "../engine/model/statement.ts";
import type { Candidates, EvaluationContext, ExecutableRule, Program } from "../engine/program.ts";
import type { Checked, CheckedRule, TablePattern } from "./checked.ts";
import { compileCore, Frame } from "./compile.ts";
import { guardsOf } from "./compile-guards.ts";
import { compileRule } from "./compile-rule.ts";
import { type CodeChoice, CodeMaker } from "./generate-code.ts";
import { anyMatches } from "./glob.ts";
import { candidatesOf, type Entry, entryOf, type Found, type Indexed } from "./index/entry.ts";
import { RouteIndex } from "./index/routes.ts";
import { SelectorIndex } from "./index/selectors.ts";
import {
  columnHasTag,
  isRestricting,
  maskedColumns,
  matchScope,
  namesTable,
  payloadConcerns,
  tableHasTag,
} from "./matching.ts";

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

/** Rules of one connection: SQL by verb and relation, HTTP by method and route, MCP and models by the names they select. */
class ConnectionIndex {
  readonly #rules: readonly Indexed[];
  readonly #sql = new Map<SqlVerb, { none: Entry | undefined; readonly relations: WeakMap<Relation, Entry> }>();
  #http: RouteIndex | undefined;
  #mcp: SelectorIndex | undefined;
  #llm: SelectorIndex | undefined;

  constructor(rules: readonly Indexed[]) {
    this.#rules = rules;
  }

  candidates(request: PolicyRequest, access: SqlAccess | undefined): Candidates {
    if (access === undefined) return candidatesOf(this.#byProtocol(request), request);
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
    return entryOf(
      this.#rules.flatMap(({ rule, checked, guards }) => {
        const how = couldHold(checked, access);
        if (how === "never") return [];
        return [{ rule: how === "always" ? rule : checkedPerAccess(rule, checked), guards }];
      }),
    );
  }

  #byProtocol(request: PolicyRequest): readonly Found[] {
    switch (request.protocol) {
      case "http":
        this.#http ??= new RouteIndex(this.#of("http"));
        return this.#http.find(request.http.method, request.http.path);
      case "mcp":
        this.#mcp ??= new SelectorIndex("mcp", this.#of("mcp"));
        return this.#mcp.find(request);
      case "llm":
        this.#llm ??= new SelectorIndex("llm", this.#of("llm"));
        return this.#llm.find(request);
      case "sql":
        return [];
      default:
        return request satisfies never;
    }
  }

  /** Masks of columns and filters of rows concern accesses, which only SQL has. */
  #of(protocol: Protocol): readonly Indexed[] {
    return this.#rules.filter(
      ({ checked: { scope, payload } }) =>
        (scope.protocol === "any" || scope.protocol === protocol) &&
        payload.effect !== "mask" &&
        payload.effect !== "filter",
    );
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
