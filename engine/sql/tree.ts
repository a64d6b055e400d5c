// Small tools over parse trees: comparison, copying, construction.
import type { Node } from "@pgsql/types";
import { Hole } from "./holes.ts";

/** Positions in the text, and marks for pg_stat_statements: no part of the meaning. */
const withoutMeaning: ReadonlySet<string> = new Set([
  "location",
  "stmt_location",
  "stmt_len",
  "rexpr_list_start",
  "rexpr_list_end",
  "list_start",
  "list_end",
  "name_location",
  "jumble_args",
]);

/** Equal trees, locations aside. A field that is `undefined` counts as absent. */
export function sameTree(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!sameTree(a[i], b[i])) return false;
    return true;
  }
  if (Array.isArray(b)) return false;
  return sameFields(a as Record<string, unknown>, b as Record<string, unknown>);
}

function sameFields(a: Readonly<Record<string, unknown>>, b: Readonly<Record<string, unknown>>): boolean {
  let fields = 0;
  for (const key in a) {
    const value = a[key];
    if (value === undefined || withoutMeaning.has(key)) continue;
    fields++;
    if (!sameTree(value, b[key])) return false;
  }
  for (const key in b) if (b[key] !== undefined && !withoutMeaning.has(key)) fields--;
  return fields === 0;
}

/**
 * A copy in which `replace` had its say about every object below, outermost first: `undefined` means "go on below",
 * anything else takes the object's place as it is. Parts without a change are shared with the original.
 */
export function mapTree<T>(tree: T, replace: (value: object) => object | undefined): T {
  if (typeof tree !== "object" || tree === null) return tree;
  const other = Array.isArray(tree) ? undefined : replace(tree);
  if (other !== undefined) return other as T;
  return mapBelow(tree, replace);
}

/** As `mapTree`, but the object itself is not offered to `replace`. */
export function mapBelow<T extends object>(tree: T, replace: (value: object) => object | undefined): T {
  if (Array.isArray(tree)) {
    let copy: unknown[] | undefined;
    for (let i = 0; i < tree.length; i++) {
      const mapped = mapTree(tree[i] as unknown, replace);
      if (mapped !== tree[i]) {
        copy ??= tree.slice() as unknown[];
        copy[i] = mapped;
      }
    }
    return (copy as T | undefined) ?? tree;
  }
  const fields = tree as Readonly<Record<string, unknown>>;
  let copy: Record<string, unknown> | undefined;
  for (const key in fields) {
    const value = fields[key];
    if (typeof value !== "object" || value === null || value instanceof Hole) continue;
    const mapped = mapTree(value, replace);
    if (mapped !== value) {
      copy ??= { ...fields };
      copy[key] = mapped;
    }
  }
  return (copy as T | undefined) ?? tree;
}

export const stringNode = (sval: string): Node => ({ String: sval === "" ? {} : { sval } });

/** The text of a `String` node; undefined for any other node. */
export const stringOf = (node: Node | undefined): string | undefined =>
  node !== undefined && "String" in node ? (node.String.sval ?? "") : undefined;

export const stringsOf = (nodes: readonly Node[] | undefined): readonly string[] =>
  (nodes ?? []).map((n) => stringOf(n) ?? "");

export const columnRef = (...path: readonly string[]): Node => ({ ColumnRef: { fields: path.map(stringNode) } });

export const booleanConst = (value: boolean): Node => ({ A_Const: { boolval: value ? { boolval: true } : {} } });
export const stringConst = (value: string): Node => ({ A_Const: { sval: { sval: value } } });
export const nullConst: Node = { A_Const: { isnull: true } };

/** Integers as the parser makes them: beyond 32 bits they are "floats" of decimal digits. */
export function numberConst(value: number): Node {
  if (Number.isInteger(value) && Math.abs(value) <= 2_147_483_647)
    return { A_Const: { ival: value === 0 ? {} : { ival: value } } };
  return { A_Const: { fval: { fval: decimal(value) } } };
}

/** JavaScript's `1e+21` is `1e21` to PostgreSQL's scanner; both parse, one survives the comparison. */
const decimal = (value: number): string => String(value).replace("e+", "e");

/** AND as the parser would have read it: flat, never with one part. No parts: true. */
export function allOf(parts: readonly Node[]): Node {
  const flat = parts.flatMap((p, i) =>
    i === 0 && "BoolExpr" in p && p.BoolExpr.boolop === "AND_EXPR" ? (p.BoolExpr.args ?? []) : [p],
  );
  const [first] = flat;
  if (first === undefined) return booleanConst(true);
  return flat.length === 1 ? first : { BoolExpr: { boolop: "AND_EXPR", args: flat } };
}

export function anyOf(parts: readonly Node[]): Node {
  const flat = parts.flatMap((p, i) =>
    i === 0 && "BoolExpr" in p && p.BoolExpr.boolop === "OR_EXPR" ? (p.BoolExpr.args ?? []) : [p],
  );
  const [first] = flat;
  if (first === undefined) return booleanConst(false);
  return flat.length === 1 ? first : { BoolExpr: { boolop: "OR_EXPR", args: flat } };
}

export const not = (part: Node): Node => ({ BoolExpr: { boolop: "NOT_EXPR", args: [part] } });

export const operator = (name: string, left: Node, right: Node): Node => ({
  A_Expr: { kind: "AEXPR_OP", name: [stringNode("pg_catalog"), stringNode(name)], lexpr: left, rexpr: right },
});

/** A call of a pg_catalog function. */
export const call = (name: string, ...args: readonly Node[]): Node => ({
  FuncCall: {
    funcname: [stringNode("pg_catalog"), stringNode(name)],
    args: [...args],
    funcformat: "COERCE_EXPLICIT_CALL",
  },
});

export const cast = (arg: Node, type: string): Node => ({
  TypeCast: { arg, typeName: { names: [stringNode("pg_catalog"), stringNode(type)], typemod: -1 } },
});

/** `CASE WHEN condition THEN value ELSE other END` */
export const when = (condition: Node, value: Node, other: Node): Node => ({
  CaseExpr: { args: [{ CaseWhen: { expr: condition, result: value } }], defresult: other },
});
