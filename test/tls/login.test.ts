// Ways into a PostgreSQL connection besides a token: certificates, and users with a verifier.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import pg from "pg";
import { makeVerifier } from "../../proxy/identity/scram-verifier.ts";
import { makeSelfSigned } from "../../proxy/tls/self-signed.ts";
import { eventually } from "../support/eventually.ts";
import { hasProgram, run, startTestGateway } from "../support/gateway.ts";
import { testServer } from "../support/postgres.ts";

// Started here: what a test starts ends with it.
await testServer();
const nowMs = Date.now();
const server = makeSelfSigned(["localhost"], nowMs);
const olga = makeSelfSigned(["olga.example"], nowMs);
const stranger = makeSelfSigned(["stranger.example"], nowMs);
const untrusted = makeSelfSigned(["olga.example"], nowMs);

const policy = `package acme.test

allow staff on sql at "test-pg"
deny writers on sql write at "test-pg" when identity.kind == service
  because "{identity.sub} only reads"
`;
const gatewayWith = (clients: string, users = "") =>
  startTestGateway({
    schema: "create table t (id int)",
    policy,
    config: users,
    tls: `{ certificate: server.pem, key: server.key, required: true${clients} }`,
    prepare: (folder) => {
      writeFileSync(join(folder, "server.pem"), server.cert);
      writeFileSync(join(folder, "server.key"), server.key);
      writeFileSync(join(folder, "clients.pem"), olga.cert);
      writeFileSync(join(folder, "strangers.pem"), stranger.cert);
    },
  });

const identities = `identities: [{ dns: olga.example, sub: olga, kind: human, groups: [ops] }]`;

type Login = {
  readonly user?: string;
  readonly password?: string;
  readonly certificate?: { readonly cert: string; readonly key: string };
};

/** What a login comes to: who one is, or how one is refused. */
async function logIn(
  port: number,
  database: string,
  { user = "olga", password = "", certificate }: Login,
): Promise<string> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user,
    password,
    database,
    ssl: { rejectUnauthorized: false, ...certificate },
  });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const refused = await client.query("insert into t values (1)").then(
      () => "writes",
      (error: unknown) => (error instanceof Error ? error.message : "?"),
    );
    return refused;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return `${error.code} ${error.message}`;
    return "closed";
  } finally {
    // Not awaited: after a failed handshake the driver never says that it has ended.
    client.end().catch(() => undefined);
  }
}

test("a certificate that is listed logs in without a password; one that isn't trusted, or none, doesn't", async () => {
  const gw = await gatewayWith(`, clients: { ca: clients.pem, ${identities} }`);
  const enter = (login: Login) => logIn(gw.port, gw.database.database, login);
  assert.equal(await enter({ certificate: olga }), "writes");
  assert.equal(await enter({ certificate: untrusted }), "closed");
  assert.equal(await enter({ password: await gw.issuer.issue({ sub: "olga", kind: "human" }) }), "closed");
  const starts = (await gw.events()).flatMap((e) => (e.type === "session-start" ? [e.principal] : []));
  assert.deepEqual(starts, [{ sub: "olga", kind: "human", groups: ["ops"] }]);
});

test("where certificates are optional a token does as well, but a bad certificate is no reason to go on without", async () => {
  const gw = await gatewayWith(`, clients: { ca: clients.pem, required: false, ${identities} }`);
  const enter = (login: Login) => logIn(gw.port, gw.database.database, login);
  const password = await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] });
  assert.equal(await enter({ password }), "writes");
  assert.equal(await enter({ certificate: olga }), "writes");
  assert.equal(await enter({ password, certificate: untrusted }), "closed");
});

test("a certificate of a known authority that isn't listed is nobody's, with a token as without", async () => {
  const gw = await gatewayWith(`, clients: { ca: strangers.pem, required: false, ${identities} }`);
  const enter = (login: Login) => logIn(gw.port, gw.database.database, login);
  const password = await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] });
  const nobody = "28P01 the client certificate names nobody known here";
  assert.equal(await enter({ certificate: stranger }), nobody);
  assert.equal(await enter({ certificate: stranger, password }), nobody);
});

test("with `login: both` the certificate and the token must be of the same person", async () => {
  const gw = await gatewayWith(`, clients: { ca: clients.pem, required: false, login: both, ${identities} }`);
  const enter = (login: Login) => logIn(gw.port, gw.database.database, login);
  const own = await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] });
  const other = await gw.issuer.issue({ sub: "otto", kind: "human", groups: [] });
  const mismatch = "28P01 this connection takes a client certificate and a token of the same person, and these aren't";
  assert.equal(await enter({ certificate: olga, password: own }), "writes");
  assert.equal(await enter({ certificate: olga, password: other }), mismatch);
  assert.equal(await enter({ password: own }), mismatch);
  assert.match(await enter({ certificate: olga, password: "nonsense" }), /^28P01 /);
});

