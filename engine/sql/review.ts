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
    if (use.relation.kind === "sequence") reviewSequence(r, use);
    if (use.implied === "constraint" || !isReduced(r.protection(use.relation))) continue;
    reviewUse(use);
    if (form === "definition")
      refuse(
        "unsupported-statement",
        `this statement reaches \`${keyOf(use.relation)}\`, whose rows or columns are reduced by a policy, in a way that can't be rewritten`,
      );
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

function reviewUse(use: RelationUse): void {
  const key = keyOf(use.relation);
  if (![...use.systemColumns].every((c) => c === "tableoid" && use.verb === "select" && !use.isWhole))
    refuse("system-column", `system columns of \`${key}\` can't be read: its rows or columns are reduced by a policy`);
  if (use.isSampled)
    refuse(
      "unsupported-clause",
      `TABLESAMPLE on \`${key}\` is not allowed: its rows or columns are reduced by a policy`,
    );
  if (use.relation.kind === "sequence")
    refuse("mask-not-applicable", `\`${key}\` is a sequence and can't be masked or filtered`);
}

/** How far a sequence has run tells how many rows were made (section 4.11). */
function reviewSequence(r: Rewriting, use: RelationUse): void {
  const owner = use.relation.ownedBy === undefined ? undefined : r.context.catalog.relations.get(use.relation.ownedBy);
  if (!owner || r.protection(owner).filter === undefined) return;
  refuse(
    "filter-not-applicable",
    `sequence \`${keyOf(use.relation)}\` belongs to \`${keyOf(owner)}\`, whose rows are filtered by a policy`,
  );
}
