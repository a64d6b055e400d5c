// bound tree -> SQL text: every identifier quoted, every operation in parentheses, no comments, plain strings only.
// What the parser reads from this text must be the tree again (render.ts compares them).
import type {
  A_Const,
  A_Expr,
  Alias,
  CommonTableExpr,
  FuncCall,
  InsertStmt,
  JoinExpr,
  Node,
  OnConflictClause,
  RangeFunction,
  RangeVar,
  ResTarget,
  ReturningClause,
  SelectStmt,
  SortBy,
  SubLink,
  TypeName,
  WindowDef,
  WithClause,
} from "@pgsql/types";
import { quoteIdent, quoteLiteral } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import { Hole, holeMark } from "./holes.ts";
import { imageMark } from "./image-cache.ts";
import { kindOf } from "./node-kinds.ts";
import { jsonPrinters } from "./print-json.ts";
import { stringOf, stringsOf } from "./tree.ts";

export type Body<K extends string> = Extract<Node, { readonly [P in K]: unknown }>[K &
  keyof Extract<Node, { readonly [P in K]: unknown }>];
export type Printers = { readonly [kind: string]: (body: never) => string };

const names = (nodes: readonly Node[] | undefined): string => stringsOf(nodes).map(quoteIdent).join(".");
const nameList = (nodes: readonly Node[] | undefined): string => stringsOf(nodes).map(quoteIdent).join(", ");
export const list = (nodes: readonly Node[] | undefined): string => (nodes ?? []).map(print).join(", ");
const optional = (before: string, node: Node | undefined): string => (node === undefined ? "" : before + print(node));

/** Looks an enum's spelling up; a value that isn't in the table is refused, never guessed. */
export function spelling(table: Readonly<Record<string, string>>, value: string | undefined): string {
  const text = value === undefined ? undefined : table[value];
  return text ?? refuse("unsupported-clause", `\`${value ?? "an unnamed clause"}\` is not supported`);
}

function constant(c: A_Const): string {
  if (c.isnull) return "NULL";
  const hole: unknown = c.ival ?? c.sval ?? c.fval;
  if (hole instanceof Hole) return holeMark(hole);
  if (c.ival) return parenthesizeNegative(String(c.ival.ival ?? 0));
  if (c.fval) return parenthesizeNegative(c.fval.fval ?? "0");
  if (c.boolval) return c.boolval.boolval ? "TRUE" : "FALSE";
  if (c.sval) return quoteLiteral(c.sval.sval ?? "");
  if (c.bsval) return bitString(c.bsval.bsval ?? "");
  return refuse("unsupported-node", "a constant of an unknown kind is not supported");
}

const parenthesizeNegative = (digits: string): string => (digits.startsWith("-") ? `(${digits})` : digits);

function bitString(text: string): string {
  if (!/^[bx][0-9a-fA-F]*$/.test(text)) refuse("unsupported-node", "a bit string of an unknown form is not supported");
  return `${text.slice(0, 1)}'${text.slice(1)}'`;
}

export function typeName(t: TypeName | undefined): string {
  if (!t || t.setof || t.pct_type) return refuse("unsupported-clause", "a type of this form is not supported");
  const bounds = (t.arrayBounds ?? []).map((b) =>
    "Integer" in b && (b.Integer.ival ?? 0) >= 0 ? `[${b.Integer.ival ?? 0}]` : "[]",
  );
  const modifiers = t.typmods?.length ? `(${list(t.typmods)})` : "";
  return names(t.names) + modifiers + bounds.join("");
}

