import type { CheckedRule, ColumnPattern, TablePattern } from "../checked.ts";
import type { LintRule } from "./rule.ts";
import { patternsOverlap } from "./scopes.ts";

/** A mask of tables that no rule lets anybody read. */
export const maskNeverApplies: LintRule = {
  name: "mask-never-applies",
  code: "L0313",
  find: (checked) => {
    const allows = checked.rules.filter((rule) => rule.payload.effect === "allow");
    return checked.rules.flatMap((rule) => {
      const { payload } = rule;
      if (payload.effect !== "mask" || payload.columns.some((c) => allows.some((allow) => mayRead(allow, c))))
        return [];
      return [
        {
          path: rule.path,
          span: rule.decl.name.span,
          message: `no rule allows reading what \`${rule.name}\` masks`,
          label: "it has nothing to mask",
          help: ["add the `allow` rule that is missing, or delete the mask"],
        },
      ];
    });
  },
};

function mayRead({ scope }: CheckedRule, column: ColumnPattern): boolean {
  if (scope.protocol === "any") return true;
  if (scope.protocol !== "sql") return false;
  if (scope.tables === undefined || column.kind === "tagged") return true;
  const table: TablePattern = { ...column, columns: undefined };
  return scope.tables.some((allowed) => patternsOverlap(allowed, table));
}
