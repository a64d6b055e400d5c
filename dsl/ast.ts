// tokens -> CST -> this. One node per construct of docs/language.md section 3; spans are UTF-16 offsets into the file.
import type { Span } from "../engine/lib/span.ts";
import type { ContentFormat } from "../engine/model/decision.ts";

export type Node = { readonly span: Span };
/** A word of the source with its place: names keep their span for diagnostics, rename and go-to-definition. */
export type Name = Node & { readonly text: string };
/** `acme.shared.agents`. */
export type QName = Node & { readonly parts: readonly Name[] };

/** A comment that belongs to no token is kept by the formatter through `trivia`, not through the AST. */
export type SourceFile = {
  readonly path: string;
  readonly text: string;
  readonly package: QName | undefined;
  readonly imports: readonly Import[];
  readonly decls: readonly Decl[];
  /** Names whose declarations a syntax error made unreadable: later checks say nothing about their use. */
  readonly unreadable?: readonly Name[];
};

export type Import = Node & {
  readonly path: QName;
  /** `as x`, or `.{a, b}`, or neither: the last segment is the name. */
  readonly alias: Name | undefined;
  readonly names: readonly Name[] | undefined;
};

export type Annotation = Node & { readonly name: Name; readonly args: readonly Expr[] };

type DeclBase = Node & {
  readonly annotations: readonly Annotation[];
  /** Text of the `##` lines above, without the marks. */
  readonly doc: string | undefined;
};

export type Decl =
  | TypeDecl
  | SchemaDecl
  | CatalogDecl
  | DataDecl
  | LetDecl
  | FuncDecl
  | CounterDecl
  | FixtureDecl
  | DefaultDecl
  | RuleDecl
  | TestDecl
  | PropertyDecl;

export type TypeDecl = DeclBase & { readonly kind: "type"; readonly name: Name; readonly type: TypeExpr };
export type SchemaDecl = DeclBase & { readonly kind: "schema"; readonly target: QName; readonly type: TypeExpr };
export type CatalogDecl = DeclBase & { readonly kind: "catalog"; readonly connection: Text; readonly from: Text };
export type DataDecl = DeclBase & {
  readonly kind: "data";
  readonly name: Name;
  readonly type: TypeExpr;
  readonly from: Text;
};
export type LetDecl = DeclBase & {
  readonly kind: "let";
  readonly isExported: boolean;
  readonly name: Name;
  readonly type: TypeExpr | undefined;
  readonly value: Expr;
};
export type Param = Node & { readonly name: Name; readonly type: TypeExpr };
export type FuncDecl = DeclBase & {
  readonly kind: "func";
  readonly isExported: boolean;
  readonly name: Name;
  readonly params: readonly Param[];
  readonly result: TypeExpr | undefined;
  readonly body: Expr;
};
export type CounterDecl = DeclBase & {
  readonly kind: "counter";
  readonly name: Name;
  readonly measure: Name; // count | sum | max | distinct
  readonly of: Expr | undefined; // absent for count
  readonly target: Target;
  readonly at: readonly Text[];
  readonly when: Expr | undefined;
  readonly by: Expr;
  readonly over: Expr; // a duration literal
};
export type FixtureDecl = DeclBase & {
  readonly kind: "fixture";
  readonly name: Name;
  readonly type: TypeExpr;
  readonly value: Expr;
};
export type DefaultDecl = DeclBase & {
  readonly kind: "default";
  readonly effect: Name; // deny; allow parses only to be refused (E0107)
  readonly because: Text | undefined;
};

export type RuleDecl = DeclBase & {
  readonly kind: "rule";
  readonly name: Name;
  readonly head: RuleHead;
  readonly target: Target | undefined;
  readonly at: readonly Text[];
  readonly clauses: readonly BodyClause[];
  readonly because: Text | undefined;
};
export type RuleHead =
  | { readonly effect: "allow" }
  | { readonly effect: "deny" }
  | { readonly effect: "mask"; readonly of: MaskTarget; readonly using: MaskCall; readonly searchable: boolean }
  | { readonly effect: "filter"; readonly of: FilterTarget; readonly where: Expr }
  | {
      readonly effect: "approval";
      readonly from: readonly ApproverClause[];
      readonly within: Expr | undefined;
    }
  | {
      readonly effect: "limit";
      readonly to: Expr;
      readonly unit: Name;
      readonly per: { readonly duration: Expr; readonly by: Expr } | undefined;
    }
  | { readonly effect: "alert"; readonly to: Text };
