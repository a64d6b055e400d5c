// Whether what two rules are about has anything in common, or one is within the other.
import type { CheckedRule, Scope, TablePattern } from "../checked.ts";

/** May both match one access? Says yes where it cannot tell. */
export function overlap(a: Scope, b: Scope): boolean {
  if (a.protocol === "any" || b.protocol === "any") return true;
  if (a.protocol !== b.protocol) return false;
  if (a.protocol === "sql" && b.protocol === "sql") {
    return shareWord(a.verbs, b.verbs) && tablesOverlap(a.tables, b.tables);
  }
  if (a.protocol === "http" && b.protocol === "http") return shareWord(a.methods, b.methods);
  return true;
}

const shareWord = (a: ReadonlySet<string> | undefined, b: ReadonlySet<string> | undefined): boolean =>
  a === undefined || b === undefined || [...a].some((word) => b.has(word));

const tablesOverlap = (a: readonly TablePattern[] | undefined, b: readonly TablePattern[] | undefined): boolean =>
  a === undefined || b === undefined || a.some((one) => b.some((other) => patternsOverlap(one, other)));

export function patternsOverlap(a: TablePattern, b: TablePattern): boolean {
  if (a.kind === "tagged" || b.kind === "tagged") return true;
  const same = (x: string, y: string): boolean => x === "*" || y === "*" || x === y;
  return same(a.schema, b.schema) && same(a.table, b.table);
}

/** Does everything that `inner` matches match `outer`? Says no where it cannot tell. */
export function within(inner: Scope, outer: Scope): boolean {
  if (outer.protocol === "any") return true;
  if (inner.protocol !== "sql" || outer.protocol !== "sql" || outer.needsTable) return false;
  const { verbs, tables } = outer;
  const hasVerbs = verbs === undefined || (inner.verbs !== undefined && [...inner.verbs].every((v) => verbs.has(v)));
  const hasTables =
    tables === undefined || (inner.tables?.every((one) => tables.some((other) => patternWithin(one, other))) ?? false);
  return hasVerbs && hasTables;
}

function patternWithin(inner: TablePattern, outer: TablePattern): boolean {
  if (inner.kind === "tagged" || outer.kind === "tagged") return inner.kind === outer.kind && inner.text === outer.text;
  if (outer.columns !== undefined && inner.text !== outer.text) return false;
  const holds = (x: string, y: string): boolean => y === "*" || x === y;
  return holds(inner.schema, outer.schema) && holds(inner.table, outer.table);
}

/** The connections of `inner` are among those of `outer`, as far as the texts say. */
export const connectionsWithin = (inner: CheckedRule, outer: CheckedRule): boolean =>
  outer.decl.at.length === 0 ||
  (inner.decl.at.length > 0 && inner.decl.at.every((at) => outer.decl.at.some((other) => other.raw === at.raw)));
