// a connection of the gateway + who asks -> what libpq reads
import type { ShownDatabase } from "../proxy/admin/server.ts";
import { GatewayError } from "../proxy/errors.ts";
import type { WhoAmI } from "./admin-client.ts";

/** The named connection, or the only one. @throws GatewayError that lists what there is */
export function connectionNamed(me: WhoAmI, name: string | undefined): ShownDatabase {
  const databases = me.connections.filter((c) => c.kind === "postgres");
  const found = name === undefined && databases.length === 1 ? databases[0] : databases.find((c) => c.name === name);
  if (found) return found;
  const names = databases.map((c) => `\`${c.name}\``).join(", ");
  throw new GatewayError(
    "config-invalid",
    name === undefined ? "there are several connections" : `there is no connection \`${name}\``,
    `name one of ${names}`,
  );
}

/** `PGSSLMODE=require`: the token must not travel in clear; the gateway's own certificate may be self-made. */
export const environmentFor = ({ host, port, database }: ShownDatabase, user: string, token: string) => ({
  PGHOST: host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host,
  PGPORT: String(port),
  PGDATABASE: database,
  PGUSER: user,
  PGSSLMODE: "require",
  PGPASSWORD: token,
});

/** A line of ~/.pgpass: `:` and `\` are escaped. */
export function pgpassLine({ host, port, database }: ShownDatabase, user: string, token: string): string {
  return [host, String(port), database, user, token].map((field) => field.replaceAll(/[\\:]/g, "\\$&")).join(":");
}

/** One word to every shell of POSIX. */
export const shellQuote = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
