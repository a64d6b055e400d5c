// A real database of a small company: schema.sql and data.sql beside this file, the same rows on every machine.
import { readFileSync } from "node:fs";
import type { PostgresServer } from "./postgres-server.ts";
import { ask, connectSql, type SqlClient } from "./sql-client.ts";

export const companyDatabase = "larch";

export type Company = { readonly database: string; readonly user: string; readonly password: string };

/** Makes the database and the login role that the gateway uses upstream: it owns nothing and may do nothing but read and write rows. */
export async function createCompany(server: PostgresServer, gatewayPassword: string): Promise<Company> {
  const admin = { host: server.host, port: server.port, user: server.superuser, password: server.password };
  await withSql(await connectSql({ ...admin, database: "postgres" }), async (client) => {
    await mustRun(client, `create role gateway login password '${gatewayPassword.replaceAll("'", "''")}'`);
    await mustRun(client, `create database ${companyDatabase}`);
  });
  await withSql(await connectSql({ ...admin, database: companyDatabase }), async (client) => {
    await mustRun(client, companySql("schema.sql"));
    await mustRun(client, companySql("data.sql"));
  });
  return { database: companyDatabase, user: "gateway", password: gatewayPassword };
}

export const companySql = (name: "schema.sql" | "data.sql"): string =>
  readFileSync(new URL(`company/${name}`, import.meta.url), "utf8");

async function withSql<T>(client: SqlClient, use: (client: SqlClient) => Promise<T>): Promise<T> {
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function mustRun(client: SqlClient, sql: string): Promise<void> {
  const answer = await ask(client, sql);
  if (!answer.ok) throw new Error(`the demo's database could not be made: ${answer.message}`);
}
