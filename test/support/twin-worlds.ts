// Twins, their catalog, and the physically masked copy M that says what the gateway should answer.
import type { Catalog } from "../../engine/model/catalog.ts";
import { loadCatalog } from "../../proxy/postgres/catalog-loader.ts";
import { maskedCopyAfter, maskedCopyBefore, maskedCopyTables } from "./clinic.ts";
import { type TestServer, withClient } from "./postgres.ts";
import { type Database, inSession, TwinDatabases } from "./twin-databases.ts";
import { EngineSession } from "./twin-engine.ts";

export type TwinWorlds = {
  readonly databases: TwinDatabases;
  readonly A: Database;
  readonly B: Database;
  readonly M: Database;
  readonly catalog: Catalog;
};

/** @throws when the masked images of A and B differ: then the worlds themselves are wrong, or a mask leaks */
export async function makeWorlds(options: {
  readonly analyzed: boolean;
  readonly server?: TestServer;
}): Promise<TwinWorlds> {
  const databases = await TwinDatabases.create(options.server);
  const { A, B, empty } = await databases.twins(options);
  const catalog = await readCatalog(A);
  const [shownByA, shownByB] = [await shown(A, catalog), await shown(B, catalog)];
  if (JSON.stringify(shownByA) !== JSON.stringify(shownByB)) throw new Error("the masked images of the twins differ");
  const M = await databases.copy(empty.database);
  await withClient(M, async (client) => {
    await client.query(maskedCopyBefore);
    for (const [i, { table }] of maskedCopyTables.entries()) {
      for (const row of shownByA[i] ?? []) {
        const places = row.map((_, n) => `$${n + 1}`).join(", ");
        await client.query(`INSERT INTO ${table} VALUES (${places})`, [...row]);
      }
    }
    await client.query(maskedCopyAfter);
    if (options.analyzed) await client.query("ANALYZE");
  });
  return { databases, A, B, M, catalog };
}

export async function readCatalog(database: Database): Promise<Catalog> {
  return withClient(database, async (client) => {
    const loaded = await loadCatalog(async (text) => (await client.query<Record<string, unknown>>(text)).rows);
    return loaded.catalog;
  });
}

const asText = { getTypeParser: () => (value: string) => value };

type Rows = readonly (readonly (string | null)[])[];

/** Every shown row of every table that holds protected data, as the engine reads it. */
async function shown(database: Database, catalog: Catalog): Promise<readonly Rows[]> {
  return inSession(database, "none", async (client) => {
    const all: Rows[] = [];
    for (const { read, table } of maskedCopyTables) {
      const [verdict] = new EngineSession(catalog).gate(read);
      if (verdict?.kind !== "released")
        throw new Error(`${table} can't be read through the engine: ${verdict?.message}`);
      const result = await client.query({
        text: verdict.rewritten.text,
        rowMode: "array",
        types: asText,
      });
      all.push(result.rows);
    }
    return all;
  });
}
