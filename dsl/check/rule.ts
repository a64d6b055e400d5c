// RuleDecl -> CheckedRule
import { limits } from "../../engine/limits.ts";
import type { Approver, RuleId } from "../../engine/model/decision.ts";
import type { Annotation, Expr, RuleDecl, RuleHead, Text } from "../ast.ts";
import type { CheckedRule, Clause, Core, Payload, Scope } from "../checked.ts";
import { suggest } from "../suggest.ts";
import type { RecordType, Type } from "../types.ts";
import { poison } from "../types.ts";
import { contentType, unknownPlaces } from "./api-catalog.ts";
import { columnType } from "./column-type.ts";
import { checkContentPattern } from "./content-pattern.ts";
import {
  type Binding,
  type Declared,
  type Env,
  type PackageScope,
  presentIf,
  report,
  sourceOf,
  withName,
  withPresent,
} from "./context.ts";
import { costOf, quantifierDepth, someCore } from "./cost.ts";
import { checkCondition, checkExpr, checkText, decided, mismatch } from "./expressions.ts";
import { checkMaskCall, checkRemovable, checkSearchable } from "./mask-call.ts";
import {
  catalogsAt,
  checkAt,
  checkColumnPattern,
  checkTablePattern,
  checkTarget,
  hasAnnotation,
  placeOf,
  routeParams,
  type ScopeContext,
} from "./scope.ts";
import { reportShownEstimate } from "./shown-estimate.ts";
import { checkTranslatable, reportSilent } from "./where.ts";

const annotations = ["title", "severity", "owner", "controls", "mode", "ends", "allow_missing", "description"];
const severities = ["low", "medium", "high", "critical"];
const units = ["rows", "bytes", "requests", "calls", "items", "tokens", "usd"] as const;

export const ruleId = (scope: Pick<PackageScope, "name">, name: string): RuleId => `${scope.name}.${name}` as RuleId;

export function checkRule(base: Env, symbol: Declared<RuleDecl>, isShadowPackage: boolean): CheckedRule | undefined {
  const { decl } = symbol;
  const { head } = decl;
  const errorsBefore = countErrors(base);
  const overTables = (head.effect === "mask" || head.effect === "filter") && head.of.kind === "tables";
  const place = decl.target === undefined && overTables ? "sql" : placeOf(decl.target);
  const at = checkAt(decl.at);
  const outer: Env = { ...base, place, effect: head.effect, hasDecision: head.effect === "alert" };
  const scoping: ScopeContext = { env: outer, at, allowMissing: hasAnnotation(decl, "allow_missing") };
  const target = checkTarget(scoping, decl.target);
  const written: Scope =
    target.protocol === "any" && overTables
      ? { protocol: "sql", verbs: undefined, tables: undefined, needsTable: false }
      : target;
  const names = new Map<string, Binding>(
    [...routeParams(written)].map(([name, kind]) => [name, { kind: "param", type: { kind } }]),
  );
  const content = contentType(base.context.apis, written, at);
  reportUnknownPlaces(scoping, decl, written);
  const body = checkClauses({ ...outer, names, content, requires: new Set() }, decl);
  const payload = checkPayload(scoping, body.env, decl);
  const needsTable = body.env.requires.has("table");
  const scope = written.protocol === "sql" ? { ...written, needsTable: needsTable || overTables } : written;
  const because = decl.because && checkText(body.env, decl.because);
  reportShownEstimate(outer, decl, body.clauses, payload, because);
  const { severity, mode, endsSession } = checkAnnotations(outer, decl.annotations, decl.head.effect);
  const cost = checkCost(outer, decl, body.clauses, payload);
  if (!payload || countErrors(base) > errorsBefore) return undefined;
  return {
    id: ruleId(symbol.package, decl.name.text),
    package: symbol.package.name,
    name: decl.name.text,
    path: symbol.file.path,
    decl,
    payload,
    scope,
    at,
    clauses: body.clauses,
    because,
    severity,
    endsSession,
    isShadow: mode === "shadow" || isShadowPackage,
    cost,
  };
}