export type Effect = RuleHead["effect"];

export type ApproverClause = Node & {
  readonly count: number | undefined;
  readonly kind: Name; // group | user
  readonly name: Text;
};
export type MaskTarget =
  /** `tagged`: `json tagged "pii"`, what the schema of an answer tags. */
  | (Node & { readonly kind: ContentFormat; readonly patterns: readonly Text[] })
  | (Node & { readonly kind: "tables"; readonly tables: readonly TablePat[] });
export type FilterTarget = MaskTarget;
export type MaskCall = Node & { readonly name: Name; readonly args: readonly Arg[] };
export type BodyClause =
  | (Node & { readonly kind: "when" | "unless"; readonly condition: Expr })
  | (Node & { readonly kind: "let"; readonly name: Name; readonly value: Expr });

export type Target =
  | (Node & { readonly kind: "any" })
  | (Node & { readonly kind: "sql"; readonly actions: readonly Name[]; readonly tables: readonly TablePat[] })
  | (Node & { readonly kind: "http"; readonly methods: readonly Name[]; readonly routes: readonly Text[] })
  | (Node & { readonly kind: "mcp" | "llm"; readonly selectors: readonly Selector[] });
export type Selector = Node & { readonly name: Name; readonly patterns: readonly Text[] };

/** A part of a table's name. In quotes it is exact, whatever is in it; without them `*` is the wildcard. */
export type Segment = Name & { readonly isQuoted?: true };

/** `tagged "pii"`, `public.orders`, `*.*.email`, `public."Order Items"`, `public.customers(id, name)` (columns of an access). */
export type TablePat =
  | (Node & { readonly kind: "tagged"; readonly tag: Text })
  | (Node & {
      readonly kind: "path";
      readonly segments: readonly Segment[];
      readonly columns: readonly Segment[] | undefined;
    });

export type TypeExpr = Node & {
  readonly isOptional: boolean;
  readonly atom:
    | { readonly kind: "record"; readonly fields: readonly { readonly name: Name; readonly type: TypeExpr }[] }
    | { readonly kind: "named"; readonly name: QName; readonly args: readonly TypeExpr[] }
    | { readonly kind: "enum"; readonly values: readonly Text[] };
};

/**
 * A string literal. `parts` alternate text and placeholders; a pattern position (route, connection, tool, `like`) takes
 * `raw` and never interpolates. `isRaw` marks back-tick strings.
 */
export type Text = Node & {
  readonly raw: string;
  readonly isRaw: boolean;
  readonly parts: readonly TextPart[];
};
export type TextPart =
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "placeholder"; readonly expr: Expr };

export type CompareOp =
  | "=="
  | "!="
  | "<"
  | "<="
  | ">"
  | ">="
  | "in"
  | "contains"
  | "startswith"
  | "endswith"
  | "like"
  | "matches";

export type Arg = Node & { readonly name: Name | undefined; readonly value: Expr };

