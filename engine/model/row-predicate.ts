import { unreachable } from "../lib/assert.ts";

export type SqlLiteral =
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "int" | "float"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  /** Milliseconds since the epoch; rendered as timestamptz. */
  | { readonly type: "time"; readonly value: number }
  | { readonly type: "date"; readonly value: string };

export type CompareOp = "=" | "<>" | "<" | "<=" | ">" | ">=";

/** What `as` may read JSON as in a filter; `json`: whatever it is, `null` too. An int has no fraction and is within ±(2⁵³−1). */
export type JsonScalar = "string" | "int" | "float" | "bool" | "json";

export type JsonTest =
  | { readonly op: CompareOp; readonly value: SqlLiteral }
  | { readonly op: "in"; readonly values: readonly SqlLiteral[] }
  | { readonly op: "present" };

/**
 * A row filter after everything that doesn't depend on the row was evaluated. Rows are kept only where it is TRUE
 * (SQL's own rule: NULL drops the row).
 */
export type RowPredicate =
  | { readonly kind: "constant"; readonly value: boolean }
  | { readonly kind: "compare"; readonly column: string; readonly op: CompareOp; readonly value: SqlLiteral }
  | { readonly kind: "compare-columns"; readonly left: string; readonly op: CompareOp; readonly right: string }
  | { readonly kind: "in"; readonly column: string; readonly values: readonly SqlLiteral[] }
  | { readonly kind: "is-null"; readonly column: string }
  /**
   * What stands at `path` of the JSON in the column, read as a type: of another type, or missing, it is NULL. `column` is ""
   * where the item of a JSON answer itself is meant.
   */
  | {
      readonly kind: "json";
      readonly column: string;
      readonly path: readonly string[];
      readonly as: JsonScalar;
      readonly test: JsonTest;
    }
  | { readonly kind: "not"; readonly part: RowPredicate }
  | { readonly kind: "and" | "or"; readonly parts: readonly RowPredicate[] };

/** SQL text with unqualified quoted columns: what `expect filter … as` and the record show. */
export function renderRowPredicate(p: RowPredicate): string {
  switch (p.kind) {
    case "constant":
      return p.value ? "true" : "false";
    case "compare":
      return `${quoteIdent(p.column)} ${p.op} ${renderLiteral(p.value)}`;
    case "compare-columns":
      return `${quoteIdent(p.left)} ${p.op} ${quoteIdent(p.right)}`;
    case "in":
      return p.values.length === 0 ? "false" : `${quoteIdent(p.column)} IN (${p.values.map(renderLiteral).join(", ")})`;
    case "is-null":
      return `${quoteIdent(p.column)} IS NULL`;
    case "json":
      return renderJsonTest(p);
    case "not":
      return `NOT (${renderRowPredicate(p.part)})`;
    case "and":
      return p.parts.length === 0 ? "true" : p.parts.map(renderPart).join(" AND ");
    case "or":
      return p.parts.length === 0 ? "false" : p.parts.map(renderPart).join(" OR ");
    default:
      return unreachable(p);
  }
}

function renderPart(p: RowPredicate): string {
  return p.kind === "and" || p.kind === "or" ? `(${renderRowPredicate(p)})` : renderRowPredicate(p);
}

function renderJsonTest({ column, path, as, test }: RowPredicate & { kind: "json" }): string {
  const place = [column === "" ? "item" : quoteIdent(column), ...path.map(quoteLiteral)].join(" -> ");
  const value = as === "json" ? place : `(${place})::${as}`;
  if (test.op === "present") return `${value} IS NOT NULL`;
  return test.op === "in"
    ? `${value} IN (${test.values.map(renderLiteral).join(", ")})`
    : `${value} ${test.op} ${renderLiteral(test.value)}`;
}

function renderLiteral(literal: SqlLiteral): string {
  switch (literal.type) {
    case "string":
      return quoteLiteral(literal.value);
    case "int":
    case "float":
      return String(literal.value);
    case "bool":
      return literal.value ? "true" : "false";
    case "time":
      return `timestamptz ${quoteLiteral(new Date(literal.value).toISOString())}`;
    case "date":
      return `date ${quoteLiteral(literal.value)}`;
    default:
      return unreachable(literal);
  }
}

/** Always quoted, so that keywords and upper case need no thought. */
export const quoteIdent = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** For `standard_conforming_strings = on`, which the gateway pins: a backslash is a plain character. */
export const quoteLiteral = (text: string): string => `'${text.replaceAll("'", "''")}'`;
