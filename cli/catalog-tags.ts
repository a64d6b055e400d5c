// catalog + comments -> catalog with tags
import { isKnown } from "../engine/lib/truth.ts";
import type { Catalog, Relation } from "../engine/model/catalog.ts";
import { relationKey } from "../engine/model/catalog.ts";

/** A comment on a relation, or on its column. */
export type Comment = {
  readonly schema: string;
  readonly relation: string;
  readonly column: string | undefined;
  readonly text: string;
};

/** Comments on relations and columns outside the system's schemas; columns: schema, relation, column, text. */
export const commentsQuery = `select n.nspname, c.relname, a.attname, d.description
from pg_catalog.pg_description d
join pg_catalog.pg_class c on c.oid = d.objoid and d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0
where n.nspname <> 'pg_catalog' and n.nspname <> 'information_schema'
order by 1, 2, 3`;

/** `#pii` in "Where invoices go. #pii #contact": a word after a hash, at the start or after white space. */
export const tagsIn = (comment: string): readonly string[] =>
  [...comment.matchAll(/(?:^|\s)#([A-Za-z_][\w.-]*)/g)].map((match) => match[1] ?? "");

/** Tags from comments, and those that an earlier snapshot has: tags added by hand survive a pull. */
export function tagCatalog(catalog: Catalog, comments: readonly Comment[], earlier: Catalog | undefined): Catalog {
  const tags = new Map<string, Set<string>>();
  const add = (key: string, words: Iterable<string>) => {
    const set = tags.get(key) ?? new Set<string>();
    for (const word of words) set.add(word);
    tags.set(key, set);
  };
  for (const c of comments) add(placeKey(relationKey(c.schema, c.relation), c.column), tagsIn(c.text));
  for (const [key, relation] of earlier?.relations ?? []) {
    if (isKnown(relation.tags)) add(placeKey(key, undefined), relation.tags);
    for (const column of relation.columns) if (isKnown(column.tags)) add(placeKey(key, column.name), column.tags);
  }
  const tagged = (key: string, relation: Relation): Relation => ({
    ...relation,
    tags: tags.get(placeKey(key, undefined)) ?? new Set(),
    columns: relation.columns.map((c) => ({ ...c, tags: tags.get(placeKey(key, c.name)) ?? new Set() })),
  });
  const relations = new Map([...catalog.relations].map(([key, relation]) => [key, tagged(key, relation)]));
  return { ...catalog, relations };
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