test("a user with a verifier logs in by SCRAM-SHA-256, and nobody else by that name", async () => {
  const password = "correct horse battery";
  const users = `users:
  - { name: reporter, verifier: "${await makeVerifier(password)}", groups: [reports] }
  - { name: elsewhere, verifier: "${await makeVerifier(password)}", connections: [test-pg], expires: 2020-01-01 }`;
  const gw = await gatewayWith("", users);
  const enter = (login: Login) => logIn(gw.port, gw.database.database, login);
  assert.equal(await enter({ user: "reporter", password }), "reporter only reads");
  const wrong = (user: string) => `28P01 password authentication failed for user "${user}"`;
  assert.equal(await enter({ user: "reporter", password: "wrong horse battery" }), wrong("reporter"));
  // A token by that name is a wrong password: the subject can't be taken over from there.
  const token = await gw.issuer.issue({ sub: "reporter", kind: "human", groups: [] });
  assert.equal(await enter({ user: "reporter", password: token }), wrong("reporter"));
  assert.equal(await enter({ user: "elsewhere", password }), "28P01 these credentials have expired");
  assert.equal(
    await enter({ user: "olga", password: await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] }) }),
    "writes",
  );
  if (!hasProgram("psql")) return;
  const psql = (sslmode: string, binding: string) =>
    run(
      "psql",
      [
        "-XAt",
        "-c",
        "select 'in'",
        `host=127.0.0.1 port=${gw.port} dbname=${gw.database.database} user=reporter sslmode=${sslmode} channel_binding=${binding}`,
      ],
      { PGPASSWORD: password },
    );
  assert.equal((await psql("require", "prefer")).out, "in\n");
  assert.match((await psql("require", "require")).err, /channel binding is required/);
});

test("gw user verifier makes lines for gw.yaml, and the password is on standard error alone", async () => {
  const made = await run(process.execPath, ["cli/gw.js", "user", "verifier", "reporter"], {});
  assert.match(
    made.out,
    /^users:\n {2}- name: "reporter"\n {4}verifier: SCRAM-SHA-256\$4096:\S+\$\S+:\S+\n {4}kind: service\n {4}groups: \[\]\n$/,
  );
  const password = /^password, shown this once: (\S{32})\n$/.exec(made.err)?.[1] ?? "";
  const gw = await gatewayWith("", made.out);
  assert.equal(await logIn(gw.port, gw.database.database, { user: "reporter", password }), "reporter only reads");
});

test("a new certificate is taken up with the next connection; a bad one keeps the old and says so", async () => {
  const lines: string[] = [];
  const say = (fields: { readonly code?: unknown }): void => void lines.push(String(fields.code));
  const gw = await startTestGateway({
    schema: "select 1",
    policy,
    tls: "{ certificate: server.pem, key: server.key }",
    log: { debug: say, info: say, warn: say, error: say },
    prepare: (folder) => {
      writeFileSync(join(folder, "server.pem"), server.cert);
      writeFileSync(join(folder, "server.key"), server.key);
    },
  });
  const shown = async (): Promise<string | undefined> => {
    const client = new pg.Client({
      host: "127.0.0.1",
      port: gw.port,
      database: gw.database.database,
      user: "olga",
      password: await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] }),
      ssl: { rejectUnauthorized: false },
    });
    await client.connect();
    const { stream } = (
      client as unknown as { connection: { stream: { getPeerCertificate(): { fingerprint256: string } } } }
    ).connection;
    const { fingerprint256 } = stream.getPeerCertificate();
    await client.end();
    return fingerprint256;
  };
  const first = await shown();
  writeFileSync(join(gw.folder, "server.pem"), "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n");
  await eventually(() => (lines.includes("reload-rejected") ? true : undefined));
  assert.equal(await shown(), first);
  const next = makeSelfSigned(["localhost"], nowMs + 1_000);
  // In two steps, as a renewal does it: between them the key isn't the certificate's.
  writeFileSync(join(gw.folder, "server.pem"), next.cert);
  writeFileSync(join(gw.folder, "server.key"), next.key);
  await eventually(async () => ((await shown()) === first ? undefined : true));
  const past = makeSelfSigned(["localhost"], nowMs - 40 * 86_400_000);
  const newest = await shown();
  const before = lines.filter((code) => code === "reload-rejected").length;
  writeFileSync(join(gw.folder, "server.key"), past.key);
  writeFileSync(join(gw.folder, "server.pem"), past.cert);
  await eventually(() => (lines.filter((code) => code === "reload-rejected").length > before ? true : undefined));
  assert.equal(await shown(), newest);
});
