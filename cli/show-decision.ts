// a decision -> what a person at a terminal reads, and JSON for scripts
import type { Json } from "../engine/lib/json.ts";
import type { Cause, Decision, Obligations } from "../engine/model/decision.ts";
import { renderRowPredicate } from "../engine/model/row-predicate.ts";
import type { Colors } from "./palette.ts";

export function showDecision(decision: Decision, colors: Colors): string {
  const word = { allow: colors.green("ALLOW"), deny: colors.red("DENY"), approval: colors.yellow("APPROVAL") };
  const lines = [colors.bold(word[decision.effect])];
  if (decision.effect === "deny") lines.push(...decision.causes.map((cause) => `  ${showCause(cause)}`));
  else {
    lines.push(`  by ${decision.rules.join(", ")}`);
    lines.push(...obligationsOf(decision.obligations).map((text) => `  ${text}`));
  }
  if (decision.effect === "approval") {
    for (const { rule, approvers, message, withinMs } of decision.requirements) {
      const who = approvers.map((a) => `${a.count > 1 ? `${a.count} of ` : ""}${a.kind} ${a.name}`).join(" or ");
      lines.push(`  waits for ${who || "anyone else"}, ${withinMs / 60_000} min  ${message}  (${rule})`);
    }
  }
  for (const alert of decision.alerts) lines.push(`  alert ${alert.channel}  ${alert.message}  (${alert.rule})`);
  for (const cause of decision.shadow) lines.push(`  in shadow mode: ${showCause(cause)}`);
  return `${lines.join("\n")}\n`;
}

export const showCause = (cause: Cause): string =>
  "rule" in cause ? `${cause.message}  (${cause.rule})` : cause.message;

export function obligationsOf(obligations: Obligations): readonly string[] {
  return [
    ...[...obligations.masks].flatMap(([table, columns]) =>
      [...columns].map(
        ([column, { mask, rules }]) => `mask ${table}.${column} using ${mask.kind}  (${rules.join(", ")})`,
      ),
    ),
    ...[...obligations.filters].map(
      ([table, { predicate, rules }]) =>
        `filter ${table} where ${renderRowPredicate(predicate)}  (${rules.join(", ")})`,
    ),
    ...(obligations.content ?? []).map(
      ({ content, mask, rule }) =>
        `mask ${content.format} ${content.patterns.map((p) => JSON.stringify(p)).join(", ")} using ${mask.kind}  (${rule})`,
    ),
    ...(obligations.items ?? []).map(
      ({ path, predicate, rule }) =>
        `filter json ${JSON.stringify(path)} where ${renderRowPredicate(predicate)}  (${rule})`,
    ),
    ...obligations.limits.map(
      (l) => `limit ${l.max} ${l.unit}${l.window ? ` per ${l.window.ms / 1_000} s` : ""}  (${l.rule})`,
    ),
  ];
}

export function decisionAsJson(decision: Decision): Json {
  const base = {
    effect: decision.effect,
    rules: [...decision.rules],
    alerts: decision.alerts.map((a) => ({ rule: a.rule, channel: a.channel, message: a.message })),
  };
  if (decision.effect === "deny")
    return { ...base, causes: decision.causes.map((cause): Json => JSON.parse(JSON.stringify(cause))) };
  const masks = [...decision.obligations.masks].flatMap(([table, columns]) =>
    [...columns].map(
      ([column, { mask, rules }]): Json => ({
        table,
        column,
        mask: JSON.parse(JSON.stringify(mask)),
        rules: [...rules],
      }),
    ),
  );
  const filters = [...decision.obligations.filters].map(
    ([table, { predicate, rules }]): Json => ({ table, where: renderRowPredicate(predicate), rules: [...rules] }),
  );
  const limits = decision.obligations.limits.map((l): Json => ({ rule: l.rule, unit: l.unit, max: l.max }));
  const content = (decision.obligations.content ?? []).map(
    ({ content: { format, patterns }, mask, rule }): Json => ({
      format,
      patterns: [...patterns],
      mask: JSON.parse(JSON.stringify(mask)),
      rule,
    }),
  );
  const items = (decision.obligations.items ?? []).map(
    ({ path, predicate, rule }): Json => ({ path, where: renderRowPredicate(predicate), rule }),
  );
  return {
    ...base,
    masks,
    filters,
    limits,
    ...(content.length > 0 ? { content } : {}),
    ...(items.length > 0 ? { items } : {}),
  };
}
