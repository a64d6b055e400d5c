// catalog of an upstream + tags of the policies in force -> CatalogSource that the listener reads
import { createHash } from "node:crypto";
import type { Catalog } from "../../engine/model/catalog.ts";
import { withTags } from "../../engine/model/catalog-tags.ts";
import type { CatalogTags, PolicySet } from "../../engine/model/policy.ts";
import type { CatalogSource } from "../deps.ts";

/** Merged once per catalog and policy set, then handed out as the same object. */
export function taggedCatalog(source: CatalogSource, connection: string, policies: () => PolicySet): CatalogSource {
  let from: Catalog | undefined;
  let under: PolicySet | undefined;
  let merged: Catalog | undefined;
  const current = (): Catalog => {
    const catalog = source.current();
    const policySet = policies();
    if (merged === undefined || catalog !== from || policySet !== under) {
      const tags = policySet.tags(connection);
      merged = withTags(catalog, tags, versionOf(tags));
      from = catalog;
      under = policySet;
    }
    return merged;
  };
  return {
    current,
    defaultSearchPath: source.defaultSearchPath,
    refresh: async () => {
      await source.refresh();
      return current();
    },
    ...(source.isFresh === undefined ? {} : { isFresh: source.isFresh }),
    ...(source.functionOf === undefined ? {} : { functionOf: source.functionOf }),
    close: source.close,
  };
}

function versionOf(tags: CatalogTags | undefined): string {
  if (tags === undefined) return "untagged";
  const digest = createHash("sha256");
  for (const key of [...tags.relations.keys()].sort()) {
    const relation = tags.relations.get(key);
    const columns = [...(relation?.columns ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    digest.update(
      JSON.stringify([key, [...(relation?.tags ?? [])].sort(), columns.map(([c, t]) => [c, [...t].sort()])]),
    );
  }
  return digest.digest("hex").slice(0, 16);
}
