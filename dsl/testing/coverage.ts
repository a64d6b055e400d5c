// Which rules fired, and which conditions were seen both true and false, while tests ran.
import type { Span } from "../../engine/lib/span.ts";
import type { Truth } from "../../engine/lib/truth.ts";
import { relationKey } from "../../engine/model/catalog.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { Checked, CheckedRule, Core } from "../checked.ts";
import type { Trace } from "../interpret.ts";

export type ConditionCoverage = {
  readonly span: Span;
  readonly text: string;
  readonly sawTrue: boolean;
  readonly sawFalse: boolean;
};
export type RuleCoverage = {
  readonly rule: RuleId;
  readonly path: string;
  readonly span: Span;
  /** fired: was true for some access; reached: was asked; never: no test has an access in its scope. */
  readonly state: "fired" | "reached" | "never";
  readonly conditions: readonly ConditionCoverage[];
};
export type TableCoverage = { readonly connection: string; readonly table: string; readonly isTested: boolean };
export type Coverage = {
  readonly rules: readonly RuleCoverage[];
  /** Rules that fired, 0 to 1. */
  readonly ruleRatio: number;
  /** Tables of the catalogs, and whether some test asks for them. */
  readonly tables: readonly TableCoverage[];
  /** Outcomes of conditions that were seen, 0 to 1. */
  readonly conditionRatio: number;
};

export class CoverageMeter {
  readonly #reached = new Set<RuleId>();
  readonly #fired = new Set<RuleId>();
  readonly #tables = new Set<string>();
  readonly #seen = new Map<Core, { sawTrue: boolean; sawFalse: boolean }>();

  readonly trace: Trace = {
    onRule: (rule, truth) => {
      this.#reached.add(rule.id);
      if (truth === true) this.#fired.add(rule.id);
    },
    onCondition: (_rule, core, truth) => this.#see(core, truth),
  };

  /** A test asks this. */
  touch(request: PolicyRequest): void {
    if (request.protocol !== "sql") return;
    for (const { relation } of request.sql.accesses) {
      if (relation) this.#tables.add(`${request.connection.name} ${relationKey(relation.schema, relation.name)}`);
    }
  }

  #tablesOf({ catalogs }: Checked): readonly TableCoverage[] {
    return [...catalogs].flatMap(([connection, catalog]) =>
      [...catalog.relations]
        .filter(([, r]) => tableKinds.has(r.kind) && r.schema !== "pg_catalog" && r.schema !== "information_schema")
        .map(([table]) => ({ connection, table, isTested: this.#tables.has(`${connection} ${table}`) })),
    );
  }

  #see(core: Core, truth: Truth): void {
    if (typeof truth !== "boolean") return;
    const seen = this.#seen.get(core) ?? { sawTrue: false, sawFalse: false };
    if (truth) seen.sawTrue = true;
    else seen.sawFalse = true;
    this.#seen.set(core, seen);
  }

  report(checked: Checked): Coverage {
    const rules = checked.rules.map((rule): RuleCoverage => {
      const text = checked.files.get(rule.path)?.text ?? "";
      return {
        rule: rule.id,
        path: rule.path,
        span: rule.decl.name.span,
        state: this.#fired.has(rule.id) ? "fired" : this.#reached.has(rule.id) ? "reached" : "never",
        conditions: conditionsOf(rule).map((core) => ({
          span: core.span,
          text: text.slice(core.span.start, core.span.end),
          sawTrue: this.#seen.get(core)?.sawTrue ?? false,
          sawFalse: this.#seen.get(core)?.sawFalse ?? false,
        })),
      };
    });
    const conditions = rules.flatMap((r) => r.conditions);
    const outcomes = conditions.reduce((n, c) => n + Number(c.sawTrue) + Number(c.sawFalse), 0);
    return {
      rules,
      tables: this.#tablesOf(checked),
      ruleRatio: ratio(rules.filter((r) => r.state === "fired").length, rules.length),
      conditionRatio: ratio(outcomes, conditions.length * 2),
    };
  }
}

const tableKinds: ReadonlySet<string> = new Set([
  "table",
  "view",
  "partitioned-table",
  "materialized-view",
  "foreign-table",
]);

const ratio = (part: number, whole: number): number => (whole === 0 ? 1 : part / whole);

/** The parts of a rule's clauses that are joined by `and`, `or`, `not`: what can be true or false by itself. */
export const conditionsOf = (rule: CheckedRule): readonly Core[] =>
  rule.clauses.flatMap((clause) => (clause.kind === "let" ? [] : leaves(clause.condition)));

function leaves(core: Core): readonly Core[] {
  if (core.op === "and" || core.op === "or") return core.operands.flatMap(leaves);
  if (core.op === "not") return leaves(core.operand);
  return [core];
}
