// The one door to pg: a connection of the gateway's own: for the catalog, or for one question to the planner.
import { type ConnectionOptions, checkServerIdentity } from "node:tls";
import pg from "pg";
import type { UpstreamTarget } from "../deps.ts";

export type CatalogConnection = {
  /** Rows as arrays of text: no type parsing, so that what the server says is what is compared. */
  readonly query: (sql: string) => Promise<readonly (readonly (string | null)[])[]>;
  /** Exactly one statement: the server refuses a text with several. */
  readonly queryOne: (
    sql: string,
    values: readonly (string | null)[],
  ) => Promise<readonly (readonly (string | null)[])[]>;
  readonly isOpen: () => boolean;
  readonly close: () => Promise<void>;
};

/** @throws the driver's error when the upstream can't be reached or refuses the login */
export async function connectCatalog(target: UpstreamTarget, timeoutMs: number): Promise<CatalogConnection> {
  const modes = target.tls.mode === "prefer" ? (["require", "disable"] as const) : ([target.tls.mode] as const);
  let failure: unknown;
  for (const mode of modes) {
    const client = new pg.Client({
      host: target.host,
      port: target.port,
      database: target.database,
      ...(target.login === undefined ? { user: target.user, password: await target.password() } : await target.login()),
      ssl: mode === "disable" ? false : tlsOptions(mode, target),
      application_name: "gatewright catalog",
      connectionTimeoutMillis: timeoutMs,
      statement_timeout: timeoutMs,
      keepAlive: true,
    });
    let isOpen = true;
    const onEnd = (): void => {
      isOpen = false;
    };
    client.on("error", onEnd);
    client.on("end", onEnd);
    try {
      await client.connect();
    } catch (error) {
      failure = error;
      await client.end().catch(() => undefined);
      continue;
    }
    return {
      query: async (sql) => {
        const result = await client.query<(string | null)[]>({ text: sql, rowMode: "array", types: textOnly });
        return result.rows;
      },
      queryOne: async (sql, values) => {
        const extended = {
          text: sql,
          values: [...values],
          queryMode: "extended",
          rowMode: "array" as const,
          types: textOnly,
        };
        return (await client.query<(string | null)[]>(extended)).rows;
      },
      isOpen: () => isOpen,
      close: () => client.end(),
    };
  }
  throw failure;
}

const textOnly: pg.CustomTypesConfig = { getTypeParser: () => (value: unknown) => value };

/** libpq's meaning of sslmode: `require` encrypts only, and with a `ca` does as `verify-ca`; `verify-ca` checks the chain, `verify-full` the name too. */
export function tlsOptions(
  mode: Exclude<UpstreamTarget["tls"]["mode"], "disable" | "prefer">,
  target: UpstreamTarget,
): ConnectionOptions {
  const ca = { ...target.tls.client, ...(target.tls.ca === undefined ? {} : { ca: target.tls.ca }) };
  if (mode === "require" && target.tls.ca === undefined) return { ...ca, rejectUnauthorized: false };
  if (mode === "require" || mode === "verify-ca")
    return { ...ca, rejectUnauthorized: true, checkServerIdentity: () => undefined };
  return { ...ca, rejectUnauthorized: true, checkServerIdentity };
}
