// request + rules -> Decision: section 6 of docs/language.md, for whatever made the rules.
import { isNonEmpty, type NonEmpty } from "./lib/non-empty.ts";
import { type Fact, type Truth, Unknown } from "./lib/truth.ts";
import { needsNoAllow } from "./mcp/methods.ts";
import { type Relation, relationKey } from "./model/catalog.ts";
import type {
  Alert,
  ApprovalRequirement,
  Approver,
  Cause,
  ColumnMask,
  ContentMask,
  Decision,
  LimitObligation,
  Obligations,
  RuleId,
  TableFilter,
} from "./model/decision.ts";
import { noObligations } from "./model/decision.ts";
import { joinMasks, type Mask } from "./model/mask.ts";
import type { PolicyRequest } from "./model/request.ts";
import type { RowPredicate } from "./model/row-predicate.ts";
import { renderRowPredicate } from "./model/row-predicate.ts";
import type { SqlAccess } from "./model/statement.ts";

/** What a rule sees while it is asked about one access. Made once per decision, filled anew per access and rule. */
export type EvaluationContext = {
  readonly request: PolicyRequest;
  /** undefined for protocols whose request is one access by itself. */
  access: SqlAccess | undefined;
  /** Placeholders of the route by which the rule was found. */
  params: Readonly<Record<string, string | number>> | undefined;
  /** Variables of the rule that is being asked. */
  readonly locals: unknown[];
  /** In the second stratum only. */
  decision: { readonly effect: Decision["effect"]; readonly rules: readonly RuleId[] } | undefined;
};

type RuleBase = {
  readonly id: RuleId;
  readonly severity: string | undefined;
  /** Evaluated and reported, not enforced. */
  readonly isShadow: boolean;
  readonly holds: (c: EvaluationContext) => Truth;
  readonly message: (c: EvaluationContext) => string;
};

/** A rule that can be asked. An allow says which columns it covers: all of the access, or these. */
export type ExecutableRule = RuleBase &
  (
    | { readonly effect: "allow"; readonly covers: (access: SqlAccess) => "all" | ReadonlySet<string> }
    | { readonly effect: "deny" }
    | { readonly effect: "mask"; readonly mask: Mask; readonly columns: (relation: Relation) => readonly string[] }
    | { readonly effect: "content-mask"; readonly content: ContentMask["content"]; readonly mask: Mask }
    | { readonly effect: "filter"; readonly where: (c: EvaluationContext) => RowPredicate | Unknown }
    | { readonly effect: "approval"; readonly approvers: readonly Approver[]; readonly withinMs: number }
    | {
        readonly effect: "limit";
        readonly unit: LimitObligation["unit"];
        readonly max: (c: EvaluationContext) => Fact<number>;
        readonly window: { readonly ms: number; readonly key: (c: EvaluationContext) => Fact<string> } | undefined;
      }
    | { readonly effect: "alert"; readonly channel: string }
  );

export type Candidate = {
  readonly rule: ExecutableRule;
  readonly params: Readonly<Record<string, string | number>> | undefined;
};

/** Rules whose scope holds the access, alerts apart. */
export type Candidates = { readonly rules: readonly Candidate[]; readonly alerts: readonly Candidate[] };

export type Program = {
  readonly candidates: (request: PolicyRequest, access: SqlAccess | undefined) => Candidates;
  /** What is said when nothing allows an access: the `default deny because` of the packages, in order. */
  readonly defaultMessage: (c: EvaluationContext) => string | undefined;
  /** Variables that the largest rule needs. */
  readonly localsMax: number;
};

/** Reads of the system catalogs that the SQL engine lets through. Denies still see them. */
export const builtinCatalogRule = "gw.builtin.catalog" as RuleId;

export const isSystemCatalogRead = (access: SqlAccess): boolean =>
  access.kind === "read" &&
  (access.relation?.schema === "pg_catalog" || access.relation?.schema === "information_schema");