/** An operator's name as it stands between operands. */
const operatorName = (name: readonly Node[] | undefined): string => {
  const parts = stringsOf(name);
  const symbol = parts.at(-1) ?? "";
  if (!/^[-+*/<>=~!@#%^&|`?]+$/.test(symbol)) refuse("unsupported-node", `operator \`${symbol}\` is not supported`);
  if (parts.length === 1) return symbol;
  return `OPERATOR(${[...parts.slice(0, -1).map(quoteIdent), symbol].join(".")})`;
};

const between: Readonly<Record<string, string>> = {
  AEXPR_BETWEEN: "BETWEEN",
  AEXPR_NOT_BETWEEN: "NOT BETWEEN",
  AEXPR_BETWEEN_SYM: "BETWEEN SYMMETRIC",
  AEXPR_NOT_BETWEEN_SYM: "NOT BETWEEN SYMMETRIC",
};

function expression(e: A_Expr): string {
  const left = e.lexpr ? print(e.lexpr) : "";
  const right = e.rexpr ? print(e.rexpr) : "";
  switch (e.kind) {
    case "AEXPR_OP":
      return `(${left}${left === "" ? "" : " "}${operatorName(e.name)} ${right})`;
    case "AEXPR_OP_ANY":
      return `(${left} ${operatorName(e.name)} ANY (${right}))`;
    case "AEXPR_OP_ALL":
      return `(${left} ${operatorName(e.name)} ALL (${right}))`;
    case "AEXPR_DISTINCT":
      return `(${left} IS DISTINCT FROM ${right})`;
    case "AEXPR_NOT_DISTINCT":
      return `(${left} IS NOT DISTINCT FROM ${right})`;
    case "AEXPR_NULLIF":
      return `NULLIF(${left}, ${right})`;
    case "AEXPR_IN":
      return `(${left} ${stringsOf(e.name)[0] === "<>" ? "NOT IN" : "IN"} (${right}))`;
    case "AEXPR_BETWEEN":
    case "AEXPR_NOT_BETWEEN":
    case "AEXPR_BETWEEN_SYM":
    case "AEXPR_NOT_BETWEEN_SYM": {
      const [low, high] = e.rexpr && "List" in e.rexpr ? (e.rexpr.List.items ?? []) : [];
      return `(${left} ${spelling(between, e.kind)} ${low ? print(low) : ""} AND ${high ? print(high) : ""})`;
    }
    default:
      return refuse("unsupported-node", `an expression of kind \`${e.kind}\` is not supported`);
  }
}

function functionCall(f: FuncCall): string {
  const args = (f.args ?? []).map(print);
  const last = args.pop();
  if (last !== undefined) args.push(f.func_variadic ? `VARIADIC ${last}` : last);
  const inside = f.agg_star ? "*" : (f.agg_distinct ? "DISTINCT " : "") + args.join(", ");
  const order = f.agg_order?.length ? `ORDER BY ${list(f.agg_order)}` : "";
  const within = f.agg_within_group;
  const call = `${names(f.funcname)}(${inside}${order && !within ? ` ${order}` : ""})`;
  return call + (within ? ` WITHIN GROUP (${order})` : "") + tail(f.agg_filter, f.over);
}

/** What may follow an aggregate: FILTER and OVER. */
export const tail = (filter: Node | undefined, over: WindowDef | undefined): string =>
  (filter ? ` FILTER (WHERE ${print(filter)})` : "") + (over ? ` OVER ${windowReference(over)}` : "");

const windowReference = (w: WindowDef): string => (w.name === undefined ? windowBody(w) : quoteIdent(w.name));

function windowBody(w: WindowDef): string {
  const parts = [
    w.refname === undefined ? "" : quoteIdent(w.refname),
    w.partitionClause?.length ? `PARTITION BY ${list(w.partitionClause)}` : "",
    w.orderClause?.length ? `ORDER BY ${list(w.orderClause)}` : "",
    frame(w),
  ];
  return `(${parts.filter((p) => p !== "").join(" ")})`;
}

/** FRAMEOPTION_* of nodes/parsenodes.h */
function frame(w: WindowDef): string {
  const bits = w.frameOptions ?? 0;
  if ((bits & 0x1) === 0) return "";
  const mode = bits & 0x2 ? "RANGE" : bits & 0x4 ? "ROWS" : "GROUPS";
  const start = bound(
    bits,
    { unbounded: 0x20, following: 0x80, current: 0x200, before: 0x800, after: 0x2000 },
    w.startOffset,
  );
  const end = bound(
    bits,
    { unbounded: 0x40, following: 0x100, current: 0x400, before: 0x1000, after: 0x4000 },
    w.endOffset,
  );
  const exclude =
    bits & 0x8000 ? " EXCLUDE CURRENT ROW" : bits & 0x10000 ? " EXCLUDE GROUP" : bits & 0x20000 ? " EXCLUDE TIES" : "";
  return bits & 0x10 ? `${mode} BETWEEN ${start} AND ${end}${exclude}` : `${mode} ${start}${exclude}`;
}

type FrameBits = {
  readonly unbounded: number;
  readonly following: number;
  readonly current: number;
  readonly before: number;
  readonly after: number;
};
function bound(bits: number, at: FrameBits, offset: Node | undefined): string {
  if (bits & at.unbounded) return "UNBOUNDED PRECEDING";
  if (bits & at.following) return "UNBOUNDED FOLLOWING";
  if (bits & at.current) return "CURRENT ROW";
  const amount = offset ? print(offset) : refuse("unsupported-clause", "this window frame is not supported");
  if (bits & at.before) return `${amount} PRECEDING`;
  if (bits & at.after) return `${amount} FOLLOWING`;
  return refuse("unsupported-clause", "this window frame is not supported");
}

function indirection(nodes: readonly Node[] | undefined): string {
  return (nodes ?? [])
    .map((n) => {
      if ("String" in n) return `.${quoteIdent(n.String.sval ?? "")}`;
      if ("A_Star" in n) return ".*";
      if (!("A_Indices" in n)) return refuse("unsupported-node", `\`${kindOf(n)}\` is not supported here`);
      const { is_slice, lidx, uidx } = n.A_Indices;
      return is_slice ? `[${optional("", lidx)}:${optional("", uidx)}]` : `[${optional("", uidx)}]`;
    })
    .join("");
}

function subLink(s: SubLink): string {
  const query = s.subselect ? print(s.subselect) : "";
  const test = s.testexpr ? print(s.testexpr) : "";
  switch (s.subLinkType) {
    case "EXISTS_SUBLINK":
      return `EXISTS (${query})`;
    case "ALL_SUBLINK":
      return `(${test} ${operatorName(s.operName)} ALL (${query}))`;
    case "ANY_SUBLINK":
      return s.operName?.length ? `(${test} ${operatorName(s.operName)} ANY (${query}))` : `(${test} IN (${query}))`;
    case "EXPR_SUBLINK":
      return `(${query})`;
    case "ARRAY_SUBLINK":
      return `ARRAY(${query})`;
    default:
      return refuse("unsupported-node", `a subquery of kind \`${s.subLinkType}\` is not supported`);
  }
}

const valueFunctions: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: "CURRENT_DATE",
  SVFOP_CURRENT_TIME: "CURRENT_TIME",
  SVFOP_CURRENT_TIME_N: "CURRENT_TIME",
  SVFOP_CURRENT_TIMESTAMP: "CURRENT_TIMESTAMP",
  SVFOP_CURRENT_TIMESTAMP_N: "CURRENT_TIMESTAMP",
  SVFOP_LOCALTIME: "LOCALTIME",
  SVFOP_LOCALTIME_N: "LOCALTIME",
  SVFOP_LOCALTIMESTAMP: "LOCALTIMESTAMP",
  SVFOP_LOCALTIMESTAMP_N: "LOCALTIMESTAMP",
  SVFOP_CURRENT_ROLE: "CURRENT_ROLE",
  SVFOP_CURRENT_USER: "CURRENT_USER",
  SVFOP_USER: "USER",
  SVFOP_SESSION_USER: "SESSION_USER",
  SVFOP_CURRENT_CATALOG: "CURRENT_CATALOG",
  SVFOP_CURRENT_SCHEMA: "CURRENT_SCHEMA",
};

const direction: Readonly<Record<string, string>> = {
  SORTBY_DEFAULT: "",
  SORTBY_ASC: " ASC",
  SORTBY_DESC: " DESC",
  SORTBY_USING: " USING ",
};
const nulls: Readonly<Record<string, string>> = {
  SORTBY_NULLS_DEFAULT: "",
  SORTBY_NULLS_FIRST: " NULLS FIRST",
  SORTBY_NULLS_LAST: " NULLS LAST",
};

const sortBy = (s: SortBy): string =>
  optional("", s.node) +
  spelling(direction, s.sortby_dir) +
  (s.sortby_dir === "SORTBY_USING" ? operatorName(s.useOp) : "") +
  spelling(nulls, s.sortby_nulls);

export const aliasOf = (a: Alias | undefined): string =>
  a === undefined
    ? ""
    : ` AS ${quoteIdent(a.aliasname ?? "")}${a.colnames?.length ? ` (${nameList(a.colnames)})` : ""}`;

export function relation(r: RangeVar | undefined): string {
  if (!r) return refuse("unsupported-clause", "a statement without its relation is not supported");
  const path = [r.schemaname, r.relname].filter((p) => p !== undefined).map(quoteIdent);
  return `${r.inh ? "" : "ONLY "}${path.join(".")}${aliasOf(r.alias)}`;
}

const joins: Readonly<Record<string, string>> = {
  JOIN_INNER: "JOIN",
  JOIN_LEFT: "LEFT JOIN",
  JOIN_RIGHT: "RIGHT JOIN",
  JOIN_FULL: "FULL JOIN",
};

function join(j: JoinExpr): string {
  const kind = spelling(joins, j.jointype);
  const left = optional("", j.larg);
  const right = optional("", j.rarg);
  const using = j.usingClause?.length
    ? ` USING (${nameList(j.usingClause)})${j.join_using_alias ? ` AS ${quoteIdent(j.join_using_alias.aliasname ?? "")}` : ""}`
    : "";
  const isCross = !j.isNatural && using === "" && !j.quals;
  if (isCross && kind !== "JOIN") refuse("unsupported-clause", "an outer join without a condition is not supported");
  const body = `(${left} ${j.isNatural ? "NATURAL " : ""}${isCross ? "CROSS " : ""}${kind} ${right}${using}${optional(" ON ", j.quals)})`;
  return body + aliasOf(j.alias);
}

/** The constructors. XMLPARSE, XMLPI, XMLROOT and IS DOCUMENT are refused: nobody has asked for them. */
function xml(x: Body<"XmlExpr">): string {
  const named = list(x.named_args);
  const args = list(x.args);
  if (x.op === "IS_XMLELEMENT") {
    const parts = [`NAME ${quoteIdent(x.name ?? "")}`, named && `XMLATTRIBUTES(${named})`, args];
    return `XMLELEMENT(${parts.filter((part) => part !== "").join(", ")})`;
  }
  return x.op === "IS_XMLFOREST" ? `XMLFOREST(${named})` : `${spelling({ IS_XMLCONCAT: "XMLCONCAT" }, x.op)}(${args})`;
}

function rangeFunction(r: RangeFunction): string {
  const calls = (r.functions ?? []).map((item) => {
    const [f, columns] = "List" in item ? (item.List.items ?? []) : [];
    const defined = columns !== undefined && "List" in columns ? ` AS (${list(columns.List.items)})` : "";
    return optional("", f) + defined;
  });
  const body = r.is_rowsfrom ? `ROWS FROM (${calls.join(", ")})` : calls.join("");
  const columns = r.coldeflist?.length ? `${r.alias ? "" : " AS"} (${list(r.coldeflist)})` : "";
  return (r.lateral ? "LATERAL " : "") + body + (r.ordinality ? " WITH ORDINALITY" : "") + aliasOf(r.alias) + columns;
}

function xmlTable(t: Body<"RangeTableFunc">): string {
  const namespaces = (t.namespaces ?? []).map((n) => {
    const { name, val } = "ResTarget" in n ? n.ResTarget : refuse("unsupported-node", "this XMLTABLE is not supported");
    return name === undefined ? `DEFAULT ${optional("", val)}` : `${optional("", val)} AS ${quoteIdent(name)}`;
  });
  const before = namespaces.length ? `XMLNAMESPACES(${namespaces.join(", ")}), ` : "";
  const columns = (t.columns ?? []).map((node) => {
    if (!("RangeTableFuncCol" in node)) return refuse("unsupported-node", "this XMLTABLE column is not supported");
    const c = node.RangeTableFuncCol;
    if (c.for_ordinality) return `${quoteIdent(c.colname ?? "")} FOR ORDINALITY`;
    const tail =
      optional(" PATH ", c.colexpr) + optional(" DEFAULT ", c.coldefexpr) + (c.is_not_null ? " NOT NULL" : "");
    return `${quoteIdent(c.colname ?? "")} ${typeName(c.typeName)}${tail}`;
  });
  const body = `${before}(${optional("", t.rowexpr)}) PASSING (${optional("", t.docexpr)}) COLUMNS ${columns.join(", ")}`;
  return `${t.lateral ? "LATERAL " : ""}XMLTABLE(${body})${aliasOf(t.alias)}`;
}

const materialized: Readonly<Record<string, string>> = {
  CTEMaterializeDefault: "",
  CTEMaterializeAlways: "MATERIALIZED ",
  CTEMaterializeNever: "NOT MATERIALIZED ",
};

function cte(c: CommonTableExpr): string {
  const columns = c.aliascolnames?.length ? ` (${nameList(c.aliascolnames)})` : "";
  const search = c.search_clause
    ? ` SEARCH ${c.search_clause.search_breadth_first ? "BREADTH" : "DEPTH"} FIRST BY ${nameList(c.search_clause.search_col_list)} SET ${quoteIdent(c.search_clause.search_seq_column ?? "")}`
    : "";
  const cycle = c.cycle_clause
    ? ` CYCLE ${nameList(c.cycle_clause.cycle_col_list)} SET ${quoteIdent(c.cycle_clause.cycle_mark_column ?? "")} TO ${optional("", c.cycle_clause.cycle_mark_value)} DEFAULT ${optional("", c.cycle_clause.cycle_mark_default)} USING ${quoteIdent(c.cycle_clause.cycle_path_column ?? "")}`
    : "";
  return `${quoteIdent(c.ctename ?? "")}${columns} AS ${spelling(materialized, c.ctematerialized)}(${optional("", c.ctequery)})${search}${cycle}`;
}

const withClause = (w: WithClause | undefined): string =>
  w ? `WITH ${w.recursive ? "RECURSIVE " : ""}${list(w.ctes)} ` : "";

const setOperations: Readonly<Record<string, string>> = {
  SETOP_UNION: "UNION",
  SETOP_INTERSECT: "INTERSECT",
  SETOP_EXCEPT: "EXCEPT",
};

export function select(s: SelectStmt | undefined): string {
  if (!s) return refuse("unsupported-clause", "a set operation without operands is not supported");
  return imageMark(s) ?? withClause(s.withClause) + selectBody(s) + selectTail(s);
}

function selectBody(s: SelectStmt): string {
  if (s.op !== undefined && s.op !== "SETOP_NONE")
    return `(${select(s.larg)}) ${spelling(setOperations, s.op)}${s.all ? " ALL" : ""} (${select(s.rarg)})`;
  if (s.valuesLists?.length) return `VALUES ${s.valuesLists.map((row) => `(${print(row)})`).join(", ")}`;
  const group = s.groupClause?.length ? ` GROUP BY ${s.groupDistinct ? "DISTINCT " : ""}${list(s.groupClause)}` : "";
  const windows = (s.windowClause ?? []).map((w) =>
    "WindowDef" in w ? `${quoteIdent(w.WindowDef.name ?? "")} AS ${windowBody(w.WindowDef)}` : "",
  );
  return [
    `SELECT${distinct(s.distinctClause)}${s.targetList?.length ? ` ${list(s.targetList)}` : ""}`,
    s.fromClause?.length ? ` FROM ${list(s.fromClause)}` : "",
    optional(" WHERE ", s.whereClause),
    group,
    optional(" HAVING ", s.havingClause),
    windows.length ? ` WINDOW ${windows.join(", ")}` : "",
  ].join("");
}

function distinct(on: readonly Node[] | undefined): string {
  if (!on?.length) return "";
  const keys = on.filter((n) => kindOf(n) !== "");
  return keys.length === 0 ? " DISTINCT" : ` DISTINCT ON (${list(keys)})`;
}

function selectTail(s: SelectStmt): string {
  const order = s.sortClause?.length ? ` ORDER BY ${list(s.sortClause)}` : "";
  const isTies = s.limitOption === "LIMIT_OPTION_WITH_TIES";
  const limit = s.limitCount
    ? isTies
      ? ` FETCH FIRST (${print(s.limitCount)}) ROWS WITH TIES`
      : ` LIMIT ${print(s.limitCount)}`
    : "";
  const offset = optional(" OFFSET ", s.limitOffset);
  const locks = (s.lockingClause ?? []).map((l) => ` ${print(l)}`).join("");
  return order + (isTies ? offset + limit : limit + offset) + locks;
}

const strengths: Readonly<Record<string, string>> = {
  LCS_FORKEYSHARE: "FOR KEY SHARE",
  LCS_FORSHARE: "FOR SHARE",
  LCS_FORNOKEYUPDATE: "FOR NO KEY UPDATE",
  LCS_FORUPDATE: "FOR UPDATE",
};
const waits: Readonly<Record<string, string>> = {
  LockWaitBlock: "",
  LockWaitSkip: " SKIP LOCKED",
  LockWaitError: " NOWAIT",
};

const target = (t: ResTarget): string =>
  optional("", t.val) + (t.name === undefined ? "" : ` AS ${quoteIdent(t.name)}`);
const targetPath = (t: ResTarget): string => quoteIdent(t.name ?? "") + indirection(t.indirection);

/** `SET a = 1, (b, c) = (SELECT …)`: the parser repeats the source of a multiple assignment for each of its columns. */
export function assignments(targets: readonly Node[] | undefined): string {
  const out: string[] = [];
  const items = (targets ?? []).map((t) =>
    "ResTarget" in t ? t.ResTarget : refuse("unsupported-node", "this SET is not supported"),
  );
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    if (!item) break;
    const multi = item.val && "MultiAssignRef" in item.val ? item.val.MultiAssignRef : undefined;
    if (!multi) {
      out.push(`${targetPath(item)} = ${optional("", item.val)}`);
      continue;
    }
    const width = multi.ncolumns ?? 1;
    const paths = items.slice(i, i + width).map(targetPath);
    out.push(`(${paths.join(", ")}) = ${optional("", multi.source)}`);
    i += width - 1;
  }
  return out.join(", ");
}

