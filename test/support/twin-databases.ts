// The worlds as databases: a template per content, copies on demand, the same OIDs everywhere.
import { randomBytes } from "node:crypto";
import { after } from "node:test";
import pg from "pg";
import { clinicData, clinicSchema, type Twin } from "./clinic.ts";
import { type TestServer, testServer, withClient } from "./postgres.ts";
import { type Answer, observe, type Step, type World } from "./twin-transcript.ts";

export type Database = TestServer & { readonly database: string };

/** Makes databases by copying; everything is dropped after the test file. */
export class TwinDatabases {
  readonly #server: TestServer;
  readonly #made = new Set<string>();
  readonly #prefix = `tw_${randomBytes(4).toString("hex")}`;
  #next = 0;

  private constructor(server: TestServer) {
    this.#server = server;
  }

  /** `server` defaults to the one of this test run. */
  static async create(server?: TestServer): Promise<TwinDatabases> {
    const made = new TwinDatabases(server ?? (await testServer()));
    after(() => made.dropAll());
    return made;
  }

  async copy(template: string): Promise<Database> {
    // A database with a session can't be copied.
    await kept
      .get(template)
      ?.then((client) => client.end())
      .catch(() => undefined);
    kept.delete(template);
    this.#next += 1;
    const database = `${this.#prefix}_${this.#next}`;
    await this.#asAdmin(`CREATE DATABASE ${database} TEMPLATE ${template}`);
    this.#made.add(database);
    return { ...this.#server, database };
  }

  async schemaOnly(): Promise<Database> {
    const made = await this.copy("template0");
    await withClient(made, (c) => c.query(clinicSchema));
    return made;
  }

  /** The two twins, copies of one schema. */
  async twins(options: {
    readonly analyzed: boolean;
  }): Promise<Readonly<Record<Twin, Database>> & { readonly empty: Database }> {
    const empty = await this.schemaOnly();
    const fill = async (twin: Twin): Promise<Database> => {
      const database = await this.copy(empty.database);
      await withClient(database, (c) => c.query(clinicData(twin, options)));
      return database;
    };
    return { empty, A: await fill("A"), B: await fill("B") };
  }

  async drop(database: Database): Promise<void> {
    if (this.#made.delete(database.database))
      await this.#asAdmin(`DROP DATABASE IF EXISTS ${database.database} WITH (FORCE)`);
  }

  async dropAll(): Promise<void> {
    for (const client of kept.values()) await client.then((c) => c.end()).catch(() => undefined);
    kept.clear();
    for (const database of [...this.#made].reverse())
      await this.#asAdmin(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`).catch(() => undefined);
    this.#made.clear();
  }

  #asAdmin(sql: string): Promise<unknown> {
    return withClient({ ...this.#server, database: "postgres" }, (c) => c.query(sql));
  }
}

/** PostgreSQL without anything in front. Within a transaction that is rolled back, unless the database is the row's own. */
export function directWorld(database: Database, wrap: "rollback" | "none"): World {
  return {
    run: (steps) => inSession(database, wrap, (client) => eachStep(client, steps)),
    close: async () => undefined,
  };
}

export async function eachStep(client: pg.Client, steps: readonly Step[]): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  for (const step of steps) answers.push({ kind: "answered", seen: await observe(client, step) });
  return answers;
}

const sessionStart = "SET timezone = 'UTC'; SET statement_timeout = '20s'";
const kept = new Map<string, Promise<pg.Client>>();

/** As good as a fresh session in `database`: one that is kept between uses is rolled back and made to forget everything. */
export async function inSession<T>(
  database: Database,
  wrap: "rollback" | "none",
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  if (wrap === "none")
    return withClient(database, async (client) => {
      await client.query(sessionStart);
      return use(client);
    });
  const client = await keptClient(database);
  await client.query("BEGIN");
  try {
    return await use(client);
  } finally {
    await client
      .query("ROLLBACK")
      .then(() => client.query("DISCARD ALL"))
      .then(() => client.query(sessionStart))
      .catch(() => kept.delete(database.database));
  }
}

function keptClient(database: Database): Promise<pg.Client> {
  const known = kept.get(database.database);
  if (known) return known;
  const made = (async () => {
    const client = new pg.Client(database);
    client.on("error", () => undefined);
    await client.connect();
    await client.query(sessionStart);
    return client;
  })();
  kept.set(database.database, made);
  return made;
}
