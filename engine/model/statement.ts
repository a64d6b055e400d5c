import type { Json } from "../lib/json.ts";
import type { Fact } from "../lib/truth.ts";
import type { Relation } from "./catalog.ts";

/** What a statement does to one object. One closed list: a policy that names another verb doesn't compile. */
export const sqlVerbs = [
  "select",
  "insert",
  "update",
  "delete",
  "merge",
  "truncate",
  "copy",
  "create",
  "alter",
  "drop",
  "comment",
  "refresh",
  "reindex",
  "cluster",
  "vacuum",
  "analyze",
  "grant",
  "revoke",
  "role",
  "begin",
  "commit",
  "rollback",
  "savepoint",
  "set",
  "show",
  "reset",
  "discard",
  "prepare",
  "execute",
  "deallocate",
  "declare",
  "fetch",
  "close",
  "explain",
  "lock",
  "temporary",
  "listen",
  "notify",
  "unlisten",
  "call",
  "do",
  "load",
  "checkpoint",
  "unknown",
] as const;
export type SqlVerb = (typeof sqlVerbs)[number];

export const sqlKinds = ["read", "write", "ddl", "dcl", "tcl", "session", "procedural", "unknown"] as const;
export type SqlKind = (typeof sqlKinds)[number];

/** The kind of each verb. `on sql write` means every verb of that kind. */
export const kindOfVerb: Readonly<Record<SqlVerb, SqlKind>> = {
  select: "read",
  insert: "write",
  update: "write",
  delete: "write",
  merge: "write",
  truncate: "write",
  copy: "write",
  create: "ddl",
  alter: "ddl",
  drop: "ddl",
  comment: "ddl",
  refresh: "ddl",
  reindex: "ddl",
  cluster: "ddl",
  vacuum: "ddl",
  analyze: "ddl",
  grant: "dcl",
  revoke: "dcl",
  role: "dcl",
  begin: "tcl",
  commit: "tcl",
  rollback: "tcl",
  savepoint: "tcl",
  set: "session",
  show: "session",
  reset: "session",
  discard: "session",
  prepare: "session",
  execute: "session",
  deallocate: "session",
  declare: "session",
  fetch: "session",
  close: "session",
  explain: "session",
  lock: "session",
  /** Makes, indexes or drops a table that only its own session sees, and that ends with it. */
  temporary: "session",
  /** Payloads are whatever triggers put into them, masked values too: `session` in a rule must not open them. */
  listen: "procedural",
  notify: "procedural",
  unlisten: "session",
  call: "procedural",
  do: "procedural",
  load: "procedural",
  checkpoint: "procedural",
  unknown: "unknown",
};

/** A column as a policy sees it. `relation` is the base relation it belongs to. */
export type ColumnRef = { readonly relation: Relation; readonly column: string };

/**
 * One thing that a statement does to one object (section 6 of the language): `INSERT INTO a SELECT … FROM b` is
 * `(insert, a)` and `(select, b)`; `SELECT 1` is `(select, –)`. Every access needs an allow.
 */
export type SqlAccess = {
  readonly verb: SqlVerb;
  readonly kind: SqlKind;
  readonly relation: Relation | undefined;
  /** Names of the columns of `relation` that this access reads or writes, whole-row references and `*` spelt out. */
  readonly columns: readonly string[];
  /** The statement node that makes this access has a WHERE clause (or an ON clause of MERGE). */
  readonly hasWhere: boolean;
  /** That WHERE is certainly true for every row, or is absent. Unknown where it can't be told. */
  readonly whereAlwaysTrue: Fact<boolean>;
  /** Keys of the views through which a base relation is reached, outermost first; [] where the text names it. */
  readonly via: readonly string[];
  /**
   * The server reaches this relation by itself; nobody has to allow it. `family`: parents and children, whose
   * restricting rules, masks and filters hold. `constraint`: a foreign key looks into it; only its masks and filters
   * matter, because they decide which writes would tell of hidden rows.
   */
  readonly implied?: "family" | "constraint";
};

/** What a policy can read of a statement beyond its accesses: the statement-wide part of the `sql` root. */
export type SqlFacts = {
  readonly accesses: readonly SqlAccess[];
  /** Verb of the statement as a whole; a rule sees the verb of the access it is asked about. */
  readonly verb: SqlVerb;
  /** Number of statements in the client's message. */
  readonly statements: number;
  readonly tables: readonly Relation[];
  readonly readTables: readonly Relation[];
  readonly writeTables: readonly Relation[];
  readonly columnsRead: readonly ColumnRef[];
  readonly columnsWritten: readonly ColumnRef[];
  readonly columnsReturned: readonly ColumnRef[];
  /** `name` for pg_catalog functions, `schema.name` for others. */
  readonly functions: ReadonlySet<string>;
  readonly hasLimit: boolean;
  /** The constant of LIMIT / FETCH FIRST at the top level. */
  readonly limit: Fact<number | undefined>;
  readonly joins: number;
  readonly estimatedRows: Fact<number | undefined>;
  /** Values of `$1`, `$2` …, in this order; [] where there are none. Left out: not known. */
  readonly parameters?: Fact<Json>;
  /** The client's text of this statement. Never logged. */
  readonly text: string;
  /** Fingerprint of the normalised statement: equal for statements that differ in literals only. 16 hex digits. */
  readonly fingerprint: string;
};
