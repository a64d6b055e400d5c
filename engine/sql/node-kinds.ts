import type { Node } from "@pgsql/types";
import { limits } from "../limits.ts";
import { refuse } from "./fault.ts";
import { Hole } from "./holes.ts";

/**
 * The allowlist of parse tree nodes AND of their fields. A node or field that isn't named here is refused, so that a
 * newer parser's additions fail instead of being passed over. Shapes: `n` node, `N` list of nodes, `s` string,
 * `b` boolean, `i` number, `e` enum name, `Kind` an embedded message of that kind without its wrapper.
 * Locations are left out of every comparison; `location` is allowed everywhere.
 */
const table = {
  // constants, names, types
  Integer: "ival:i",
  Float: "fval:s",
  Boolean: "boolval:b",
  String: "sval:s",
  BitString: "bsval:s",
  List: "items:N",
  A_Const: "ival:Integer fval:Float boolval:Boolean sval:String bsval:BitString isnull:b",
  A_Star: "",
  Alias: "aliasname:s colnames:N",
  TypeName: "names:N setof:b pct_type:b typmods:N typemod:i arrayBounds:N",
  ColumnRef: "fields:N",
  ParamRef: "number:i",
  // expressions
  A_Expr: "kind:e name:N lexpr:n rexpr:n rexpr_list_start:i rexpr_list_end:i",
  BoolExpr: "boolop:e args:N",
  TypeCast: "arg:n typeName:TypeName",
  CollateClause: "arg:n collname:N",
  FuncCall:
    "funcname:N args:N agg_order:N agg_filter:n over:WindowDef agg_within_group:b agg_star:b agg_distinct:b func_variadic:b funcformat:e",
  NamedArgExpr: "arg:n name:s argnumber:i",
  A_Indices: "is_slice:b lidx:n uidx:n",
  A_Indirection: "arg:n indirection:N",
  A_ArrayExpr: "elements:N list_start:i list_end:i",
  RowExpr: "args:N row_format:e",
  CaseExpr: "arg:n args:N defresult:n",
  CaseWhen: "expr:n result:n",
  CoalesceExpr: "args:N",
  MinMaxExpr: "op:e args:N",
  NullTest: "arg:n nulltesttype:e",
  BooleanTest: "arg:n booltesttype:e",
  SubLink: "subLinkType:e testexpr:n operName:N subselect:n",
  SQLValueFunction: "op:e typmod:i",
  GroupingFunc: "args:N",
  SetToDefault: "",
  MultiAssignRef: "source:n colno:i ncolumns:i",
  CurrentOfExpr: "cursor_name:s",
  MergeSupportFunc: "msftype:i",
  XmlExpr: "op:e name:s named_args:N args:N xmloption:e",
  // SQL/JSON
  JsonFormat: "format_type:e encoding:e",
  JsonReturning: "format:JsonFormat",
  JsonOutput: "typeName:TypeName returning:JsonReturning",
  JsonValueExpr: "raw_expr:n format:JsonFormat",
  JsonKeyValue: "key:n value:JsonValueExpr",
  JsonObjectConstructor: "exprs:N output:JsonOutput absent_on_null:b unique:b",
  JsonArrayConstructor: "exprs:N output:JsonOutput absent_on_null:b",
  JsonArrayQueryConstructor: "query:n output:JsonOutput format:JsonFormat absent_on_null:b",
  JsonAggConstructor: "output:JsonOutput agg_filter:n agg_order:N over:WindowDef",
  JsonObjectAgg: "constructor:JsonAggConstructor arg:JsonKeyValue absent_on_null:b unique:b",
  JsonArrayAgg: "constructor:JsonAggConstructor arg:JsonValueExpr absent_on_null:b",
  JsonIsPredicate: "expr:n format:JsonFormat item_type:e unique_keys:b",
  JsonParseExpr: "expr:JsonValueExpr output:JsonOutput unique_keys:b",
  JsonScalarExpr: "expr:n output:JsonOutput",
  JsonSerializeExpr: "expr:JsonValueExpr output:JsonOutput",
  JsonBehavior: "btype:e expr:n",
  JsonArgument: "val:JsonValueExpr name:s",
  JsonFuncExpr:
    "op:e context_item:JsonValueExpr pathspec:n passing:N output:JsonOutput on_empty:JsonBehavior on_error:JsonBehavior wrapper:e quotes:e",
  JsonTablePathSpec: "string:n name:s name_location:i",
  JsonTableColumn:
    "coltype:e name:s typeName:TypeName pathspec:JsonTablePathSpec format:JsonFormat wrapper:e quotes:e columns:N on_empty:JsonBehavior on_error:JsonBehavior",
  JsonTable:
    "context_item:JsonValueExpr pathspec:JsonTablePathSpec passing:N columns:N on_error:JsonBehavior alias:Alias lateral:b",
  RangeTableFuncCol: "colname:s typeName:TypeName for_ordinality:b is_not_null:b colexpr:n coldefexpr:n",
  RangeTableFunc: "lateral:b docexpr:n rowexpr:n namespaces:N columns:N alias:Alias",
  // queries
  ResTarget: "name:s indirection:N val:n",
  SortBy: "node:n sortby_dir:e sortby_nulls:e useOp:N",
  WindowDef: "name:s refname:s partitionClause:N orderClause:N frameOptions:i startOffset:n endOffset:n",
  GroupingSet: "kind:e content:N",
  RangeVar: "catalogname:s schemaname:s relname:s inh:b relpersistence:s alias:Alias",
  RangeSubselect: "lateral:b subquery:n alias:Alias",
  RangeFunction: "lateral:b ordinality:b is_rowsfrom:b functions:N alias:Alias coldeflist:N",
  RangeTableSample: "relation:n method:N args:N repeatable:n",
  ColumnDef: "colname:s typeName:TypeName is_local:b collClause:CollateClause constraints:N",
  JoinExpr: "jointype:e isNatural:b larg:n rarg:n usingClause:N join_using_alias:Alias quals:n alias:Alias",
  LockingClause: "lockedRels:N strength:e waitPolicy:e",
  WithClause: "ctes:N recursive:b",
  CTESearchClause: "search_col_list:N search_breadth_first:b search_seq_column:s",
  CTECycleClause: "cycle_col_list:N cycle_mark_column:s cycle_mark_value:n cycle_mark_default:n cycle_path_column:s",
  CommonTableExpr:
    "ctename:s aliascolnames:N ctematerialized:e ctequery:n search_clause:CTESearchClause cycle_clause:CTECycleClause",
  IntoClause: "rel:RangeVar colNames:N onCommit:e skipData:b",
  SelectStmt:
    "distinctClause:N intoClause:IntoClause targetList:N fromClause:N whereClause:n groupClause:N groupDistinct:b havingClause:n windowClause:N valuesLists:N sortClause:N limitOffset:n limitCount:n limitOption:e lockingClause:N withClause:WithClause op:e all:b larg:SelectStmt rarg:SelectStmt",
  // writes
  ReturningOption: "option:e value:s",
  ReturningClause: "options:N exprs:N",
  IndexElem: "name:s expr:n collation:N opclass:N ordering:e nulls_ordering:e",
  InferClause: "indexElems:N whereClause:n conname:s",
  OnConflictClause: "action:e infer:InferClause targetList:N whereClause:n",
  InsertStmt:
    "relation:RangeVar cols:N selectStmt:n onConflictClause:OnConflictClause returningClause:ReturningClause withClause:WithClause override:e",
  UpdateStmt:
    "relation:RangeVar targetList:N whereClause:n fromClause:N returningClause:ReturningClause withClause:WithClause",
  DeleteStmt: "relation:RangeVar usingClause:N whereClause:n returningClause:ReturningClause withClause:WithClause",
  MergeWhenClause: "matchKind:e commandType:e override:e condition:n targetList:N values:N",
  MergeStmt:
    "relation:RangeVar sourceRelation:n joinCondition:n mergeWhenClauses:N returningClause:ReturningClause withClause:WithClause",
  // utility statements whose text we write again
  DefElem: "defnamespace:s defname:s arg:n defaction:e",
  TransactionStmt: "kind:e options:N savepoint_name:s chain:b",
  VariableSetStmt: "kind:e name:s args:N is_local:b jumble_args:b",
  VariableShowStmt: "name:s",
  DiscardStmt: "target:e",
  PrepareStmt: "name:s argtypes:N query:n",
  ExecuteStmt: "name:s params:N",
  DeallocateStmt: "name:s isall:b",
  DeclareCursorStmt: "portalname:s options:i query:n",
  FetchStmt: "direction:e howMany:i portalname:s ismove:b",
  ClosePortalStmt: "portalname:s",
  ExplainStmt: "query:n options:N",
  CopyStmt: "relation:RangeVar query:n attlist:N is_from:b options:N",
  LockStmt: "relations:N mode:i nowait:b",
  ConstraintsSetStmt: "constraints:N deferred:b",
  // temporary tables; the permanent forms are definitions, see definitions.ts
  Constraint:
    "contype:e conname:s deferrable:b initdeferred:b raw_expr:n generated_when:s generated_kind:s nulls_not_distinct:b keys:N is_no_inherit:b is_enforced:b initially_valid:b skip_validation:b",
  TableLikeClause: "relation:RangeVar options:i",
  CreateStmt: "relation:RangeVar tableElts:N oncommit:e if_not_exists:b",
  CreateTableAsStmt: "query:n into:IntoClause objtype:e is_select_into:b if_not_exists:b",
  DropStmt: "objects:N removeType:e behavior:e missing_ok:b",
} as const satisfies Readonly<Record<string, string>>;

