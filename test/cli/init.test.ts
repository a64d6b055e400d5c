// gw init as a person would use it: answers typed, then tests, then the gateway that it wrote.
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import pg from "pg";
import { startGateway } from "../../cli/compose.ts";
import { startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import { readConfig } from "../../proxy/config.ts";
import { testDatabase } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { runProgram } from "../wire/run-program.ts";

const database = await testDatabase(`
  create table people (id int primary key, name text not null, email text not null, phone_no text, password_hash text);
  create table "Odd Name" (id int);
  create schema sales;
  create table sales.invoices (id int primary key, person_id int not null references people, iban varchar(34));
  insert into people values (1, 'Ana', 'ana@acme.example', '+49 30 1234567', 'x');
`);
const issuer = await startTokenIssuer({ audience: "gatewright" });
after(() => issuer.stop());
const address = `postgres://${database.user}@${database.host}:${database.port}/${database.database}`;

const gw = (args: readonly string[], input = "") =>
  runProgram("node", ["cli/gw.js", ...args], {
    env: { PGPASSWORD: database.password, HOME: temporaryFolder() },
    input,
  });

test("the answers to its questions become a configuration whose tests pass and that serves", async () => {
  const folder = join(temporaryFolder(), "gw");
  const written = await gw(
    ["init", folder],
    `${address}?sslmode=disable\n\n127.0.0.1:0\n${issuer.issuer}\n\nanalysts\n`,
  );
  assert.equal(written.code, 0, written.stderr);
  assert.match(written.stdout, /4 columns are masked because of their names/);
  assert.equal(statSync(join(folder, "secrets", "upstream-password")).mode & 0o777, 0o600);
  assert.deepEqual(
    readFileSync(join(folder, "policies", "access.policy"), "utf8")
      .split("\n")
      .filter((line) => line.startsWith("mask ")),
    [
      "mask public_people_email of public.people.email using partial(first: 1, keep_domain: true)",
      "mask public_people_phone_no of public.people.phone_no using partial(last: 2)",
      "mask public_people_password_hash of public.people.password_hash using redact",
      "mask sales_invoices_iban of sales.invoices.iban using partial(last: 4)",
    ],
  );

  for (const args of [["check", "--strict"], ["test"], ["fmt", "--check"]]) {
    const checked = await gw([
      "policy",
      ...args.slice(0, 1),
      join(folder, "policies"),
      ...args.slice(1).filter((a) => a !== "--strict"),
    ]);
    assert.equal(checked.code, 0, `${args[0]}: ${checked.stdout}${checked.stderr}`);
  }

  const config = join(folder, "gw.yaml");
  writeFileSync(config, readFileSync(config, "utf8").replace("127.0.0.1:7070", "127.0.0.1:0"));
  const gateway = await startGateway(await readConfig(config, {}));
  after(() => gateway.stop(0));
  const client = new pg.Client({
    host: "127.0.0.1",
    port: gateway.connections[0]?.port ?? 0,
    user: "bot",
    database: database.database,
    password: await issuer.issue({ sub: "bot", kind: "agent", groups: ["analysts"] }),
    ssl: { rejectUnauthorized: false },
  });
  await client.connect();
  assert.deepEqual((await client.query("select id, name, email, phone_no, password_hash from people")).rows, [
    { id: 1, name: "Ana", email: "a***@acme.example", phone_no: "***67", password_hash: "***" },
  ]);
  await assert.rejects(client.query("delete from people where id = 1"), /no rule of access\.policy allows this/);
  await client.end();
});

test("flags answer for people who aren't there; nothing is overwritten; a wrong database is said at once", async () => {
  const folder = join(temporaryFolder(), "gw");
  const args = ["init", folder, "--yes", "--database", `${address}?sslmode=disable`];
  assert.equal((await gw(args)).code, 0);
  const again = await gw(args);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /is not empty/);
  const wrong = await gw(["init", `${folder}2`, "--yes", "--database", "postgres://nobody@127.0.0.1:1/x"]);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /error\[catalog-unavailable\]: the catalog of 127\.0\.0\.1:1\/x can't be read/);
  assert.match((await gw(["init", `${folder}3`], "\n")).stderr, /which database\?/);
});

test("`gw health` says whether the gateway is ready", async () => {
  const nobody = await gw(["health", "--admin", "http://127.0.0.1:1"]);
  assert.deepEqual(nobody, { code: 1, stdout: "", stderr: "no gateway answers at http://127.0.0.1:1\n" });
});
