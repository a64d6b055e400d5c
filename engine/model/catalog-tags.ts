// live catalog + tags of the policy's snapshot -> the catalog that statements are judged by
import { type Fact, Unknown } from "../lib/truth.ts";
import { type Catalog, type Column, type Relation, relationKey } from "./catalog.ts";
import type { CatalogTags } from "./policy.ts";

const none: ReadonlySet<string> = new Set();
const systemSchemas: ReadonlySet<string> = new Set(["pg_catalog", "information_schema"]);
const noSnapshot = new Unknown("no policy names a catalog snapshot for this connection");
const unknownRelation = new Unknown("the policy's catalog snapshot doesn't have this relation");
const unknownColumn = new Unknown("the policy's catalog snapshot doesn't have this column");

/**
 * Relations and columns that the snapshot doesn't know have unknown tags, never none: a restricting rule of a tag then
 * applies to them. The system's own schemas are not part of snapshots; without an entry they carry no tags.
 * `version` names the tags too, so that what was analysed under other tags is analysed again.
 */
export function withTags(catalog: Catalog, tags: CatalogTags | undefined, tagsVersion: string): Catalog {
  const relations = new Map<string, Relation>();
  const relationsByOid = new Map<number, Relation>();
  for (const [key, relation] of catalog.relations) {
    const tagged = tagRelation(relation, tags);
    relations.set(key, tagged);
    if (relation.oid !== 0) relationsByOid.set(relation.oid, tagged);
  }
  return { ...catalog, version: `${catalog.version}+${tagsVersion}`, relations, relationsByOid };
}

function tagRelation(relation: Relation, tags: CatalogTags | undefined): Relation {
  const entry = tags?.relations.get(relationKey(relation.schema, relation.name));
  if (entry) {
    return {
      ...relation,
      tags: entry.tags,
      columns: relation.columns.map((column) => tagColumn(column, entry.columns.get(column.name) ?? unknownColumn)),
    };
  }
  const missing = systemSchemas.has(relation.schema) ? none : tags === undefined ? noSnapshot : unknownRelation;
  return { ...relation, tags: missing, columns: relation.columns.map((column) => tagColumn(column, missing)) };
}

const tagColumn = (column: Column, tags: Fact<ReadonlySet<string>>): Column => ({ ...column, tags });