function reportUnknownPlaces({ env, at, allowMissing }: ScopeContext, decl: RuleDecl, scope: Scope): void {
  if (allowMissing || !decl.target) return;
  for (const place of unknownPlaces(env.context.apis, scope, at)) {
    report(env, "L0106", decl.target.span, `\`${place}\` is no route or tool of the API's document`, {
      severity: "warning",
      label: "matches nothing",
      notes: ["a rule about what does not exist can never match"],
      help: ["write the document anew if it is new there, or mark the rule @allow_missing"],
    });
  }
}

export const countErrors = (env: Pick<Env, "context">): number =>
  env.context.diagnostics.filter((d) => d.severity === "error").length;

function checkClauses(start: Env, decl: RuleDecl): { readonly env: Env; readonly clauses: readonly Clause[] } {
  let env = start;
  const clauses: Clause[] = [];
  for (const clause of decl.clauses) {
    if (clause.kind === "let") {
      const value = checkExpr(env, clause.value);
      const local = { name: clause.name.text };
      env = withName(env, local.name, { kind: "local", local, type: value.type });
      clauses.push({ kind: "let", local, value, span: clause.span });
      continue;
    }
    const condition = checkCondition(env, clause.condition, clause.kind);
    env = withPresent(env, presentIf(clause.condition, clause.kind === "when"));
    clauses.push({ kind: clause.kind, condition, span: clause.span });
  }
  return { env, clauses };
}

function checkPayload(c: ScopeContext, env: Env, decl: RuleDecl): Payload | undefined {
  const { head } = decl;
  switch (head.effect) {
    case "allow":
    case "deny":
      return { effect: head.effect };
    case "mask": {
      const mask = checkMaskCall(env, head.using);
      if (mask && !checkRemovable(env, head)) return undefined;
      if (mask && head.searchable) checkSearchable(env, head);
      if (head.of.kind !== "tables") {
        const format = head.of.kind;
        const areKnown = head.of.patterns.filter((p) => !checkContentPattern(env, format, p, c.at)).length === 0;
        if (!areKnown) return undefined;
        return (
          mask && { effect: "content-mask", format: head.of.kind, patterns: head.of.patterns.map((p) => p.raw), mask }
        );
      }
      const columns = head.of.tables.flatMap((t) => checkColumnPattern(c, t));
      return mask && { effect: "mask", columns, mask: head.searchable ? { ...mask, searchable: true } : mask };
    }
    case "filter": {
      if (head.of.kind !== "tables") {
        const [path] = head.of.patterns;
        const isPath = path !== undefined && checkContentPattern(env, "json", path, c.at);
        const where = checkWhere({ ...env, hasItem: true }, head.where);
        return isPath ? { effect: "item-filter", path: path.raw, where } : undefined;
      }
      const tables = head.of.tables.flatMap((t) => checkTablePattern(c, t, "filter"));
      return { effect: "filter", tables, where: checkWhere({ ...env, row: rowType(c, tables) }, head.where) };
    }
    case "approval":
      return {
        effect: "approval",
        approvers: head.from.flatMap((a) => checkApprover(env, a)),
        withinMs: durationOf(env, head.within) ?? limits.approvalGrantMs,
      };
    case "limit":
      return checkLimit(env, head);
    case "alert":
      return { effect: "alert", channel: plainText(env, head.to) };
    default:
      return head satisfies never;
  }
}

function checkWhere(env: Env, expr: Expr): Core {
  const errorsBefore = countErrors(env);
  const where = checkCondition(env, expr, "where");
  if (countErrors(env) === errorsBefore) reportSilent(env, where);
  if (where.type.kind !== "poison" || where.op === "row") checkTranslatable(env, where);
  return where;
}

