// The row limit of a policy -> LIMIT of the outermost query.
import type { Node, SelectStmt } from "@pgsql/types";
import type { Obligations } from "../model/decision.ts";
import { refuse } from "./fault.ts";
import { temporarySchema } from "./settings.ts";
import type { BoundStatement } from "./statement.ts";
import { cast, numberConst } from "./tree.ts";

/** @throws FaultError `limit-not-applicable` for rows that no LIMIT can bound. */
export function applyRowLimit(node: Node, form: BoundStatement["form"], obligations: Obligations): Node {
  const limits = obligations.limits
    .filter((l) => l.unit === "rows" && l.window === undefined && l.counts === undefined)
    .map((l) => l.max);
  if (limits.length === 0) return node;
  const max = Math.min(...limits);
  if (form === "query" && "SelectStmt" in node) return { SelectStmt: limited(node.SelectStmt, max) };
  if (form === "copy-out" && "CopyStmt" in node && node.CopyStmt.query && "SelectStmt" in node.CopyStmt.query)
    return { CopyStmt: { ...node.CopyStmt, query: { SelectStmt: limited(node.CopyStmt.query.SelectStmt, max) } } };
  if (form === "cursor" && "DeclareCursorStmt" in node) {
    const query = node.DeclareCursorStmt.query;
    if (query && "SelectStmt" in query)
      return {
        DeclareCursorStmt: { ...node.DeclareCursorStmt, query: { SelectStmt: limited(query.SelectStmt, max) } },
      };
  }
  if (form === "prepare" && "PrepareStmt" in node) {
    const query = node.PrepareStmt.query;
    if (query && "SelectStmt" in query)
      return { PrepareStmt: { ...node.PrepareStmt, query: { SelectStmt: limited(query.SelectStmt, max) } } };
  }
  // What goes into a temporary table can be read from it without a limit.
  if (form === "temporary" && "CreateTableAsStmt" in node) {
    const query = node.CreateTableAsStmt.query;
    if (query && "SelectStmt" in query)
      return {
        CreateTableAsStmt: { ...node.CreateTableAsStmt, query: { SelectStmt: limited(query.SelectStmt, max) } },
      };
  }
  if (form === "write" && "InsertStmt" in node && node.InsertStmt.relation?.schemaname === temporarySchema) {
    const query = node.InsertStmt.selectStmt;
    if (query && "SelectStmt" in query && !query.SelectStmt.valuesLists?.length)
      return { InsertStmt: { ...node.InsertStmt, selectStmt: { SelectStmt: limited(query.SelectStmt, max) } } };
  }
  // What RETURNING gives is what was changed: limit-changes.ts counts it.
  return node;
}

function limited(query: SelectStmt, max: number): SelectStmt {
  const own = query.limitCount;
  if (query.limitOption === "LIMIT_OPTION_WITH_TIES")
    refuse("limit-not-applicable", `at most ${max} rows may be returned, and WITH TIES can't be limited`);
  if (own && "A_Const" in own && own.A_Const.ival && (own.A_Const.ival.ival ?? 0) <= max) return query;
  const isBare = !own || ("A_Const" in own && (own.A_Const.ival !== undefined || own.A_Const.isnull === true));
  const limitCount: Node = isBare
    ? numberConst(max)
    : // LEAST passes over NULL, which means "no limit".
      { MinMaxExpr: { op: "IS_LEAST", args: [cast(own, "int8"), numberConst(max)] } };
  return { ...query, limitCount, limitOption: "LIMIT_OPTION_COUNT" };
}
