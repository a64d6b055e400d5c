// The demo's door to node-postgres: the company's owner writes through it, the tour asks through it like any client.
import pg from "pg";

export type SqlClient = pg.Client;
export type SqlTarget = {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly application?: string;
  /** Unset: no TLS. `unverified` accepts the demo's self-made certificate. */
  readonly tls?: "unverified";
};
/** What PostgreSQL (or the gateway in its name) answered. */
export type SqlAnswer =
  | { readonly ok: true; readonly columns: readonly string[]; readonly rows: readonly Record<string, unknown>[] }
  | {
      readonly ok: false;
      readonly sqlstate: string;
      readonly message: string;
      readonly detail: string | undefined;
      readonly hint: string | undefined;
    };

/** Connects, or throws with the server's words. */
export async function connectSql(to: SqlTarget): Promise<SqlClient> {
  const client = new pg.Client({
    host: to.host,
    port: to.port,
    user: to.user,
    password: to.password,
    database: to.database,
    ...(to.application === undefined ? {} : { application_name: to.application }),
    ...(to.tls === "unverified" ? { ssl: { rejectUnauthorized: false } } : {}),
  });
  client.on("error", () => undefined); // a dropped connection shows in the query that was running
  await client.connect();
  return client;
}

/** Runs one text over the simple protocol; of several statements the last one answers. An error of the server is an answer; a lost connection throws. */
export async function ask(client: SqlClient, sql: string): Promise<SqlAnswer> {
  try {
    // node-postgres gives a list for a text with several statements, which its types don't say.
    const result = [await client.query<Record<string, unknown>>(sql)].flat().at(-1);
    return { ok: true, columns: result?.fields.map((field) => field.name) ?? [], rows: result?.rows ?? [] };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    return {
      ok: false,
      sqlstate: error.code ?? "",
      message: error.message,
      detail: error.detail,
      hint: error.hint,
    };
  }
}
