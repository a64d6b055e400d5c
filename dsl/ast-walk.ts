// every expression of a tree, outermost first
import type { Decl, Expr, Text } from "./ast.ts";

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;

/** Kinds of `Expr`: other nodes of the tree have other kinds, or share one (`let`) with no expression. */
const exprKinds: ReadonlySet<unknown> = new Set<Expr["kind"]>([
  ...(["string", "int", "float", "duration", "size", "bool", "tagged", "name", "field", "index", "call"] as const),
  ...(["not", "negate", "and", "or", "compare", "is", "arithmetic", "coalesce", "range", "cast", "if"] as const),
  ...(["quantifier", "list", "comprehension", "record", "missing"] as const),
]);
// a record type shares its kind with a record of values, which alone has entries
const isExpr = (value: Readonly<Record<string, unknown>>): boolean =>
  exprKinds.has(value.kind) && isObject(value.span) && (value.kind !== "record" || Array.isArray(value.entries));

/** Calls `visit` for every expression in a declaration, a clause, a text or another expression. */
export function walkExprs(node: Decl | Expr | Text | object, visit: (expr: Expr) => void): void {
  const stack: object[] = [node];
  for (let current = stack.pop(); current !== undefined; current = stack.pop()) {
    if (isObject(current) && isExpr(current)) visit(current as unknown as Expr); // SAFETY: its kind is an expression's
    const children = Object.values(current).filter((child): child is object => isObject(child));
    stack.push(...children.reverse());
  }
}

/** The texts with placeholders (of expressions and of `because`). */
export function walkTexts(node: Decl | object, visit: (text: Text) => void): void {
  const stack: object[] = [node];
  for (let current = stack.pop(); current !== undefined; current = stack.pop()) {
    if (isObject(current) && Array.isArray(current.parts) && typeof current.raw === "string") {
      visit(current as unknown as Text); // SAFETY: only texts have both
    }
    stack.push(...Object.values(current).filter((child): child is object => isObject(child)));
  }
}
