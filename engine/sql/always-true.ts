// WHERE -> is it certainly true for every row? What a person would write to get round "needs a WHERE" must not say no.
import type { A_Expr, Node, SubLink } from "@pgsql/types";
import { andTruth, notTruth, orTruth, type Truth, Unknown } from "../lib/truth.ts";
import { constantText, isConstant, testConstant } from "./bind-functions.ts";
import { Hole } from "./holes.ts";
import { systemColumns } from "./system-catalog.ts";
import { sameTree, stringsOf } from "./tree.ts";

const cannotTell = new Unknown("it can't be told whether the condition limits the rows");

/** `false` only where some column of a row decides; true for constants and tautologies; unknown for the rest. */
export function isAlwaysTrue(where: Node | undefined): Truth {
  if (!where) return true;
  if ("A_Const" in where) {
    if (where.A_Const.boolval) return where.A_Const.boolval.boolval === true;
    return where.A_Const.isnull ? false : cannotTell;
  }
  if ("TypeCast" in where) {
    const text = constantText(where)?.toLowerCase();
    if (text === undefined) return where.TypeCast.arg ? isAlwaysTrue(where.TypeCast.arg) : cannotTell;
    return ["t", "true", "y", "yes", "on", "1"].includes(text) ? true : cannotTell;
  }
  if ("BoolExpr" in where) return ofBoolean(where.BoolExpr.boolop, where.BoolExpr.args ?? []);
  if ("NullTest" in where) {
    const arg = where.NullTest.arg;
    return arg && hasColumn(arg) && where.NullTest.nulltesttype === "IS_NULL" ? false : cannotTell;
  }
  if ("A_Expr" in where) return ofExpression(where.A_Expr);
  if ("CurrentOfExpr" in where) return false;
  if ("ColumnRef" in where) return false;
  if ("SubLink" in where) return ofSubLink(where.SubLink);
  return cannotTell;
}

/** `id IN (SELECT id FROM t)`: a column that is looked for among all of its own values. */
function ofSubLink(s: SubLink): Truth {
  if (s.subLinkType !== "ANY_SUBLINK" || !s.testexpr || !hasColumn(s.testexpr)) return cannotTell;
  const query = s.subselect && "SelectStmt" in s.subselect ? s.subselect.SelectStmt : undefined;
  const isWhole = query !== undefined && !query.whereClause && !query.havingClause && !query.limitCount;
  const given = columnsIn(query?.targetList);
  return isWhole && columnsIn(s.testexpr).some((c) => given.includes(c)) ? cannotTell : false;
}

function ofBoolean(op: string | undefined, args: readonly Node[]): Truth {
  const parts = args.map(isAlwaysTrue);
  if (op === "AND_EXPR") return parts.reduce(andTruth, true);
  if (op === "OR_EXPR") {
    if (args.some((a, i) => args.slice(i + 1).some((c) => complement(a, c)))) return true;
    const truth = parts.reduce(orTruth, false);
    // Several conditions on one column may hold for every row between them, unless each picks values.
    const isShared = args.some((a, i) =>
      args.slice(i + 1).some((c) => (!isPick(a) || !isPick(c)) && columnsIn(a).some((x) => columnsIn(c).includes(x))),
    );
    return truth === false && isShared ? cannotTell : truth;
  }
  const [part] = parts;
  if (op !== "NOT_EXPR" || part === undefined) return cannotTell;
  return part === false ? negated(args[0]) : notTruth(part);
}

/** `column = …`, `column IN (…)`, `column IS NULL`. */
const isPick = (node: Node): boolean =>
  "NullTest" in node
    ? node.NullTest.nulltesttype === "IS_NULL"
    : "A_Expr" in node &&
      symbol(node.A_Expr) === "=" &&
      ["AEXPR_OP", "AEXPR_IN", "AEXPR_OP_ANY"].includes(node.A_Expr.kind ?? "");

/** NOT of something that some rows fail: NOT false is a tautology, NOT (id = 7) is not. */
const negated = (arg: Node | undefined): Truth => {
  if (!arg || !hasColumn(arg)) return true;
  // One part that never holds makes the whole of an AND never hold.
  return "BoolExpr" in arg && arg.BoolExpr.boolop === "AND_EXPR" ? cannotTell : false;
};

const opposites: Readonly<Record<string, string>> = {
  "=": "<>",
  "<>": "=",
  "<": ">=",
  ">=": "<",
  ">": "<=",
  "<=": ">",
};

