// Statements that were prepared before the policies changed: what runs is what is allowed when it runs.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { startTestGateway } from "../support/gateway.ts";
import { connectRaw, describeAll, type Message, type RawClient, say } from "../wire/raw-client.ts";

const open = `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"
`;
const masked = `${open}
mask names of public.people.name using partial(first: 1) at "test-pg"
`;
const closed = `${open}
deny people on sql of public.people at "test-pg"
  because "people are private now"
`;
const gw = await startTestGateway({
  schema: `create table people (id int primary key, name text); insert into people values (1, 'Ana'), (2, 'Bo');
    create schema other; create table other.people (id int, name text); insert into other.people values (9, 'Other')`,
  policy: open,
});

async function usePolicy(text: string): Promise<void> {
  gw.writePolicy(text);
  const status = await gw.gateway.policy.reload();
  assert.equal(status.rejected, undefined);
}
beforeEach(() => usePolicy(open));

const connect = async (): Promise<RawClient> =>
  connectRaw({
    host: "127.0.0.1",
    port: gw.port,
    user: "olga",
    database: gw.database.database,
    password: await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] }),
  });

/** The last column of each row, as text. */
const lastColumn = (messages: readonly Message[]): readonly string[] =>
  messages.filter((m) => m.type === "D").map(({ body }) => body.toString("utf8").replace(/^.*[\0-\x1f]/s, ""));

for (const name of ["", "named"]) {
  test(`a mask that came later holds for a statement prepared before it (${name === "" ? "unnamed" : name})`, async () => {
    const client = await connect();
    client.send(
      say.parse("select id, name from people where id < $1 order by id", name),
      say.describe("S", name),
      say.sync(),
    );
    assert.equal(describeAll(await client.until("Z")), "1 | t | T | Z:I");
    const run = async (): Promise<readonly Message[]> => {
      client.send(say.bind(["9"], name), say.execute(), say.sync());
      return client.until("Z");
    };
    assert.deepEqual(lastColumn(await run()), ["Ana", "Bo"]);
    await usePolicy(masked);
    const answer = await run();
    assert.equal(describeAll(answer), "2 | D | D | C:SELECT 2 | Z:I");
    assert.deepEqual(lastColumn(answer), ["A***", "B***"]);
    await usePolicy(open);
    assert.deepEqual(lastColumn(await run()), ["Ana", "Bo"]);
    client.socket.destroy();
  });
}

test("a denial that came later holds for a prepared statement, and fails an open transaction", async () => {
  const client = await connect();
  client.send(say.query("begin"), say.parse("select name from people", "p"), say.sync());
  await client.until("Z", 2);
  await usePolicy(closed);
  client.send(say.bind([], "p"), say.execute(), say.sync(), say.query("select 1"), say.query("rollback"));
  assert.equal(
    describeAll(await client.until("Z", 3)),
    "E:42501 people are private now | Z:E | E:25P02 current transaction is aborted, commands ignored until end of transaction block | Z:E | C:ROLLBACK | Z:I",
  );
  client.socket.destroy();
});

test("a prepared statement follows search_path, as at the server", async () => {
  const client = await connect();
  client.send(say.parse("select name from people order by id", "p"), say.bind([], "p"), say.execute(), say.sync());
  assert.deepEqual(lastColumn(await client.until("Z")), ["Ana", "Bo"]);
  client.send(say.query("set search_path = other"), say.bind([], "p"), say.execute(), say.sync());
  assert.deepEqual(lastColumn(await client.until("Z", 2)), ["Other"]);
  client.send(
    say.query("begin; set local search_path = public"),
    say.bind([], "p"),
    say.execute(),
    say.query("commit"),
  );
  assert.deepEqual(lastColumn(await client.until("Z", 2)), ["Ana", "Bo"]);
  client.send(say.bind([], "p"), say.execute(), say.sync());
  assert.deepEqual(lastColumn(await client.until("Z")), ["Other"]);
  client.socket.destroy();
});

test("only text that the gateway wrote reaches the server", async () => {
  const client = await connect();
  client.send(
    say.query("select /* a comment */ 'it''s', current_query() -- more"),
    say.parse("select E'\\x41' as \"A\", current_query() /* hidden */"),
    say.bind(),
    say.execute(),
    say.sync(),
  );
  const answers = await client.until("Z", 2);
  client.socket.destroy();
  if (answers.some((m) => m.type === "E")) {
    assert.match(describeAll(answers), /current_query/);
    return;
  }
  for (const text of lastColumn(answers)) assert.doesNotMatch(text, /comment|more|hidden|E'/);
});

test("a statement that SQL prepared is bound by its name under the search_path of that moment", async () => {
  const client = await connect();
  const run = async (): Promise<readonly string[]> => {
    client.send(say.bind([], "by_sql"), say.execute(), say.sync());
    return lastColumn(await client.until("Z"));
  };
  client.send(say.query("PREPARE by_sql AS SELECT name FROM people WHERE id IN (1, 9)"));
  await client.until("Z");
  assert.deepEqual(await run(), ["Ana"]);
  client.send(say.query("SET search_path = other"));
  await client.until("Z");
  assert.deepEqual(await run(), ["Other"]);
  client.send(say.query("SET search_path = public"));
  await client.until("Z");
  assert.deepEqual(await run(), ["Ana"]);
  client.socket.destroy();
});
