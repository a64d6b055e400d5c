// JSON Schema -> the tags that its author gave: `x-gw-tags: [pii]` stands in any schema of an OpenAPI document or of a tool
import type { Json } from "./json.ts";
import { field, isObject, type JsonObject } from "./read-json.ts";

export const schemaTagsKey = "x-gw-tags";

/** Of this schema alone; [] where it has none, undefined where the key holds something else than a list of names. */
export function schemaTags(schema: JsonObject): readonly string[] | undefined {
  const tags = field(schema, schemaTagsKey);
  if (tags === undefined) return [];
  if (!Array.isArray(tags)) return undefined;
  const names = tags.filter((tag): tag is string => typeof tag === "string" && tag !== "");
  return names.length === tags.length ? names : undefined;
}

/** Every tag of a document, and whether one of its lists isn't a list of names. */
export function documentTags(document: Json): { readonly tags: ReadonlySet<string>; readonly isWellFormed: boolean } {
  const tags = new Set<string>();
  let isWellFormed = true;
  const open: Json[] = [document];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (Array.isArray(node)) open.push(...(node as readonly Json[]));
    if (!isObject(node)) continue;
    const own = schemaTags(node);
    if (own === undefined) isWellFormed = false;
    for (const tag of own ?? []) tags.add(tag);
    open.push(...Object.values(node));
  }
  return { tags, isWellFormed };
}
