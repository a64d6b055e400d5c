// The ceiling of changed rows -> a statement that the server itself ends with an error, before anything of it can last.
import type { A_Expr, CommonTableExpr, Node, SelectStmt, WithClause } from "@pgsql/types";
import type { Catalog } from "../model/catalog.ts";
import type { LimitObligation, Obligations } from "../model/decision.ts";
import { refuse } from "./fault.ts";
import { generated } from "./masks.ts";
import type { RowShape } from "./row-shape.ts";
import type { BoundStatement } from "./statement.ts";
import { cast, columnRef, mapTree, stringNode, stringsOf } from "./tree.ts";
import type { ChangeCeiling } from "./types.ts";

/** What the server's error quotes when a statement goes over its ceiling. The gateway puts its own words in its place. */
export const overCeilingMark = "more rows than the gateway's policies let one statement change";

export type Ceiled = { readonly node: Node; readonly ceiling?: ChangeCeiling };

/** The least of the limits on what one statement may change, and on what its RETURNING may give. */
export function ceilingOf(obligations: Obligations, returns: boolean): LimitObligation | undefined {
  let least: LimitObligation | undefined;
  for (const limit of obligations.limits) {
    if (limit.unit !== "rows" || limit.window !== undefined || (limit.counts === undefined && !returns)) continue;
    if (least === undefined || limit.max < least.max) least = limit;
  }
  return least;
}

/**
 * `WITH gw_changed AS (UPDATE … RETURNING 1) SELECT count(*) FROM gw_changed LIMIT check`: the check counts what every part of
 * the statement has changed, and is an error where that is too much. It is part of the statement: PostgreSQL undoes all of it,
 * in whatever protocol and transaction, and no moment exists at which only the gateway could. LIMIT is evaluated before the
 * first row, whatever the plan.
 * @throws FaultError `limit-not-applicable`
 */
export function applyChangeLimit(
  node: Node,
  { form, shape }: Pick<BoundStatement, "form" | "shape">,
  obligations: Obligations,
  catalog: Pick<Catalog, "serverVersion">,
): Ceiled {
  if (!obligations.limits.some((l) => l.unit === "rows")) return { node };
  switch (form) {
    case "query":
    case "write":
      return ceiled(node, shape, obligations, catalog);
    case "copy-out":
      return within(node, "CopyStmt", shape, obligations, catalog);
    case "temporary":
      return within(node, "CreateTableAsStmt", shape, obligations, catalog);
    // Nothing of these runs: EXECUTE is decided and sent by itself, and EXPLAIN never has ANALYZE.
    case "prepare":
    case "explain":
    case "cursor":
      return { node };
    case "copy-in":
    case "utility":
    case "definition":
      if (obligations.limits.some(isOfChanges)) refuseCounting("the rows that this statement changes can't be counted");
      return { node };
    default:
      return form satisfies never;
  }
}

const isOfChanges = (limit: LimitObligation): boolean => limit.counts === "changed";

function refuseCounting(what: string, help?: string): never {
  refuse("limit-not-applicable", `${what}, and a rule limits how many they may be`, help === undefined ? {} : { help });
}

function within(
  node: Node,
  kind: "CopyStmt" | "CreateTableAsStmt",
  shape: RowShape | undefined,
  obligations: Obligations,
  catalog: Pick<Catalog, "serverVersion">,
): Ceiled {
  const outer = kind === "CopyStmt" && "CopyStmt" in node ? node.CopyStmt : undefined;
  const made = kind === "CreateTableAsStmt" && "CreateTableAsStmt" in node ? node.CreateTableAsStmt : undefined;
  const query = outer?.query ?? made?.query;
  if (query === undefined) return { node };
  const inner = ceiled(query, shape, obligations, catalog).node;
  if (inner === query) return { node };
  return { node: outer ? { CopyStmt: { ...outer, query: inner } } : { CreateTableAsStmt: { ...made, query: inner } } };
}

