// A view's stored definition -> a bound query over its bases, in place of the view where it must be rewritten.
import type { RangeVar } from "@pgsql/types";
import { limits } from "../limits.ts";
import { type Binder, keyOf } from "./bind-context.ts";
import { bindQuery, type Output } from "./bind-query.ts";
import type { RelationUse } from "./bindings.ts";
import { FaultError, refuse } from "./fault.ts";
import { checkTree } from "./node-kinds.ts";
import { parseSql } from "./pg-parser.ts";

/** @throws FaultError `view-not-understood`. */
export function bindView(b: Binder, name: RangeVar, view: RelationUse): Output {
  const key = keyOf(view.relation);
  if (b.via.length >= limits.sqlViewDepthMax) refuse("too-complex", "views are nested too deeply");
  const definition = view.relation.definition;
  if (definition === undefined) return misunderstood(key, "its definition is not known");
  const parsed = parseSql(definition);
  const statement = parsed.ok && parsed.value.length === 1 ? parsed.value[0]?.stmt : undefined;
  if (!statement || !("SelectStmt" in statement)) return misunderstood(key, "its definition can't be parsed");
  const before = b.bindings.uses.length;
  const inner: Binder = {
    sql: { ...b.sql, searchPath: [], temporary: new Map() },
    bindings: b.bindings,
    via: [...b.via, key],
    isCommitting: b.isCommitting,
    collector: undefined,
  };
  try {
    checkTree(statement);
    const output = bindQuery(
      inner,
      statement.SelectStmt,
      { scope: undefined, ctes: undefined },
      { isListDeferred: true },
    );
    b.bindings.views.set(name, {
      query: statement.SelectStmt,
      uses: b.bindings.uses.slice(before),
      lineage: output.columns.map((c) => c.bases),
    });
    return output;
  } catch (error) {
    if (error instanceof FaultError) return misunderstood(key, error.fault.message);
    throw error;
  }
}

function misunderstood(key: string, why: string): never {
  refuse("view-not-understood", `view \`${key}\` is not supported: ${why}`);
}
