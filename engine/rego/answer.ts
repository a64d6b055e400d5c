// a Rego policy's answer -> Decision. docs/rego.md documents the shape; whatever else comes is no answer, hence a deny.
import { sortCauses } from "../causes.ts";
import { describeAccess, describeRequest } from "../describe-access.ts";
import { parseJsonPath } from "../lib/json-path.ts";
import { isNonEmpty, type NonEmpty } from "../lib/non-empty.ts";
import { err, ok, type Result } from "../lib/result.ts";
import { Unknown } from "../lib/truth.ts";
import type { Limits } from "../limits.ts";
import { type Relation, relationKey } from "../model/catalog.ts";
import {
  type Alert,
  type ApprovalRequirement,
  type Cause,
  type ColumnMask,
  type ContentMask,
  type Decision,
  type LimitObligation,
  noObligations,
  type Obligations,
  type RuleId,
  type TableFilter,
} from "../model/decision.ts";
import { joinMasks } from "../model/mask.ts";
import type { PolicyRequest } from "../model/request.ts";
import { renderRowPredicate } from "../model/row-predicate.ts";
import { textKinds } from "../model/text-kinds.ts";
import { AnswerReader, BadAnswer } from "./answer-reader.ts";
import { readMask, readPredicate } from "./answer-values.ts";
import type { RegoFault } from "./fault.ts";

export type Answer = {
  readonly decision: Decision;
  /** Facts that the policy says it doesn't rest on: they may be unknown. */
  readonly tolerates: ReadonlySet<string>;
};

/** `packageName` qualifies the names of rules: `larch.shop` makes `own_region` to `larch.shop.own_region`. */
export function readAnswer(
  answer: unknown,
  request: PolicyRequest,
  packageName: string,
  limits: Limits,
): Result<Answer, RegoFault> {
  try {
    const said =
      typeof answer === "boolean" ? bare(answer, packageName) : readSaid(answer, request, packageName, limits);
    return ok({ decision: decisionOf(said, request), tolerates: new Set(said.tolerates) });
  } catch (error) {
    if (!(error instanceof BadAnswer)) throw error;
    return err({ code: "rego-answer-invalid", message: `the policy's answer is not a decision: ${error.message}` });
  }
}

/** The answer after reading: nothing of its shape is in doubt any more. */
type Said = {
  readonly allow: boolean;
  readonly message: string | undefined;
  readonly rules: NonEmpty<RuleId>;
  readonly denied: readonly Cause[];
  readonly uncovered: readonly string[];
  readonly obligations: Obligations;
  readonly requirements: readonly ApprovalRequirement[];
  readonly alerts: readonly { readonly alert: Alert; readonly on: readonly Decision["effect"][] }[];
  readonly shadow: readonly Cause[];
  readonly tolerates: readonly string[];
};

const effects = ["allow", "deny", "approval"] as const;

const ruleId = (packageName: string, name: string): RuleId =>
  (name.includes(".") ? name : `${packageName}.${name}`) as RuleId; // the brand of a Rego rule is made here

const bare = (allow: boolean, packageName: string): Said => ({
  allow,
  message: undefined,
  rules: [ruleId(packageName, "allow")],
  denied: [],
  uncovered: [],
  obligations: noObligations,
  requirements: [],
  alerts: [],
  shadow: [],
  tolerates: [],
});

/** Lasts as long as the language's own default. */
const approvalTtlMs = 3_600_000;

function readSaid(answer: unknown, request: PolicyRequest, packageName: string, limits: Limits): Said {
  const top = new AnswerReader(answer, "the decision", limits);
  const ruleOf = (entry: AnswerReader, usual: string): RuleId =>
    ruleId(packageName, entry.optionalName("rule") ?? usual);
  const causes = (key: "deny" | "shadow"): readonly Cause[] =>
    top.list(
      key,
      (entry): Cause => ({
        kind: "rule",
        rule: ruleOf(entry, key),
        message: entry.text("message"),
        severity: entry.optionalText("severity"),
      }),
      "message",
    );
  const named = [...new Set(top.names("rules").map((name) => ruleId(packageName, name)))].sort();
  const said: Said = {
    allow: top.boolean("allow"),
    message: top.optionalText("message"),
    rules: isNonEmpty(named) ? named : [ruleId(packageName, "allow")],
    denied: causes("deny"),
    uncovered: top.texts("uncovered"),
    obligations: readObligations(top, ruleOf, request),
    requirements: top.list(
      "approval",
      (entry): ApprovalRequirement => ({
        rule: ruleOf(entry, "approval"),
        approvers: entry.list("approvers", (approver) => ({
          count: approver.optionalCount("count") ?? 1,
          kind: approver.oneOf("kind", ["group", "user"]),
          name: approver.text("name"),
        })),
        withinMs: entry.optionalCount("within_ms") ?? approvalTtlMs,
        message: entry.text("message"),
      }),
      "message",
    ),
    alerts: top.list("alerts", (entry) => ({
      alert: {
        rule: ruleOf(entry, "alert"),
        channel: entry.text("channel"),
        severity: entry.optionalText("severity"),
        message: entry.optionalText("message") ?? "",
      },
      on: entry.names("on").map((name) => {
        const effect = effects.find((e) => e === name);
        if (effect === undefined) throw entry.bad("on", `must be of ${effects.join(", ")}`);
        return effect;
      }),
    })),
    shadow: causes("shadow"),
    tolerates: top.names("tolerates"),
  };
  top.end();
  return said;
}

