import type { Catalog } from "../../engine/model/catalog.ts";
import type { Expr } from "../ast.ts";
import { walkExprs } from "../ast-walk.ts";
import type { Checked, CheckedRule } from "../checked.ts";
import type { Finding, LintRule } from "./rule.ts";

/** `row.x != 1` drops the rows whose x is NULL too (SQL's own rule). */
export const nullableInFilter: LintRule = {
  name: "nullable-in-filter",
  code: "L0303",
  find: (checked) => checked.rules.flatMap((rule) => findingsOf(checked, rule)),
};

function findingsOf(checked: Checked, rule: CheckedRule): readonly Finding[] {
  const { head } = rule.decl;
  if (head.effect !== "filter" || head.of.kind !== "tables") return [];
  const names = head.of.tables.flatMap((t) => (t.kind === "path" ? [t.segments.map((s) => s.text)] : []));
  const findings: Finding[] = [];
  walkExprs(head.where, (expr) => {
    if (expr.kind !== "compare" || !(expr.op === "!=" || expr.isNegated)) return;
    const column = rowColumn(expr.left) ?? rowColumn(expr.right);
    if (column === undefined || !isNullable(checked, names, column)) return;
    findings.push({
      path: rule.path,
      span: expr.span,
      message: `rows without a value in \`${column}\` are dropped as well`,
      label: `\`${column}\` may be NULL`,
      notes: ["a row is kept only if the condition is certainly true for it"],
      help: [`to keep them write \`(row.${column} is absent or …)\``],
    });
  });
  return findings;
}

const rowColumn = (expr: Expr): string | undefined =>
  expr.kind === "field" && expr.object.kind === "name" && expr.object.name.text === "row" ? expr.field.text : undefined;

const isNullable = (checked: Checked, tables: readonly (readonly string[])[], column: string): boolean =>
  [...checked.catalogs.values()].some((catalog: Catalog) =>
    [...catalog.relations.values()].some(
      (relation) =>
        tables.some(([schema, table]) => relation.schema === schema && relation.name === table) &&
        relation.columns.some((c) => c.name === column && c.isNullable),
    ),
  );