type Write = { readonly kind: keyof typeof tags; readonly body: WriteBody };
type WriteBody = { readonly withClause?: WithClause; readonly returningClause?: { readonly exprs?: Node[] } };

const tags = { InsertStmt: "INSERT 0", UpdateStmt: "UPDATE", DeleteStmt: "DELETE", MergeStmt: "MERGE" } as const;

function writeOf(node: Node): Write | undefined {
  if ("InsertStmt" in node) return { kind: "InsertStmt", body: node.InsertStmt };
  if ("UpdateStmt" in node) return { kind: "UpdateStmt", body: node.UpdateStmt };
  if ("DeleteStmt" in node) return { kind: "DeleteStmt", body: node.DeleteStmt };
  if ("MergeStmt" in node) return { kind: "MergeStmt", body: node.MergeStmt };
  return undefined;
}

function ceiled(
  node: Node,
  shape: RowShape | undefined,
  obligations: Obligations,
  catalog: Pick<Catalog, "serverVersion">,
): Ceiled {
  const write = writeOf(node);
  const select = "SelectStmt" in node ? node.SelectStmt : undefined;
  const own = write?.body.withClause ?? select?.withClause;
  const writing = (own?.ctes ?? []).filter((c) => writeOfCte(c) !== undefined);
  if (write === undefined && writing.length === 0) {
    if (obligations.limits.some(isOfChanges)) refuseUncounted(node, 0, catalog);
    return { node };
  }
  if (writing.length > 0 && obligations.limits.some((l) => isOfChanges(l) && l.window !== undefined))
    refuseCounting("the rows that a WITH changes can't be counted over time", "write a statement of its own for each");
  const isReturning = write?.body.returningClause !== undefined;
  const limit = ceilingOf(obligations, isReturning);
  if (limit === undefined) return { node };
  if (write !== undefined && writing.length === 0 && insertedAtMost(node) <= limit.max) return { node };
  refuseUncounted(node, (write === undefined ? 0 : 1) + writing.length, catalog);

  const ctes = (own?.ctes ?? []).map(returningSomething);
  const names = writing.map(nameOf);
  if (write === undefined) return { node: { SelectStmt: checked(select ?? {}, own, ctes, names, limit.max) } };
  const changed = freeName(ctes.map(nameOf));
  const { withClause: _, ...body } = write.body;
  const target = { [write.kind]: isReturning ? body : { ...body, returningClause: returningOne } } as Node;
  const columns = isReturning ? (shape?.columns ?? refuseCounting("RETURNING gives columns that can't be told")) : [];
  const cte: CommonTableExpr = {
    ctename: changed,
    ...(isReturning ? { aliascolnames: columns.map((_column, i) => stringNode(`c${i + 1}`)) } : {}),
    ctematerialized: "CTEMaterializeDefault",
    ctequery: target,
  };
  const outer: SelectStmt = {
    targetList: isReturning
      ? columns.map(({ name }, i) => ({ ResTarget: { name, val: columnRef(changed, `c${i + 1}`) } }))
      : [{ ResTarget: { val: generated("CAST(pg_catalog.count(*) AS pg_catalog.text)") } }],
    fromClause: [{ RangeVar: { relname: changed, inh: true, relpersistence: "p" } }],
    limitOption: "LIMIT_OPTION_DEFAULT",
    op: "SETOP_NONE",
  };
  const all = [...ctes, { CommonTableExpr: cte }];
  return {
    node: { SelectStmt: checked(outer, own, all, [...names, changed], limit.max) },
    ceiling: { tag: tags[write.kind], isCountOnly: !isReturning },
  };
}

