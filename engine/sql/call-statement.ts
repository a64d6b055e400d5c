// a function of the server -> the statement that calls it: what a FunctionCall message is decided as
import type { Node } from "@pgsql/types";
import { quoteIdent } from "../model/row-predicate.ts";
import { parseSql } from "./pg-parser.ts";
import { sameTree, stringsOf } from "./tree.ts";
import type { RewrittenSql } from "./types.ts";

/** A row of pg_proc, as far as a call needs it. */
export type ServerFunction = {
  readonly schema: string;
  readonly name: string;
  /** pg_proc.prokind is `f`, and it gives one value: no aggregate, window function, procedure, or set. */
  readonly isPlain: boolean;
  readonly isVariadic: boolean;
  readonly arguments: readonly FunctionArgument[];
};

export type FunctionArgument = {
  readonly oid: number;
  readonly schema: string;
  readonly type: string;
  /** Of a pseudo-type, such as `anyelement`, `cstring` or `internal`. */
  readonly isPseudo: boolean;
};

/** `SELECT pg_catalog.lo_creat($1::pg_catalog.int4) AS lo_creat`: each name in full, each argument a parameter. */
export function callStatement(f: ServerFunction): string {
  const last = f.arguments.length - 1;
  const args = f.arguments.map(({ schema, type }, i) => {
    const value = `$${i + 1}::${quoteIdent(schema)}.${quoteIdent(type)}`;
    return f.isVariadic && i === last ? `VARIADIC ${value}` : value;
  });
  return `SELECT ${quoteIdent(f.schema)}.${quoteIdent(f.name)}(${args.join(", ")}) AS ${quoteIdent(f.name)}`;
}

/**
 * What is to be sent is that very call, so that the message can go in its place: no guard, no mask, no other function. A
 * limit on the rows takes nothing from the one that it has.
 */
export function isPlainCall(rewritten: RewrittenSql, f: ServerFunction): boolean {
  const meant = onlyTree(callStatement(f));
  const sent = onlyTree(rewritten.text);
  if (meant === undefined || sent === undefined || rewritten.ceiling !== undefined) return false;
  return sameTree(withoutLimit(sent), withoutLimit(meant)) && isCallOf(sent, f);
}

function onlyTree(text: string): Node | undefined {
  const parsed = parseSql(text);
  return parsed.ok && parsed.value.length === 1 ? parsed.value[0]?.stmt : undefined;
}

function withoutLimit(node: Node): Node {
  if (!("SelectStmt" in node)) return node;
  const { limitCount, limitOption, ...rest } = node.SelectStmt;
  if (limitCount === undefined) return { SelectStmt: { ...rest } };
  const rows = "A_Const" in limitCount ? (limitCount.A_Const.ival?.ival ?? 0) : 0;
  return rows >= 1 ? { SelectStmt: rest } : node;
}

function isCallOf(node: Node, f: ServerFunction): boolean {
  const target = "SelectStmt" in node ? node.SelectStmt.targetList?.[0] : undefined;
  const value = target && "ResTarget" in target ? target.ResTarget.val : undefined;
  if (value === undefined || !("FuncCall" in value)) return false;
  return sameTree(stringsOf(value.FuncCall.funcname), [f.schema, f.name]);
}
