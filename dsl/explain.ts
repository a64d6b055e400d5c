// request -> why: each access with what allowed or stopped it, each rule with each condition's value, and the smallest
// change that would turn the decision. Data; the command prints it.
import { describeRequest } from "../engine/describe-access.ts";
import { evaluate } from "../engine/evaluate.ts";
import type { Span } from "../engine/lib/span.ts";
import { Unknown } from "../engine/lib/truth.ts";
import type { Cause, Decision, RuleId } from "../engine/model/decision.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import type { SqlAccess } from "../engine/model/statement.ts";
import type { EvaluationContext } from "../engine/program.ts";
import type { Checked, CheckedRule, Core } from "./checked.ts";
import { anyMatches } from "./glob.ts";
import { type InterpretOptions, interpretProgram, Walker } from "./interpret.ts";
import { isRestricting, matchScope, payloadConcerns } from "./matching.ts";
import { changesFor } from "./testing/literals.ts";
import { showValue } from "./values.ts";

export type ExplainedCondition = {
  readonly word: "when" | "unless" | "and" | "or";
  readonly text: string;
  readonly truth: "true" | "false" | "unknown";
  /** `identity.kind = agent`: what it looked at. */
  readonly facts: readonly string[];
  readonly path: string;
  readonly span: Span;
};
export type ExplainedRule = {
  readonly rule: RuleId;
  readonly effect: string;
  readonly path: string;
  readonly span: Span;
  /** Undefined when the rule's scope holds the access; else why it doesn't. */
  readonly outOfScope: string | undefined;
  readonly truth: "true" | "false" | "unknown";
  readonly conditions: readonly ExplainedCondition[];
};
export type ExplainedAccess = {
  readonly access: string;
  readonly allowedBy: readonly RuleId[];
  readonly stoppedBy: readonly Cause[];
  /** For an access that nothing allows: the allow that lacks least. */
  readonly closest: ExplainedRule | undefined;
  readonly rules: readonly ExplainedRule[];
};
export type Explanation = {
  readonly decision: Decision;
  readonly accesses: readonly ExplainedAccess[];
  readonly considered: number;
  readonly total: number;
  /** One change, or two together, after which the decision is another; undefined where none was found. */
  readonly change: { readonly what: readonly string[]; readonly effect: Decision["effect"] } | undefined;
};

export function explainDecision(checked: Checked, request: PolicyRequest, options: InterpretOptions = {}): Explanation {
  const program = interpretProgram(checked, options);
  const decision = evaluate(program, request);
  const parts: readonly (SqlAccess | undefined)[] = request.protocol === "sql" ? request.sql.accesses : [undefined];
  const accesses = parts.map((access) => explainAccess(checked, request, access, options));
  const considered = new Set(
    accesses.flatMap((a) => a.rules.filter((r) => r.outOfScope === undefined).map((r) => r.rule)),
  );
  return {
    decision,
    accesses,
    considered: considered.size,
    total: checked.rules.length,
    change: smallestChange(checked, request, decision, (r) => evaluate(program, r)),
  };
}

/** The access by itself: its own decision says what allowed or stopped it. */
function explainAccess(
  checked: Checked,
  request: PolicyRequest,
  access: SqlAccess | undefined,
  options: InterpretOptions,
): ExplainedAccess {
  const alone: PolicyRequest =
    request.protocol === "sql" && access ? { ...request, sql: { ...request.sql, accesses: [access] } } : request;
  const allowing: RuleId[] = [];
  const program = interpretProgram(checked, {
    ...options,
    trace: {
      onRule: (rule, truth) => {
        if (rule.payload.effect === "allow" && truth === true && !rule.isShadow) allowing.push(rule.id);
      },
    },
  });
  const decision = evaluate(program, alone);
  const stoppedBy = decision.effect === "deny" ? decision.causes : [];
  const rules = checked.rules.map((rule) => explainRule(checked, rule, alone, access, options));
  const isUncovered = stoppedBy.some((cause) => cause.kind === "uncovered");
  return {
    access: describeRequest(request, access),
    allowedBy: [...new Set(decision.effect === "allow" ? decision.rules : allowing)].sort(),
    stoppedBy,
    closest: isUncovered ? closestAllow(rules) : undefined,
    rules,
  };
}

/** A rule about something else altogether is far; one that lacks a table in its list is near. */
const distance = (outOfScope: string | undefined): number =>
  outOfScope === undefined ? 0 : outOfScope.startsWith("is about") ? 20 : outOfScope.startsWith("not at") ? 10 : 2;

