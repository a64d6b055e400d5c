// pg_dump dumps servers of its own version and older ones only: a server of its version, where the machine has one.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { after, test } from "node:test";
import { startPostgres } from "../../cli/demo/postgres-server.ts";
import { type Claims, run, startTestGateway } from "../support/gateway.ts";

const major = /\) (\d+)/.exec(spawnSync("pg_dump", ["--version"], { encoding: "utf8" }).stdout ?? "")?.[1];
const binDirectory = `/usr/lib/postgresql/${major}/bin`;

const policy = `package acme.test

allow staff on sql read, copy of public.people at "test-pg"
allow locks on sql lock of public.people at "test-pg"
allow catalog_reads on sql read of pg_catalog.*, information_schema.* at "test-pg"
allow session_chatter on sql tcl, session at "test-pg"
allow without_tables on sql select at "test-pg"
  when none t in sql.tables: t.name != ""

mask emails of public.people.email using partial(first: 1, keep_domain: true) at "test-pg"
  when identity.kind == agent
filter living of public.people where row.gone == false at "test-pg"
  when identity.kind == agent
`;

test("pg_dump dumps an allowed table as the policy shows it, and not another one", {
  skip: existsSync(`${binDirectory}/initdb`) ? false : "no pg_dump, or no server of its version",
}, async () => {
  const server = await startPostgres({ password: "dump", binDirectory });
  after(() => server.stop());
  const gw = await startTestGateway({
    schema: `create table people (id int primary key, email text not null, gone boolean not null);
      insert into people values (1, 'ana@acme.example', false), (2, 'bo@acme.example', true);
      create table vault (id int);
      create role gateway login password 'gateway';
      grant select on people, vault to gateway`,
    role: { user: "gateway", password: "gateway" },
    server: { host: server.host, port: server.port, user: server.superuser, password: server.password },
    policy,
  });
  const dump = async (claims: Claims, ...args: readonly string[]) =>
    // Subscriptions hold passwords: that catalog is closed.
    run("pg_dump", ["--no-subscriptions", ...args], {
      PGHOST: "127.0.0.1",
      PGPORT: String(gw.port),
      PGUSER: claims.sub,
      PGDATABASE: gw.database.database,
      PGPASSWORD: await gw.issuer.issue(claims),
      PGSSLMODE: "require",
    });
  const rowsOf = (out: string) => out.split("\n").filter((line) => /^\d+\t/.test(line));
  const whole = await dump({ sub: "olga", kind: "human", groups: [] }, "--data-only", "--table=people");
  assert.equal(whole.code, 0, whole.err);
  assert.deepEqual(rowsOf(whole.out), ["1\tana@acme.example\tf", "2\tbo@acme.example\tt"]);
  const masked = await dump({ sub: "bot-7", kind: "agent", groups: [] }, "--data-only", "--table=people");
  assert.equal(masked.code, 0, masked.err);
  assert.deepEqual(rowsOf(masked.out), ["1\ta***@acme.example\tf"]);
  const denied = await dump({ sub: "olga", kind: "human", groups: [] }, "--data-only", "--table=vault");
  assert.deepEqual([denied.code, rowsOf(denied.out)], [1, []]);
  assert.match(denied.err, /no rule allows/);
});
