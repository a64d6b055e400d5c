// What no rewriting can make safe, found before it starts.

import { keyOf } from "./bind-context.ts";
import type { RelationUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { isReduced } from "./protection.ts";
import type { Rewriting } from "./rewrite.ts";
import type { BoundStatement } from "./statement.ts";

/** @throws FaultError `system-column`, `unsupported-clause`, `mask-not-applicable`, `unsupported-statement`. */
export function reviewUses(r: Rewriting, form: BoundStatement["form"]): void {
  for (const use of r.bindings.uses) {
    if (!isReduced(r.protection(use.relation))) continue;
    reviewUse(r, use);
    if (form === "explain")
      refuse(
        "unsupported-statement",
        `EXPLAIN of a statement that reads \`${keyOf(use.relation)}\` is not allowed: plans show estimates over hidden rows and values`,
        {
          help: "run the statement itself, or explain one without masked or filtered relations",
        },
      );
  }
}

function reviewUse(r: Rewriting, use: RelationUse): void {
  const key = keyOf(use.relation);
  const p = r.protection(use.relation);
  if (use.systemColumns.size > 0)
    refuse("system-column", `system columns of \`${key}\` can't be read: its rows or columns are reduced by a policy`);
  if (use.isSampled)
    refuse(
      "unsupported-clause",
      `TABLESAMPLE on \`${key}\` is not allowed: its rows or columns are reduced by a policy`,
    );
  if (use.relation.kind === "sequence")
    refuse("mask-not-applicable", `\`${key}\` is a sequence and can't be masked or filtered`);
  if (use.relation.kind === "materialized-view" || use.relation.kind === "foreign-table") return;
  if (p.filter && use.verb === "lock")
    refuse("unsupported-statement", `LOCK on \`${key}\` is not allowed: its rows are filtered by a policy`);
}
