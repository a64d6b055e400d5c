// What the rules say of one request, put together: section 6 of docs/language.md.
import { sortCauses } from "./causes.ts";
import { describeRequest, keyOf } from "./describe-access.ts";
import { isNonEmpty, type NonEmpty } from "./lib/non-empty.ts";
import { Unknown } from "./lib/truth.ts";
import { needsNoAllow } from "./mcp/methods.ts";
import type { Relation } from "./model/catalog.ts";
import type {
  ApprovalRequirement,
  Cause,
  ContentMask,
  Decision,
  ItemFilter,
  LimitObligation,
  Obligations,
  RuleId,
} from "./model/decision.ts";
import { noObligations } from "./model/decision.ts";
import type { Mask } from "./model/mask.ts";
import type { PolicyRequest } from "./model/request.ts";
import type { RowPredicate } from "./model/row-predicate.ts";
import type { SqlAccess } from "./model/statement.ts";
import { conjoin, joinMasksOf, leastLimits, sortItems } from "./obligations.ts";
import type { Candidate, EvaluationContext, ExecutableRule, Program } from "./program.ts";

/** Reads of the system catalogs that the SQL engine lets through. Denies still see them. */
export const builtinCatalogRule = "gw.builtin.catalog" as RuleId;

export const isSystemCatalogRead = (access: SqlAccess): boolean =>
  access.kind === "read" &&
  (access.relation?.schema === "pg_catalog" || access.relation?.schema === "information_schema");

/** What keeps an MCP connection alive, and lists whose entries are decided one by one. Denies still see them. */
export const builtinMcpRule = "gw.builtin.mcp" as RuleId;

/** Which models there are: a list whose entries are decided one by one. Denies still see it. */
export const builtinLlmRule = "gw.builtin.llm" as RuleId;

const isListOfModels = (request: PolicyRequest): boolean =>
  request.protocol === "llm" && request.llm.model === "" && request.llm.toolUse === undefined;

/** What one decision has found so far. Lists stay unmade until something is found: most are not needed. */
export class Findings {
  readonly causes: Cause[] = [];
  readonly #c: EvaluationContext;
  readonly #shadow: Cause[] = [];
  readonly #allows = new Set<RuleId>();
  #masks: Map<string, Map<string, { masks: Mask[]; rules: Set<RuleId> }>> | undefined;
  #content: Map<RuleId, ContentMask> | undefined;
  #items: ItemFilter[] | undefined;
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
        // To a probe a mask that may apply applies: it hides, and hinders nothing.
        if (truth === true || (c.request.isProbe && rule.effect === "content-mask")) this.#apply(rule, access);
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
    if (!isCovered && isListOfModels(c.request)) {
      isCovered = true;
      this.#allows.add(builtinLlmRule);
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
      case "item-filter":
        this.#addItemFilter(rule);
        return;
      case "filter":
        if (!rule.isShadow && access?.relation) this.#addFilter(rule, access.relation);
        return;
      case "approval":
        this.#addApproval(rule);
        return;
      case "limit":
        this.#addLimit(rule, access);
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

  #addItemFilter(rule: ExecutableRule & { effect: "item-filter" }): void {
    if (rule.isShadow) return;
    if (this.#c.request.protocol === "sql") {
      this.causes.push({
        kind: "unsupported",
        code: "item-filter",
        message: `rule \`${rule.id}\` filters the items of answers, which SQL connections do not support`,
        help: "say `on http` or `on mcp` in the rule, and filter tables for SQL",
      });
      return;
    }
    const predicate = rule.where(this.#c);
    if (predicate instanceof Unknown) {
      this.#fail(rule, predicate);
      return;
    }
    this.#items ??= [];
    this.#items.push({ path: rule.path, predicate, rule: rule.id });
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

  #addLimit(rule: ExecutableRule & { effect: "limit" }, access: SqlAccess | undefined): void {
    const isProbe = this.#c.request.isProbe === true;
    // What is asked for a text alone is what it would be rewritten to: windows are asked when it runs.
    if (isProbe && rule.window !== undefined) return;
    const limit = this.#limitOf(rule, access);
    if (limit instanceof Unknown && isProbe) return;
    if (limit instanceof Unknown) this.#fail(rule, limit);
    else if (limit === "exceeded") {
      const cause: Cause = { kind: "limit", rule: rule.id, message: rule.message(this.#c) };
      (rule.isShadow ? this.#shadow : this.causes).push(cause);
    } else if (!rule.isShadow) {
      this.#limits ??= [];
      this.#limits.push(limit);
    }
  }

  #limitOf(
    rule: ExecutableRule & { effect: "limit" },
    access: SqlAccess | undefined,
  ): LimitObligation | "exceeded" | Unknown {
    const c = this.#c;
    const max = rule.max(c);
    if (max instanceof Unknown) return max;
    const limit = { rule: rule.id, unit: rule.unit, max, ...(countsChanges(rule.unit, access) ? changed : undefined) };
    if (!rule.window) return { ...limit, window: undefined };
    const key = rule.window.key(c);
    if (key instanceof Unknown) return key;
    const used = c.request.counter(rule.id, key);
    if (used instanceof Unknown) return used;
    return used >= max ? "exceeded" : { ...limit, window: { ms: rule.window.ms, key } };
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
    if (!this.#masks && !this.#filters && !this.#limits && !this.#content && !this.#items) return noObligations;
    return {
      masks: this.#masks ? joinMasksOf(this.#masks) : noObligations.masks,
      filters: this.#filters ? conjoin(this.#filters) : noObligations.filters,
      limits: this.#limits ? leastLimits(this.#limits) : noObligations.limits,
      ...(this.#content ? { content: [...this.#content.values()].sort((a, b) => (a.rule < b.rule ? -1 : 1)) } : {}),
      ...(this.#items ? { items: sortItems(this.#items) } : {}),
    };
  }
}

const none: readonly never[] = [];

const changed = { counts: "changed" } as const;

/** A limit of rows on a write is about the rows that it changes; the same rule may be on what the statement reads, too. */
const countsChanges = (unit: LimitObligation["unit"], access: SqlAccess | undefined): boolean =>
  unit === "rows" && access?.kind === "write";

/**
 * An access is covered when every column it touches is. One that touches none (`count(*)`) is covered only as a read:
 * a DELETE touches whole rows.
 */
export const coversColumns = (access: SqlAccess, columns: ReadonlySet<string>): boolean =>
  access.columns.length === 0 ? access.kind === "read" : access.columns.every((column) => columns.has(column));
