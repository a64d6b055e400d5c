// A limit of rows per time: statements that run at the same time see what the others may still come to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { startTestGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";
import { connectRaw, describeAll, type RawClient, say } from "../wire/raw-client.ts";

const gw = await startTestGateway({
  schema: "create table t (id int primary key, n int default 0); insert into t select generate_series(1, 10)",
  policy: `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"

limit page to 3 rows on sql read at "test-pg"
limit hourly to 4 rows per 1h by identity.sub on sql read of public.t at "test-pg"
limit changes to 5 rows per 1h by identity.sub on sql update of public.t at "test-pg"
`,
});
const { database } = gw.database;

const connect = async (sub: string): Promise<RawClient> =>
  connectRaw({
    host: "127.0.0.1",
    port: gw.port,
    user: sub,
    database,
    password: await gw.issuer.issue({ sub, kind: "human", groups: [] }),
  });

async function run(client: RawClient, messages: readonly Buffer[], syncs = 1): Promise<string> {
  client.send(...messages);
  return describeAll(await client.until("Z", syncs)).replaceAll(/(?:D \| )+/g, "D… | ");
}
const usedUp = "E:42501 the limit `acme.test.hourly` is used up";

test("statements of a pipeline share what is left of the window", async () => {
  const client = await connect("ann");
  // Without a Sync between them the server keeps its answers back.
  const one = [say.parse("select id from t where id = 1"), say.bind(), say.execute()];
  assert.equal(
    await run(client, [...one, ...one, ...one, say.sync()]),
    `1 | 2 | D… | C:SELECT 1 | 1 | 2 | D… | C:SELECT 1 | ${usedUp} | Z:I`,
  );
  // What wasn't used is free again: 2 of 4 rows are.
  assert.equal(await run(client, [say.query("select id from t where id < 3")]), "T | D… | C:SELECT 2 | Z:I");
  assert.equal(await run(client, [say.query("select id from t where id < 3")]), `${usedUp} | Z:I`);
  client.socket.destroy();
});

test("so do statements of one text, and a LIMIT of the client's own is what it may come to", async () => {
  const client = await connect("bob");
  const one = "select id from t where id = 1";
  assert.equal(await run(client, [say.query(`${one}; ${one}; ${one}`)]), `${usedUp} | Z:I`);
  const least = `${one} limit 1`;
  assert.equal(
    await run(client, [say.query(`${least}; ${least}; ${least}`)]),
    "T | D… | C:SELECT 1 | T | D… | C:SELECT 1 | T | D… | C:SELECT 1 | Z:I",
  );
  client.socket.destroy();
});

test("so do statements of several connections", async () => {
  const [a, b, c] = [await connect("cy"), await connect("cy"), await connect("cy")];
  const select = say.query("select id from t where id = 1");
  await withClient(gw.database, async (owner) => {
    await owner.query("begin; lock table t in access exclusive mode");
    const waiting = async (): Promise<number> =>
      Number(
        (
          await owner.query(
            "select count(*) from pg_locks where relation = 't'::regclass and database = (select oid from pg_database where datname = current_database()) and not granted",
          )
        ).rows[0].count,
      );
    a.send(select);
    await eventually(async () => (await waiting()) === 1 || undefined);
    b.send(select);
    await eventually(async () => (await waiting()) === 2 || undefined);
    assert.equal(await run(c, [select]), `${usedUp} | Z:I`);
    await owner.query("rollback");
  });
  for (const client of [a, b]) assert.equal(describeAll(await client.until("Z")), "T | D | C:SELECT 1 | Z:I");
  assert.equal(await run(c, [select]), "T | D… | C:SELECT 1 | Z:I");
  for (const client of [a, b, c]) client.socket.destroy();
});

test("on writes it counts the rows that were changed", async () => {
  const client = await connect("di");
  assert.equal(await run(client, [say.query("update t set n = 1 where id in (1, 2, 3)")]), "C:UPDATE 3 | Z:I");
  assert.equal(await run(client, [say.query("update t set n = 1 where id in (1, 2, 3)")]), "C:UPDATE 3 | Z:I");
  const answer = await run(client, [say.query("update t set n = 1 where id = 1")]);
  assert.equal(answer, "E:42501 the limit `acme.test.changes` is used up | Z:I");
  const uncounted = /^E:42501 the rows that a WITH changes can't be counted over time, and a rule limits how many/;
  const other = await connect("ed");
  assert.match(await run(other, [say.query("with u as (update t set n = 2) select 1")]), uncounted);
  for (const each of [client, other]) each.socket.destroy();
});

test("what RETURNING has changed counts, however little of it is read", async () => {
  const client = await connect("flo");
  const part = (n: number): readonly Buffer[] => [
    say.parse(`update t set n = ${n} where id < 4 returning id`),
    say.bind(),
    say.execute("", 1),
    say.sync(),
  ];
  const usedUpBy = "E:42501 the limit `acme.test.changes` is used up";
  assert.equal(await run(client, part(1)), "1 | 2 | D… | s | Z:I");
  assert.equal(await run(client, part(2)), `${usedUpBy} | Z:I`);
  client.socket.destroy();
});
