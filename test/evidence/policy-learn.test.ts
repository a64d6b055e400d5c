// gw policy learn over what a real gateway recorded.
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../cli/main.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const gateway = await startTestGateway({
  schema: `
create table customers (id int primary key, email text, region text);
create table orders (id int primary key, customer_id int, paid boolean);
create table secrets (id int, token text);
create table "Odd Table" (id int, "by" text);`,
  policy: `package acme.test
allow reads on sql read of public.customers, public.orders, *.*
  when identity.groups contains "support"
allow service on sql read, write of public.orders
  when identity.kind == service
allow chatter on sql session, tcl, read
deny secrets on sql of public.secrets because "closed"
deny trainees on sql of public.orders when identity.sub == "tim" because "not yet"
`,
});
const folder = temporaryFolder();
const catalog = join(folder, "catalog.json");
{
  const { host, port, user, password, database } = gateway.database;
  const url = `postgres://${user}:${password}@${host}:${port}/${database}?sslmode=disable`;
  assert.equal(await main(["catalog", "pull", url, "--out", catalog], captured()), 0);
}

const ana = await gateway.connect({ sub: "ana", kind: "human", groups: ["support", "all-staff"] });
await ana.query("select id, email from customers where email = 'somebody@example.com'");
await ana.query("select region from customers where id = $1", [4711]);
await ana.query("select 1");
await ana.query("begin");
await ana.query("select count(*) from orders");
await ana.query("commit");
await refusalOf(ana, "select token from secrets where token = 'hunter2'");
const bo = await gateway.connect({ sub: "bo", kind: "human", groups: ["support", "all-staff"] });
await bo.query("select email from customers");
await bo.query('select "by" from "Odd Table"');
const tim = await gateway.connect({ sub: "tim", kind: "human", groups: ["support", "trainees", "all-staff"] });
await refusalOf(tim, "select count(*) from orders");
const job = await gateway.connect({ sub: "billing", kind: "service" });
await job.query("insert into orders (id, customer_id) values (1, 2)");
await job.query("update orders set paid = true where id = 1");
await job.query("delete from orders where id = 1");
const bot = await gateway.connect({ sub: "bot-7", kind: "agent", groups: ["support"], act: undefined });
await bot.query("select id from orders where id in (1, 2)");
for (const client of [ana, bo, tim, job, bot]) await client.end();

const out = join(folder, "learned", "learned.policy");
mkdirSync(join(folder, "learned"));
const flags = ["--recording", gateway.recording, "--catalog", `test-pg=${catalog}`];

test("a policy is learned that allows what was seen, by group where a group fits, with evidence and tests", async () => {
  const terminal = captured();
  const code = await main(["policy", "learn", ...flags, "--out", out], terminal);
  assert.equal(code, 0, terminal.text());
  const text = readFileSync(out, "utf8").replaceAll(/\d{4}-\d\d-\d\d/g, "2026-11-01");
  assert.equal(text, readFileSync(new URL("learned-policy.txt", import.meta.url), "utf8"));
  assert.equal(
    terminal.text().replace(out, "learned.policy"),
    `learned.policy: 10 rules and 25 tests from 12 allowed requests; all tests pass
not learned: 2 denied, 0 held for approval
over the same recording: 14 decided alike, 0 would be refused, 0 that were denied or held would pass, 0 would show more
`,
  );
});

test("it passes its own tests, is in the one style, and has nothing of what was sent", async () => {
  const terminal = captured();
  assert.equal(await main(["policy", "test", join(folder, "learned")], terminal), 0, terminal.text());
  assert.equal(await main(["policy", "fmt", "--check", join(folder, "learned")], captured()), 0);
  assert.doesNotMatch(readFileSync(out, "utf8"), /hunter2|somebody@|4711|\btrue\b/);
  assert.equal(existsSync(join(folder, "learned", "learned.test-pg.json")), true);
});

test("the same recording under it: what was allowed is allowed, what was denied is denied", async () => {
  const terminal = captured();
  const code = await main(
    ["policy", "replay", "--bundle", join(folder, "learned"), "--recording", gateway.recording],
    terminal,
  );
  assert.deepEqual({ code, text: terminal.text() }, { code: 0, text: "14 statements: 14 alike, 0 differ\n" });
});

test("rules other than allows go on beside what is learned, and one connection can be asked for", async () => {
  const terminal = captured();
  const asked = ["--config", gateway.configPath, "--catalog", `test-pg=${catalog}`, "--package", "acme.learned"];
  assert.equal(await main(["policy", "learn", ...asked, "--connection", "test-pg"], terminal), 0);
  // The deny of trainees stays, so that their group need not be left out.
  assert.match(terminal.stdout(), /^package acme\.learned$/m);
  assert.match(terminal.stdout(), /allow all_staff_humans_select_no_columns on sql select of public\.orders/);
  const none = captured();
  assert.equal(await main(["policy", "learn", ...asked, "--connection", "other"], none), 0);
  assert.match(none.text(), /0 rules and 0 tests from 0 allowed requests/);
});

test("nothing is overwritten, and what can't be read ends with 2", async () => {
  for (const [wrong, why] of [
    [["--out", out], /is there already/],
    [["--out", join(folder, "x.txt")], /is no policy's name/],
    [["--package", "a b"], /is no package's name/],
    [["--catalog", "nothing"], /write it like prod-pg=catalog\.json/],
  ] as const) {
    const terminal = captured();
    assert.equal(await main(["policy", "learn", ...flags, ...wrong], terminal), 2);
    assert.match(terminal.text(), why);
  }
});
