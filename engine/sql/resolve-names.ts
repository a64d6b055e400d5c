// Names of relations, functions, operators and types -> what they mean under a search_path. pg_temp comes first for
// relations, pg_catalog before everything that the path doesn't name (runtime-config-client.html, search_path).
import type { A_Expr, CollateClause, FuncCall, Node, RangeVar, TypeName } from "@pgsql/types";
import { type Relation, relationKey } from "../model/catalog.ts";
import type { Binder } from "./bind-context.ts";
import { refuse } from "./fault.ts";
import {
  builtinFunctions,
  builtinOperators,
  builtinTypes,
  checkedFunctions,
  informationSchemaFunctions,
  largeObjectFunctions,
  sizeFunctions,
} from "./functions.ts";
import { temporarySchema } from "./settings.ts";
import { isReadableSystemRelation, isSystemSchema } from "./system-catalog.ts";
import { stringNode, stringsOf } from "./tree.ts";
import type { SqlContext } from "./types.ts";

/** Schemas in the order of look-up, pg_catalog in its place. */
export const lookupPath = (sql: SqlContext): readonly string[] =>
  sql.searchPath.includes("pg_catalog") ? sql.searchPath : ["pg_catalog", ...sql.searchPath];

const position = (node: { readonly location?: number }): { readonly position: number | undefined } => ({
  position: node.location,
});

/**
 * The relation a RangeVar means; writes its schema into the node.
 * @throws FaultError `unknown-relation`, `other-database`, `catalog-not-allowed`, `relation-not-supported`.
 */
export function resolveRelation(sql: SqlContext, name: RangeVar): Relation {
  if (name.catalogname !== undefined && name.catalogname !== sql.catalog.database)
    refuse("other-database", "cross-database references are not supported", position(name));
  const relname = name.relname ?? "";
  const relation = findRelation(sql, name.schemaname, relname);
  if (!relation) {
    const shown = name.schemaname === undefined ? relname : `${name.schemaname}.${relname}`;
    refuse("unknown-relation", `relation \`${shown}\` does not exist or is not known to the gateway`, position(name));
  }
  delete name.catalogname;
  name.schemaname = relation.schema;
  if (isSystemSchema(relation.schema) && !isReadableSystemRelation(relation))
    refuse("catalog-not-allowed", `reading \`${relation.schema}.${relation.name}\` is not allowed`, position(name));
  if (relation.kind === "index" || relation.kind === "composite-type")
    refuse("relation-not-supported", `\`${relname}\` is not a table or a view`, position(name));
  return relation;
}

function findRelation(sql: SqlContext, schema: string | undefined, name: string): Relation | undefined {
  const within = (s: string): Relation | undefined =>
    s === temporarySchema ? sql.temporary.get(name) : sql.catalog.relations.get(relationKey(s, name));
  if (schema !== undefined) return within(schema);
  const temporary = sql.searchPath.includes(temporarySchema) ? undefined : sql.temporary.get(name);
  if (temporary) return temporary;
  for (const s of lookupPath(sql)) {
    const found = within(s);
    if (found) return found;
  }
  return undefined;
}

/**
 * Checks a function against the allowlist and writes its schema into the call.
 * @throws FaultError `function-not-allowed`.
 */
export function resolveFunction(b: Binder, f: FuncCall): { readonly schema: string; readonly name: string } {
  const path = [...stringsOf(f.funcname)];
  const name = path.pop() ?? "";
  const schema = path.pop();
  const database = path.pop();
  if (database !== undefined && database !== b.sql.catalog.database)
    refuse("other-database", "cross-database references are not supported", position(f));
  const found = findFunction(b.sql, schema, name);
  if (found === undefined) refuseFunction(schema, name, f.location);
  f.funcname = [stringNode(found), stringNode(name)];
  // `trim(both from x)` and `btrim(x)` are one call; the plain form is the one that we print.
  f.funcformat = "COERCE_EXPLICIT_CALL";
  b.bindings.functions.add(found === "pg_catalog" && isBuiltin(name) ? name : `${found}.${name}`);
  return { schema: found, name };
}

