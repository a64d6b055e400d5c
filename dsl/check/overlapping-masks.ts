// L0107: two masks of one column that no condition tells apart: the reader should know which one the data gets.
import { joinMasks, shapeKey } from "../../engine/model/mask.ts";
import type { CheckedRule } from "../checked.ts";
import { anyMatches } from "../glob.ts";
import { maskedColumns } from "../matching.ts";
import { report } from "./context.ts";
import type { RuleCheck } from "./rules.ts";

type MaskRule = CheckedRule & { readonly payload: Extract<CheckedRule["payload"], { effect: "mask" }> };

const isUnconditional = (rule: CheckedRule): rule is MaskRule =>
  rule.payload.effect === "mask" && rule.clauses.every((clause) => clause.kind === "let") && !rule.isShadow;

export const overlappingMasks: RuleCheck = (context, checked) => {
  const rules = checked.rules.filter(isUnconditional);
  const told = new Set<string>();
  for (const [connection, catalog] of checked.catalogs) {
    for (const relation of catalog.relations.values()) {
      const masking = new Map<string, MaskRule[]>();
      for (const rule of rules) {
        if (!anyMatches(rule.at, connection)) continue;
        for (const column of maskedColumns(rule.payload.columns, relation)) {
          const known = masking.get(column);
          if (known) known.push(rule);
          else masking.set(column, [rule]);
        }
      }
      for (const [column, [first, ...others]] of masking) {
        const other = others.find((r) => first && shapeKey(r.payload.mask) !== shapeKey(first.payload.mask));
        const file = other && checked.files.get(other.path);
        if (!first || !other || !file || told.has(`${first.id} ${other.id}`)) continue;
        told.add(`${first.id} ${other.id}`);
        const joined = joinMasks([first, ...others].map((r) => r.payload.mask));
        const path = `${relation.schema}.${relation.name}.${column}`;
        report(
          { context, file },
          "L0107",
          other.decl.name.span,
          `\`${other.name}\` and \`${first.name}\` both mask \`${path}\``,
          {
            severity: "warning",
            label: `the column gets \`${joined?.kind ?? "redact"}\``,
            related: [{ path: first.path, span: first.decl.name.span, label: `${first.payload.mask.kind} here` }],
            notes: [
              "the stricter mask wins; of two different ones that are equally strict neither does, and the value is redacted",
            ],
            help: [
              `to give one of them the column, tell the other where it does not apply: \`unless …\` on \`${other.name}\``,
            ],
          },
        );
      }
    }
  }
};