/** What keeps an MCP connection alive, and lists whose entries are decided one by one. Denies still see them. */
export const builtinMcpRule = "gw.builtin.mcp" as RuleId;

/** `select public.payroll`; `begin` for an access without an object. */
export const describeAccess = (access: SqlAccess): string =>
  access.relation === undefined ? access.verb : `${access.verb} ${keyOf(access.relation)}`;

/** The same for every protocol. */
export function describeRequest(request: PolicyRequest, access: SqlAccess | undefined): string {
  switch (request.protocol) {
    case "sql":
      return access === undefined ? request.sql.verb : describeAccess(access);
    case "http":
      return `${request.http.method} ${request.http.path}`;
    case "mcp": {
      const { tool, resource, prompt, method } = request.mcp;
      const name = [tool, resource, prompt].find((part) => typeof part === "string");
      return name === undefined ? method : `${method} ${String(name)}`;
    }
    case "llm":
      return typeof request.llm.toolUse === "string" ? `tool ${request.llm.toolUse}` : `model ${request.llm.model}`;
    default:
      return request satisfies never;
  }
}

const keys = new WeakMap<Relation, string>();
function keyOf(relation: Relation): string {
  const known = keys.get(relation);
  if (known !== undefined) return known;
  const key = relationKey(relation.schema, relation.name);
  keys.set(relation, key);
  return key;
}

export const newContext = (program: Program, request: PolicyRequest): EvaluationContext => ({
  request,
  access: undefined,
  params: undefined,
  locals: new Array(program.localsMax),
  decision: undefined,
});

/** Total: every request has a decision, and every decision a cause. Rules are found in any order. */
export function evaluate(program: Program, request: PolicyRequest): Decision {
  const c = newContext(program, request);
  const found = new Findings(c);
  const accesses: readonly (SqlAccess | undefined)[] = request.protocol === "sql" ? request.sql.accesses : [undefined];
  const alerts: { readonly access: SqlAccess | undefined; readonly candidates: readonly Candidate[] }[] = [];
  for (const access of accesses) {
    const candidates = program.candidates(request, access);
    found.askAll(access, candidates.rules, program);
    if (candidates.alerts.length > 0) alerts.push({ access, candidates: candidates.alerts });
  }
  if (accesses.length === 0) {
    found.causes.push({
      kind: "unsupported",
      code: "no-access",
      message: "the statement does nothing that a rule could allow",
      help: undefined,
    });
  }
  const decision = found.decide();
  if (alerts.length === 0) return decision;
  return { ...decision, alerts: askAlerts(c, decision, alerts) };
}

function askAlerts(
  c: EvaluationContext,
  decision: Decision,
  groups: readonly { readonly access: SqlAccess | undefined; readonly candidates: readonly Candidate[] }[],
): readonly Alert[] {
  c.decision = { effect: decision.effect, rules: decision.rules };
  const alerts = new Map<RuleId, Alert>();
  for (const { access, candidates } of groups) {
    c.access = access;
    for (const { rule, params } of candidates) {
      if (rule.effect !== "alert" || rule.isShadow) continue;
      c.params = params;
      if (rule.holds(c) !== true) continue;
      const alert = { rule: rule.id, channel: rule.channel, severity: rule.severity, message: rule.message(c) };
      const known = alerts.get(rule.id);
      // Of two accesses with two texts the same one is told whatever the order.
      if (!known || alert.message < known.message) alerts.set(rule.id, alert);
    }
  }
  return [...alerts.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1));
}

/** What one decision has found so far. Lists stay unmade until something is found: most are not needed. */
class Findings {
  readonly causes: Cause[] = [];
  readonly #c: EvaluationContext;
  readonly #shadow: Cause[] = [];
  readonly #allows = new Set<RuleId>();
  #masks: Map<string, Map<string, { masks: Mask[]; rules: Set<RuleId> }>> | undefined;
  #content: Map<RuleId, ContentMask> | undefined;
  #filters: Map<string, Map<RuleId, RowPredicate[]>> | undefined;
  #limits: LimitObligation[] | undefined;
  #waiting: Map<RuleId, ApprovalRequirement> | undefined;