const returningOptions: Readonly<Record<string, string>> = {
  RETURNING_OPTION_OLD: "OLD",
  RETURNING_OPTION_NEW: "NEW",
};

function returning(r: ReturningClause | undefined): string {
  if (!r) return "";
  const options = (r.options ?? []).map((o) =>
    "ReturningOption" in o
      ? `${spelling(returningOptions, o.ReturningOption.option)} AS ${quoteIdent(o.ReturningOption.value ?? "")}`
      : "",
  );
  return ` RETURNING ${options.length ? `WITH (${options.join(", ")}) ` : ""}${list(r.exprs)}`;
}

const overriding: Readonly<Record<string, string>> = {
  OVERRIDING_NOT_SET: "",
  OVERRIDING_USER_VALUE: " OVERRIDING USER VALUE",
  OVERRIDING_SYSTEM_VALUE: " OVERRIDING SYSTEM VALUE",
};

function insert(s: InsertStmt): string {
  const columns = s.cols?.length
    ? ` (${s.cols.map((c) => ("ResTarget" in c ? targetPath(c.ResTarget) : "")).join(", ")})`
    : "";
  const source = s.selectStmt ? ` ${print(s.selectStmt)}` : " DEFAULT VALUES";
  return `${withClause(s.withClause)}INSERT INTO ${relation(s.relation)}${columns}${spelling(overriding, s.override)}${source}${onConflict(s.onConflictClause)}${returning(s.returningClause)}`;
}

