// The outside of SQL analysis: what the gate, the policy tests and the proxy exchange with it.
import type { Catalog, Relation } from "../model/catalog.ts";
import type { SqlFacts } from "../model/statement.ts";
import type { Parameter } from "./parameters.ts";
import type { RowShape } from "./row-shape.ts";

/** What the meaning of a text depends on besides the text. */
export type SqlContext = {
  readonly catalog: Catalog;
  /** Effective search_path in order, without the implicit pg_catalog and pg_temp: existing schemas, and `pg_temp` where it is named. */
  readonly searchPath: readonly string[];
  /** Login role upstream: what `"$user"`, current_user mean. */
  readonly user: string;
  /** Type OIDs that the client declared in Parse; 0 = unspecified. */
  readonly parameterTypes: readonly number[];
  /** Format codes of a Bind: none for all text, one for all, or one each. Says what the bytes of its values mean. */
  readonly parameterFormats?: readonly number[];
  /** Settings by which the server reads dates, times and intervals in texts, as a text. Only where a person is asked. */
  readonly textStyle?: string;
  /** Functions outside the built-in allowlist that the connection's configuration permits: `schema.name`. */
  readonly allowedFunctions: ReadonlySet<string>;
  /** Relations made by this session (temporary tables), by name: shadow everything else, unless the path names pg_temp. */
  readonly temporary: ReadonlyMap<string, Relation>;
  /** Statements that this session named with SQL's PREPARE (effect `prepare`): what EXECUTE runs. Absent: none. */
  readonly prepared?: ReadonlyMap<string, AnalyzedStatement>;
};

/** The statement can't be let through as it stands. `sqlstate` is what the client gets. Never carries row content. */
export type SqlFault = {
  /** Stable, kebab-case, in docs/error-codes.md: `syntax-error`, `unknown-relation`, `function-not-allowed` … */
  readonly code: string;
  readonly sqlstate: string;
  readonly message: string;
  readonly help: string | undefined;
  /** Character offset (from 0) in the client's text, where known. */
  readonly position: number | undefined;
};

/** What running the statement does to the session: drives the settings and prepared-statement model. */
export type SessionEffect =
  | { readonly kind: "begin" | "commit" | "rollback"; readonly chain: boolean }
  | { readonly kind: "savepoint" | "release" | "rollback-to"; readonly name: string }
  | { readonly kind: "set"; readonly name: string; readonly value: string | undefined; readonly isLocal: boolean }
  | { readonly kind: "reset-all" }
  | { readonly kind: "discard-all" }
  | { readonly kind: "prepare"; readonly name: string; readonly statement: AnalyzedStatement }
  | { readonly kind: "deallocate"; readonly name: string | undefined }
  | { readonly kind: "catalog-changed" }
  /** A table that only this session sees. Rolled back like any other change. */
  | {
      readonly kind: "create-temporary";
      readonly name: string;
      readonly relation: Relation;
      readonly isDroppedAtCommit: boolean;
    }
  /** `names` is undefined for all of them (DISCARD TEMP). */
  | { readonly kind: "drop-temporary"; readonly names: readonly string[] | undefined };

/** One statement, understood completely. `tree` is the bound parse tree: opaque outside of engine/sql. */
export type AnalyzedStatement = {
  readonly facts: SqlFacts;
  readonly effects: readonly SessionEffect[];
  readonly tree: unknown;
  /** Version of the catalog that it was analysed against. */
  readonly catalogVersion: string;
  /** What waits for a Bind: `$1` first. Absent: nothing does. */
  readonly parameters?: readonly Parameter[];
  /** The statement produces rows (SELECT, RETURNING, SHOW, EXPLAIN, FETCH …) that a row limit can be put on. */
  readonly isRowReturning: boolean;
  readonly isEmpty: boolean;
  /** Characters of the client's text before the statement's own, `facts.text`. Absent: none. */
  readonly start?: number;
};

/** How the answers of a statement that counts what it changes become those of the client's own (limit-changes.ts). */
export type ChangeCeiling = {
  /** The client's command tag without its number, such as `UPDATE`. */
  readonly tag: string;
  /** It has no RETURNING: its one row holds the number of changed rows as a text, and the client gets none. */
  readonly isCountOnly: boolean;
};

/** Text that the gateway generated, parsed again and found equal to the intended tree. */
export type RewrittenSql = {
  readonly text: string;
  /** The server ends it with an error that quotes `overCeilingMark` when it changes too many rows. */
  readonly ceiling?: ChangeCeiling;
  /** Some relation in it is masked or filtered: errors and notices must be reduced to what can't carry values. */
  readonly touchesProtected: boolean;
  /** What the server's RowDescription must agree with. Absent: no rows, or their columns can't be told. */
  readonly shape?: RowShape;
  /** `oid:attnum` of masked base columns: must not occur as an origin in the server's RowDescription. */
  readonly maskedOrigins: ReadonlySet<string>;
};