function refuseFunction(schema: string | undefined, name: string, at: number | undefined): never {
  const shown = schema === undefined ? name : `${schema}.${name}`;
  refuse("function-not-allowed", `function \`${shown}\` is not on the list of functions that may be called`, {
    position: at,
    help: "the operator of the gateway can permit a function of the database for this connection: `allowed_functions`",
  });
}

const isBuiltin = (name: string): boolean =>
  builtinFunctions.has(name) || sizeFunctions.has(name) || checkedFunctions.has(name);

const isAllowedLargeObject = (sql: SqlContext, name: string): boolean =>
  largeObjectFunctions.has(name) && sql.allowedFunctions.has(`pg_catalog.${name}`);

function findFunction(sql: SqlContext, schema: string | undefined, name: string): string | undefined {
  if (schema === "pg_catalog") return isBuiltin(name) || isAllowedLargeObject(sql, name) ? schema : undefined;
  if (schema === "information_schema") return informationSchemaFunctions.has(name) ? schema : undefined;
  const isAllowed = (s: string): boolean =>
    sql.allowedFunctions.has(`${s}.${name}`) && (sql.catalog.functions.get(name) ?? []).some((f) => f.schema === s);
  if (schema !== undefined) return isAllowed(schema) ? schema : undefined;
  if (isBuiltin(name) || isAllowedLargeObject(sql, name)) return "pg_catalog";
  return sql.searchPath.find(isAllowed);
}

/**
 * Names that `(x).name` may carry: attribute notation also calls functions, so a name that is a function's outside of the
 * allowlist is refused. Columns of persistent relations are taken as columns.
 */
export function checkAttribute(b: Binder, name: string, at: number | undefined): void {
  const sql = b.sql;
  const isUserFunction = (sql.catalog.functions.get(name) ?? []).some(
    (f) => !sql.allowedFunctions.has(`${f.schema}.${f.name}`),
  );
  if (!isUserFunction && (builtinFunctions.has(name) || knownAttributes(sql).has(name))) return;
  refuse("unknown-column", `\`${name}\` is not known as a column or field`, { position: at });
}

const attributesOf = new WeakMap<SqlContext["catalog"], ReadonlySet<string>>();

