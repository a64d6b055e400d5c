// What the checker knows while it walks: the bundle's declarations, and at one place of a text what may be named there.

import type { Span } from "../../engine/lib/span.ts";
import type { ConnectionCapabilities } from "../../engine/model/capabilities.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import type { Decl, Effect, Expr, SourceFile } from "../ast.ts";
import type { CheckedData, Core, Local } from "../checked.ts";
import { type Diagnostic, diagnose } from "../diagnostic.ts";
import { poison, type RecordType, type Type } from "../types.ts";
import type { ApiCatalogs } from "./api-catalog.ts";

export type ValueDecl = Extract<Decl, { kind: "let" | "func" | "data" | "counter" | "fixture" }>;

/** A declared name, with what the checker found out about it so far. */
export type Declared<D = ValueDecl> = {
  readonly decl: D;
  readonly file: SourceFile;
  readonly package: PackageScope;
  isUsed: boolean;
};

export type PackageScope = {
  readonly name: string;
  readonly files: SourceFile[];
  readonly values: Map<string, Declared>;
  readonly types: Map<string, Declared<Extract<Decl, { kind: "type" }>>>;
  readonly rules: Map<string, Declared<Extract<Decl, { kind: "rule" }>>>;
  readonly schemas: Map<string, Declared<Extract<Decl, { kind: "schema" }>>>;
};

/** Names that a file's imports bring in. */
export type FileImports = {
  readonly names: ReadonlyMap<string, { readonly symbol: Declared; readonly span: Span }>;
  readonly packages: ReadonlyMap<string, { readonly scope: PackageScope; readonly span: Span }>;
};

export type ResolvedLet = { readonly core: Core; readonly requires: ReadonlySet<string> };
export type ResolvedFunc = {
  readonly params: readonly { readonly local: Local; readonly type: Type }[];
  readonly body: Core;
  readonly requires: ReadonlySet<string>;
};

/** One check of one bundle. */
export type CheckContext = {
  readonly packages: ReadonlyMap<string, PackageScope>;
  readonly imports: ReadonlyMap<SourceFile, FileImports>;
  readonly catalogs: ReadonlyMap<string, Catalog>;
  /** OpenAPI documents and lists of tools, by connection. */
  readonly apis: ApiCatalogs;
  /** Connections that the policies will decide about; undefined where nobody knows them yet. */
  readonly connections: readonly ConnectionCapabilities[] | undefined;
  readonly data: Map<string, CheckedData>;
  readonly diagnostics: Diagnostic[];
  readonly lets: Map<Declared, ResolvedLet | "resolving">;
  readonly funcs: Map<Declared, ResolvedFunc | "resolving">;
  readonly namedTypes: Map<Declared<Extract<Decl, { kind: "type" }>>, Type | "resolving">;
  readonly usedImports: Set<Span>;
  /** Packages that import each other: what goes around among them was reported there. */
  readonly inCircle: Set<string>;
  /** Counters and fixtures that are being looked at: one that comes up again needs itself. */
  readonly open: Set<Declared>;
};

/** What a rule of this kind is asked about: `all` inside lets and functions, `constant` in fixtures and tests. */
export type Place = "sql" | "http" | "mcp" | "llm" | "any" | "all" | "constant";

export type Binding =
  | { readonly kind: "local"; readonly local: Local; readonly type: Type }
  | { readonly kind: "param"; readonly type: Type }
  /** A column of a case table: stands for the cell of the row at hand. */
  | { readonly kind: "cell"; readonly expr: Expr };

export type Env = {
  readonly context: CheckContext;
  readonly file: SourceFile;
  readonly package: PackageScope;
  readonly place: Place;
  /** In `where`: the columns of the filtered tables; "any" where no catalog knows them. */
  readonly row: RecordType | "any" | undefined;
  /** In the `where` of a filter of json. */
  readonly hasItem?: true;
  /** Of `http.body` or `mcp.args`, where an API's document tells it. */
  readonly content?: Type | undefined;
  readonly hasDecision: boolean;
  readonly effect: Effect | undefined;
  readonly names: ReadonlyMap<string, Binding>;
  /** Keys of optional expressions that are known to be present here. */
  readonly present: ReadonlySet<string>;
  /** Roots that were read, for lets and functions, which may be used only where those exist. */
  readonly requires: Set<string>;
};