/** The same query under WITH `ctes`, that fails where the CTEs of `names` have changed more than `max` rows together. */
function checked(
  query: SelectStmt,
  own: WithClause | undefined,
  ctes: readonly Node[],
  names: readonly string[],
  max: number,
): SelectStmt {
  if (query.limitOption === "LIMIT_OPTION_WITH_TIES")
    refuseCounting("the rows that this statement changes can't be counted beside WITH TIES");
  const sum = names
    .map((name) => `(SELECT pg_catalog.count(*) FROM "${name.replaceAll('"', '""')}")`)
    .join(" OPERATOR(pg_catalog.+) ");
  const check = generated(
    `CAST(CASE WHEN (${sum}) OPERATOR(pg_catalog.>) ${Math.max(0, Math.floor(max))} THEN CAST('${overCeilingMark.replaceAll("'", "''")}' AS pg_catalog.text) END AS pg_catalog.int8)`,
  );
  const limit = query.limitCount;
  const isNone = limit === undefined || ("A_Const" in limit && limit.A_Const.isnull === true);
  return {
    ...query,
    withClause: { ...own, ctes: [...ctes] },
    limitCount: isNone ? check : { CoalesceExpr: { args: [check, cast(limit, "int8")] } },
    limitOption: "LIMIT_OPTION_COUNT",
  };
}

const writeOfCte = (node: Node): Write | undefined =>
  "CommonTableExpr" in node && node.CommonTableExpr.ctequery ? writeOf(node.CommonTableExpr.ctequery) : undefined;

const nameOf = (node: Node): string => ("CommonTableExpr" in node ? (node.CommonTableExpr.ctename ?? "") : "");

const returningOne = { exprs: [{ ResTarget: { val: { A_Const: { ival: { ival: 1 } } } } }] };

/** Rows of a CTE can be counted only where it gives some. */
function returningSomething(node: Node): Node {
  const write = writeOfCte(node);
  if (write === undefined || write.body.returningClause !== undefined || !("CommonTableExpr" in node)) return node;
  const ctequery = { [write.kind]: { ...write.body, returningClause: returningOne } } as Node;
  return { CommonTableExpr: { ...node.CommonTableExpr, ctequery } };
}

function freeName(taken: readonly string[]): string {
  let name = "gw_changed";
  while (taken.includes(name)) name += "_";
  return name;
}

/** INSERT of so many rows, whatever the data; Infinity where that can't be told. */
function insertedAtMost(node: Node): number {
  if (!("InsertStmt" in node)) return Number.POSITIVE_INFINITY;
  const { selectStmt } = node.InsertStmt;
  if (selectStmt === undefined) return 1;
  const values = "SelectStmt" in selectStmt ? (selectStmt.SelectStmt.valuesLists ?? []) : [];
  // PostgreSQL reads a single row as the list of a SELECT: `VALUES (generate_series(1, 1000))` is a thousand rows. Of several
  // rows it lets none hold a function that gives a set.
  if (values.length === 0 || (values.length === 1 && mayGiveSets(values))) return Number.POSITIVE_INFINITY;
  return values.length;
}

/** Which functions do isn't known here: any call may, and any operator that isn't PostgreSQL's own. */
function mayGiveSets(values: Node[]): boolean {
  let found = false;
  mapTree(values, (value) => {
    if ("FuncCall" in value) found = true;
    if ("A_Expr" in value && !isOwnOperator(value.A_Expr as A_Expr)) found = true;
    return undefined;
  });
  return found;
}

const isOwnOperator = ({ name }: A_Expr): boolean => name?.length === 1 || stringsOf(name)[0] === "pg_catalog";

/** A write anywhere else would go uncounted; MERGE can be part of a WITH from PostgreSQL 17 on. */
function refuseUncounted(node: Node, counted: number, { serverVersion }: Pick<Catalog, "serverVersion">): void {
  let found = 0;
  let merges = 0;
  mapTree(node, (value) => {
    if ("MergeStmt" in value) merges += 1;
    if ("InsertStmt" in value || "UpdateStmt" in value || "DeleteStmt" in value || "MergeStmt" in value) found += 1;
    return undefined;
  });
  if (found !== counted) refuseCounting("the rows that a nested statement changes can't be counted");
  if (merges > 0 && serverVersion < 170_000 && serverVersion !== 0)
    refuseCounting("the rows that MERGE changes can't be counted on this server", "use UPDATE and INSERT in its place");
}