const lacking = (rule: ExplainedRule): number =>
  distance(rule.outOfScope) + rule.conditions.filter((c) => !isMet(c)).length;

const isMet = (c: ExplainedCondition): boolean => c.truth === (c.word === "unless" ? "false" : "true");

function closestAllow(rules: readonly ExplainedRule[]): ExplainedRule | undefined {
  return rules
    .filter((rule) => rule.effect === "allow" && !rule.outOfScope?.startsWith("is about"))
    .sort((a, b) => lacking(a) - lacking(b) || (a.rule < b.rule ? -1 : 1))[0];
}

function explainRule(
  checked: Checked,
  rule: CheckedRule,
  request: PolicyRequest,
  access: SqlAccess | undefined,
  options: InterpretOptions,
): ExplainedRule {
  const isGuard = isRestricting(rule);
  const [params] = matchScope(rule.scope, request, access, isGuard);
  const isInScope =
    anyMatches(rule.at, request.connection.name) &&
    matchScope(rule.scope, request, access, isGuard).length > 0 &&
    payloadConcerns(rule, access);
  const c: EvaluationContext = { request, access, params, locals: [], decision: undefined };
  const truth = new Walker(checked, rule, options, c).holds(rule);
  const conditions = rule.clauses.flatMap((clause): readonly ExplainedCondition[] =>
    clause.kind === "let"
      ? []
      : conjuncts(clause.condition).map((core, i) => {
          const facts: string[] = [];
          const trace = {
            onRead: (_: CheckedRule | undefined, read: Core, value: unknown): void => {
              const path =
                read.op === "fact"
                  ? `${read.root}.${read.field}`
                  : read.op === "property"
                    ? `claims.${read.name}`
                    : undefined;
              if (path !== undefined) facts.push(`${path} = ${showValue(value, read.type)}`);
            },
          };
          const value = new Walker(checked, rule, { ...options, trace }, c).evalIn(rule, core);
          const text = (checked.files.get(rule.path)?.text ?? "").slice(core.span.start, core.span.end);
          return {
            word: i === 0 ? clause.kind : clause.kind === "when" ? "and" : "or",
            text,
            truth: wordOf(value),
            facts: [...new Set(facts)],
            path: rule.path,
            span: core.span,
          };
        }),
  );
  return {
    rule: rule.id,
    effect: rule.payload.effect,
    path: rule.path,
    span: rule.decl.name.span,
    outOfScope: isInScope ? undefined : scopeProblem(rule, request, access),
    truth: wordOf(truth),
    conditions,
  };
}

/** Parts that can be shown one by one: the operands of a top-level `and`. */
const conjuncts = (core: Core): readonly Core[] => (core.op === "and" ? core.operands.flatMap(conjuncts) : [core]);

const wordOf = (value: unknown): "true" | "false" | "unknown" =>
  value === true ? "true" : value === false ? "false" : value instanceof Unknown ? "unknown" : "unknown";

function scopeProblem(rule: CheckedRule, request: PolicyRequest, access: SqlAccess | undefined): string {
  const { scope } = rule;
  if (scope.protocol !== "any" && scope.protocol !== request.protocol) return `is about ${scope.protocol}`;
  if (!anyMatches(rule.at, request.connection.name)) return `not at connection ${request.connection.name}`;
  if (scope.protocol !== "sql" || !access) return "does not match this request";
  if (scope.verbs && !scope.verbs.has(access.verb)) return `${access.verb} is not in this list`;
  const name = access.relation ? `${access.relation.schema}.${access.relation.name}` : "an access without a table";
  return `${name} is not in this list`;
}

/** Tries single changes of what the rules look at, then pairs of them. */
function smallestChange(
  checked: Checked,
  request: PolicyRequest,
  decision: Decision,
  decide: (request: PolicyRequest) => Decision,
): Explanation["change"] {
  const wanted = (d: Decision): boolean => (decision.effect === "deny" ? d.effect !== "deny" : d.effect === "deny");
  const changes = changesFor(checked, request).slice(0, 60);
  for (const change of changes) {
    const after = decide(change.apply(request));
    if (wanted(after)) return { what: [change.what], effect: after.effect };
  }
  for (const [i, first] of changes.entries()) {
    for (const second of changes.slice(i + 1)) {
      if (first.field === second.field) continue;
      const after = decide(second.apply(first.apply(request)));
      if (wanted(after)) return { what: [first.what, second.what], effect: after.effect };
    }
  }
  return undefined;
}
