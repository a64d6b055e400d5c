// `gw policy test --mutate`: leave a rule or clause out, turn a condition round; what no test notices is listed.
import type { Span } from "../../engine/lib/span.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { Checked, CheckedRule, Clause } from "../checked.ts";
import type { AnalyzeSql } from "./given.ts";
import { runTests, type TestOptions } from "./run.ts";

export type Mutant = {
  readonly rule: RuleId;
  /** `without the rule`, `without \`when is_agent\``, `with \`when is_agent\` negated`. */
  readonly what: string;
  readonly path: string;
  readonly span: Span;
  /** Some test failed. */
  readonly isNoticed: boolean;
};

export function runMutants(checked: Checked, options: TestOptions): readonly Mutant[] {
  const cache = new Map<string, ReturnType<AnalyzeSql>>();
  const analyzeSql: AnalyzeSql = (sql, connection) => {
    const key = `${connection}\n${sql}`;
    const known = cache.get(key) ?? options.analyzeSql(sql, connection);
    cache.set(key, known);
    return known;
  };
  return checked.rules.flatMap((rule) =>
    mutationsOf(checked, rule).map(({ what, span, replacement }) => {
      const rules = checked.rules.flatMap((r) => (r === rule ? (replacement ?? []) : r));
      const isNoticed = runTests({ ...checked, rules }, { ...options, analyzeSql }).failed > 0;
      return { rule: rule.id, what, path: rule.path, span, isNoticed };
    }),
  );
}

type Mutation = { readonly what: string; readonly span: Span; readonly replacement: CheckedRule | undefined };

function mutationsOf(checked: Checked, rule: CheckedRule): readonly Mutation[] {
  const text = checked.files.get(rule.path)?.text ?? "";
  const clauses = rule.clauses.flatMap((clause, i): readonly Mutation[] => {
    if (clause.kind === "let") return [];
    const source = `\`${text.slice(clause.span.start, clause.span.end).replace(/\s+/g, " ")}\``;
    const without = { ...rule, clauses: rule.clauses.filter((_, j) => j !== i) };
    const turned = { ...rule, clauses: rule.clauses.map((c, j) => (j === i ? turn(c) : c)) };
    return [
      { what: `without ${source}`, span: clause.span, replacement: without },
      { what: `with ${source} negated`, span: clause.span, replacement: turned },
    ];
  });
  return [{ what: "without the rule", span: rule.decl.name.span, replacement: undefined }, ...clauses];
}

const turn = (clause: Clause): Clause =>
  clause.kind === "let" ? clause : { ...clause, kind: clause.kind === "when" ? "unless" : "when" };