/** Columns that all filtered tables have, with their types; "any" where a table is not in a catalog. */
function rowType(c: ScopeContext, tables: Extract<Payload, { effect: "filter" }>["tables"]): RecordType | "any" {
  const catalogs = [...catalogsAt(c.env, c.at).values()];
  const relations = catalogs.flatMap((catalog) => [...catalog.relations.values()]);
  const found = tables.map((t) =>
    t.kind === "named"
      ? relations.filter((r) => (t.schema === "*" || r.schema === t.schema) && (t.table === "*" || r.name === t.table))
      : [],
  );
  const [first, ...rest] = found.flat();
  if (!first || found.some((list) => list.length === 0)) return "any";
  const fields = new Map<string, Type>();
  for (const column of first.columns) {
    if (!rest.every((r) => r.columns.some((other) => other.name === column.name))) continue;
    fields.set(column.name, columnType(column.type) ?? poison);
  }
  return { kind: "record", name: `${first.schema}.${first.name}`, fields };
}

function checkApprover(
  env: Env,
  a: Extract<RuleDecl["head"], { effect: "approval" }>["from"][number],
): readonly Approver[] {
  const kind = a.kind.text;
  if (kind !== "group" && kind !== "user") {
    report(env, "E0112", a.kind.span, `\`${kind}\` is not a kind of approver`, { label: "write `group` or `user`" });
    return [];
  }
  if (a.count !== undefined && (a.count < 1 || a.count > 20)) {
    report(env, "E0112", a.span, `${a.count} approvers cannot be asked`, { label: "from 1 to 20" });
    return [];
  }
  return [{ count: a.count ?? 1, kind, name: plainText(env, a.name) }];
}

function plainText(env: Env, text: Text): string {
  if (text.parts.some((p) => p.kind === "placeholder")) {
    report(env, "E0214", text.span, "this text has no placeholders", { label: "must be a fixed name" });
  }
  return text.parts.map((p) => (p.kind === "text" ? p.value : "")).join("");
}

function durationOf(env: Env, expr: Expr | undefined): number | undefined {
  if (!expr) return undefined;
  if (expr.kind === "duration" && expr.value > 0) return expr.value;
  if (expr.kind !== "missing")
    report(env, "E0213", expr.span, "a duration such as 30m is needed here", { label: "not a duration" });
  return undefined;
}

function checkLimit(env: Env, head: Extract<RuleDecl["head"], { effect: "limit" }>): Payload | undefined {
  const unit = units.find((u) => u === head.unit.text);
  const max = decided(env, head.to, checkExpr(env, head.to));
  const isCount = [
    "int",
    "poison",
    ...(unit === "bytes" ? ["size"] : []),
    ...(unit === "usd" ? ["float"] : []),
  ].includes(max.type.kind);
  if (!isCount) mismatch(env, head.to, max.type, "`int`");
  if (!unit) {
    const near = suggest(head.unit.text, units);
    report(env, "E0117", head.unit.span, `\`${head.unit.text}\` is not a unit of limits`, {
      label: near === undefined ? "unknown unit" : `did you mean \`${near}\`?`,
      help: [`units are ${units.join(", ")}`],
    });
    return undefined;
  }
  if (!head.per) return { effect: "limit", unit, max, window: undefined };
  const ms = durationOf(env, head.per.duration);
  const by = decided(env, head.per.by, checkExpr(env, head.per.by));
  if (!["string", "poison", "int", "ip", "enum"].includes(by.type.kind))
    mismatch(env, head.per.by, by.type, "`string`");
  return ms === undefined ? undefined : { effect: "limit", unit, max, window: { ms, by } };
}

