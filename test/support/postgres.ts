// One real PostgreSQL for a whole test run; each test makes a database of its own in it.
import { randomBytes } from "node:crypto";
import { after } from "node:test";
import pg from "pg";
import { type PostgresServer, startPostgres } from "../../cli/demo/postgres-server.ts";

export type TestServer = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
};

let own: Promise<PostgresServer> | undefined;

/** The server of this run: the one that test/run.ts started (GW_TEST_PG), else one for this process, stopped after it. */
export async function testServer(): Promise<TestServer> {
  const shared = process.env.GW_TEST_PG;
  if (shared !== undefined) return JSON.parse(shared) as TestServer;
  if (!own) {
    own = startPostgres({ password: randomBytes(12).toString("hex") });
    after(async () => (await own)?.stop());
  }
  const server = await own;
  return { host: server.host, port: server.port, user: server.superuser, password: server.password };
}

/** Creates an empty database, runs `sql` in it as superuser, and drops it after the test file. */
export async function testDatabase(sql: string, on?: TestServer): Promise<TestServer & { readonly database: string }> {
  const server = on ?? (await testServer());
  const database = `t_${randomBytes(6).toString("hex")}`;
  await withClient({ ...server, database: "postgres" }, (c) =>
    c.query(`CREATE DATABASE ${database} TEMPLATE template0`),
  );
  after(() =>
    withClient({ ...server, database: "postgres" }, (c) =>
      c.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`),
    ).catch(() => undefined),
  );
  await withClient({ ...server, database }, (c) => c.query(sql));
  return { ...server, database };
}

/** Runs `use` on a connection that is closed afterwards. */
export async function withClient<T>(
  to: TestServer & { readonly database: string },
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client(to);
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
