// Inheritance and partitioning.
import { type Catalog, type Relation, relationKey } from "../model/catalog.ts";

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