export type Expr =
  | (Node & { readonly kind: "string"; readonly text: Text })
  | (Node & { readonly kind: "int" | "float"; readonly value: number; readonly raw: string })
  /** ms */
  | (Node & { readonly kind: "duration"; readonly value: number; readonly raw: string })
  /** bytes */
  | (Node & { readonly kind: "size"; readonly value: number; readonly raw: string })
  | (Node & { readonly kind: "bool"; readonly value: boolean })
  /** `cidr"…" ip"…" ts"…" date"…" table"…" col"…"` */
  | (Node & { readonly kind: "tagged"; readonly tag: Name; readonly value: string })
  /** A bare name: local, fixture, let, enum value, root … ; `allow` and `deny` too. */
  | (Node & { readonly kind: "name"; readonly name: Name })
  | (Node & { readonly kind: "field"; readonly object: Expr; readonly field: Name })
  | (Node & { readonly kind: "index"; readonly object: Expr; readonly index: Expr })
  | (Node & { readonly kind: "call"; readonly callee: Expr; readonly args: readonly Arg[] })
  | (Node & { readonly kind: "not" | "negate"; readonly operand: Expr })
  | (Node & { readonly kind: "and" | "or"; readonly operands: readonly Expr[] })
  | (Node & {
      readonly kind: "compare";
      readonly op: CompareOp;
      readonly isNegated: boolean; // not in, not contains …
      readonly left: Expr;
      readonly right: Expr;
      readonly opSpan: Span;
    })
  | (Node & { readonly kind: "is"; readonly operand: Expr; readonly what: "present" | "absent" })
  | (Node & {
      readonly kind: "arithmetic";
      readonly op: "+" | "-" | "*" | "/" | "%";
      readonly left: Expr;
      readonly right: Expr;
    })
  | (Node & { readonly kind: "coalesce"; readonly left: Expr; readonly right: Expr })
  | (Node & { readonly kind: "range"; readonly from: Expr; readonly to: Expr; readonly isHalfOpen: boolean })
  | (Node & { readonly kind: "cast"; readonly operand: Expr; readonly type: TypeExpr })
  | (Node & { readonly kind: "if"; readonly condition: Expr; readonly then: Expr; readonly else: Expr })
  | (Node & {
      readonly kind: "quantifier";
      readonly which: "any" | "all" | "none";
      readonly variable: Name;
      readonly over: Expr;
      readonly body: Expr;
    })
  | (Node & { readonly kind: "list"; readonly items: readonly Expr[] })
  | (Node & {
      readonly kind: "comprehension";
      readonly item: Expr;
      readonly variable: Name;
      readonly over: Expr;
      readonly condition: Expr | undefined;
    })
  | (Node & {
      readonly kind: "record";
      readonly entries: readonly { readonly key: Name; readonly value: Expr }[];
    })
  /** What error recovery puts where nothing could be read. Has the poison type: silent in later checks. */
  | (Node & { readonly kind: "missing" });

export type TestDecl = DeclBase & {
  readonly kind: "test";
  readonly title: Text;
  readonly cases: Cases | undefined;
  readonly givens: readonly Given[];
  readonly expects: readonly Expect[];
};
export type Cases = Node & {
  readonly columns: readonly Name[];
  readonly rows: readonly (Node & { readonly cells: readonly Expr[] })[];
};
export type PropertyDecl = DeclBase & {
  readonly kind: "property";
  readonly title: Text;
  readonly foralls: readonly (Node & {
    readonly name: Name;
    readonly type: TypeExpr;
    readonly where: Expr | undefined;
  })[];
  readonly givens: readonly Given[];
  readonly expects: readonly Expect[];
};

export type Given =
  | (Node & {
      readonly kind: "http";
      readonly method: Name;
      readonly path: Expr;
      readonly at: readonly Text[];
      readonly record: Expr | undefined;
    })
  | (Node & {
      readonly kind: "mcp" | "llm";
      readonly selector: Name;
      readonly name: Expr;
      readonly at: readonly Text[];
      readonly record: Expr | undefined;
    })
  | (Node & { readonly kind: "counter" | "data"; readonly name: Name; readonly value: Expr })
  /** identity, sql, time, session, approval, connection */
  | (Node & { readonly kind: "root"; readonly root: Name; readonly value: Expr; readonly at: readonly Text[] });

export type Expect = Node & {
  readonly isNegated: boolean;
  readonly what:
    | { readonly kind: "mask"; readonly column: TablePat; readonly using: MaskCall | undefined }
    | {
        readonly kind: "content-mask";
        readonly format: ContentFormat;
        readonly pattern: Text;
        readonly using: MaskCall | undefined;
      }
    | { readonly kind: "filter"; readonly table: TablePat; readonly as: Text | undefined }
    | { readonly kind: "item-filter"; readonly path: Text; readonly as: Text | undefined }
    | { readonly kind: "limit"; readonly name: Name }
    | { readonly kind: "alert"; readonly name: Name | undefined }
    | {
        readonly kind: "effect";
        /** allow, deny, approval, or a column of the case table. */
        readonly effect: Expr;
        readonly by: Name | undefined;
        readonly because: Text | undefined;
      };
};