function onConflict(c: OnConflictClause | undefined): string {
  if (!c) return "";
  const infer = c.infer;
  const elements = infer?.indexElems?.length ? ` (${list(infer.indexElems)})` : "";
  const where = infer ? optional(" WHERE ", infer.whereClause) : "";
  const constraint = infer?.conname === undefined ? "" : ` ON CONSTRAINT ${quoteIdent(infer.conname)}`;
  const action =
    c.action === "ONCONFLICT_NOTHING"
      ? "DO NOTHING"
      : c.action === "ONCONFLICT_UPDATE"
        ? `DO UPDATE SET ${assignments(c.targetList)}${optional(" WHERE ", c.whereClause)}`
        : refuse("unsupported-clause", "this ON CONFLICT action is not supported");
  return ` ON CONFLICT${elements}${where}${constraint} ${action}`;
}

const matches: Readonly<Record<string, string>> = {
  MERGE_WHEN_MATCHED: "MATCHED",
  MERGE_WHEN_NOT_MATCHED_BY_SOURCE: "NOT MATCHED BY SOURCE",
  MERGE_WHEN_NOT_MATCHED_BY_TARGET: "NOT MATCHED",
};

function mergeWhen(w: Body<"MergeWhenClause">): string {
  const head = `WHEN ${spelling(matches, w.matchKind)}${optional(" AND ", w.condition)} THEN `;
  switch (w.commandType) {
    case "CMD_UPDATE":
      return `${head}UPDATE SET ${assignments(w.targetList)}`;
    case "CMD_DELETE":
      return `${head}DELETE`;
    case "CMD_NOTHING":
      return `${head}DO NOTHING`;
    case "CMD_INSERT": {
      const columns = (w.targetList ?? []).map((t) => ("ResTarget" in t ? targetPath(t.ResTarget) : ""));
      const values = w.values?.length ? ` VALUES (${list(w.values)})` : " DEFAULT VALUES";
      return `${head}INSERT${columns.length ? ` (${columns.join(", ")})` : ""}${spelling(overriding, w.override)}${values}`;
    }
    default:
      return refuse("unsupported-clause", "this MERGE action is not supported");
  }
}

