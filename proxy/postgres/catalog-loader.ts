// pg_catalog of PostgreSQL 15 to 18 -> Catalog: what the analysis resolves names against.
import { createHash } from "node:crypto";
import {
  type Catalog,
  type CatalogFunction,
  type CatalogOperator,
  type CatalogType,
  type Relation,
  type RelationKind,
  relationKey,
} from "../../engine/model/catalog.ts";
import { decodeStamps, stampsSql } from "./catalog-versions.ts";

/** Runs one statement on a connection of its own and gives its rows, by column name or as lists. */
export type CatalogQuery = (sql: string) => Promise<readonly object[]>;

export type LoadedCatalog = {
  readonly catalog: Catalog;
  /** `search_path` of a new session of this role, as the server spells it: `"$user", public`. */
  readonly defaultSearchPath: string;
  /** What later looks at single relations are compared with, see `catalog-versions.ts`. */
  readonly stamps: ReadonlyMap<number, string>;
};

/**
 * Reads everything in one snapshot. With an empty search_path, so that definitions and types come with their schemas.
 * @throws what `query` throws, and Error when the server answers in an unexpected shape.
 */
export async function loadCatalog(query: CatalogQuery): Promise<LoadedCatalog> {
  const defaultSearchPath = await text(query, "SELECT pg_catalog.current_setting('search_path') AS data");
  await query("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
  try {
    await query("SET LOCAL search_path TO ''");
    const parts: Parts = {
      server: await text(query, serverSql),
      relations: await text(query, relationsSql),
      columns: await text(query, columnsSql),
      constraints: await text(query, constraintsSql),
      functions: await text(query, functionsSql),
      types: await text(query, typesSql),
      operators: await text(query, operatorsSql),
      codeTypes: await text(query, codeTypesSql),
      collations: await text(query, collationsSql),
    };
    return { catalog: decodeCatalog(parts), defaultSearchPath, stamps: decodeStamps(await text(query, stampsSql)) };
  } finally {
    await query("COMMIT");
  }
}

type Parts = Readonly<
  Record<
    | "server"
    | "relations"
    | "columns"
    | "constraints"
    | "functions"
    | "types"
    | "operators"
    | "codeTypes"
    | "collations",
    string
  >
>;

async function text(query: CatalogQuery, sql: string): Promise<string> {
  const value: unknown = Object.values((await query(sql))[0] ?? {})[0];
  if (typeof value !== "string") throw new Error("catalog: the server gave no text");
  return value;
}

const serverSql = `
  SELECT pg_catalog.json_build_array(pg_catalog.current_database(), pg_catalog.current_setting('server_version_num')::int4,
    (SELECT pg_catalog.json_agg(nspname ORDER BY nspname) FROM pg_catalog.pg_namespace
      WHERE nspname NOT LIKE 'pg\\_toast%' AND nspname NOT LIKE 'pg\\_temp%'))::text AS data`;

/** Everything with rows except indexes, TOAST and other sessions' temporary tables. */
const relationsSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(c.oid::int8, n.nspname, c.relname, c.relkind,
      pg_catalog.obj_description(c.oid, 'pg_class'),
      CASE WHEN c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        THEN pg_catalog.pg_get_viewdef(c.oid) END,
      (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(pn.nspname, p.relname) ORDER BY i.inhseqno)
        FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
          JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid),
      EXISTS (SELECT FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN'),
      EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
      c.relrowsecurity,
      EXISTS (SELECT FROM pg_catalog.pg_options_to_table(c.reloptions) o
        WHERE o.option_name = 'security_barrier' AND o.option_value::bool),
      CASE WHEN c.relkind = 'S' THEN (SELECT pg_catalog.json_build_array(tn.nspname, t.relname)
        FROM (
            SELECT d.refobjid AS oid, 1 AS rank FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
              AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
            UNION ALL
            SELECT a.adrelid, 2 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_attrdef a ON a.oid = d.objid
            WHERE d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
              AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid
          ) o JOIN pg_catalog.pg_class t ON t.oid = o.oid
          JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
        ORDER BY o.rank, t.relispartition, t.oid LIMIT 1) END,
      (SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) FROM pg_catalog.pg_partitioned_table p
        CROSS JOIN unnest(p.partattrs::int2[]) WITH ORDINALITY u(attnum, n)
        LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum AND u.attnum <> 0
        WHERE p.partrelid = c.oid)) ORDER BY c.oid), '[]')::text AS data
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'`;

const columnsSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(a.attrelid::int8, a.attname, a.attnum,
      pg_catalog.format_type(a.atttypid, a.atttypmod), t.typname, tn.nspname, a.atttypid::int8, a.atttypmod, t.typcategory,
      NOT a.attnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated), CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
      a.atthasdef OR a.attidentity <> '', pg_catalog.col_description(a.attrelid, a.attnum))
      ORDER BY a.attrelid, a.attnum), '[]')::text AS data
  FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    JOIN pg_catalog.pg_namespace tn ON tn.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'`;

/**
 * Constraints, and unique indexes that no constraint owns: those over expressions by the columns they depend on. An index
 * over an expression that isn't unique judges a row like a check does: its expression may fail. A NOT NULL that isn't valid is
 * such a check too. What isn't enforced (PostgreSQL 18) judges nothing.
 */
const constraintsSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(relation, name, kind, columns, schema, target, referenced, cascades, valid)
      ORDER BY relation, name), '[]')::text AS data
  FROM (
    SELECT k.conrelid::int8 AS relation, k.conname AS name, CASE k.contype WHEN 'n' THEN 'c' ELSE k.contype::text END AS kind,
      (SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY u(attnum, n)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) AS columns,
      fn.nspname AS schema, f.relname AS target,
      (SELECT pg_catalog.json_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY u(attnum, n)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum) AS referenced,
      k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r') AS cascades,
      k.convalidated AS valid
    FROM pg_catalog.pg_constraint k
      LEFT JOIN pg_catalog.pg_class f ON f.oid = k.confrelid AND k.contype = 'f'
      LEFT JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
    WHERE k.conrelid <> 0 AND (k.contype IN ('p', 'u', 'f', 'x', 'c') OR (k.contype = 'n' AND NOT k.convalidated))
      AND coalesce((pg_catalog.to_jsonb(k) ->> 'conenforced')::bool, true)
    UNION ALL
    SELECT i.indrelid::int8, ic.relname, CASE WHEN i.indisunique THEN 'u' ELSE 'c' END,
      (SELECT pg_catalog.json_agg(DISTINCT a.attname) FROM pg_catalog.pg_depend d
        JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = d.refobjsubid
        WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid
          AND d.refobjsubid > 0), NULL, NULL, NULL, NULL, i.indisvalid
    FROM pg_catalog.pg_index i
      JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = ic.relnamespace
    WHERE (i.indisunique OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL) AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
  ) every`;

const functionsSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, p.proname, p.oid::int8, p.prokind,
      pg_catalog.pg_get_function_identity_arguments(p.oid), p.prosecdef) ORDER BY p.oid), '[]')::text AS data
  FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')`;

/** Row types of relations are left out: a cast to one is refused as unknown. */
const typesSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, t.typname, t.oid::int8, t.typcategory,
      EXISTS (SELECT FROM pg_catalog.pg_constraint k
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
          AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
        WHERE k.contypid = t.oid)
      OR EXISTS (SELECT FROM pg_catalog.pg_cast c JOIN pg_catalog.pg_proc p ON p.oid = c.castfunc
        JOIN pg_catalog.pg_language l ON l.oid = p.prolang
        WHERE c.casttarget = t.oid AND l.lanname NOT IN ('c', 'internal'))) ORDER BY t.oid), '[]')::text AS data
  FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' AND t.typtype <> 'c'`;

const operatorsSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, o.oprname, l.lanname IN ('c', 'internal'))
      ORDER BY o.oid), '[]')::text AS data
  FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
    JOIN pg_catalog.pg_proc p ON p.oid = o.oprcode JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE n.nspname <> 'pg_catalog'`;

const collationsSql = `
  SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(n.nspname, c.collname, EXISTS (
      SELECT FROM pg_catalog.pg_collation b WHERE b.collname = c.collname
        AND b.collnamespace = 'pg_catalog'::pg_catalog.regnamespace)) ORDER BY c.oid), '[]')::text AS data
  FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace
  WHERE n.nspname <> 'pg_catalog'`;

/**
 * An explicit cast to a type that isn't built in names it: see `runsCode`. Of any other cast between a built-in type and another one, the other; of one between built-in types, both. Arrays, domains and rows
 * of such a type with it. Compiled functions are the server's, or an extension's that a superuser chose.
 */
const codeTypesSql = `
  WITH RECURSIVE written AS (
    SELECT p.oid FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
      JOIN pg_catalog.pg_language l ON l.oid = p.prolang
    WHERE n.nspname <> 'pg_catalog' AND l.lanname NOT IN ('c', 'internal')
  ), pairs AS (
    SELECT s.oid AS source, t.oid AS target, s.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AS is_source_own,
      t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace AS is_target_own
    FROM pg_catalog.pg_cast c JOIN written w ON w.oid = c.castfunc
      JOIN pg_catalog.pg_type s ON s.oid = c.castsource JOIN pg_catalog.pg_type t ON t.oid = c.casttarget
    WHERE c.castcontext <> 'e' OR t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace
  ), code AS (
    SELECT source AS oid FROM pairs WHERE NOT is_source_own OR is_target_own
    UNION SELECT target FROM pairs WHERE NOT is_target_own OR is_source_own
    UNION SELECT o.opcintype FROM pg_catalog.pg_opclass o
      JOIN pg_catalog.pg_amproc a ON a.amprocfamily = o.opcfamily JOIN written w ON w.oid = a.amproc
  ), every AS (
    SELECT oid FROM code
    UNION
    SELECT t.oid FROM every e JOIN pg_catalog.pg_type t
      ON t.typbasetype = e.oid OR (t.typelem = e.oid AND t.typcategory = 'A')
        OR (t.typtype = 'c' AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND a.atttypid = e.oid))
  )
  SELECT coalesce(pg_catalog.json_agg(oid::int8 ORDER BY oid), '[]')::text AS data FROM every`;

const kinds: Readonly<Record<string, RelationKind>> = {
  r: "table",
  p: "partitioned-table",
  v: "view",
  m: "materialized-view",
  f: "foreign-table",
  S: "sequence",
  c: "composite-type",
};
const constraintKinds: Readonly<Record<string, Relation["constraints"][number]["kind"]>> = {
  p: "primary-key",
  u: "unique",
  f: "foreign-key",
  x: "exclusion",
  c: "check",
};
const functionKinds: Readonly<Record<string, CatalogFunction["kind"]>> = {
  f: "function",
  p: "procedure",
  a: "aggregate",
  w: "window",
};

// SAFETY: the shapes of these tuples are those of the json_build_array calls above, checked against live servers in test/sql.
type RelationRow = [
  number,
  string,
  string,
  string,
  string | null,
  string | null,
  [string, string][] | null,
  boolean,
  boolean,
  boolean,
  boolean,
  [string, string] | null,
  (string | null)[] | null,
];
type ColumnRow = [
  number,
  string,
  number,
  string,
  string,
  string,
  number,
  number,
  string,
  boolean,
  string | null,
  boolean,
  string | null,
];
type ConstraintRow = [
  number,
  string,
  string,
  string[] | null,
  string | null,
  string | null,
  string[] | null,
  boolean | null,
  boolean,
];
type FunctionRow = [string, string, number, string, string, boolean];
type TypeRow = [string, string, number, string, boolean];
type OperatorRow = [string, string, boolean];
type CollationRow = [string, string, boolean];

function decodeCatalog(parts: Parts): Catalog {
  const [database, serverVersion, schemas] = JSON.parse(parts.server) as [string, number, string[]];
  const columns = Map.groupBy(JSON.parse(parts.columns) as ColumnRow[], (row) => row[0]);
  const constraints = Map.groupBy(JSON.parse(parts.constraints) as ConstraintRow[], (row) => row[0]);
  const relations = (JSON.parse(parts.relations) as RelationRow[]).map((row) =>
    decodeRelation(row, columns.get(row[0]) ?? [], constraints.get(row[0]) ?? []),
  );
  const hash = createHash("sha256");
  for (const part of Object.values(parts)) hash.update(part).update("\0");
  return {
    version: `sha256:${hash.digest("hex")}`,
    database,
    serverVersion,
    schemas: new Set(schemas),
    relations: new Map(relations.map((r) => [relationKey(r.schema, r.name), r])),
    relationsByOid: new Map(relations.map((r) => [r.oid, r])),
    functions: Map.groupBy((JSON.parse(parts.functions) as FunctionRow[]).map(decodeFunction), (f) => f.name),
    types: Map.groupBy((JSON.parse(parts.types) as TypeRow[]).map(decodeType), (t) => t.name),
    codeTypes: new Set(JSON.parse(parts.codeTypes) as number[]),
    collations: Map.groupBy(
      (JSON.parse(parts.collations) as CollationRow[]).map(([schema, name, isHidden]) => ({ schema, name, isHidden })),
      (c) => c.name,
    ),
    operators: Map.groupBy((JSON.parse(parts.operators) as OperatorRow[]).map(decodeOperator), (o) => o.symbol),
  };
}

function decodeRelation(
  row: RelationRow,
  columns: readonly ColumnRow[],
  constraints: readonly ConstraintRow[],
): Relation {
  const [
    oid,
    schema,
    name,
    kind,
    comment,
    definition,
    parents,
    hasRules,
    hasTriggers,
    hasRowSecurity,
    isBarrier,
    owner,
    partitionColumns,
  ] = row;
  return {
    kind: known(kinds, kind),
    schema,
    name,
    oid,
    columns: columns.map(decodeColumn),
    tags: tagsIn(comment),
    definition: definition ?? undefined,
    parents: (parents ?? []).map(([s, n]) => relationKey(s, n)),
    hasRules,
    hasTriggers,
    hasRowSecurity,
    constraints: constraints.map(([, constraint, type, names, target, referenced, keys, isCascading, isValid]) => ({
      name: constraint,
      kind: known(constraintKinds, type),
      columns: names ?? [],
      references: target !== null && referenced !== null ? relationKey(target, referenced) : undefined,
      ...(type === "f" && keys !== null ? { referencedColumns: keys, isCascading: isCascading === true } : {}),
      ...(isValid ? {} : { isValid }),
    })),
    ...(isBarrier ? { isBarrier } : {}),
    ...(owner === null ? {} : { ownedBy: relationKey(...owner) }),
    // An expression may read any column.
    ...(partitionColumns === null || partitionColumns.includes(null)
      ? {}
      : { partitionColumns: partitionColumns.filter((c) => c !== null) }),
  };
}

function decodeColumn(row: ColumnRow): Relation["columns"][number] {
  const [, name, number, sql, typeName, schema, oid, modifier, category, isNullable, generated, hasDefault, comment] =
    row;
  return {
    name,
    number,
    type: { sql, name: typeName, schema, oid, modifier, category },
    isNullable,
    generated: generated ?? undefined,
    hasDefault,
    tags: tagsIn(comment),
  };
}

const decodeFunction = ([schema, name, oid, kind, args, isSecurityDefiner]: FunctionRow): CatalogFunction => ({
  schema,
  name,
  oid,
  kind: known(functionKinds, kind),
  arguments: args,
  isSecurityDefiner,
});

const decodeType = ([schema, name, oid, category, runsCode]: TypeRow): CatalogType => ({
  schema,
  name,
  oid,
  category,
  runsCode,
});

const decodeOperator = ([schema, symbol, isNative]: OperatorRow): CatalogOperator => ({ schema, symbol, isNative });

function known<T>(table: Readonly<Record<string, T>>, key: string): T {
  const value = table[key];
  if (value === undefined) throw new Error(`catalog: unknown kind ${key}`);
  return value;
}

/** `COMMENT ON … IS 'gw:tags(pii, secret)'` */
function tagsIn(comment: string | null): ReadonlySet<string> {
  const match = comment?.match(/gw:tags\(([^)]*)\)/);
  const names = (match?.[1] ?? "").split(",").map((n) => n.trim());
  return new Set(names.filter((n) => n !== ""));
}