function checkAnnotations(
  env: Env,
  list: readonly Annotation[],
  effect: RuleHead["effect"],
): { readonly severity: string | undefined; readonly mode: string | undefined; readonly endsSession: boolean } {
  let severity: string | undefined;
  let mode: string | undefined;
  let endsSession = false;
  for (const annotation of list) {
    const name = annotation.name.text;
    if (!annotations.includes(name)) {
      const near = suggest(name, annotations);
      report(env, "E0113", annotation.name.span, `there is no annotation \`@${name}\``, {
        label: near === undefined ? "unknown annotation" : `did you mean \`@${near}\`?`,
      });
    }
    const word = wordOf(annotation.args[0]);
    if (name === "severity" && !severities.includes(word ?? "")) {
      report(env, "E0113", annotation.span, "a severity is low, medium, high or critical", {
        label: "another word here",
      });
    } else if (name === "severity") severity = word;
    if (name === "mode" && word !== "shadow" && word !== "enforce") {
      report(env, "E0113", annotation.span, "a mode is shadow or enforce", { label: "another word here" });
    } else if (name === "mode") mode = word;
    if (name !== "ends") continue;
    endsSession = word === "session" && (effect === "deny" || effect === "alert");
    if (!endsSession) {
      report(env, "E0113", annotation.span, "`@ends(session)` stands before a deny or an alert", {
        label: "nothing ends here",
      });
    }
  }
  return { severity, mode, endsSession };
}

export const wordOf = (arg: Expr | undefined): string | undefined =>
  arg?.kind === "name" ? arg.name.text : arg?.kind === "string" ? arg.text.raw : undefined;

function checkCost(env: Env, decl: RuleDecl, clauses: readonly Clause[], payload: Payload | undefined): number {
  const cores: Core[] = clauses.map((clause) => (clause.kind === "let" ? clause.value : clause.condition));
  if (payload?.effect === "filter") cores.push(payload.where);
  const cost = cores.reduce((sum, core) => sum + costOf(core), 0);
  const deep = cores.find((core) => quantifierDepth(core) > 2);
  if (deep) {
    report(env, "E0604", deep.span, "quantifiers stand more than two deep", {
      label: "too deep",
      help: ["name the inner part with `let`"],
    });
  } else if (cost > limits.policyRuleCostMax) reportCost(env, decl, cores, cost);
  return cost;
}

function reportCost(env: Env, decl: RuleDecl, cores: readonly Core[], cost: number): void {
  const worst = cores.reduce((a, b) => (costOf(b) > costOf(a) ? b : a));
  const message = `rule \`${decl.name.text}\` may cost ${cost.toLocaleString("en")} steps; the budget is ${limits.policyRuleCostMax.toLocaleString("en")}`;
  const many = limits.policySetElementsMax.toLocaleString("en");
  if (worst.op === "quantifier" && worst.body.op === "quantifier") {
    const inner = worst.body;
    const over = sourceOf(env, inner.over.span);
    const item = inner.local.name;
    const test = inner.body;
    const side = (c: Core): boolean => c.op === "property" && c.object.op === "local";
    const isMatch = test.op === "compare" && test.how === "equal" && side(test.left) && side(test.right);
    const mine =
      isMatch && someCore(test.right, (c) => c.op === "local" && c.local === inner.local)
        ? test.right
        : isMatch
          ? test.left
          : undefined;
    const other = isMatch ? (mine === test.right ? test.left : test.right) : undefined;
    const field = mine?.op === "property" ? `${item}.${mine.name}` : undefined;
    report(env, "E0602", { start: worst.span.start, end: worst.span.start + worst.which.length }, message, {
      label: `up to ${many} × up to ${many} comparisons`,
      help:
        field !== undefined && other
          ? [
              `build a set once: \`let names = [${field} for ${item} in ${over}]\` and test \`${sourceOf(env, other.span)} in names\``,
            ]
          : ["build a set once with `let`, and test membership with `in`"],
    });
    return;
  }
  report(env, "E0602", worst.span, message, {
    label: `up to ${costOf(worst).toLocaleString("en")} steps`,
    help: ["split the rule, or name what is computed twice with `let`"],
  });
}

export const checkBecause = (base: Env, text: Text | undefined): Core | undefined => text && checkText(base, text);
