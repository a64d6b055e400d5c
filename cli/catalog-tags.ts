// what a pull of a catalog does with the snapshot that is there already
import { isKnown } from "../engine/lib/truth.ts";
import type { Catalog, Relation } from "../engine/model/catalog.ts";

/** The tags that the database's own comments give, and those of the earlier snapshot: what was added by hand survives. */
export function keepTags(live: Catalog, earlier: Catalog): Catalog {
  const tags = new Map<string, ReadonlySet<string>>();
  for (const [key, relation] of earlier.relations) {
    if (isKnown(relation.tags)) tags.set(placeKey(key, undefined), relation.tags);
    for (const column of relation.columns) if (isKnown(column.tags)) tags.set(placeKey(key, column.name), column.tags);
  }
  const joined = (own: Relation["tags"], place: string): ReadonlySet<string> =>
    new Set([...(isKnown(own) ? own : []), ...(tags.get(place) ?? [])]);
  const tagged = (key: string, relation: Relation): Relation => ({
    ...relation,
    tags: joined(relation.tags, placeKey(key, undefined)),
    columns: relation.columns.map((c) => ({ ...c, tags: joined(c.tags, placeKey(key, c.name)) })),
  });
  return { ...live, relations: new Map([...live.relations].map(([key, relation]) => [key, tagged(key, relation)])) };
}

/** Without what every server of a version has: a snapshot is there to be read, and to show what changed. */
export function withoutSystemSchemas(catalog: Catalog): Catalog {
  const isOwn = ({ schema }: { readonly schema: string }): boolean =>
    schema !== "pg_catalog" && schema !== "information_schema";
  const keep = <T extends { readonly schema: string }>(items: ReadonlyMap<string, readonly T[]>) =>
    new Map(
      [...items].map(([name, list]) => [name, list.filter(isOwn)] as const).filter(([, list]) => list.length > 0),
    );
  return {
    ...catalog,
    schemas: new Set([...catalog.schemas].filter((schema) => isOwn({ schema }))),
    relations: new Map([...catalog.relations].filter(([, relation]) => isOwn(relation))),
    functions: keep(catalog.functions),
    types: keep(catalog.types),
  };
}

const placeKey = (relation: string, column: string | undefined): string => JSON.stringify([relation, column ?? null]);

/** What a reader of the diff should look at: relations and columns that came or went. */
export function catalogChanges(before: Catalog, after: Catalog): readonly string[] {
  const names = (catalog: Catalog) =>
    new Set(
      [...catalog.relations].flatMap(([key, relation]) => [key, ...relation.columns.map((c) => `${key}.${c.name}`)]),
    );
  const [old, now] = [names(before), names(after)];
  return [
    ...[...now].filter((name) => !old.has(name)).map((name) => `new: ${name}`),
    ...[...old].filter((name) => !now.has(name)).map((name) => `gone: ${name}`),
  ].sort();
}
