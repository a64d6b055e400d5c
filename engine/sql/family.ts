// Inheritance and partitioning.
import { type Catalog, type Relation, type RelationConstraint, relationKey } from "../model/catalog.ts";

export function ancestorsOf(relation: Relation, catalog: Catalog): readonly Relation[] {
  return relation.parents.flatMap((key) => {
    const parent = catalog.relations.get(key);
    return parent ? [parent, ...ancestorsOf(parent, catalog)] : [];
  });
}

const childrenOf = new WeakMap<Catalog, ReadonlyMap<string, readonly Relation[]>>();

export function descendantsOf(relation: Relation, catalog: Catalog): readonly Relation[] {
  const children = childrenIn(catalog).get(relationKey(relation.schema, relation.name)) ?? [];
  return children.flatMap((child) => [child, ...descendantsOf(child, catalog)]);
}

function childrenIn(catalog: Catalog): ReadonlyMap<string, readonly Relation[]> {
  const known = childrenOf.get(catalog);
  if (known) return known;
  const found = new Map<string, Relation[]>();
  for (const relation of catalog.relations.values())
    for (const parent of relation.parents) {
      const list = found.get(parent) ?? [];
      list.push(relation);
      found.set(parent, list);
    }
  childrenOf.set(catalog, found);
  return found;
}

export type Reference = { readonly relation: Relation; readonly constraint: RelationConstraint };

/** Foreign keys that a change of the relation's keys sets to work: those of others on its family, and what these cascade to. */
export function referringTo(relation: Relation, catalog: Catalog): readonly Reference[] {
  const found: Reference[] = [];
  const seen = new Set<Relation>();
  const next = [relation];
  for (let r = next.pop(); r; r = next.pop()) {
    if (seen.has(r)) continue;
    seen.add(r);
    const family = [r, ...ancestorsOf(r, catalog), ...descendantsOf(r, catalog)];
    const keys = new Set(family.map((x) => relationKey(x.schema, x.name)));
    for (const other of catalog.relations.values())
      for (const constraint of other.constraints) {
        if (constraint.references === undefined || !keys.has(constraint.references)) continue;
        found.push({ relation: other, constraint });
        if (constraint.isCascading !== false) next.push(other);
      }
  }
  return found;
}
