// `gw` as operators run it: a process, its output, its exit codes.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connectTo, hasProgram, prepareGateway, refusalOf, run, spawnGateway } from "../support/gateway.ts";

const policy = `package acme.test

allow staff on sql at "test-pg"
deny no_secrets on sql of public.secrets at "test-pg"
  because "{table} is nobody's business"
require approval deletes from group "leads" within 10m on sql delete of public.t at "test-pg"
  because "deleting needs a lead"
`;
const prepared = await prepareGateway({
  schema: "create table t (id int); create table secrets (id int)",
  policy,
  config: "approvals: { hold: 100ms }",
});
const gw = (...args: readonly string[]) => run(process.execPath, ["cli/gw.js", ...args], {});
const olga = { sub: "olga", kind: "human", groups: ["ops"] };

test("gw serve says what listens where, and a SIGTERM lets the running statement end", async () => {
  const { child, ports, printed } = await spawnGateway(prepared.configPath);
  assert.match(
    printed,
    /^test-pg {2}postgres on 127\.0\.0\.1:\d+\nadmin {2}http:\/\/127\.0\.0\.1:\d+\npolicies {2}\S+ {2}sha256:[0-9a-f]{64}\nrecording {2}\S+ {2}batched\n$/,
  );
  const client = await connectTo(prepared, ports["test-pg"] ?? 0, olga);
  await client.query("insert into t values (1), (2)");
  await refusalOf(client, "select * from secrets");
  await refusalOf(client, "delete from t where id = 1");
  await client.query("begin");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const last = await client.query("select count(*)::int as n from t");
  assert.deepEqual(last.rows, [{ n: 2 }]);
  await client.query("commit");
  const [code] = await ended;
  assert.equal(code, 0);
});

test("gw sessions and gw audit read what was recorded", async () => {
  const listed = await gw("sessions", "list", "--config", prepared.configPath);
  assert.match(listed.out, /^session +started +who +connection +statements +denied +state\n/);
  assert.match(listed.out, /\nses_\w+ +[\d-]+ [\d:]+ +olga \(human\) +test-pg +6 +1 +\S+/);
  const id = /ses_\w+/.exec(listed.out)?.[0] ?? "";
  const shown = await gw("sessions", "show", id, "--recording", prepared.recording);
  assert.match(shown.out, /✓ insert into t values \(1\), \(2\)\n/);
  assert.match(shown.out, /✗ select \* from secrets\n/);
  assert.match(shown.out, /because {2}acme\.test\.no_secrets: public\.secrets is nobody's business/);
  assert.match(shown.out, /approval apr_\w+ requested/);
  const json = await gw("sessions", "show", id, "--recording", prepared.recording, "--json");
  const types = json.out
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line).type);
  assert.deepEqual([types[0], types.at(-1)], ["session-start", "session-end"]);
  const verified = await gw("audit", "verify", "--config", prepared.configPath);
  assert.match(verified.out, /^\d+ lines, last number \d+, hash [0-9a-f]{64}: the chain is whole\n$/);
  const segment = join(prepared.recording, "00000001.jsonl");
  const original = readFileSync(segment, "utf8");
  writeFileSync(segment, original.replace('"olga"', '"omar"'));
  const damaged = await gw("audit", "verify", "--config", prepared.configPath);
  writeFileSync(segment, original);
  assert.deepEqual(
    [damaged.code, damaged.out.split("\n")[0]],
    [1, `${segment}:3: the content doesn't fit its hash: it was changed`],
  );
  const unknown = await gw("sessions", "show", "ses_nobody", "--config", prepared.configPath);
  assert.equal(unknown.code, 2);
});

test("gw approvals decides from the command line, over a restart", async () => {
  const { child, ports } = await spawnGateway(prepared.configPath);
  const client = await connectTo(prepared, ports["test-pg"] ?? 0, olga);
  await refusalOf(client, "delete from t where id = 1");
  const tokenFile = join(prepared.folder, "lena.token");
  writeFileSync(tokenFile, await prepared.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] }));
  const common = ["--admin", `http://127.0.0.1:${ports.admin}`, "--token-file", tokenFile];
  const listed = await gw("approvals", "list", ...common);
  const id = /apr_\w+/.exec(listed.out)?.[0] ?? "";
  assert.match(listed.out, /olga \(human\) +test-pg +pending +delete from t where id = 1/);
  const shown = await gw("approvals", "show", id, ...common);
  assert.match(shown.out, /statement {2}delete from t where id = 1\n.*touches {4}delete public\.t/s);
  const granted = await gw("approvals", "approve", id, "--reason", "fine", ...common);
  assert.match(granted.out, /^apr_\w+ {2}granted\n/);
  const twice = await gw("approvals", "approve", id, ...common);
  assert.deepEqual([twice.code, twice.err.includes(`the request \`${id}\` is granted already`)], [2, true]);
  child.kill("SIGTERM");
  await once(child, "exit");
  const again = await spawnGateway(prepared.configPath);
  const later = await connectTo(prepared, again.ports["test-pg"] ?? 0, olga);
  assert.equal((await later.query("delete from t where id = 1")).rowCount, 1);
  await refusalOf(later, "delete from t where id = 1");
  again.child.kill("SIGTERM");
  await once(again.child, "exit");
});