/** Fields of composite function results, plus every column name of the database. */
function knownAttributes(sql: SqlContext): ReadonlySet<string> {
  let names = attributesOf.get(sql.catalog);
  if (!names) {
    const all = new Set(["key", "value", "x", "n", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8", "f9"]);
    for (const r of sql.catalog.relations.values())
      if (!isSystemSchema(r.schema)) for (const c of r.columns) if (!c.name.startsWith("pg_")) all.add(c.name);
    for (const n of systemFields) all.add(n);
    names = all;
    attributesOf.set(sql.catalog, names);
  }
  return names;
}

/** Fields of the catalog's own composite values that tools pick: no function has such a name. */
const systemFields: readonly string[] = [
  "grantor",
  "grantee",
  "privilege_type",
  "is_grantable",
  "option_name",
  "option_value",
  "relid",
  "start_value",
  "minimum_value",
  "maximum_value",
  "increment",
  "cycle_option",
  "cache_size",
  "data_type",
];

/**
 * Binds an operator's name to pg_catalog, or leaves an extension's operator to the search_path where every candidate on it
 * is compiled code. @throws FaultError `operator-not-allowed`.
 */
export function resolveOperator(b: Binder, name: readonly Node[] | undefined, at: number | undefined): Node[] {
  const path = [...stringsOf(name)];
  const symbol = path.pop() ?? "";
  const schema = path.pop();
  if (schema !== undefined && schema !== "pg_catalog") {
    if (!isNativeOperator(b.sql, symbol, [schema])) refuseOperator(symbol, at);
    return [stringNode(schema), stringNode(symbol)];
  }
  if (schema === undefined) {
    if (isNativeOperator(b.sql, symbol, b.sql.searchPath)) return [stringNode(symbol)];
    // pg_catalog has none of that name: what is on the path would run.
    if (!builtinOperators.has(symbol)) checkBareOperator(b, symbol, at);
  }
  return [stringNode("pg_catalog"), stringNode(symbol)];
}

/** For syntax that can't carry a schema (IN, BETWEEN, IS DISTINCT FROM …): nothing on the path may capture it. */
export function checkBareOperator(b: Binder, symbol: string, at: number | undefined): void {
  const candidates = operatorsOnPath(b.sql, symbol, b.sql.searchPath);
  if (candidates.length > 0 && !candidates.every((o) => o.isNative)) refuseOperator(symbol, at);
}

const operatorsOnPath = (sql: SqlContext, symbol: string, schemas: readonly string[]) =>
  (sql.catalog.operators?.get(symbol) ?? []).filter((o) => schemas.includes(o.schema));

function isNativeOperator(sql: SqlContext, symbol: string, schemas: readonly string[]): boolean {
  const candidates = operatorsOnPath(sql, symbol, schemas);
  return candidates.length > 0 && candidates.every((o) => o.isNative);
}

function refuseOperator(symbol: string, at: number | undefined): never {
  refuse(
    "operator-not-allowed",
    `operator \`${symbol}\` has a definition of the database's own, which may not be called`,
    {
      position: at,
    },
  );
}

/**
 * Writes a type's schema into the node.
 * @throws FaultError `unknown-type`, `type-not-allowed` (row types of relations, domains that run code).
 */
export function resolveType(b: Binder, type: TypeName | undefined): void {
  if (!type) return;
  if (type.setof || type.pct_type)
    refuse("unsupported-clause", "SETOF and %TYPE are not supported here", position(type));
  const path = [...stringsOf(type.names)];
  const name = path.pop() ?? "";
  const schema = path.pop();
  const element = name.startsWith("_") ? name.slice(1) : name;
  if ((schema === undefined || schema === "pg_catalog") && builtinTypes.has(element)) {
    type.names = [stringNode("pg_catalog"), stringNode(name)];
    return;
  }
  const candidates = (b.sql.catalog.types.get(name) ?? []).filter((t) =>
    schema === undefined ? b.sql.searchPath.includes(t.schema) : t.schema === schema,
  );
  const order = (s: string): number => b.sql.searchPath.indexOf(s);
  const found = [...candidates].sort((x, y) => order(x.schema) - order(y.schema))[0];
  if (!found)
    refuse("unknown-type", `type \`${[schema, name].filter(Boolean).join(".")}\` is not known`, position(type));
  if (found.category === "C" || found.category === "P" || found.runsCode || b.sql.catalog.codeTypes?.has(found.oid))
    refuse("type-not-allowed", `a cast to \`${found.schema}.${name}\` is not allowed`, position(type));
  type.names = [stringNode(found.schema), stringNode(name)];
}

export function resolveCollation(sql: SqlContext, c: CollateClause): void {
  const path = [...stringsOf(c.collname)];
  const name = path.pop() ?? "";
  const schema = path.pop();
  if (path.length > 0) refuse("other-database", "cross-database references are not supported", position(c));
  const own = sql.catalog.collations?.get(name) ?? [];
  const isOwn = (s: string): boolean => own.some((o) => o.schema === s);
  if (schema !== undefined && schema !== "pg_catalog" && !isOwn(schema))
    refuse("unsupported-clause", `collation \`${schema}.${name}\` is not known`, position(c));
  const isBuiltin = (s: string): boolean => s === "pg_catalog" && (own.length === 0 || own.some((o) => o.isHidden));
  const found = schema ?? lookupPath(sql).find((s) => isBuiltin(s) || isOwn(s)) ?? "pg_catalog";
  c.collname = [stringNode(found), stringNode(name)];
}

/** Pattern operators are printed as what they are: an operator and its function. */
export function canonicalExpression(e: A_Expr): void {
  if (e.kind === "AEXPR_LIKE" || e.kind === "AEXPR_ILIKE" || e.kind === "AEXPR_SIMILAR") e.kind = "AEXPR_OP";
}
