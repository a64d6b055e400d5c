// What the checker makes of the AST: names resolved, types decided, nothing left to guess. Both the interpreter and the
// compiler read only this.
import type { Json } from "../engine/lib/json.ts";
import type { Span } from "../engine/lib/span.ts";
import type { Catalog } from "../engine/model/catalog.ts";
import type { Approver, ContentFormat, LimitObligation, RuleId } from "../engine/model/decision.ts";
import type { Mask } from "../engine/model/mask.ts";
import type { Protocol } from "../engine/model/request.ts";
import type { JsonScalar } from "../engine/model/row-predicate.ts";
import type { SqlVerb } from "../engine/model/statement.ts";
import type { Expect, RuleDecl, SourceFile } from "./ast.ts";
import type { Glob } from "./glob.ts";
import type { Route } from "./route.ts";
import type { Type } from "./types.ts";

/**
 * A value while a policy runs. `undefined` is an absent option, `Unknown` what could not be determined. Dates and
 * addresses are texts, durations and moments are ms, sizes are bytes, tables are `Relation`s, columns `ColumnRef`s.
 */
export type Value = unknown;

/** A variable: `let` clause, parameter or quantifier variable. Identity is the object, not the name. */
export type Local = { readonly name: string };

export type ComparisonKind =
  | "equal"
  | "less"
  | "less-or-equal"
  | "in"
  | "in-range"
  | "in-cidr"
  | "contains-text"
  | "startswith"
  | "endswith"
  | "like"
  | "matches";

type Base = { readonly span: Span; readonly type: Type };
export type Core = Base &
  (
    | { readonly op: "const"; readonly value: Value }
    /** A field of a root: `identity.sub`. */
    | { readonly op: "fact"; readonly root: string; readonly field: string }
    /** The table of the access. */
    | { readonly op: "table" }
    /** A placeholder of the route. */
    | { readonly op: "param"; readonly name: string }
    /** A column of the row or a place in the item, in `where` only. */
    | {
        readonly op: "row";
        /** "" for the item of a JSON answer. */
        readonly column: string;
        /** A place inside of its JSON; [] for all of it. Left out for a column that is no JSON. */
        readonly path?: readonly string[];
        /** No catalog tells the type of the column. */
        readonly isUntyped?: true;
        /** What the place is read as. */
        readonly as?: JsonScalar;
      }
    | { readonly op: "local"; readonly local: Local }
    /** A use of a package-level `let`. */
    | { readonly op: "let"; readonly name: string; readonly path: string; readonly body: Core }
    | {
        readonly op: "invoke";
        readonly name: string;
        readonly path: string;
        readonly params: readonly Local[];
        readonly args: readonly Core[];
        readonly body: Core;
      }
    | { readonly op: "call"; readonly name: string; readonly args: readonly Core[] }
    /** Field of a record, table, column or (giving an option) of JSON; `claim` is JSON whose type is declared. */
    | {
        readonly op: "property";
        readonly of: "record" | "json" | "table" | "column" | "claim";
        readonly object: Core;
        readonly name: string;
      }
    | { readonly op: "lookup"; readonly of: "map" | "list" | "json"; readonly object: Core; readonly key: Core }
    | { readonly op: "not"; readonly operand: Core }
    | { readonly op: "and" | "or"; readonly operands: readonly Core[] }
    | { readonly op: "compare"; readonly how: ComparisonKind; readonly left: Core; readonly right: Core }
    | { readonly op: "present"; readonly operand: Core }
    | {
        readonly op: "arithmetic";
        readonly how: "+" | "-" | "*" | "/" | "%";
        readonly left: Core;
        readonly right: Core;
      }
    | { readonly op: "negate"; readonly operand: Core }
    | { readonly op: "coalesce"; readonly left: Core; readonly right: Core }
    | { readonly op: "range"; readonly from: Core; readonly to: Core; readonly isHalfOpen: boolean }
    /** Implicit where an API's document gives the type. */
    | { readonly op: "cast"; readonly operand: Core; readonly isImplicit?: true }
    | { readonly op: "if"; readonly condition: Core; readonly then: Core; readonly else: Core }
    | {
        readonly op: "quantifier";
        readonly which: "any" | "all" | "none";
        readonly local: Local;
        readonly over: Core;
        readonly body: Core;
      }
    | { readonly op: "collect"; readonly items: readonly Core[] }
    | {
        readonly op: "comprehension";
        readonly local: Local;
        readonly over: Core;
        readonly condition: Core | undefined;
        readonly item: Core;
      }
    | { readonly op: "record"; readonly entries: readonly { readonly name: string; readonly value: Core }[] }
    /** A string with placeholders. */
    | { readonly op: "text"; readonly parts: readonly (string | Core)[] }
    | { readonly op: "counter"; readonly name: string; readonly key: Core }
    | { readonly op: "data"; readonly name: string }
  );

