import type { CheckedRule } from "../checked.ts";
import { guardsOf } from "../compile-guards.ts";
import type { Finding, LintRule } from "./rule.ts";

/** Rules about one thing, from which on it matters how a rule is found. Well above `guardedListMin`. */
const crowd = 32;

/** Among many rules about the same thing, one that every request has to ask. */
export const notIndexed: LintRule = {
  name: "not-indexed",
  code: "L0315",
  find: (checked) => {
    const groups = new Map<string, CheckedRule[]>();
    for (const rule of checked.rules) {
      for (const key of keysOf(rule)) {
        const group = groups.get(key);
        if (group) group.push(rule);
        else groups.set(key, [rule]);
      }
    }
    const found = new Map<CheckedRule, Finding>();
    for (const [key, rules] of groups) {
      if (rules.length < crowd) continue;
      for (const rule of rules) if (isScanned(rule)) found.set(rule, finding(rule, key, rules.length));
    }
    return [...found.values()];
  },
};

const keysOf = ({ scope }: CheckedRule): readonly string[] =>
  scope.protocol === "sql" && scope.tables ? scope.tables.map((table) => table.text) : [scope.protocol];

const isScanned = (rule: CheckedRule): boolean =>
  rule.clauses.some((clause) => clause.kind !== "let") && guardsOf(rule).length === 0;

const finding = (rule: CheckedRule, key: string, count: number): Finding => ({
  path: rule.path,
  span: rule.decl.name.span,
  message: `every request about \`${key}\` asks \`${rule.name}\``,
  label: `one of ${count} rules about it, and no value of \`identity\` leads to it`,
  help: [
    "begin its condition with one of `identity.kind == …`, `identity.groups contains …`, `identity.sub in […]`, joined by `and`",
  ],
});