export const emptyEnv = (context: CheckContext, file: SourceFile, scope: PackageScope, place: Place): Env => ({
  context,
  file,
  package: scope,
  place,
  row: undefined,
  hasDecision: false,
  effect: undefined,
  names: new Map(),
  present: new Set(),
  requires: new Set(),
});

export const withName = (env: Env, name: string, binding: Binding): Env => {
  const present = [...env.present].filter((key) => key !== name && !key.startsWith(`${name}.`));
  return { ...env, names: new Map(env.names).set(name, binding), present: new Set(present) };
};

export const withPresent = (env: Env, keys: ReadonlySet<string>): Env =>
  keys.size === 0 ? env : { ...env, present: new Set([...env.present, ...keys]) };

export type Report = Partial<Omit<Diagnostic, "code" | "message" | "path" | "span">>;

export function report(
  env: Pick<Env, "context" | "file">,
  code: string,
  span: Span,
  message: string,
  more: Report = {},
): void {
  const found = diagnose({ code, message, path: env.file.path, span, ...more });
  const isKnown = env.context.diagnostics.some(
    (d) =>
      d.code === code &&
      d.path === found.path &&
      d.span.start === span.start &&
      d.span.end === span.end &&
      d.message === message,
  );
  if (!isKnown) env.context.diagnostics.push(found);
}

/** Stands where an expression was wrong: reported once, silent afterwards. */
export const wrong = (span: Span): Core => ({ op: "const", value: undefined, span, type: poison });

/** The author's own text. */
export const sourceOf = (env: Pick<Env, "file">, span: Span): string => env.file.text.slice(span.start, span.end);

/** Where the carets go: the last name of `a.b.c`, the whole of everything else. */
export const caretSpan = (expr: Expr): Span => (expr.kind === "field" ? expr.field.span : expr.span);

/**
 * A name for an expression whose value can't change within one evaluation, so that a test of it holds further on;
 * undefined for others.
 */
export function keyOf(expr: Expr): string | undefined {
  switch (expr.kind) {
    case "name":
      return expr.name.text;
    case "field": {
      const object = keyOf(expr.object);
      return object === undefined ? undefined : `${object}.${expr.field.text}`;
    }
    case "index": {
      const object = keyOf(expr.object);
      const index = expr.index;
      const part =
        index.kind === "string" && index.text.parts.every((p) => p.kind === "text")
          ? JSON.stringify(index.text.raw)
          : index.kind === "int"
            ? index.raw
            : undefined;
      return object === undefined || part === undefined ? undefined : `${object}[${part}]`;
    }
    case "cast": {
      const operand = keyOf(expr.operand);
      const { atom } = expr.type;
      return operand === undefined || atom.kind !== "named" || atom.args.length > 0
        ? undefined
        : `(${operand} as ${atom.name.parts.map((p) => p.text).join(".")})`;
    }
    default:
      return undefined;
  }
}

const none: ReadonlySet<string> = new Set();

/** Keys that are certainly present if `expr` is `outcome`. */
export function presentIf(expr: Expr, outcome: boolean): ReadonlySet<string> {
  switch (expr.kind) {
    case "is": {
      const key = keyOf(expr.operand);
      return key !== undefined && (expr.what === "present") === outcome ? new Set([key]) : none;
    }
    case "not":
      return presentIf(expr.operand, !outcome);
    case "and":
    case "or": {
      const parts = expr.operands.map((operand) => presentIf(operand, outcome));
      // All operands of an `and` are true when it is true; when it is false, only what each alone would give.
      return (expr.kind === "and") === outcome ? new Set(parts.flatMap((p) => [...p])) : common(parts);
    }
    default:
      return none;
  }
}

const common = (parts: readonly ReadonlySet<string>[]): ReadonlySet<string> => {
  const [first, ...rest] = parts;
  return first === undefined ? none : new Set([...first].filter((key) => rest.every((p) => p.has(key))));
};
