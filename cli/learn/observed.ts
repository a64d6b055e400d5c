// What a recording shows that was allowed: things that were used, by whom, how many times.
import type { SqlVerb } from "../../engine/model/statement.ts";

/** Somebody as the recording names them: people whose groups changed are two. */
export type Caller = {
  readonly key: string;
  readonly sub: string;
  readonly kind: string;
  readonly groups: readonly string[];
  /** An agent that acts for a person. */
  readonly isOnBehalf: boolean;
};

/** What a rule can name. `name` of a route is a path with `{int}` and `{text}` in place of what looks like a value. */
export type What =
  | {
      readonly kind: "table";
      readonly verb: SqlVerb;
      readonly schema: string;
      readonly table: string;
      /** A write that names no column: a list of columns doesn't cover it. */
      readonly isBare: boolean;
    }
  /** A statement, or a part of one, that is about no table. */
  | { readonly kind: "verb"; readonly verb: SqlVerb }
  | { readonly kind: "route"; readonly method: string; readonly path: string; readonly isDocumented: boolean }
  | {
      readonly kind: "mcp";
      readonly selector: "tool" | "resource" | "prompt";
      readonly name: string;
      readonly method: string;
    }
  | { readonly kind: "mcp-method"; readonly method: string }
  | { readonly kind: "llm"; readonly selector: "model" | "tool"; readonly name: string };

export type Use = {
  count: number;
  lastMs: number;
  /** Of a table. */
  readonly columns: Set<string>;
  /** Every UPDATE or DELETE had a WHERE that limits it. */
  isBounded: boolean;
  /** No statement had a table at all. */
  isWithoutTables: boolean;
};

export type Thing = {
  readonly key: string;
  readonly connection: string;
  readonly what: What;
  /** By the caller's key. */
  readonly uses: Map<string, Use>;
};

export type Observed = {
  readonly things: ReadonlyMap<string, Thing>;
  readonly callers: ReadonlyMap<string, Caller>;
  /** Requests that things were learned from. */
  readonly learned: number;
  readonly denied: number;
  /** Waited for people; what was run after it is learned like all else. */
  readonly held: number;
  /** Allowed, and too little of it is on record, or the catalogs don't have what it names. */
  readonly notUnderstood: number;
  /** Allowed, and the catalog says something else of it than it did then. */
  readonly changed: number;
  /** Allowed, and the language has no words for what it used. */
  readonly unnamed: number;
};

export const thingKey = (connection: string, what: What): string =>
  JSON.stringify([connection, what.kind, ...Object.values(what).slice(1)]);