/** Which relations: by name with `*` as wildcard, or by tag. `columns` narrows an allow to these. */
export type TablePattern =
  | { readonly kind: "tagged"; readonly tag: string; readonly text: string }
  | {
      readonly kind: "named";
      readonly schema: string;
      readonly table: string;
      readonly columns: ReadonlySet<string> | undefined;
      readonly text: string;
    };
export type ColumnPattern =
  | { readonly kind: "tagged"; readonly tag: string; readonly text: string }
  | {
      readonly kind: "named";
      readonly schema: string;
      readonly table: string;
      readonly column: string;
      readonly text: string;
    };

export type Scope =
  | { readonly protocol: "any" }
  | {
      readonly protocol: "sql";
      /** undefined: every verb. */
      readonly verbs: ReadonlySet<SqlVerb> | undefined;
      /** undefined: every table, and accesses without one. */
      readonly tables: readonly TablePattern[] | undefined;
      /** The rule reads `table`: it concerns only accesses that have one (and those nobody understood). */
      readonly needsTable: boolean;
    }
  | {
      readonly protocol: "http";
      readonly methods: ReadonlySet<string> | undefined;
      readonly routes: readonly Route[] | undefined;
    }
  | { readonly protocol: "mcp" | "llm"; readonly selectors: readonly Selector[] };
export type Selector = { readonly name: string; readonly patterns: readonly Glob[] };

export type Clause =
  | { readonly kind: "when" | "unless"; readonly condition: Core; readonly span: Span }
  | { readonly kind: "let"; readonly local: Local; readonly value: Core; readonly span: Span };

export type Payload =
  | { readonly effect: "allow" }
  | { readonly effect: "deny" }
  | { readonly effect: "mask"; readonly columns: readonly ColumnPattern[]; readonly mask: Mask }
  | {
      readonly effect: "content-mask";
      readonly format: ContentFormat;
      readonly patterns: readonly string[];
      readonly mask: Mask;
    }
  | { readonly effect: "filter"; readonly tables: readonly TablePattern[]; readonly where: Core }
  /** Of the list at `path` of a JSON answer. */
  | { readonly effect: "item-filter"; readonly path: string; readonly where: Core }
  | { readonly effect: "approval"; readonly approvers: readonly Approver[]; readonly withinMs: number }
  | {
      readonly effect: "limit";
      readonly unit: LimitObligation["unit"];
      readonly max: Core;
      readonly window: { readonly ms: number; readonly by: Core } | undefined;
    }
  | { readonly effect: "alert"; readonly channel: string };

export type CheckedRule = {
  /** `package.rule`. */
  readonly id: RuleId;
  readonly package: string;
  readonly name: string;
  readonly path: string;
  readonly decl: RuleDecl;
  readonly payload: Payload;
  readonly scope: Scope;
  /** undefined: every connection. */
  readonly at: readonly Glob[] | undefined;
  readonly clauses: readonly Clause[];
  readonly because: Core | undefined;
  readonly severity: string | undefined;
  readonly isShadow: boolean;
  /** `@ends(session)`: where it applies, the session ends at its next statement. */
  readonly endsSession: boolean;
  /** Steps that one evaluation takes at most. */
  readonly cost: number;
};