const booleans: Readonly<Record<string, string>> = {
  IS_TRUE: "IS TRUE",
  IS_NOT_TRUE: "IS NOT TRUE",
  IS_FALSE: "IS FALSE",
  IS_NOT_FALSE: "IS NOT FALSE",
  IS_UNKNOWN: "IS UNKNOWN",
  IS_NOT_UNKNOWN: "IS NOT UNKNOWN",
};

function logical(b: Body<"BoolExpr">): string {
  const args = (b.args ?? []).map(print);
  if (b.boolop === "NOT_EXPR") return `(NOT ${args[0] ?? ""})`;
  if (b.boolop === "AND_EXPR") return `(${args.join(" AND ")})`;
  if (b.boolop === "OR_EXPR") return `(${args.join(" OR ")})`;
  return refuse("unsupported-node", "this logical operation is not supported");
}

function groupingSet(g: Body<"GroupingSet">): string {
  switch (g.kind) {
    case "GROUPING_SET_EMPTY":
      return "()";
    case "GROUPING_SET_ROLLUP":
      return `ROLLUP (${list(g.content)})`;
    case "GROUPING_SET_CUBE":
      return `CUBE (${list(g.content)})`;
    case "GROUPING_SET_SETS":
      return `GROUPING SETS (${list(g.content)})`;
    default:
      return refuse("unsupported-clause", "this grouping is not supported");
  }
}

