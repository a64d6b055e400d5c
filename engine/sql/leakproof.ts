// Conditions that may be evaluated on hidden rows: their operator is leakproof (pg_proc.proleakproof) for the column's
// type, and the other side is a constant or a parameter. They let the fenced subquery use an index.
import type { A_Expr, Node } from "@pgsql/types";
import { invariant } from "../lib/assert.ts";
import type { Column } from "../model/catalog.ts";
import type { RelationUse } from "./bindings.ts";
import type { Protection } from "./protection.ts";
import type { Rewriting } from "./rewrite.ts";
import { columnRef, mapTree, stringsOf } from "./tree.ts";

const comparisons: ReadonlySet<string> = new Set(["=", "<>", "<", "<=", ">", ">="]);

/** Type of a column → OIDs of the parameter types whose comparison with it is leakproof too. */
const leakproofTypes: Readonly<Record<string, readonly number[]>> = {
  int2: [20, 21, 23],
  int4: [20, 21, 23],
  int8: [20, 21, 23],
  bool: [16],
  text: [25, 1043],
  varchar: [25, 1043],
  date: [1082],
  timestamp: [1114],
  timestamptz: [1184],
  uuid: [2950],
};
const integers: ReadonlySet<string> = new Set(["int2", "int4", "int8"]);
const oidOf: Readonly<Record<string, number>> = {
  int2: 21,
  int4: 23,
  int8: 20,
  bool: 16,
  text: 25,
  varchar: 1043,
  date: 1082,
  timestamp: 1114,
  timestamptz: 1184,
  uuid: 2950,
};

/** Conjuncts of the WHERE around `use` that may go behind the fence with it. */
export const leakproofConjuncts = (r: Rewriting, use: RelationUse, p: Protection): readonly Node[] =>
  conjuncts(use.place.where).filter((c) => isLeakproof(r, c, use, p));

export function conjuncts(where: Node | undefined): readonly Node[] {
  if (!where) return [];
  return "BoolExpr" in where && where.BoolExpr.boolop === "AND_EXPR" ? (where.BoolExpr.args ?? []) : [where];
}

export function isLeakproof(r: Rewriting, node: Node, use: RelationUse, p: Protection): boolean {
  if (!("A_Expr" in node)) return false;
  const e = node.A_Expr;
  if (e.kind === "AEXPR_IN") {
    const column = columnOf(r, e.lexpr, use, p);
    const items = e.rexpr && "List" in e.rexpr ? (e.rexpr.List.items ?? []) : [];
    return column !== undefined && items.length > 0 && items.every((i) => isSimple(r, i, column));
  }
  if (e.kind !== "AEXPR_OP" || !isBuiltinComparison(e)) return false;
  const [left, right] = [columnOf(r, e.lexpr, use, p), columnOf(r, e.rexpr, use, p)];
  if (left) return isSimple(r, e.rexpr, left);
  return right !== undefined && isSimple(r, e.lexpr, right);
}

function isBuiltinComparison(e: A_Expr): boolean {
  const [schema, symbol] = stringsOf(e.name);
  return schema === "pg_catalog" && symbol !== undefined && comparisons.has(symbol);
}

/** An unmasked column of this very use. */
function columnOf(r: Rewriting, node: Node | undefined, use: RelationUse, p: Protection): Column | undefined {
  if (!node || !("ColumnRef" in node)) return undefined;
  const bound = r.bindings.columnUses.get(node.ColumnRef);
  if (!bound || bound.use !== use || p.masks.has(bound.column)) return undefined;
  const column = use.relation.columns.find((c) => c.name === bound.column);
  return column && column.type.schema === "pg_catalog" && leakproofTypes[column.type.name] ? column : undefined;
}

/** A constant or parameter whose comparison with the column is leakproof. */
export function isSimple(r: Rewriting, node: Node | undefined, column: Column): boolean {
  if (!node) return false;
  const types = leakproofTypes[column.type.name] ?? [];
  if ("ParamRef" in node) {
    if (r.inlined) return isSimple(r, r.inlined[(node.ParamRef.number ?? 0) - 1], column);
    const declared = r.context.parameterTypes[(node.ParamRef.number ?? 0) - 1] ?? 0;
    return declared === 0 || types.includes(declared);
  }
  if ("A_Const" in node) {
    const c = node.A_Const;
    if (c.ival || isBigInteger(c.fval?.fval)) return integers.has(column.type.name);
    if (c.boolval) return column.type.name === "bool";
    return c.sval !== undefined;
  }
  if (!("TypeCast" in node) || !node.TypeCast.arg || node.TypeCast.typeName?.arrayBounds?.length) return false;
  const [schema, type] = stringsOf(node.TypeCast.typeName?.names);
  const oid = schema === "pg_catalog" && type !== undefined ? oidOf[type] : undefined;
  if (oid === undefined || !types.includes(oid)) return false;
  return "A_Const" in node.TypeCast.arg || isOfType(r, node.TypeCast.arg, oid);
}

/** A cast from another type may fail, row by row under a generic plan: then the error tells of hidden rows. */
function isOfType(r: Rewriting, node: Node, oid: number): boolean {
  if (!("ParamRef" in node)) return false;
  const number = node.ParamRef.number ?? 0;
  if (r.inlined) return "A_Const" in (r.inlined[number - 1] ?? {});
  const declared = r.context.parameterTypes[number - 1] ?? 0;
  return declared === 0 ? r.bindings.parameterCasts.get(number)?.size === 1 : declared === oid;
}

/** Beyond 32 bits an integer is "float" digits to the parser, and int8 to the server. */
const isBigInteger = (digits: string | undefined): boolean =>
  digits !== undefined && /^-?\d{1,19}$/.test(digits) && BigInt.asIntN(64, BigInt(digits)) === BigInt(digits);

/** The condition with its columns addressed through `row`, under their own names: the client may have renamed them. */
export const moveTo = (r: Rewriting, condition: Node, row: string): Node =>
  mapTree(condition, (value) => {
    if (!("ColumnRef" in value)) return undefined;
    const bound = r.bindings.columnUses.get((value as Extract<Node, { ColumnRef: unknown }>).ColumnRef);
    invariant(bound !== undefined, "a condition that moves names bound columns only");
    return columnRef(row, bound.column);
  });