  constructor(c: EvaluationContext) {
    this.#c = c;
  }

  /** Every candidate is asked, whatever the others said: the causes are a set. */
  askAll(access: SqlAccess | undefined, candidates: readonly Candidate[], program: Program): void {
    const c = this.#c;
    c.access = access;
    let isCovered = false;
    let columns: Set<string> | undefined;
    for (const { rule, params } of candidates) {
      if (access?.implied === "constraint" && rule.effect !== "mask" && rule.effect !== "filter") continue;
      c.params = params;
      const truth = rule.holds(c);
      if (truth === false) continue;
      if (rule.effect !== "allow") {
        if (truth === true) this.#apply(rule, access);
        else if (!c.request.isProbe) this.#fail(rule, truth);
        continue;
      }
      if ((truth !== true && !c.request.isProbe) || rule.isShadow) continue;
      const covered = access === undefined ? "all" : rule.covers(access);
      if (covered === "all") isCovered = true;
      else {
        columns ??= new Set();
        for (const column of covered) columns.add(column);
      }
      this.#allows.add(rule.id);
    }
    if (!isCovered && access && columns) isCovered = coversColumns(access, columns);
    if (!isCovered && access && isSystemCatalogRead(access)) {
      isCovered = true;
      this.#allows.add(builtinCatalogRule);
    }
    if (!isCovered && c.request.protocol === "mcp" && needsNoAllow(c.request.mcp.method)) {
      isCovered = true;
      this.#allows.add(builtinMcpRule);
    }
    // The server reaches an implied relation by itself (constraints, partitions): only restricting rules speak of it.
    if (isCovered || access?.implied !== undefined) return;
    const what = describeRequest(c.request, access);
    c.params = undefined;
    this.causes.push({
      kind: "uncovered",
      access: what,
      message: program.defaultMessage(c) ?? `no rule allows \`${what}\``,
    });
  }

  #fail(rule: ExecutableRule, why: Unknown): void {
    const message = `rule \`${rule.id}\` could not be decided: ${why.why}`;
    (rule.isShadow ? this.#shadow : this.causes).push({ kind: "rule-error", rule: rule.id, message });
  }

  #apply(rule: Exclude<ExecutableRule, { effect: "allow" }>, access: SqlAccess | undefined): void {
    switch (rule.effect) {
      case "deny": {
        const cause: Cause = { kind: "rule", rule: rule.id, message: rule.message(this.#c), severity: rule.severity };
        (rule.isShadow ? this.#shadow : this.causes).push(cause);
        return;
      }
      case "mask":
        if (!rule.isShadow && access?.relation)
          this.#addMask(rule.id, rule.mask, access.relation, rule.columns(access.relation));
        return;
      case "content-mask":
        this.#addContentMask(rule);
        return;
      case "filter":
        if (!rule.isShadow && access?.relation) this.#addFilter(rule, access.relation);
        return;
      case "approval":
        this.#addApproval(rule);
        return;
      case "limit":
        this.#addLimit(rule);
        return;
      case "alert":
        return;
      default:
        rule satisfies never;
    }
  }

  /** Rows of SQL are masked by column: a mask of text or JSON in them would promise what nobody does. */
  #addContentMask(rule: ExecutableRule & { effect: "content-mask" }): void {
    if (rule.isShadow) return;
    if (this.#c.request.protocol === "sql") {
      this.causes.push({
        kind: "unsupported",
        code: "content-mask",
        message: `rule \`${rule.id}\` masks the text of answers, which SQL connections do not support`,
        help: "say `on http` or `on mcp` in the rule, and mask columns for SQL",
      });
      return;
    }
    this.#content ??= new Map();
    this.#content.set(rule.id, { content: rule.content, mask: rule.mask, rule: rule.id });
  }

  #addMask(id: RuleId, mask: Mask, relation: Relation, columns: readonly string[]): void {
    if (columns.length === 0) return;
    this.#masks ??= new Map();
    const key = keyOf(relation);
    let byColumn = this.#masks.get(key);
    if (!byColumn) {
      byColumn = new Map();
      this.#masks.set(key, byColumn);
    }
    for (const column of columns) {
      const entry = byColumn.get(column);
      if (!entry) byColumn.set(column, { masks: [mask], rules: new Set([id]) });
      else {
        entry.masks.push(mask);
        entry.rules.add(id);
      }
    }
  }

