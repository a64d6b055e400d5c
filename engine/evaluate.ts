// request + rules -> Decision: section 6 of docs/language.md, for whatever made the rules.
import { Findings } from "./findings.ts";
import type { Alert, Decision, RuleId } from "./model/decision.ts";
import type { PolicyRequest } from "./model/request.ts";
import type { SqlAccess } from "./model/statement.ts";
import { type Candidate, type EvaluationContext, newContext, type Program } from "./program.ts";

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
