import type { Relation } from "../model/catalog.ts";

/** Columns whose names occur in a generated column's expression: a superset of its inputs. */
export function generatedInputs(relation: Relation, expression: string | undefined): readonly string[] {
  if (expression === undefined) return [];
  return relation.columns.map((c) => c.name).filter((name) => expression.includes(name));
}
