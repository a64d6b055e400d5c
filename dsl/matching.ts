// Does a scope hold an access? Unknown tags favour the guard: restrictions match, allows don't.
import { type Truth, Unknown } from "../engine/lib/truth.ts";
import type { Column, Relation } from "../engine/model/catalog.ts";
import type { PolicyRequest } from "../engine/model/request.ts";
import type { SqlAccess } from "../engine/model/statement.ts";
import type { CheckedRule, ColumnPattern, Scope, Selector, TablePattern } from "./checked.ts";
import { anyMatches } from "./glob.ts";
import { matchRoute, type RouteParams } from "./route.ts";

/** Everything but an allow restricts, and so matches where a tag is not known. */
export const isRestricting = (rule: Pick<CheckedRule, "payload">): boolean => rule.payload.effect !== "allow";

const nameMatches = (pattern: string, name: string): boolean => pattern === "*" || pattern === name;

const hasTag = (tags: Relation["tags"], tag: string): Truth => (tags instanceof Unknown ? tags : tags.has(tag));

/** The table has the tag itself. */
export const tableHasTag = (relation: Relation, tag: string, ifUnknown: boolean): boolean => {
  const truth = hasTag(relation.tags, tag);
  return truth instanceof Unknown ? ifUnknown : truth;
};

export const columnHasTag = (column: Column, tag: string, ifUnknown: boolean): boolean => {
  const truth = hasTag(column.tags, tag);
  return truth instanceof Unknown ? ifUnknown : truth;
};

/** The table, or a column that the access touches, has the tag. */
export function accessHasTag(access: SqlAccess, tag: string, ifUnknown: boolean): boolean {
  const { relation } = access;
  if (!relation) return false;
  if (tableHasTag(relation, tag, ifUnknown)) return true;
  return access.columns.some((name) => {
    const column = relation.columns.find((c) => c.name === name);
    return column === undefined ? ifUnknown : columnHasTag(column, tag, ifUnknown);
  });
}

export const namesTable = (pattern: TablePattern & { kind: "named" }, relation: Relation): boolean =>
  nameMatches(pattern.schema, relation.schema) && nameMatches(pattern.table, relation.name);

export const matchesTable = (pattern: TablePattern, access: SqlAccess, isGuard: boolean): boolean =>
  access.relation !== undefined &&
  (pattern.kind === "tagged" ? accessHasTag(access, pattern.tag, isGuard) : namesTable(pattern, access.relation));

/** Columns of the relation that a mask names: by name, or by their own tag or that of the whole table. */
export function maskedColumns(patterns: readonly ColumnPattern[], relation: Relation): readonly string[] {
  return relation.columns
    .filter((column) =>
      patterns.some((p) =>
        p.kind === "tagged"
          ? tableHasTag(relation, p.tag, true) || columnHasTag(column, p.tag, true)
          : nameMatches(p.schema, relation.schema) &&
            nameMatches(p.table, relation.name) &&
            nameMatches(p.column, column.name),
      ),
    )
    .map((column) => column.name);
}

/** What an allow covers of an access that its scope holds. */
export function coveredColumns(scope: Scope, access: SqlAccess): "all" | ReadonlySet<string> {
  if (scope.protocol !== "sql" || !scope.tables) return "all";
  const columns = new Set<string>();
  for (const pattern of scope.tables) {
    if (!access.relation || !matchesTable(pattern, access, false)) continue;
    if (pattern.kind === "named") {
      if (!pattern.columns) return "all";
      for (const column of pattern.columns) columns.add(column);
    } else {
      if (tableHasTag(access.relation, pattern.tag, false)) return "all";
      for (const column of access.relation.columns)
        if (columnHasTag(column, pattern.tag, false)) columns.add(column.name);
    }
  }
  return columns;
}

/** The placeholders of each route by which the scope holds the request; [] when it doesn't. */
export function matchScope(
  scope: Scope,
  request: PolicyRequest,
  access: SqlAccess | undefined,
  isGuard: boolean,
): readonly (RouteParams | undefined)[] {
  switch (scope.protocol) {
    case "any":
      return once;
    case "sql":
      return access !== undefined && holdsAccess(scope, access, isGuard) ? once : never;
    case "http": {
      if (request.protocol !== "http") return never;
      if (scope.methods && !scope.methods.has(request.http.method)) return never;
      if (!scope.routes) return once;
      return scope.routes.map((route) => matchRoute(route, request.http.path)).filter((params) => params !== undefined);
    }
    case "mcp":
    case "llm":
      return request.protocol === scope.protocol && scope.selectors.every((s) => holdsSelector(s, request, isGuard))
        ? once
        : never;
    default:
      return scope satisfies never;
  }
}

const once: readonly undefined[] = [undefined];
const never: readonly undefined[] = [];

function holdsAccess(scope: Scope & { protocol: "sql" }, access: SqlAccess, isGuard: boolean): boolean {
  if (scope.verbs && !scope.verbs.has(access.verb)) return false;
  if (scope.tables) return scope.tables.some((pattern) => matchesTable(pattern, access, isGuard));
  // Nobody knows which tables an `unknown` access touches: a restriction about tables concerns it.
  return !scope.needsTable || access.relation !== undefined || (isGuard && access.verb === "unknown");
}

function holdsSelector(selector: Selector, request: PolicyRequest, isGuard: boolean): boolean {
  const value = selectedName(selector.name, request);
  if (value instanceof Unknown) return isGuard;
  return value !== undefined && anyMatches(selector.patterns, value);
}

/** What the request names under a selector; undefined: nothing. */
export function selectedName(name: string, request: PolicyRequest): string | undefined | Unknown {
  if (request.protocol === "mcp") {
    return name === "tool" ? request.mcp.tool : name === "resource" ? request.mcp.resource : request.mcp.prompt;
  }
  if (request.protocol === "llm") return name === "model" ? request.llm.model : request.llm.toolUse;
  return undefined;
}

/** Rules over tables with `of` in the head: a mask or filter concerns accesses to those tables. */
export function payloadConcerns(rule: Pick<CheckedRule, "payload">, access: SqlAccess | undefined): boolean {
  const { payload } = rule;
  if (payload.effect === "mask")
    return access?.relation !== undefined && maskedColumns(payload.columns, access.relation).length > 0;
  if (payload.effect === "filter")
    return access !== undefined && payload.tables.some((t) => matchesTable(t, access, true));
  return true;
}