type RuleOf = (entry: AnswerReader, usual: string) => RuleId;

/**
 * A mask or filter must name a table of this request and columns that the table has: one for a table that doesn't exist
 * would protect nothing, and nobody would know.
 */
function readObligations(top: AnswerReader, ruleOf: RuleOf, request: PolicyRequest): Obligations {
  const relations = relationsOf(request);
  const relationOf = (entry: AnswerReader): readonly [string, Relation] => {
    const key = entry.text("table");
    const relation = relations.get(key);
    if (!relation) throw entry.bad("table", "is not a table of this request");
    return [key, relation];
  };
  const masks = top.list("masks", (entry) => {
    const [key, relation] = relationOf(entry);
    const column = entry.text("column");
    if (!columnNames(relation).has(column)) throw entry.bad("column", "is not a column of the table");
    const mask = entry.object("mask", readMask);
    if (mask.kind === "remove") throw entry.bad("mask", "must not be `remove`: a column stays in its row");
    return { key, column, mask, rule: ruleOf(entry, "mask") };
  });
  const filters = top.list("filters", (entry) => {
    const [key, relation] = relationOf(entry);
    const predicate = readPredicate(entry.take("where"), columnNames(relation), entry);
    return { key, predicate, rule: ruleOf(entry, "filter") };
  });
  const limits = top.list("limits", (entry): LimitObligation => {
    const isRate = entry.has("window_ms");
    const unit = entry.oneOf("unit", isRate ? [...sizes, "requests", "calls", "tokens", "usd"] : sizes);
    const window = isRate ? { ms: entry.count("window_ms"), key: entry.text("key") } : undefined;
    if (window?.ms === 0) throw entry.bad("window_ms", "must be above 0");
    return { rule: ruleOf(entry, "limit"), unit, max: entry.count("max"), window };
  });
  const content = top.list("content", (entry): ContentMask => {
    if (request.protocol === "sql")
      throw entry.bad("format", "is about JSON and text, and this is a statement: mask columns");
    const format = entry.oneOf("format", ["json", "text", "tagged"]);
    const patterns = entry.texts("patterns");
    if (patterns.length === 0) throw entry.bad("patterns", "must name at least one");
    for (const pattern of patterns) {
      // Whether the schema of an answer has the tag is asked where the answer comes from.
      const isGood =
        format === "tagged" || (format === "json" ? parseJsonPath(pattern).ok : Object.hasOwn(textKinds, pattern));
      if (!isGood) throw entry.bad("patterns", format === "json" ? "must be JSON paths" : "must be kinds of text");
    }
    const mask = entry.object("mask", readMask);
    if (mask.kind === "remove" && (format === "text" || patterns.includes("$"))) {
      throw entry.bad("mask", "must not be `remove`, which takes fields out of JSON");
    }
    return { content: { format, patterns }, mask, rule: ruleOf(entry, "mask") };
  });
  return {
    masks: new Map(
      [...Map.groupBy(masks, (m) => m.key)].map(([key, ofTable]) => [
        key,
        new Map(
          [...Map.groupBy(ofTable, (m) => m.column)].map(([column, given]) => [column, joinGiven(given)] as const),
        ),
      ]),
    ),
    filters: new Map([...Map.groupBy(filters, (f) => f.key)].map(([key, given]) => [key, andGiven(given)] as const)),
    limits: leastLimits(isWriting(request) ? limits.flatMap(alsoOfChanges) : limits),
    ...(content.length === 0 ? {} : { content: content.toSorted((a, b) => byText(a.rule, b.rule)) }),
  };
}

const sizes = ["rows", "bytes", "items"] as const;

const isWriting = (request: PolicyRequest): boolean =>
  request.protocol === "sql" && request.sql.accesses.some(({ kind }) => kind === "write");

/** A policy that answers for the statement as a whole limits what it changes as well as what it returns. */
const alsoOfChanges = (limit: LimitObligation): readonly LimitObligation[] =>
  limit.unit === "rows" ? [limit, { ...limit, counts: "changed" }] : [limit];

function relationsOf(request: PolicyRequest): ReadonlyMap<string, Relation> {
  if (request.protocol !== "sql") return new Map();
  const all = [...request.sql.tables, ...request.sql.accesses.flatMap((a) => (a.relation ? [a.relation] : []))];
  return new Map(all.map((relation) => [relationKey(relation.schema, relation.name), relation]));
}

