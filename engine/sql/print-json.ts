import type { JsonBehavior, JsonFormat, JsonOutput, JsonTablePathSpec, JsonValueExpr, Node } from "@pgsql/types";
import { quoteIdent } from "../model/row-predicate.ts";
import { refuse } from "./fault.ts";
import { aliasOf, type Body, list, print, spelling, tail, typeName } from "./print.ts";

const encodings: Readonly<Record<string, string>> = { JS_ENC_DEFAULT: "", JS_ENC_UTF8: " ENCODING UTF8" };

function format(f: JsonFormat | undefined): string {
  if (!f || f.format_type === "JS_FORMAT_DEFAULT") return "";
  if (f.format_type !== "JS_FORMAT_JSON") return refuse("unsupported-clause", "this JSON format is not supported");
  return ` FORMAT JSON${spelling(encodings, f.encoding)}`;
}

const output = (o: JsonOutput | undefined): string =>
  o ? ` RETURNING ${typeName(o.typeName)}${format(o.returning?.format)}` : "";

const value = (v: JsonValueExpr | undefined): string =>
  v?.raw_expr ? print(v.raw_expr) + format(v.format) : refuse("unsupported-clause", "this JSON value is not supported");

const absence = (isAbsent: boolean | undefined): string => (isAbsent ? " ABSENT ON NULL" : " NULL ON NULL");
const uniqueKeys = (isUnique: boolean | undefined): string => (isUnique ? " WITH UNIQUE KEYS" : "");

const behaviours: Readonly<Record<string, string>> = {
  JSON_BEHAVIOR_NULL: "NULL",
  JSON_BEHAVIOR_ERROR: "ERROR",
  JSON_BEHAVIOR_EMPTY: "EMPTY",
  JSON_BEHAVIOR_TRUE: "TRUE",
  JSON_BEHAVIOR_FALSE: "FALSE",
  JSON_BEHAVIOR_UNKNOWN: "UNKNOWN",
  JSON_BEHAVIOR_EMPTY_ARRAY: "EMPTY ARRAY",
  JSON_BEHAVIOR_EMPTY_OBJECT: "EMPTY OBJECT",
  JSON_BEHAVIOR_DEFAULT: "DEFAULT",
};
const behaviour = (b: JsonBehavior | undefined, on: string): string =>
  b ? ` ${spelling(behaviours, b.btype)}${b.expr ? ` ${print(b.expr)}` : ""} ON ${on}` : "";

const jsonFunctions: Readonly<Record<string, string>> = {
  JSON_EXISTS_OP: "JSON_EXISTS",
  JSON_QUERY_OP: "JSON_QUERY",
  JSON_VALUE_OP: "JSON_VALUE",
};
const wrappers: Readonly<Record<string, string>> = {
  JSW_UNSPEC: "",
  JSW_NONE: " WITHOUT WRAPPER",
  JSW_CONDITIONAL: " WITH CONDITIONAL WRAPPER",
  JSW_UNCONDITIONAL: " WITH UNCONDITIONAL WRAPPER",
};
const quotes: Readonly<Record<string, string>> = {
  JS_QUOTES_UNSPEC: "",
  JS_QUOTES_KEEP: " KEEP QUOTES",
  JS_QUOTES_OMIT: " OMIT QUOTES",
};

function jsonFunction(f: Body<"JsonFuncExpr">): string {
  return [
    `${spelling(jsonFunctions, f.op)}(${value(f.context_item)}, ${f.pathspec ? print(f.pathspec) : ""}`,
    passingList(f.passing),
    output(f.output),
    spelling(wrappers, f.wrapper ?? "JSW_UNSPEC"),
    spelling(quotes, f.quotes ?? "JS_QUOTES_UNSPEC"),
    behaviour(f.on_empty, "EMPTY"),
    behaviour(f.on_error, "ERROR"),
    ")",
  ].join("");
}

const columnKinds: Readonly<Record<string, string>> = {
  JTC_REGULAR: "",
  JTC_FORMATTED: "",
  JTC_EXISTS: " EXISTS",
};

const path = (p: JsonTablePathSpec | undefined): string =>
  p?.string ? ` PATH ${print(p.string)}${p.name === undefined ? "" : ` AS ${quoteIdent(p.name)}`}` : "";

