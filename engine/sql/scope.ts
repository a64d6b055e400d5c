// Names that are visible at a point of a query, as PostgreSQL's parser sees them (parse_relation.c).
import type { Lineage, RelationUse } from "./bindings.ts";

export type ScopeColumn = {
  readonly name: string;
  readonly bases: Lineage;
  /** OID of its type, one of PostgreSQL's own; left out where it can't be told. */
  readonly type?: number | undefined;
};

/** Something that a qualified name can start with: a relation, subquery, CTE, function or named join in FROM. */
export type Source = {
  readonly name: string;
  /** Schema of a relation without an alias: `schema.relation.column`. */
  readonly schema: string | undefined;
  readonly columns: readonly ScopeColumn[];
  /** It may have columns that we can't name (a function that gives records). */
  readonly isOpen: boolean;
  readonly use: RelationUse | undefined;
  /** Row of the target of a write: references to it are noted for the rewriter. */
  readonly isTarget: boolean;
};

/** An item of FROM: the sources in it, and the columns that it contributes to `*`, merged columns once. */
export type FromItem = {
  readonly sources: readonly Source[];
  readonly columns: readonly ScopeColumn[];
  readonly isOpen: boolean;
};

export type Scope = {
  readonly parent: Scope | undefined;
  readonly sources: Source[];
  /** Columns by unqualified name. */
  readonly columns: ScopeColumn[];
  isOpen: boolean;
};

export const newScope = (parent: Scope | undefined, items: readonly FromItem[] = []): Scope => ({
  parent,
  sources: items.flatMap((i) => i.sources),
  columns: items.flatMap((i) => i.columns),
  isOpen: items.some((i) => i.isOpen),
});

export function addItem(scope: Scope, item: FromItem): void {
  scope.sources.push(...item.sources);
  scope.columns.push(...item.columns);
  if (item.isOpen) scope.isOpen = true;
}

export const itemOf = (source: Source): FromItem => ({
  sources: [source],
  columns: source.columns,
  isOpen: source.isOpen,
});

/** Innermost source of that name, with the scope that it stands in. */
export function findSource(
  scope: Scope | undefined,
  name: string,
  schema: string | undefined,
): { readonly source: Source; readonly scope: Scope } | undefined {
  for (let s = scope; s; s = s.parent) {
    const source = s.sources.find((x) => x.name === name && (schema === undefined || x.schema === schema));
    if (source) return { source, scope: s };
  }
  return undefined;
}

/** Columns of that name in the innermost scope that has any; several when the server would call it ambiguous. */
export function findColumns(scope: Scope | undefined, name: string): readonly ScopeColumn[] {
  for (let s = scope; s; s = s.parent) {
    const found = s.columns.filter((c) => c.name === name);
    if (found.length > 0) return found;
  }
  return [];
}

export function isOpenScope(scope: Scope | undefined): boolean {
  for (let s = scope; s; s = s.parent) if (s.isOpen) return true;
  return false;
}

/** `AS t(a, b)`: the first columns are renamed. */
export const renameColumns = (columns: readonly ScopeColumn[], names: readonly string[]): readonly ScopeColumn[] =>
  names.length === 0
    ? columns
    : [
        ...columns.map((c, i) => ({ ...c, name: names[i] ?? c.name })),
        ...names.slice(columns.length).map((name) => ({ name, bases: [] })),
      ];

/** Output of JOIN … USING: merged columns first, then the rest of the left, then of the right. */
export function joinColumns(
  left: readonly ScopeColumn[],
  right: readonly ScopeColumn[],
  using: readonly string[],
): readonly ScopeColumn[] {
  if (using.length === 0) return [...left, ...right];
  const merged = using.map((name) => ({
    name,
    bases: [...left, ...right].filter((c) => c.name === name).flatMap((c) => c.bases),
  }));
  const rest = (columns: readonly ScopeColumn[]): readonly ScopeColumn[] =>
    columns.filter((c) => !using.includes(c.name));
  return [...merged, ...rest(left), ...rest(right)];
}