export type NodeKind = keyof typeof table;

type Shape = "n" | "N" | "s" | "b" | "i" | "e" | NodeKind;
type Fields = ReadonlyMap<string, Shape>;

const isShape = (text: string | undefined): text is Shape =>
  text !== undefined && (["n", "N", "s", "b", "i", "e"].includes(text) || Object.hasOwn(table, text));

function fieldsOf(row: string): Fields {
  const fields = new Map<string, Shape>([["location", "i"]]);
  for (const entry of row.split(" ").filter((e) => e !== "")) {
    const [name, shape] = entry.split(":");
    if (name === undefined || !isShape(shape)) throw new Error(`node-kinds: bad entry ${entry}`);
    fields.set(name, shape);
  }
  return fields;
}

/** Kind → its fields and their shapes. */
export const nodeKinds: ReadonlyMap<string, Fields> = new Map(
  Object.entries(table).map(([kind, row]) => [kind, fieldsOf(row)]),
);

export const isNodeKind = (kind: string): kind is NodeKind => Object.hasOwn(table, kind);

/** The kind of a node; "" for the empty object that stands for a NULL in a list. */
export function kindOf(node: Node | object): string {
  for (const kind in node) return kind;
  return "";
}

/**
 * Checks a whole statement against the table.
 * @throws FaultError `unsupported-node` for what isn't in it, `too-complex` beyond the limits.
 */