function tableColumn(node: Node): string {
  if (!("JsonTableColumn" in node)) return refuse("unsupported-node", "this JSON_TABLE column is not supported");
  const c = node.JsonTableColumn;
  if (c.coltype === "JTC_NESTED") return `NESTED${path(c.pathspec)} COLUMNS (${tableColumns(c.columns)})`;
  const name = quoteIdent(c.name ?? "");
  if (c.coltype === "JTC_FOR_ORDINALITY") return `${name} FOR ORDINALITY`;
  return [
    `${name} ${typeName(c.typeName)}${spelling(columnKinds, c.coltype)}`,
    format(c.format),
    path(c.pathspec),
    // The parser notes "no wrapper" for EXISTS, where the grammar has no word for it.
    c.coltype === "JTC_EXISTS" ? "" : spelling(wrappers, c.wrapper ?? "JSW_UNSPEC"),
    spelling(quotes, c.quotes ?? "JS_QUOTES_UNSPEC"),
    behaviour(c.on_empty, "EMPTY"),
    behaviour(c.on_error, "ERROR"),
  ].join("");
}

const tableColumns = (nodes: readonly Node[] | undefined): string => (nodes ?? []).map(tableColumn).join(", ");

function passingList(nodes: readonly Node[] | undefined): string {
  const parts = (nodes ?? []).map((p) =>
    "JsonArgument" in p ? `${value(p.JsonArgument.val)} AS ${quoteIdent(p.JsonArgument.name ?? "")}` : "",
  );
  return parts.length ? ` PASSING ${parts.join(", ")}` : "";
}

function jsonTable(t: Body<"JsonTable">): string {
  const name = t.pathspec?.name === undefined ? "" : ` AS ${quoteIdent(t.pathspec.name)}`;
  const root = t.pathspec?.string
    ? print(t.pathspec.string)
    : refuse("unsupported-node", "this JSON_TABLE is not supported");
  const body = `JSON_TABLE(${value(t.context_item)}, ${root}${name}${passingList(t.passing)} COLUMNS (${tableColumns(t.columns)})${behaviour(t.on_error, "ERROR")})`;
  return (t.lateral ? "LATERAL " : "") + body + aliasOf(t.alias);
}

const itemTypes: Readonly<Record<string, string>> = {
  JS_TYPE_ANY: "",
  JS_TYPE_OBJECT: " OBJECT",
  JS_TYPE_ARRAY: " ARRAY",
  JS_TYPE_SCALAR: " SCALAR",
};

const keyValue = (k: { readonly key?: Node; readonly value?: JsonValueExpr } | undefined): string =>
  k?.key ? `${print(k.key)} : ${value(k.value)}` : refuse("unsupported-clause", "this JSON member is not supported");

/** The SQL/JSON constructors and query functions (PostgreSQL 16 and 17). */
export const jsonPrinters = {
  JsonValueExpr: value,
  JsonKeyValue: keyValue,
  JsonObjectConstructor: (j: Body<"JsonObjectConstructor">) =>
    `JSON_OBJECT(${list(j.exprs)}${j.exprs?.length ? absence(j.absent_on_null) : ""}${j.exprs?.length ? uniqueKeys(j.unique) : ""}${output(j.output)})`,
  JsonArrayConstructor: (j: Body<"JsonArrayConstructor">) =>
    `JSON_ARRAY(${list(j.exprs)}${j.exprs?.length ? absence(j.absent_on_null) : ""}${output(j.output)})`,
  JsonArrayQueryConstructor: (j: Body<"JsonArrayQueryConstructor">) =>
    `JSON_ARRAY(${j.query ? print(j.query) : ""}${format(j.format)}${output(j.output)})`,
  JsonObjectAgg: (j: Body<"JsonObjectAgg">) =>
    `JSON_OBJECTAGG(${keyValue(j.arg)}${absence(j.absent_on_null)}${uniqueKeys(j.unique)}${output(j.constructor?.output)})${tail(j.constructor?.agg_filter, j.constructor?.over)}`,
  JsonArrayAgg: (j: Body<"JsonArrayAgg">) =>
    `JSON_ARRAYAGG(${value(j.arg)}${j.constructor?.agg_order?.length ? ` ORDER BY ${list(j.constructor.agg_order)}` : ""}${absence(j.absent_on_null)}${output(j.constructor?.output)})${tail(j.constructor?.agg_filter, j.constructor?.over)}`,
  JsonIsPredicate: (j: Body<"JsonIsPredicate">) =>
    `(${j.expr ? print(j.expr) : ""} IS JSON${spelling(itemTypes, j.item_type ?? "JS_TYPE_ANY")}${uniqueKeys(j.unique_keys)})`,
  JsonParseExpr: (j: Body<"JsonParseExpr">) => `JSON(${value(j.expr)}${uniqueKeys(j.unique_keys)})`,
  JsonScalarExpr: (j: Body<"JsonScalarExpr">) => `JSON_SCALAR(${j.expr ? print(j.expr) : ""})`,
  JsonSerializeExpr: (j: Body<"JsonSerializeExpr">) => `JSON_SERIALIZE(${value(j.expr)}${output(j.output)})`,
  JsonFuncExpr: jsonFunction,
  JsonTable: jsonTable,
};
