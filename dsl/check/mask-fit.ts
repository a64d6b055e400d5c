// E0303: a mask that gives another type than the column has, e.g. a hash in place of a date. E0304: a search that its
// column can't answer.
import { searchableTypes } from "../../engine/model/mask.ts";
import { misfit } from "../../engine/model/mask-fit.ts";
import { anyMatches } from "../glob.ts";
import { maskedColumns } from "../matching.ts";
import { report } from "./context.ts";
import { fittingMasks, unsearchable } from "./mask-call.ts";
import type { RuleCheck } from "./rules.ts";

export const maskFit: RuleCheck = (context, checked) => {
  for (const rule of checked.rules) {
    const { payload, decl } = rule;
    const file = checked.files.get(rule.path);
    if (payload.effect !== "mask" || decl.head.effect !== "mask" || !file) continue;
    const { mask } = payload;
    for (const [connection, catalog] of checked.catalogs) {
      if (!anyMatches(rule.at, connection)) continue;
      for (const relation of catalog.relations.values()) {
        for (const name of maskedColumns(payload.columns, relation)) {
          const column = relation.columns.find((c) => c.name === name);
          const path = `${relation.schema}.${relation.name}.${name}`;
          const why = mask.searchable && column ? unsearchable(column) : undefined;
          if (column && why !== undefined)
            report(
              { context, file },
              "E0304",
              decl.head.using.span,
              `\`${path}\`, which is \`${column.type.sql}\`, can't be \`searchable\``,
              {
                label: "leave `searchable` out, or name other columns",
                notes: [why],
                help: [`columns of ${[...searchableTypes].join(", ")} can be searched`],
              },
            );
          const needed = column && misfit(mask, column);
          if (!column || needed === undefined) continue;
          report(
            { context, file },
            "E0303",
            decl.head.using.span,
            `\`${mask.kind}\` does not fit \`${path}\`, which is \`${column.type.sql}\``,
            {
              label: `masks ${needed}`,
              notes: ["a value of another type would break every query that reads the column"],
              help: [`masks that fit are ${fittingMasks(column).join(", ")}`],
            },
          );
        }
      }
    }
  }
};