const printers: { readonly [K in string]: ((body: Body<K>) => string) | ((body: never) => string) } = {
  A_Const: constant,
  A_Star: () => "*",
  ColumnRef: (c: Body<"ColumnRef">) =>
    (c.fields ?? []).map((f) => ("A_Star" in f ? "*" : quoteIdent(stringOf(f) ?? ""))).join("."),
  ParamRef: (p: Body<"ParamRef">) => `$${p.number ?? 0}`,
  A_Expr: expression,
  BoolExpr: logical,
  TypeCast: (t: Body<"TypeCast">) => `CAST(${optional("", t.arg)} AS ${typeName(t.typeName)})`,
  CollateClause: (c: Body<"CollateClause">) => `(${optional("", c.arg)} COLLATE ${names(c.collname)})`,
  FuncCall: functionCall,
  NamedArgExpr: (n: Body<"NamedArgExpr">) => `${quoteIdent(n.name ?? "")} => ${optional("", n.arg)}`,
  A_Indirection: (a: Body<"A_Indirection">) => `(${optional("", a.arg)})${indirection(a.indirection)}`,
  A_ArrayExpr: (a: Body<"A_ArrayExpr">) => `ARRAY[${list(a.elements)}]`,
  RowExpr: (r: Body<"RowExpr">) =>
    r.row_format === "COERCE_IMPLICIT_CAST" ? `(${list(r.args)})` : `ROW(${list(r.args)})`,
  CaseExpr: (c: Body<"CaseExpr">) =>
    `CASE${optional(" ", c.arg)} ${(c.args ?? []).map(print).join(" ")}${optional(" ELSE ", c.defresult)} END`,
  CaseWhen: (w: Body<"CaseWhen">) => `WHEN ${optional("", w.expr)} THEN ${optional("", w.result)}`,
  CoalesceExpr: (c: Body<"CoalesceExpr">) => `COALESCE(${list(c.args)})`,
  MinMaxExpr: (m: Body<"MinMaxExpr">) =>
    `${spelling({ IS_GREATEST: "GREATEST", IS_LEAST: "LEAST" }, m.op)}(${list(m.args)})`,
  NullTest: (n: Body<"NullTest">) =>
    `(${optional("", n.arg)} ${spelling({ IS_NULL: "IS NULL", IS_NOT_NULL: "IS NOT NULL" }, n.nulltesttype)})`,
  BooleanTest: (b: Body<"BooleanTest">) => `(${optional("", b.arg)} ${spelling(booleans, b.booltesttype)})`,
  SubLink: subLink,
  SQLValueFunction: (v: Body<"SQLValueFunction">) =>
    spelling(valueFunctions, v.op) + (v.op?.endsWith("_N") ? `(${v.typmod ?? 0})` : ""),
  GroupingFunc: (g: Body<"GroupingFunc">) => `GROUPING(${list(g.args)})`,
  SetToDefault: () => "DEFAULT",
  XmlExpr: xml,
  CurrentOfExpr: (c: Body<"CurrentOfExpr">) => `CURRENT OF ${quoteIdent(c.cursor_name ?? "")}`,
  MergeSupportFunc: () => "MERGE_ACTION()",
  List: (l: Body<"List">) => list(l.items),
  ResTarget: target,
  SortBy: sortBy,
  GroupingSet: groupingSet,
  RangeVar: relation,
  RangeSubselect: (r: Body<"RangeSubselect">) =>
    `${r.lateral ? "LATERAL " : ""}(${optional("", r.subquery)})${aliasOf(r.alias)}`,
  RangeFunction: rangeFunction,
  RangeTableFunc: xmlTable,
  RangeTableSample: (r: Body<"RangeTableSample">) =>
    `${optional("", r.relation)} TABLESAMPLE ${names(r.method)} (${list(r.args)})${r.repeatable ? ` REPEATABLE (${print(r.repeatable)})` : ""}`,
  ColumnDef: (c: Body<"ColumnDef">) =>
    `${quoteIdent(c.colname ?? "")} ${typeName(c.typeName)}${c.collClause ? ` COLLATE ${names(c.collClause.collname)}` : ""}`,
  JoinExpr: join,
  LockingClause: (l: Body<"LockingClause">) =>
    `${spelling(strengths, l.strength)}${l.lockedRels?.length ? ` OF ${l.lockedRels.map(print).join(", ")}` : ""}${spelling(waits, l.waitPolicy)}`,
  CommonTableExpr: cte,
  SelectStmt: select,
  IndexElem: (e: Body<"IndexElem">) =>
    (e.name === undefined ? `(${optional("", e.expr)})` : quoteIdent(e.name)) +
    (e.collation?.length ? ` COLLATE ${names(e.collation)}` : "") +
    (e.opclass?.length ? ` ${names(e.opclass)}` : ""),
  InsertStmt: insert,
  UpdateStmt: (s: Body<"UpdateStmt">) =>
    `${withClause(s.withClause)}UPDATE ${relation(s.relation)} SET ${assignments(s.targetList)}${s.fromClause?.length ? ` FROM ${list(s.fromClause)}` : ""}${optional(" WHERE ", s.whereClause)}${returning(s.returningClause)}`,
  DeleteStmt: (s: Body<"DeleteStmt">) =>
    `${withClause(s.withClause)}DELETE FROM ${relation(s.relation)}${s.usingClause?.length ? ` USING ${list(s.usingClause)}` : ""}${optional(" WHERE ", s.whereClause)}${returning(s.returningClause)}`,
  MergeStmt: (s: Body<"MergeStmt">) =>
    `${withClause(s.withClause)}MERGE INTO ${relation(s.relation)} USING ${optional("", s.sourceRelation)} ON ${optional("", s.joinCondition)} ${(s.mergeWhenClauses ?? []).map(print).join(" ")}${returning(s.returningClause)}`,
  MergeWhenClause: mergeWhen,
  ...jsonPrinters,
};

/** @throws FaultError `unsupported-node` for a kind that has no printer. */
export function print(node: Node): string {
  const kind = kindOf(node);
  const printer = printers[kind];
  if (!printer) refuse("unsupported-node", `\`${kind}\` is not supported`);
  // SAFETY: the table's rows are typed by their kind; a lookup by a computed kind can't show it.
  return (printer as (body: unknown) => string)((node as unknown as Record<string, unknown>)[kind]);
}