export function checkTree(node: unknown): void {
  let count = 0;
  const visitNode = (value: unknown, depth: number): void => {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      refuse("unsupported-node", "the statement's tree is malformed");
    const kind = kindOf(value);
    if (kind === "") return;
    visitBody(kind, (value as Record<string, unknown>)[kind], depth);
  };
  const visitBody = (kind: string, body: unknown, depth: number): void => {
    if (++count > limits.sqlNodesMax || depth > limits.sqlNestingMax)
      refuse("too-complex", "the statement is too complex");
    const fields = nodeKinds.get(kind);
    if (!fields) refuse("unsupported-node", `\`${kind}\` is not supported`, { position: positionOf(body) });
    if (typeof body !== "object" || body === null) refuse("unsupported-node", "the statement's tree is malformed");
    if (body instanceof Hole) return; // made from a body with this kind's one field
    for (const [name, value] of Object.entries(body)) {
      const shape = fields.get(name);
      if (shape === undefined)
        refuse("unsupported-node", `\`${kind}.${name}\` is not supported`, { position: positionOf(body) });
      visitField(shape, value, depth + 1);
    }
  };
  const visitField = (shape: Shape, value: unknown, depth: number): void => {
    if (shape === "n") {
      visitNode(value, depth);
      return;
    }
    if (shape === "N") {
      if (!Array.isArray(value)) refuse("unsupported-node", "the statement's tree is malformed");
      for (const item of value) visitNode(item, depth);
      return;
    }
    const wanted =
      shape === "s" || shape === "e" ? "string" : shape === "b" ? "boolean" : shape === "i" ? "number" : "body";
    if (wanted === "body") {
      visitBody(shape, value, depth);
      return;
    }
    if (typeof value !== wanted) refuse("unsupported-node", "the statement's tree is malformed");
  };
  visitNode(node, 0);
}

function positionOf(body: unknown): number | undefined {
  if (typeof body !== "object" || body === null || !("location" in body)) return undefined;
  return typeof body.location === "number" && body.location >= 0 ? body.location : undefined;
}
