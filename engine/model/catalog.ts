import type { Fact } from "../lib/truth.ts";

/**
 * What the gateway knows of a database: read from the server (live) or from a snapshot file that policies are checked
 * against. Names are exact (already folded); a relation's key is `schema.name` with each part quoted only where the
 * part holds a dot, see `relationKey`.
 */
export type Catalog = {
  /** Digest of the content: a statement analysed under another version is analysed again. */
  readonly version: string;
  readonly database: string;
  /** `server_version_num`, e.g. 180004. 0 in a hand-written snapshot. */
  readonly serverVersion: number;
  readonly schemas: ReadonlySet<string>;
  readonly relations: ReadonlyMap<string, Relation>;
  readonly relationsByOid: ReadonlyMap<number, Relation>;
  /** Functions, procedures and aggregates outside pg_catalog, by unqualified name. */
  readonly functions: ReadonlyMap<string, readonly CatalogFunction[]>;
  /** Types outside pg_catalog, by unqualified name. */
  readonly types: ReadonlyMap<string, readonly CatalogType[]>;
  /** Operators outside pg_catalog, by symbol. Absent in a snapshot: none. */
  readonly operators?: ReadonlyMap<string, readonly CatalogOperator[]>;
  /** Collations outside pg_catalog, by name. Absent in a snapshot: none. */
  readonly collations?: ReadonlyMap<string, readonly CatalogCollation[]>;
  /** OIDs of types whose casts or comparisons run SQL or PL functions of the database's own. Absent in a snapshot: none. */
  readonly codeTypes?: ReadonlySet<number>;
};

/** pg_class.relkind in words. */
export type RelationKind =
  | "table"
  | "partitioned-table"
  | "view"
  | "materialized-view"
  | "foreign-table"
  | "sequence"
  | "composite-type"
  | "index";

/** A relation with its columns: the `table` type of the policy language is its outside. */
export type Relation = {
  readonly kind: RelationKind;
  readonly schema: string;
  readonly name: string;
  /** 0 in a snapshot. */
  readonly oid: number;
  /** In attribute order, dropped columns left out, system columns not listed. */
  readonly columns: readonly Column[];
  readonly tags: Fact<ReadonlySet<string>>;
  /** `pg_get_viewdef` text of a view or materialized view. */
  readonly definition: string | undefined;
  /** Keys of direct parents (inheritance or partitioning). */
  readonly parents: readonly string[];
  /** Has rewrite rules other than a view's own SELECT rule. */
  readonly hasRules: boolean;
  readonly hasTriggers: boolean;
  /** Row-level security is on at the server itself. */
  readonly hasRowSecurity: boolean;
  /** Unique, primary key, exclusion and foreign key constraints, as sets of column names. */
  readonly constraints: readonly RelationConstraint[];
  /** A view with `security_barrier`: what a query asks of it must not run on rows that its own WHERE leaves out. */
  readonly isBarrier?: boolean;
  /** Key of the table whose column a sequence serves (serial, identity, OWNED BY, or a default that calls it). */
  readonly ownedBy?: string;
  /** Columns that decide a row's partition, of a partitioned table; undefined there: any may (an expression, a snapshot). */
  readonly partitionColumns?: readonly string[];
};

export type RelationConstraint = {
  readonly name: string;
  readonly kind: "primary-key" | "unique" | "foreign-key" | "exclusion" | "check";
  readonly columns: readonly string[];
  /** Key of the referenced relation of a foreign key. */
  readonly references: string | undefined;
  /** Columns of the referenced relation, in the order of `columns`. Unknown in a snapshot. */
  readonly referencedColumns?: readonly string[];
  /** Whether a foreign key changes its own rows where the referenced ones go or change. Unknown in a snapshot. */
  readonly isCascading?: boolean;
  /** False: NOT VALID (or an index that was never finished): rows that are there already may break it. Absent: true. */
  readonly isValid?: boolean;
};

export type Column = {
  readonly name: string;
  /** pg_attribute.attnum, from 1. Holes where columns were dropped. 0 in a snapshot. */
  readonly number: number;
  readonly type: ColumnType;
  readonly isNullable: boolean;
  /** Expression of a generated column or default, as text. */
  readonly generated: string | undefined;
  readonly hasDefault: boolean;
  readonly tags: Fact<ReadonlySet<string>>;
};

export type ColumnType = {
  /** `format_type` spelling with schema where it isn't in pg_catalog: `integer`, `character varying(20)`, `app.mood`. */
  readonly sql: string;
  /** Name in pg_type: `int4`, `varchar`, `_text`; with `schema` it names the type exactly. */
  readonly name: string;
  readonly schema: string;
  readonly oid: number;
  /** pg_attribute.atttypmod, -1 for none. */
  readonly modifier: number;
  /** pg_type.typcategory: S string, N number, D date/time, B bool, U user, E enum, A array, C composite … */
  readonly category: string;
};

export type CatalogFunction = {
  readonly schema: string;
  readonly name: string;
  readonly oid: number;
  readonly kind: "function" | "procedure" | "aggregate" | "window";
  readonly arguments: string;
  readonly isSecurityDefiner: boolean;
  /** In a snapshot: taken for one of the connection's `allowed_functions`, so that policy tests can call it. */
  readonly isAllowed?: boolean;
};

export type CatalogType = {
  readonly schema: string;
  readonly name: string;
  readonly oid: number;
  readonly category: string;
  /** A domain whose checks, or a type whose casts, call functions of the database's own: a cast to it would run them. */
  readonly runsCode?: boolean;
};

export type CatalogOperator = {
  readonly schema: string;
  readonly symbol: string;
  /** Its function is compiled code of an extension, not SQL or a procedural language. */
  readonly isNative: boolean;
};

export type CatalogCollation = {
  readonly schema: string;
  readonly name: string;
  /** pg_catalog has one of that name too: it is found first. */
  readonly isHidden: boolean;
};

/** Key of a relation in `Catalog.relations`. Injective: a part with a dot or quote is quoted. */
export function relationKey(schema: string, name: string): string {
  return `${keyPart(schema)}.${keyPart(name)}`;
}

function keyPart(part: string): string {
  return part.includes(".") || part.includes('"') ? `"${part.replaceAll('"', '""')}"` : part;
}
