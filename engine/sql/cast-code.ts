// Types whose casts or comparisons run SQL or PL functions of the database's own: no name in a statement tells of the call.
import type { ColumnRef, Node } from "@pgsql/types";
import { keyOf } from "./bind-context.ts";
import type { Bindings, RelationUse } from "./bindings.ts";
import { refuse } from "./fault.ts";
import { isSystemSchema } from "./system-catalog.ts";
import type { SqlContext } from "./types.ts";

/**
 * `name = mood`, `upper(mood)` or an INSERT of one into a text column call a cast's function where the types say so, and
 * types are the server's to infer. So a value of such a type may be shown as it is, by the outermost SELECT list, and
 * nothing else. @throws FaultError `type-not-allowed`
 */
export function checkCodeTypes(sql: SqlContext, node: Node, bindings: Bindings): void {
  const types = sql.catalog.codeTypes;
  if (types === undefined || types.size === 0) return;
  if (sql.parameterTypes.some((oid) => types.has(oid)))
    refuse("type-not-allowed", "a parameter has a type whose casts run code of the database's own");
  const shown = bareTargets(node);
  for (const use of bindings.uses) {
    if (use.implied === "constraint" || isSystemSchema(use.relation.schema)) continue;
    for (const column of use.relation.columns) {
      if (!types.has(column.type.oid)) continue;
      if (use.isWhole || (use.columns.has(column.name) && !isOnlyShown(bindings, use, column.name, shown)))
        refuse(
          "type-not-allowed",
          `\`${column.name}\` of \`${keyOf(use.relation)}\` has a type whose casts run code of the database's own: it can only be selected as it is`,
          { help: `name the columns that you need, and \`${column.name}\` by itself or not at all` },
        );
    }
  }
}

function bareTargets(node: Node): ReadonlySet<ColumnRef> {
  const found = new Set<ColumnRef>();
  if (!("SelectStmt" in node)) return found;
  for (const target of node.SelectStmt.targetList ?? []) {
    const val = "ResTarget" in target ? target.ResTarget.val : undefined;
    if (val && "ColumnRef" in val) found.add(val.ColumnRef);
  }
  return found;
}

function isOnlyShown(bindings: Bindings, use: RelationUse, column: string, shown: ReadonlySet<ColumnRef>): boolean {
  const refs = [...bindings.columnUses].filter(([, base]) => base.use === use && base.column === column);
  return use.verb === "select" && refs.length > 0 && refs.every(([ref]) => shown.has(ref));
}