  #addFilter(rule: ExecutableRule & { effect: "filter" }, relation: Relation): void {
    const predicate = rule.where(this.#c);
    if (predicate instanceof Unknown) {
      this.#fail(rule, predicate);
      return;
    }
    this.#filters ??= new Map();
    const key = keyOf(relation);
    let byRule = this.#filters.get(key);
    if (!byRule) {
      byRule = new Map();
      this.#filters.set(key, byRule);
    }
    const known = byRule.get(rule.id);
    if (known) known.push(predicate);
    else byRule.set(rule.id, [predicate]);
  }

  #addApproval(rule: ExecutableRule & { effect: "approval" }): void {
    const message = rule.message(this.#c);
    if (rule.isShadow) {
      this.#shadow.push({ kind: "rule", rule: rule.id, message, severity: rule.severity });
      return;
    }
    if (this.#c.request.approved.has(rule.id)) return;
    this.#waiting ??= new Map();
    const known = this.#waiting.get(rule.id);
    if (known && known.message <= message) return;
    this.#waiting.set(rule.id, { rule: rule.id, approvers: rule.approvers, withinMs: rule.withinMs, message });
  }

  #addLimit(rule: ExecutableRule & { effect: "limit" }): void {
    if (this.#c.request.isProbe) return;
    const limit = this.#limitOf(rule);
    if (limit instanceof Unknown) this.#fail(rule, limit);
    else if (limit === "exceeded") {
      const cause: Cause = { kind: "limit", rule: rule.id, message: rule.message(this.#c) };
      (rule.isShadow ? this.#shadow : this.causes).push(cause);
    } else if (!rule.isShadow) {
      this.#limits ??= [];
      this.#limits.push(limit);
    }
  }

  #limitOf(rule: ExecutableRule & { effect: "limit" }): LimitObligation | "exceeded" | Unknown {
    const c = this.#c;
    const max = rule.max(c);
    if (max instanceof Unknown) return max;
    if (!rule.window) return { rule: rule.id, unit: rule.unit, max, window: undefined };
    const key = rule.window.key(c);
    if (key instanceof Unknown) return key;
    const used = c.request.counter(rule.id, key);
    if (used instanceof Unknown) return used;
    return used >= max ? "exceeded" : { rule: rule.id, unit: rule.unit, max, window: { ms: rule.window.ms, key } };
  }

  decide(): Decision {
    const shadow = this.#shadow.length > 0 ? sortCauses(this.#shadow) : none;
    const causes = this.causes.length > 0 ? sortCauses(this.causes) : this.causes;
    if (isNonEmpty(causes)) {
      const rules = causes.flatMap((cause) => ("rule" in cause ? [cause.rule] : []));
      return { effect: "deny", causes, rules: [...new Set(rules)].sort(), alerts: none, shadow };
    }
    const obligations = this.#obligations();
    const waiting = [...(this.#waiting?.values() ?? [])].sort((a, b) => (a.rule < b.rule ? -1 : 1));
    if (isNonEmpty(waiting)) {
      const [first, ...rest] = waiting;
      const rules: NonEmpty<RuleId> = [first.rule, ...rest.map((w) => w.rule)];
      return { effect: "approval", rules, requirements: waiting, obligations, alerts: none, shadow };
    }
    const allows = this.#allows.size > 1 ? [...this.#allows].sort() : [...this.#allows];
    if (isNonEmpty(allows)) return { effect: "allow", rules: allows, obligations, alerts: none, shadow };
    const cause: Cause = { kind: "unsupported", code: "no-allow", message: "no rule allows this", help: undefined };
    return { effect: "deny", causes: [cause], rules: none, alerts: none, shadow };
  }

  #obligations(): Obligations {
    if (!this.#masks && !this.#filters && !this.#limits && !this.#content) return noObligations;
    return {
      masks: this.#masks ? joinAll(this.#masks) : noObligations.masks,
      filters: this.#filters ? conjoinAll(this.#filters) : noObligations.filters,
      limits: this.#limits ? leastLimits(this.#limits) : noObligations.limits,
      ...(this.#content ? { content: [...this.#content.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1)) } : {}),
    };
  }
}

const none: readonly never[] = [];

/**
 * An access is covered when every column it touches is. One that touches none (`count(*)`) is covered only as a read:
 * a DELETE touches whole rows.
 */
export const coversColumns = (access: SqlAccess, columns: ReadonlySet<string>): boolean =>
  access.columns.length === 0 ? access.kind === "read" : access.columns.every((column) => columns.has(column));

function joinAll(
  masks: ReadonlyMap<string, ReadonlyMap<string, { masks: Mask[]; rules: Set<RuleId> }>>,
): Obligations["masks"] {
  const all = new Map<string, ReadonlyMap<string, ColumnMask>>();
  for (const [key, byColumn] of masks) {
    const joined = new Map<string, ColumnMask>();
    for (const [column, { masks: list, rules }] of byColumn) {
      const mask = list.length === 1 ? list[0] : joinMasks(list);
      const ids = [...rules].sort();
      if (mask && isNonEmpty(ids)) joined.set(column, { mask, rules: ids });
    }
    all.set(key, joined);
  }
  return all;
}

/** AND over the rules in the order of their names; the same predicate of one rule once. */
function conjoinAll(
  filters: ReadonlyMap<string, ReadonlyMap<RuleId, readonly RowPredicate[]>>,
): Obligations["filters"] {
  const all = new Map<string, TableFilter>();
  for (const [key, byRule] of filters) {
    const rules = [...byRule.keys()].sort();
    if (!isNonEmpty(rules)) continue;
    const parts = new Map<string, RowPredicate>();
    for (const rule of rules) {
      const rendered = (byRule.get(rule) ?? []).map((p) => [renderRowPredicate(p), p] as const);
      for (const [text, p] of rendered.sort(([a], [b]) => (a < b ? -1 : 1))) parts.set(text, p);
    }
    const [only, ...more] = parts.values();
    if (!only) continue;
    all.set(key, { predicate: more.length === 0 ? only : { kind: "and", parts: [only, ...more] }, rules });
  }
  return all;
}

/** MIN over limits of the same unit, window and key; of equal ones the first by name. */
function leastLimits(limits: readonly LimitObligation[]): readonly LimitObligation[] {
  if (limits.length === 1) return limits;
  const least = new Map<string, LimitObligation>();
  for (const limit of limits) {
    // A rate has a window of its own: its use is counted under its rule.
    const key = limit.window ? `${limit.rule} ${limit.window.key}` : limit.unit;
    const known = least.get(key);
    if (!known || limit.max < known.max || (limit.max === known.max && limit.rule < known.rule)) least.set(key, limit);
  }
  return [...least.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1));
}

const order: Readonly<Record<Cause["kind"], number>> = {
  rule: 0,
  "rule-error": 1,
  limit: 2,
  uncovered: 3,
  unsupported: 4,
};

const causeKey = (cause: Cause): string =>
  `${order[cause.kind]} ${"rule" in cause ? cause.rule : cause.kind === "uncovered" ? cause.access : cause.code} ${cause.message}`;

/** As a set: sorted, each once. */
export function sortCauses(causes: readonly Cause[]): readonly Cause[] {
  if (causes.length === 1) return causes;
  const unique = new Map(causes.map((cause) => [causeKey(cause), cause]));
  return [...unique].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cause]) => cause);
}