export type CheckedCounter = {
  /** `package.name`. */
  readonly id: string;
  readonly name: string;
  readonly measure: "count" | "sum" | "max" | "distinct";
  readonly of: Core | undefined;
  readonly scope: Scope;
  readonly at: readonly Glob[] | undefined;
  readonly when: Core | undefined;
  readonly by: Core;
  readonly overMs: number;
};

export type CheckedDefault = { readonly package: string; readonly because: Core | undefined };

/** One row of a test: its givens with all names resolved. */
export type CheckedGiven = Base0 &
  (
    | { readonly kind: "identity" | "time" | "session" | "connection"; readonly value: Core }
    | { readonly kind: "sql"; readonly text: Core }
    | { readonly kind: "http"; readonly method: string; readonly path: Core; readonly record: Core | undefined }
    | {
        readonly kind: "mcp" | "llm";
        readonly selector: string;
        readonly name: Core;
        readonly record: Core | undefined;
      }
    | { readonly kind: "counter"; readonly counter: string; readonly value: Core }
    | { readonly kind: "data"; readonly data: string; readonly type: Type; readonly value: Core }
    | { readonly kind: "approval"; readonly rule: RuleId }
    | { readonly kind: "estimated_rows"; readonly value: Core }
  );
type Base0 = { readonly span: Span; readonly at: string | undefined };

export type CheckedExpect = {
  readonly span: Span;
  readonly isNegated: boolean;
  readonly what:
    | {
        readonly kind: "effect";
        readonly effect: Core;
        readonly by: RuleId | undefined;
        readonly because: Core | undefined;
      }
    | {
        readonly kind: "mask";
        readonly column: ColumnPattern;
        readonly using: { readonly name: string; readonly mask: Mask | undefined } | undefined;
      }
    | {
        readonly kind: "content-mask";
        readonly format: ContentFormat;
        readonly pattern: string;
        readonly using: { readonly name: string; readonly mask: Mask | undefined } | undefined;
      }
    | { readonly kind: "filter"; readonly table: TablePattern; readonly as: string | undefined }
    | { readonly kind: "item-filter"; readonly path: string; readonly as: string | undefined }
    | { readonly kind: "limit"; readonly rule: RuleId }
    | { readonly kind: "alert"; readonly rule: RuleId | undefined };
  readonly ast: Expect;
};

export type CheckedTest = {
  readonly title: string;
  readonly package: string;
  readonly path: string;
  readonly span: Span;
  readonly rows: readonly {
    readonly label: string | undefined;
    readonly span: Span;
    readonly givens: readonly CheckedGiven[];
    readonly expects: readonly CheckedExpect[];
  }[];
};

export type CheckedProperty = {
  readonly title: string;
  readonly package: string;
  readonly path: string;
  readonly span: Span;
  readonly foralls: readonly {
    readonly local: Local;
    readonly domain: "identity" | "sql" | Type;
    readonly where: Core | undefined;
  }[];
  readonly givens: readonly CheckedGiven[];
  readonly expects: readonly CheckedExpect[];
};

export type CheckedData = { readonly id: string; readonly type: Type; readonly value: Value; readonly json: Json };

export type Checked = {
  /** Packages that take part in decisions, sorted. */
  readonly packages: readonly string[];
  readonly files: ReadonlyMap<string, SourceFile>;
  /** Sorted by id. */
  readonly rules: readonly CheckedRule[];
  readonly defaults: readonly CheckedDefault[];
  readonly counters: readonly CheckedCounter[];
  readonly data: ReadonlyMap<string, CheckedData>;
  /** By connection name. */
  readonly catalogs: ReadonlyMap<string, Catalog>;
  /** Tags of the schemas in documents of APIs. */
  readonly contentTags: ReadonlySet<string>;
  readonly tests: readonly CheckedTest[];
  readonly properties: readonly CheckedProperty[];
};

export const protocols: readonly Protocol[] = ["sql", "http", "mcp", "llm"];
