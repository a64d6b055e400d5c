import assert from "node:assert/strict";
import { test } from "node:test";
import { catalogChanges, keepTags } from "../../cli/catalog-tags.ts";
import type { Catalog } from "../../engine/model/catalog.ts";
import { decodeCatalogSnapshot, encodeCatalogSnapshot } from "../../engine/model/catalog-snapshot.ts";

const snapshot = (columns: readonly object[], tags: readonly string[] = []): Catalog => {
  const decoded = decodeCatalogSnapshot(
    JSON.stringify({
      gatewright: "catalog/1",
      database: "d",
      schemas: { public: { relations: { people: { kind: "table", tags, columns } } } },
    }),
  );
  assert.ok(decoded.ok);
  return decoded.value;
};

test("a pull keeps the tags that were added to the snapshot by hand", () => {
  const live = snapshot([
    { name: "id", type: "integer" },
    { name: "email", type: "text", tags: ["pii"] },
  ]);
  const earlier = snapshot(
    [
      { name: "email", type: "text", tags: ["by_hand"] },
      { name: "gone", type: "text", tags: ["x"] },
    ],
    ["crm"],
  );
  assert.equal(
    encodeCatalogSnapshot(keepTags(live, earlier)),
    encodeCatalogSnapshot(
      snapshot(
        [
          { name: "id", type: "integer" },
          { name: "email", type: "text", tags: ["by_hand", "pii"] },
        ],
        ["crm"],
      ),
    ),
  );
});

test("a pull says which tables and columns came and went", () => {
  const before = snapshot([
    { name: "id", type: "integer" },
    { name: "old", type: "text" },
  ]);
  const after = snapshot([
    { name: "id", type: "integer" },
    { name: "ssn", type: "text" },
  ]);
  assert.deepEqual(catalogChanges(before, after), ["gone: public.people.old", "new: public.people.ssn"]);
});
