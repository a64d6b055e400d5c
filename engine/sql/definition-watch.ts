// analysed statement -> relations whose definition, changed by others since the catalog was read, would change what it reads.
import type { Catalog, Relation } from "../model/catalog.ts";
import { ancestorsOf } from "./family.ts";
import { isBoundStatement } from "./statement.ts";
import { isSystemSchema } from "./system-catalog.ts";
import { originOf } from "./template-tree.ts";
import type { AnalyzedStatement } from "./types.ts";

const watchedBy = new WeakMap<AnalyzedStatement, { readonly catalog: Catalog; readonly oids: readonly number[] }>();

/**
 * OIDs of the views that the statement names, which the server reads by their definition of the moment, and of the tables
 * that may have become the partition or child of another one: those with its columns. Everything else in the text that is sent
 * is named column by column.
 */
export function watchedRelations(given: AnalyzedStatement, catalog: Catalog): readonly number[] {
  const own = originOf(given);
  const known = watchedBy.get(own);
  if (known?.catalog === catalog) return known.oids;
  const oids = isBoundStatement(own.tree) ? watched(own.tree.bindings.uses, catalog) : [];
  watchedBy.set(own, { catalog, oids });
  return oids;
}

function watched(uses: readonly { readonly relation: Relation }[], catalog: Catalog): readonly number[] {
  const found = new Set<number>();
  for (const { relation } of uses) if (isWatched(relation, catalog)) found.add(relation.oid);
  return [...found];
}

function isWatched(relation: Relation, catalog: Catalog): boolean {
  if (isSystemSchema(relation.schema) || relation.oid === 0) return false;
  if (relation.kind === "view" || relation.kind === "materialized-view") return true;
  return isTable(relation) && attachableIn(catalog).has(relation);
}

const isTable = ({ kind }: Relation): boolean =>
  kind === "table" || kind === "partitioned-table" || kind === "foreign-table";

const attachable = new WeakMap<Catalog, ReadonlySet<Relation>>();

/** ATTACH PARTITION wants the same columns, INHERIT the parent's among others. Parents: what is one, or is made to be. */
function attachableIn(catalog: Catalog): ReadonlySet<Relation> {
  const known = attachable.get(catalog);
  if (known) return known;
  const tables = [...catalog.relations.values()].filter((r) => isTable(r) && !isSystemSchema(r.schema));
  const parentKeys = new Set(tables.flatMap((r) => r.parents));
  const parents = new Set([
    ...tables.filter((r) => r.kind === "partitioned-table"),
    ...[...parentKeys].flatMap((key) => catalog.relations.get(key) ?? []),
  ]);
  const shapes = [...parents].map((parent) => ({ parent, names: parent.columns.map((c) => c.name) }));
  const found = new Set(
    tables.filter((table) => {
      const names = new Set(table.columns.map((c) => c.name));
      const fitting = shapes.filter(
        ({ parent, names: wanted }) =>
          parent !== table &&
          (parent.kind === "partitioned-table" ? wanted.length === names.size : true) &&
          wanted.every((n) => names.has(n)),
      );
      if (fitting.length === 0) return false;
      const ancestors = new Set(ancestorsOf(table, catalog));
      return fitting.some(({ parent }) => !ancestors.has(parent));
    }),
  );
  attachable.set(catalog, found);
  return found;
}