/** `a < b OR a >= b`, `a IS NULL OR a IS NOT NULL`, `p OR NOT p`. */
function complement(a: Node, b: Node): boolean {
  if ("BoolExpr" in a && a.BoolExpr.boolop === "NOT_EXPR" && sameTree(a.BoolExpr.args?.[0], b)) return true;
  if ("BoolExpr" in b && b.BoolExpr.boolop === "NOT_EXPR" && sameTree(b.BoolExpr.args?.[0], a)) return true;
  if ("NullTest" in a && "NullTest" in b)
    return a.NullTest.nulltesttype !== b.NullTest.nulltesttype && sameTree(a.NullTest.arg, b.NullTest.arg);
  if (!("A_Expr" in a) || !("A_Expr" in b)) return false;
  const [x, y] = [symbol(a.A_Expr), symbol(b.A_Expr)];
  // `a <= 5 OR a >= 5` and `a < 5 OR a > 3` overlap as well; equal left sides under an order are enough to doubt.
  if (opposites[x] === undefined || opposites[y] === undefined || !sameTree(a.A_Expr.lexpr, b.A_Expr.lexpr))
    return false;
  if (opposites[x] === y && sameTree(a.A_Expr.rexpr, b.A_Expr.rexpr)) return true;
  return (
    (x.startsWith("<") && x !== "<>" && y.startsWith(">")) || (x.startsWith(">") && y.startsWith("<") && y !== "<>")
  );
}

const symbol = (e: A_Expr): string => stringsOf(e.name).at(-1) ?? "";

function ofExpression(e: A_Expr): Truth {
  const { lexpr, rexpr } = e;
  if (!lexpr || !rexpr) return cannotTell;
  const [left, right] = [lexpr, rexpr].map((side) => (isConstant(side) ? side : undefined));
  if (left && right) return ofConstants(symbol(e), constantText(left) ?? "", constantText(right) ?? "");
  const columns = [columnsIn(lexpr), columnsIn(rexpr)];
  if (columns.every((c) => c.length === 0)) return cannotTell;
  if (columns[0]?.some((c) => columns[1]?.includes(c))) return cannotTell;
  if (columns.some((c) => c.some((name) => systemColumns.has(name)))) return cannotTell;
  if (isEdge(symbol(e), lexpr, right) || isEdge(mirrored[symbol(e)] ?? "", rexpr, left)) return cannotTell;
  if (symbol(e).includes("~~") && testConstant(right, (text) => /^%+$/.test(text))) return cannotTell;
  // A regular expression without a plain character may match every text.
  if (/^!?~\*?$/.test(symbol(e)) && testConstant(right, (text) => !/[\p{L}\p{N}]/u.test(text))) return cannotTell;
  if (symbol(e) === "=" || e.kind === "AEXPR_IN" || e.kind === "AEXPR_OP_ANY") return false;
  // A function of a column against a constant (`abs(id) >= 0`) may hold for every row; a bare column is believed.
  return "ColumnRef" in lexpr || "ColumnRef" in rexpr ? false : cannotTell;
}

const mirrored: Readonly<Record<string, string>> = { "<": ">", ">": "<", "<=": ">=", ">=": "<=" };

/** The largest values of the integer types, and one beyond the smallest. */
const edges: ReadonlySet<number> = new Set([32767, 32768, 2_147_483_647, 2_147_483_648]);

/**
 * `id > 0`, `id >= -1`, `id <= 2147483647`, `at < 'infinity'`, `name ^@ ''`: what every row of most tables satisfies, and what is
 * written to get round a guard.
 */
function isEdge(op: string, column: Node, constant: Node | undefined): boolean {
  if (constant === undefined || !hasColumn(column)) return false;
  if (op === "^@") return testConstant(constant, (text) => text === "");
  if (op === ">" || op === ">=") return testConstant(constant, (text) => isLimit(text, true));
  return (op === "<" || op === "<=") && testConstant(constant, (text) => isLimit(text, false));
}

function isLimit(constant: string, isAbove: boolean): boolean {
  if (/^[+-]?infinity$/i.test(constant)) return true;
  const value = Number(constant);
  if (constant.trim() === "" || Number.isNaN(value)) return isAbove && constant.trim() === "";
  return isAbove ? value <= 0 : edges.has(Math.abs(value)) || value >= 1e15;
}

function ofConstants(op: string, left: string, right: string): Truth {
  if (op === "=") return left === right ? true : cannotTell;
  if (op === "<>") return left !== right;
  return cannotTell;
}

const hasColumn = (node: Node): boolean => columnsIn(node).length > 0;

function columnsIn(node: unknown): readonly string[] {
  if (typeof node !== "object" || node === null || node instanceof Hole) return [];
  if (Array.isArray(node)) return node.flatMap(columnsIn);
  if ("ColumnRef" in node)
    return [stringsOf((node as Extract<Node, { ColumnRef: unknown }>).ColumnRef.fields).at(-1) ?? ""];
  return Object.values(node).flatMap(columnsIn);
}
