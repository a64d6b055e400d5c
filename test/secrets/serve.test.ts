// Secrets and database roles end to end: a real PostgreSQL, a Vault that makes real logins.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { startFakeVault } from "../support/fake-vault.ts";
import { type Claims, startTestGateway } from "../support/gateway.ts";
import { testServer, withClient } from "../support/postgres.ts";

const server = await testServer();
const admin = (sql: string) => withClient({ ...server, database: "postgres" }, (c) => c.query(sql));
const policy = `package acme.test
allow staff on sql read, write, tcl, session at "test-pg"
`;
const olga: Claims = { sub: "olga", kind: "human", groups: ["ops"] };
const bot: Claims = { sub: "bot-7", kind: "agent", groups: [] };
const refusal = async (act: Promise<unknown>) =>
  act.then(
    () => "ran",
    (error: Error) => error.message,
  );

test("a session is what its principal's row says: the database itself refuses the rest, and no spelling leads back", async () => {
  for (const role of ["gwt_login", "gwt_reader", "gwt_writer"]) await admin(`DROP ROLE IF EXISTS ${role}`);
  await admin(`CREATE ROLE gwt_login LOGIN PASSWORD 'login-pw' NOINHERIT; CREATE ROLE gwt_reader; CREATE ROLE gwt_writer;
    GRANT gwt_reader, gwt_writer TO gwt_login`);
  const gw = await startTestGateway({
    schema: `create table notes (id int primary key); insert into notes values (1);
      grant select on notes to gwt_reader; grant select, insert on notes to gwt_writer; grant usage on schema public to gwt_login`,
    policy,
    role: { user: "gwt_login", password: "login-pw" },
    connection: `      principals:
        - { group: ops, role: gwt_writer }
        - { kind: agent, role: gwt_reader }`,
  });
  const [human, agent] = [await gw.connect(olga), await gw.connect(bot)];
  await human.query("insert into notes values (2)");
  assert.equal((await agent.query("select count(*)::int as n from notes")).rows[0].n, 2);
  assert.match(await refusal(agent.query("insert into notes values (3)")), /permission denied for table notes/);
  assert.equal((await agent.query("select current_user as who")).rows[0].who, "gwt_reader");
  const escapes = [
    "set role gwt_writer",
    "set role none",
    "reset role",
    "set session authorization default",
    "set session authorization gwt_login",
    "select set_config('role', 'gwt_writer', false)",
    "set local role none",
    "begin; set role none; commit",
    "discard all",
    "reset all",
    "reset session authorization",
  ];
  for (const sql of escapes) {
    await refusal(agent.query(sql));
    await refusal(agent.query("rollback"));
    assert.equal((await agent.query("select current_user as who")).rows[0].who, "gwt_reader", sql);
    assert.match(await refusal(agent.query("insert into notes values (3)")), /permission denied/, sql);
  }
  const nobody = await refusal(gw.connect({ sub: "eve", kind: "human", groups: [] }));
  assert.equal(nobody, "this connection has no database role for you");
  await human.end();
  await agent.end();
});

test("logins that Vault makes are used and rotated without dropping sessions; Vault down refuses new ones, and no secret is told", async () => {
  const vault = await startFakeVault();
  const made: string[] = [];
  vault.makeLogin = async (_role, n) => {
    const [username, password] = [`gwt_vault_${n}`, `vault-made-${n}`];
    made.push(password);
    await admin(`DROP ROLE IF EXISTS ${username}`);
    await admin(`CREATE ROLE ${username} SUPERUSER LOGIN PASSWORD '${password}'`);
    return { username, password };
  };
  const lines: string[] = [];
  const put = (fields: object, message: string): void => void lines.push(JSON.stringify(fields) + message);
  const gw = await startTestGateway({
    schema: "create table notes (id int)",
    policy,
    config: `vault: { address: "${vault.address}", token: { file: vault-token } }`,
    log: { debug: put, info: put, warn: put, error: put },
    password: "{ vault_database: { role: app } }",
    prepare: (folder) => writeFileSync(join(folder, "vault-token"), "root\n"),
  });
  const first = await gw.connect(olga);
  assert.equal((await first.query("select session_user as who")).rows[0].who, "gwt_vault_1");
  // Vault revokes the lease: the server refuses the login, and the gateway asks for another one.
  await admin("ALTER ROLE gwt_vault_1 PASSWORD 'revoked'");
  const second = await gw.connect(olga);
  assert.equal((await second.query("select session_user as who")).rows[0].who, "gwt_vault_2");
  assert.equal((await first.query("select 1 as one")).rows[0].one, 1, "the session that was open goes on");
  vault.isDown = true;
  await admin("ALTER ROLE gwt_vault_2 PASSWORD 'revoked'");
  const refused = await refusal(gw.connect(olga));
  assert.match(refused, /^the (?:database behind the gateway can't be reached|gateway could not log in)/);
  assert.equal((await second.query("select 1 as one")).rows[0].one, 1);
  const files = readdirSync(gw.recording, { recursive: true, encoding: "utf8" })
    .map((name) => join(gw.recording, name))
    .filter((path) => statSync(path).isFile());
  const everything = lines.join("\n") + refused + files.map((path) => readFileSync(path, "latin1")).join("\n");
  for (const secret of [...made, "revoked", 'root"']) assert.equal(everything.includes(secret), false, secret);
  for (const path of ["/v1/whoami", "/metrics", "/readyz"]) {
    const answer = await fetch(gw.adminUrl + path, {
      headers: { authorization: `Bearer ${await gw.issuer.issue(olga)}` },
    });
    const text = await answer.text();
    for (const secret of made) assert.equal(text.includes(secret), false, path);
  }
  await first.end();
  await second.end();
});
