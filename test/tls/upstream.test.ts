// The gateway's own certificate towards a server that asks for one, and what `sslmode` means for the catalog's connection.
import assert from "node:assert/strict";
import { chownSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { startPostgres } from "../../cli/demo/postgres-server.ts";
import { connectCatalog } from "../../proxy/postgres/catalog-connection.ts";
import { openUpstream } from "../../proxy/postgres/upstream.ts";
import { makeSelfSigned } from "../../proxy/tls/self-signed.ts";
import { eventually } from "../support/eventually.ts";
import { withClient } from "../support/postgres.ts";

const nowMs = Date.now();
const server = makeSelfSigned(["localhost", "127.0.0.1"], nowMs);
const own = makeSelfSigned(["gateway"], nowMs);
const other = makeSelfSigned(["localhost"], nowMs);

const postgres = await startPostgres({ password: "secret" });
after(() => postgres.stop());
const data = join(postgres.directory, "data");
const { uid, gid } = statSync(data);
for (const [file, text] of [
  ["server.key", server.key],
  ["server.crt", server.cert],
  ["clients.crt", own.cert],
] as const) {
  writeFileSync(join(data, file), text, { mode: 0o600 });
  if (process.getuid?.() === 0) chownSync(join(data, file), uid, gid);
}
const login = { host: postgres.host, port: postgres.port, user: "postgres", password: "secret", database: "postgres" };
await withClient(login, async (c) => {
  await c.query("alter system set ssl_ca_file = 'clients.crt'");
  await c.query("alter system set ssl = on");
  await c.query("select pg_reload_conf()");
});
await eventually(async () => {
  const { rows } = await withClient(login, (c) => c.query("show ssl"));
  return rows[0]?.ssl === "on" ? true : undefined;
});

const target = (mode: "require" | "verify-ca" | "verify-full", ca: string | undefined, client?: typeof own) => ({
  ...login,
  password: async () => login.password,
  tls: { mode, ca, ...(client === undefined ? {} : { client }) },
});

test("the gateway shows its own certificate to a server that asks, on sessions and on the catalog's connection", async () => {
  const to = target("verify-full", server.cert, own);
  const session = await openUpstream(to, [], AbortSignal.timeout(30_000));
  assert.ok(session.ok);
  const catalog = await connectCatalog(to, 5_000);
  const shown = await catalog.query("select client_dn from pg_stat_ssl where client_dn is not null order by pid");
  assert.deepEqual(shown.flat(), ["/CN=gatewright", "/CN=gatewright"]);
  session.value.socket.destroy();
  await catalog.close();
});

for (const [mode, ca, isReached] of [
  ["require", undefined, true],
  ["require", server.cert, true],
  ["require", other.cert, false],
  ["verify-ca", other.cert, false],
  ["verify-full", undefined, false],
] as const) {
  const which = ca === undefined ? "no ca" : ca === server.cert ? "the server's ca" : "another ca";
  test(`sslmode ${mode} with ${which} ${isReached ? "is enough" : "refuses"}, on sessions and on the catalog's connection`, async () => {
    const session = await openUpstream(target(mode, ca), [], AbortSignal.timeout(30_000));
    if (session.ok) session.value.socket.destroy();
    const catalog = await connectCatalog(target(mode, ca), 5_000).then(
      async (connection) => {
        await connection.close();
        return true;
      },
      () => false,
    );
    assert.deepEqual([session.ok, catalog], [isReached, isReached]);
  });
}
