// two clusters from one binary: one is asked directly, the other through the gateway, so that nothing is shared
import { randomBytes } from "node:crypto";
import { type PostgresServer, startPostgres } from "../../cli/demo/postgres-server.ts";
import { withClient } from "../support/postgres.ts";
import { type PsqlTarget, runPsql } from "./psql.ts";

/** As pg_regress names it; both clusters have one, made anew for every file. */
export const databaseName = "regression";

/** What pg_regress sets for its database. */
const databaseSettings = [
  ["lc_messages", "C"],
  ["lc_monetary", "C"],
  ["lc_numeric", "C"],
  ["lc_time", "C"],
  ["bytea_output", "hex"],
] as const;

export class RegressionServer {
  readonly server: PostgresServer;

  private constructor(server: PostgresServer) {
    this.server = server;
  }

  static async start(): Promise<RegressionServer> {
    const settings = ["max_prepared_transactions=2", "autovacuum=off", "jit=off", "max_connections=40"];
    return new RegressionServer(await startPostgres({ password: randomBytes(12).toString("hex"), settings }));
  }

  stop(): Promise<void> {
    return this.server.stop();
  }

  /** A session of the superuser itself. */
  target(database = databaseName): PsqlTarget {
    const { host, port, superuser, password } = this.server;
    return { host, port, user: superuser, password, database };
  }

  async admin(...statements: readonly string[]): Promise<void> {
    await withClient(this.target("postgres"), async (client) => {
      for (const sql of statements) await client.query(sql);
    });
  }

  /** A file may bring the server down, which starts again by itself. @throws when it doesn't within a minute */
  async whenUp(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.admin("SELECT 1");
        return;
      } catch (error) {
        if (tries === 60) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
  }

  async makeDatabase(name: string, template: string): Promise<void> {
    await this.admin(
      `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`,
      `CREATE DATABASE ${name} TEMPLATE ${template}`,
      ...databaseSettings.map(([setting, value]) => `ALTER DATABASE ${name} SET ${setting} TO '${value}'`),
    );
  }

  /** `base` is what test_setup leaves behind, `full` what the other setup files leave on top of it. */
  async makeTemplates(source: string, setup: readonly string[]): Promise<void> {
    const [first = "", ...others] = setup;
    const run = async (name: string): Promise<void> => {
      await runPsql(this.target(), source, `${source}/sql/${name}.sql`);
    };
    await this.makeDatabase(databaseName, "template0");
    await run(first);
    // Their SQL functions could run wherever two integers or texts are compared: the gateway would refuse nearly everything.
    await withClient(this.target(), async (client) => {
      for (const name of ["part_test_int4_ops", "part_test_text_ops"])
        await client.query(`DROP OPERATOR CLASS ${name} USING hash CASCADE`);
    });
    await this.admin(`CREATE DATABASE base TEMPLATE ${databaseName}`);
    for (const name of others) await run(name);
    await this.admin(`CREATE DATABASE "full" TEMPLATE ${databaseName}`);
  }

  /** Roles and databases belong to the cluster: what a file has left of them must not meet the next one. */
  async dropLeftovers(): Promise<void> {
    await withClient(this.target(), async (client) => {
      const { rows } = await client.query<{ name: string }>(
        "SELECT quote_ident(subname) AS name FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
      for (const { name } of rows) {
        await client.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
        await client.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
        await client.query(`DROP SUBSCRIPTION ${name}`);
      }
    });
    await withClient(this.target("postgres"), async (client) => {
      const left = await client.query<{ name: string }>(
        "SELECT quote_ident(datname) AS name FROM pg_database WHERE datname <> ALL ('{postgres,template0,template1,base,full}')",
      );
      for (const { name } of left.rows) await client.query(`DROP DATABASE ${name} WITH (FORCE)`);
      const { rows } = await client.query<{ name: string }>(
        "SELECT quote_ident(rolname) AS name FROM pg_roles WHERE rolname NOT LIKE 'pg\\_%' AND rolname <> 'postgres'",
      );
      for (const { name } of rows) await client.query(`DROP ROLE ${name}`).catch(() => undefined);
    });
  }
}
