// The clients that people and agents really use, through policies that mask, filter and limit.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import postgres from "postgres";
import { type Claims, hasProgram, refusalOf, startTestGateway } from "../support/gateway.ts";

const policy = `package acme.test

allow staff on sql read of public.people at "test-pg"
allow catalog_reads on sql read of pg_catalog.*, information_schema.* at "test-pg"
allow session_chatter on sql tcl, session, show at "test-pg"

mask emails of public.people.email using partial(first: 1, keep_domain: true) at "test-pg"
  when identity.kind == agent
filter living of public.people where row.gone == false at "test-pg"
  when identity.kind == agent
limit agent_page to 2 rows on sql read of public.people at "test-pg"
  when identity.kind == agent
limit agent_rate to 5 requests per 1m by identity.sub on sql read of public.people at "test-pg"
  when identity.groups contains "slow"
`;
const gw = await startTestGateway({
  schema: `create table people (id int primary key, email text not null, gone boolean not null, at timestamptz, tags text[]);
    insert into people values (1, 'ana@acme.example', false, '2026-01-01T00:00:00Z', '{a,b}'), (2, 'bo@acme.example', true, null, null),
      (3, 'cem@acme.example', false, null, '{}'), (4, 'dee@acme.example', false, null, null);
    create table vault (id int);`,
  policy,
});
const bot: Claims = { sub: "bot-7", kind: "agent", groups: [] };
const olga: Claims = { sub: "olga", kind: "human", groups: [] };

test("postgres.js pipelines, prepares and types as if direct, and what it gets is masked", async () => {
  const sql = postgres({
    host: "127.0.0.1",
    port: gw.port,
    database: gw.database.database,
    username: "bot-7",
    password: await gw.issuer.issue(bot),
    ssl: { rejectUnauthorized: false },
    max: 1,
  });
  const [first, second] = await Promise.all([
    sql`select id, email, at, tags from people where id = ${1}`,
    sql`select count(*)::int as n from people`,
  ]);
  assert.deepEqual(
    [...first],
    [{ id: 1, email: "a***@acme.example", at: new Date("2026-01-01T00:00:00Z"), tags: ["a", "b"] }],
  );
  assert.deepEqual([...second], [{ n: 3 }]);
  await assert.rejects(sql`select * from vault`, { code: "42501" });
  const inside = await sql.begin(async (tx) => tx`select id from people order by id`);
  assert.deepEqual([...inside], [{ id: 1 }, { id: 3 }], "the page limit");
  await sql.end();
});

test("psql's own commands work where the catalog may be read", { skip: !hasProgram("psql") }, async () => {
  const listed = await gw.psql(olga, ["-c", "\\d people"]);
  assert.equal(listed.code, 0, listed.err);
  assert.match(listed.out, /id\|integer\|/);
});

test("a rate limit holds over sessions, and over the statements of one message", async () => {
  const slow: Claims = { sub: "slow", kind: "human", groups: ["slow"] };
  const [one, two] = [await gw.connect(slow), await gw.connect(slow)];
  for (const client of [one, two, one]) await client.query("select id from people");
  const burst = await refusalOf(one, "select 1 from people; select 2 from people; select 3 from people");
  assert.deepEqual([burst.code, burst.detail], ["42501", "rule acme.test.agent_rate; decision dec_…"]);
  await two.query("select $1::int from people", [1]);
  await one.query("select 1 from people");
  const sixth = await refusalOf(two, "select id from people where id = $1", [1]);
  assert.deepEqual([sixth.code, sixth.hint], ["42501", "wait until the limit's window has passed, or ask for less"]);
  await gw.connect(olga).then((client) => client.query("select id from people"));
});

test("sixty sessions at once each get their own answers", async () => {
  const clients = await Promise.all(Array.from({ length: 60 }, (_, i) => gw.connect(i % 2 === 0 ? bot : olga)));
  const answers = await Promise.all(
    clients.map((client) => client.query("select email from people where id = $1", [1])),
  );
  assert.deepEqual(
    answers.map((answer) => answer.rows[0].email),
    clients.map((_, i) => (i % 2 === 0 ? "a***@acme.example" : "ana@acme.example")),
  );
  const ended = clients.map((client) => once(client, "end"));
  for (const client of clients) void client.end();
  await Promise.all(ended);
});