const columnNames = (relation: Relation): ReadonlySet<string> => new Set(relation.columns.map((c) => c.name));

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

function sortedRules(given: readonly { readonly rule: RuleId }[]): NonEmpty<RuleId> {
  const [first, ...rest] = [...new Set(given.map((g) => g.rule))].sort();
  if (first === undefined) throw new BadAnswer("an obligation has no rule");
  return [first, ...rest];
}

function joinGiven(given: readonly { readonly mask: ColumnMask["mask"]; readonly rule: RuleId }[]): ColumnMask {
  const mask = joinMasks(given.map((g) => g.mask)) ?? { kind: "redact" };
  return { mask, rules: sortedRules(given) };
}

/** In the order of the rules' names; equal filters are one. */
function andGiven(
  given: readonly { readonly predicate: TableFilter["predicate"]; readonly rule: RuleId }[],
): TableFilter {
  const sorted = given
    .map((g) => ({ ...g, text: renderRowPredicate(g.predicate) }))
    .sort((a, b) => byText(a.rule, b.rule) || byText(a.text, b.text));
  const distinct = [...new Map(sorted.map((g) => [g.text, g.predicate])).values()];
  const [only] = distinct;
  const predicate = only !== undefined && distinct.length === 1 ? only : ({ kind: "and", parts: distinct } as const);
  return { predicate, rules: sortedRules(given) };
}

/** MIN over limits of one unit; of equal ones the first by name. Rates count under their own names and stay. */
function leastLimits(limits: readonly LimitObligation[]): readonly LimitObligation[] {
  const sorted = limits.toSorted((a, b) => a.max - b.max || byText(a.rule, b.rule));
  const kindOf = ({ unit, rule, counts, window }: LimitObligation): string =>
    window === undefined ? `${counts ?? ""} ${unit}` : JSON.stringify([rule, unit, counts ?? "", window]);
  return [...Map.groupBy(sorted, kindOf).values()]
    .flatMap(([least]) => (least ? [least] : []))
    .sort((a, b) => byText(a.rule, b.rule));
}

function decisionOf(said: Said, request: PolicyRequest): Decision {
  const waiting = sortByRule(said.requirements.filter((r) => !request.approved.has(r.rule)));
  const causes = sortCauses([...said.denied, ...usedUp(said.obligations, request), ...uncoveredCauses(said, request)]);
  const effect = causes.length > 0 ? "deny" : waiting.length > 0 ? "approval" : "allow";
  const raised = said.alerts.filter(({ on }) => on.length === 0 || on.includes(effect)).map(({ alert }) => alert);
  const common = { alerts: sortByRule(raised), shadow: sortCauses(said.shadow) };
  if (isNonEmpty(causes)) {
    const named = causes.flatMap((cause) => ("rule" in cause ? [cause.rule] : []));
    return { ...common, effect: "deny", causes, rules: [...new Set(named)].sort() };
  }
  const { obligations } = said;
  if (isNonEmpty(waiting)) {
    return { ...common, effect: "approval", rules: sortedRules(waiting), requirements: waiting, obligations };
  }
  return { ...common, effect: "allow", rules: said.rules, obligations };
}

/** Rates of which nothing is left, and those of which nobody can tell. */
function usedUp({ limits }: Obligations, request: PolicyRequest): readonly Cause[] {
  if (request.isProbe === true) return [];
  return limits.flatMap(({ rule, max, window }): readonly Cause[] => {
    if (window === undefined) return [];
    const used = request.counter(rule, window.key);
    if (used instanceof Unknown) return [{ kind: "rule-error", rule, message: `\`${rule}\`: ${used.why}` }];
    return used >= max ? [{ kind: "limit", rule, message: `the limit \`${rule}\` is used up` }] : [];
  });
}

/** What no rule allows: as the policy says it; else, where nothing else denies either, the request as a whole. */
function uncoveredCauses(said: Said, request: PolicyRequest): readonly Cause[] {
  const isSilent = said.uncovered.length === 0 && said.denied.length === 0;
  const accesses = said.allow || !isSilent ? said.uncovered : [describeWhole(request)];
  return accesses.map((access) => ({
    kind: "uncovered",
    access,
    message: said.message ?? `no rule allows \`${access}\``,
  }));
}

/** `select public.orders`, `select public.orders and 2 more`. */
function describeWhole(request: PolicyRequest): string {
  if (request.protocol !== "sql") return describeRequest(request, undefined);
  const [first, ...more] = new Set(request.sql.accesses.map(describeAccess));
  return more.length === 0 ? (first ?? request.sql.verb) : `${first} and ${more.length} more`;
}

const sortByRule = <T extends { readonly rule: RuleId; readonly message: string }>(items: readonly T[]): readonly T[] =>
  items.toSorted((a, b) => byText(a.rule, b.rule) || byText(a.message, b.message));
