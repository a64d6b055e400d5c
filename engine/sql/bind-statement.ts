// One statement of any kind -> bound tree, verb, effects. The kinds that aren't here are in definitions.ts.
import type { Node, SelectStmt } from "@pgsql/types";
import type { SqlVerb } from "../model/statement.ts";
import { newBinder } from "./bind-context.ts";
import { constantFlag, constantText } from "./bind-functions.ts";
import { bindQuery, type Output } from "./bind-query.ts";
import { bindUtility } from "./bind-utility.ts";
import { bindWrite } from "./bind-write.ts";
import { type Bindings, newBindings } from "./bindings.ts";
import { checkCodeTypes } from "./cast-code.ts";
import { refuse } from "./fault.ts";
import { checkTree, kindOf } from "./node-kinds.ts";
import { settingName } from "./settings.ts";
import type { BoundStatement } from "./statement.ts";
import { selectInto } from "./temporary.ts";
import { stringsOf } from "./tree.ts";
import type { SessionEffect, SqlContext } from "./types.ts";

export type BoundParts = BoundStatement & {
  readonly verb: SqlVerb;
  readonly output: Output | undefined;
  readonly query: SelectStmt | undefined;
  readonly effects: (text: string) => readonly SessionEffect[];
  readonly isRowReturning: boolean;
};

const writeVerbs: Readonly<Record<string, SqlVerb>> = {
  InsertStmt: "insert",
  UpdateStmt: "update",
  DeleteStmt: "delete",
  MergeStmt: "merge",
};

/** @throws FaultError */
export function bindStatement(node: Node, sql: SqlContext): BoundParts {
  const bindings = newBindings();
  const b = newBinder(sql, bindings);
  const into = "SelectStmt" in node ? selectInto(node.SelectStmt) : undefined;
  if (into) return bindUtility(b, into);
  if ("SelectStmt" in node) {
    checkTree(node);
    const output = bindQuery(b, node.SelectStmt, { scope: undefined, ctes: undefined });
    checkPathChanges(bindings, isBare(node.SelectStmt) ? settingEffects(node.SelectStmt) : []);
    checkCodeTypes(sql, node, bindings);
    return {
      node,
      bindings,
      form: "query",
      verb: "select",
      output,
      query: node.SelectStmt,
      effects: () => settingEffects(node.SelectStmt),
      isRowReturning: true,
    };
  }
  const verb = writeVerbs[kindOf(node)];
  if (verb === undefined) return bindUtility(b, node);
  checkTree(node);
  const output = bindWrite(b, node, { scope: undefined, ctes: undefined });
  checkPathChanges(bindings, []);
  checkCodeTypes(sql, node, bindings);
  return {
    node,
    bindings,
    form: "write",
    verb,
    output,
    query: undefined,
    effects: () => [],
    isRowReturning: output.columns.length > 0 || output.isOpen,
  };
}

/** Runs its select list exactly once. */
const isBare = (q: SelectStmt): boolean =>
  !q.fromClause?.length &&
  !q.groupClause?.length &&
  ![q.whereClause, q.havingClause, q.limitCount, q.limitOffset, q.withClause, q.larg].some((x) => x !== undefined);

/** Names are read under the search_path that the gateway follows: it must see every change of it. */
export function checkPathChanges(bindings: Bindings, effects: readonly SessionEffect[]): void {
  if (bindings.pathChanges > effects.filter((e) => e.kind === "set" && e.name === "search_path").length)
    refuse("unsupported-clause", "`set_config` of `search_path` is supported in a SELECT list of its own only", {
      help: "use SET search_path",
    });
}

/** `SELECT set_config('search_path', '', false)` is a SET in the clothes of a query. */
function settingEffects(query: SelectStmt): readonly SessionEffect[] {
  const effects: SessionEffect[] = [];
  for (const t of query.targetList ?? []) {
    const val = "ResTarget" in t ? t.ResTarget.val : undefined;
    if (!val || !("FuncCall" in val) || stringsOf(val.FuncCall.funcname).join(".") !== "pg_catalog.set_config")
      continue;
    const [name, value, isLocal] = (val.FuncCall.args ?? []).map((a) => a);
    effects.push({
      kind: "set",
      name: settingName(constantText(name) ?? ""),
      value: constantText(value),
      isLocal: constantFlag(isLocal) === true,
    });
  }
  return effects;
}