test("gw whoami, token and connect set a client up from a token alone", async () => {
  const { child, ports } = await spawnGateway(prepared.configPath);
  const tokenFile = join(prepared.folder, "olga.token");
  const token = await prepared.issuer.issue({ ...olga, email: "olga@acme.example" });
  writeFileSync(tokenFile, `${token}\n`);
  const common = ["--admin", `http://127.0.0.1:${ports.admin}`, "--token-file", tokenFile];
  const me = await gw("whoami", ...common);
  assert.equal(
    me.out,
    `olga (human)\n  groups         ops\n  second factor  no\n  connection     test-pg at 127.0.0.1:${ports["test-pg"]}\n`,
  );
  assert.equal((await gw("token", "--token-file", tokenFile)).out, `${token}\n`);
  const header = await gw("token", "--format", "mcp-header", "--token-file", tokenFile);
  assert.deepEqual(JSON.parse(header.out), { Authorization: `Bearer ${token}` });
  const pgpass = await gw("token", "--format", "pgpass", ...common);
  assert.equal(pgpass.out, `127.0.0.1:${ports["test-pg"]}:${prepared.database.database}:olga:${token}\n`);
  const environment = await gw("token", "--format", "env", ...common);
  assert.match(environment.out, /^export PGHOST='127\.0\.0\.1'\n(.*\n)*export PGPASSWORD='[\w.-]+'\n$/);
  if (hasProgram("psql")) {
    const connected = await gw("connect", "test-pg", ...common, "--", "-XAtc", "select 6 * 7");
    assert.deepEqual([connected.code, connected.out], [0, "42\n"]);
  }
  const unknown = await gw("connect", "other", ...common);
  assert.deepEqual(
    [unknown.code, unknown.err.split("\n")[0]],
    [2, "error[config-invalid]: there is no connection `other`"],
  );
  child.kill("SIGTERM");
  await once(child, "exit");
});

const broken: readonly (readonly [what: string, edit: () => string, code: number, message: RegExp])[] = [
  [
    "a configuration that isn't there",
    () => join(prepared.folder, "none.yaml"),
    2,
    /^error\[config-unreadable\]: .*none\.yaml/,
  ],
  [
    "an unknown key",
    () => edited((text) => text.replace("admin:", "admim:")),
    2,
    /^error\[config-invalid\]: \S+broken\.yaml:\d+:1: unknown key `admim`; did you mean `admin`\?\n {2}= help: /,
  ],
  [
    "an upstream that isn't there",
    () => edited((text) => text.replace(/port: \d+/, "port: 1")),
    1,
    /^error\[catalog-unavailable\]: the catalog of connection `test-pg` can't be read from .*ECONNREFUSED\n/,
  ],
  [
    "policies that don't compile",
    () => {
      prepared.writePolicy(policy.replace("allow staff", "alow staff"));
      return prepared.configPath;
    },
    1,
    /^error\[policy-rejected\]: the policies in .* don't compile:\n(.|\n)*test\.policy:3:1(.|\n)* {2}= help: /,
  ],
];
for (const [what, edit, code, message] of broken) {
  test(`gw serve with ${what} stops and says so`, async () => {
    const outcome = await gw("serve", "--config", edit());
    assert.match(outcome.err, message);
    assert.equal(outcome.code, code);
  });
}

function edited(edit: (text: string) => string): string {
  const path = join(prepared.folder, "broken.yaml");
  writeFileSync(path, edit(readFileSync(prepared.configPath, "utf8")));
  return path;
}

test("gw without a command, with an unknown one, and --version", async () => {
  assert.equal((await gw()).code, 2);
  const unknown = await gw("serv");
  assert.deepEqual([unknown.code, unknown.err], [2, "error: unknown command 'serv'\n(Did you mean serve?)\n"]);
  assert.match((await gw("--version")).out, /^gw \d+\.\d+\.\d+\n$/);
});
