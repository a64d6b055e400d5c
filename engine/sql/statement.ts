// What `AnalyzedStatement.tree` holds: opaque outside of engine/sql.
import type { Node, TypeName } from "@pgsql/types";
import type { Bindings } from "./bindings.ts";
import type { HoleWatch } from "./holes.ts";
import type { RowShape } from "./row-shape.ts";

export type BoundStatement = {
  /** Bound tree: names written out, not yet masked. Never changed after analysis. */
  readonly node: Node;
  readonly bindings: Bindings;
  /** How the rewriter treats it. */
  readonly form:
    | "query"
    | "write"
    | "utility"
    | "explain"
    | "copy-out"
    | "copy-in"
    | "cursor"
    | "prepare"
    | "temporary"
    | "definition";
  /** The rows that it gives, where they can be told. */
  readonly shape?: RowShape;
  /** What EXECUTE puts in place of `$1`, `$2` … after the rewriting. */
  readonly parameters?: readonly Node[];
  /** Declared types of a prepared statement's parameters. */
  readonly parameterTypes?: readonly TypeName[];
  /** Its literals are holes, which tell of being looked at: the start of a template. */
  readonly holes?: HoleWatch;
};

export const isBoundStatement = (tree: unknown): tree is BoundStatement =>
  typeof tree === "object" && tree !== null && "node" in tree && "bindings" in tree && "form" in tree;
