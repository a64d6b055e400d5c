// `limit … rows on sql write`: the server counts, and undoes what goes over. Against PostgreSQL 18, and 15 where there is one.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, describe, test } from "node:test";
import { startPostgres } from "../../cli/demo/postgres-server.ts";
import { eventually } from "../support/eventually.ts";
import { connectTo, prepareGateway, spawnGateway, startTestGateway, type TestGateway } from "../support/gateway.ts";
import { olderPostgres } from "../support/older-postgres.ts";
import { type TestServer, testServer, withClient } from "../support/postgres.ts";
import { connectRaw, describeAll, frontend, type RawClient, say } from "../wire/raw-client.ts";

const schema = `
  create table orders (id int primary key, tenant text not null default 'acme', paid bool not null default false, note text);
  insert into orders select i, case when i <= 10 then 'acme' else 'other' end from generate_series(1, 500) i;
  create table kinds (id int primary key); insert into kinds select generate_series(1, 50);
  create table lines (id int primary key, kind int references kinds deferrable initially deferred);
  create table counted (id int generated always as identity primary key, n int);
  create table log (n int);
  create function noted() returns trigger language plpgsql as 'begin insert into log values (1); return null; end';
  create trigger noted after update on orders for each row execute function noted();
`;

const policy = `package acme.test

allow staff on sql read, write, tcl, session at "test-pg"

filter own of public.orders where row.tenant == "acme" at "test-pg"

limit few to 3 rows on sql write of public.orders, public.lines, public.counted at "test-pg"
limit page to 5 rows on sql read at "test-pg"
`;

const refused = "E:42501 this statement changes more than the 3 rows that one statement may, so nothing of it was done";

const found = olderPostgres(15);

async function older(binDirectory: string): Promise<TestServer> {
  const server = await startPostgres({ password: randomBytes(12).toString("hex"), binDirectory });
  after(() => server.stop());
  const { host, port, superuser: user, password } = server;
  return { host, port, user, password };
}

type World = {
  readonly gw: TestGateway;
  readonly major: number;
  readonly connect: () => Promise<RawClient>;
  readonly direct: () => Promise<RawClient>;
  /** `select count(*) … where` on the bare server. */
  readonly paid: () => Promise<number>;
};

async function worldOn(server: TestServer, major: number): Promise<World> {
  const gw = await startTestGateway({ schema, server, policy });
  const { database, host, port, user, password } = gw.database;
  const to = async () => ({
    host: "127.0.0.1",
    port: gw.port,
    user: "olga",
    database,
    password: await gw.issuer.issue({ sub: "olga", kind: "human", groups: [] }),
  });
  return {
    gw,
    major,
    connect: async () => connectRaw(await to()),
    direct: () => connectRaw({ host, port, user, password, database }),
    paid: () =>
      withClient(gw.database, async (c) =>
        Number((await c.query("select count(*) from orders where paid")).rows[0].count),
      ),
  };
}

const worlds = [await worldOn(await testServer(), 18), ...(found ? [await worldOn(await older(found), 15)] : [])];

const opened: RawClient[] = [];
/** A test that failed must not hold locks that the next one waits for. */
afterEach(() => {
  for (const client of opened.splice(0)) client.socket.destroy();
});

async function kept(client: Promise<RawClient>): Promise<RawClient> {
  opened.push(await client);
  return client;
}

async function run(client: RawClient, messages: readonly Buffer[], syncs: number): Promise<string> {
  client.send(...messages);
  return describeAll(await client.until("Z", syncs));
}

/** Every byte of it. */
async function answer(client: RawClient, messages: readonly Buffer[]): Promise<string> {
  client.send(...messages);
  const all = await client.until("Z");
  return `${describeAll(all)} ${all.map(({ body }) => body.toString("latin1")).join("|")}`;
}

const ask = (client: RawClient, sql: string): Promise<string> => run(client, [say.query(sql)], 1);

for (const world of worlds) {
  describe(`PostgreSQL ${world.major}`, () => {
    const { paid } = world;
    const connect = (): Promise<RawClient> => kept(world.connect());
    const direct = (): Promise<RawClient> => kept(world.direct());

    test("under the ceiling each answer is the server's own, message for message", async () => {
      const client = await connect();
      const bare = await direct();
      const scripts: readonly (readonly Buffer[])[] = [
        [say.query("begin")],
        [say.query("update orders set paid = false where id < 3")],
        [say.query("update orders set paid = false where id = -1")],
        [say.query("update orders set note = 'n' where id < 4 returning id, note, id as \"?column?\", 7")],
        [say.query("insert into lines values (1, 1), (2, 2), (3, 3)")],
        [say.query("insert into lines select i, 1 from generate_series(4, 6) i")],
        [say.query("insert into lines values (4, 1) on conflict do nothing")],
        [say.query("insert into lines values (4, 1) on conflict (id) do update set kind = 2 returning kind")],
        [say.query("delete from lines using orders where orders.id = lines.kind and lines.id = 1")],
        [say.query("with a as (select 2 as id) delete from lines where id in (select id from a) returning *")],
        [
          say.query(
            "with d as (delete from lines where id = 3 returning id) insert into lines select id + 10, 1 from d",
          ),
        ],
        [say.query("with d as (delete from lines where id = 4) select 1 as one")],
        [say.query("with d as (delete from lines where id = 5 returning id) select id from d limit 2")],
        [
          say.query(
            "update orders set paid = true where id = 1; update orders set paid = false where id = 1 returning id",
          ),
        ],
        [
          say.parse("update orders set paid = false where id < $1"),
          say.describe("S"),
          say.bind(["3"]),
          say.describe("P"),
          say.execute(),
          say.sync(),
        ],
        [
          say.parse("update orders set paid = false where id < $1 returning id", "r"),
          say.bind(["3"], "r"),
          say.execute("", 1),
          say.execute(),
          say.sync(),
        ],
        [
          say.parse("delete from lines where id < $1", "d"),
          say.bind(["0"], "d"),
          say.execute("", 1),
          say.bind(["0"], "d"),
          say.execute(),
          say.sync(),
        ],
        [
          frontend("P", Buffer.from("\0delete from lines where id < 0\0"), Buffer.from([0, 0])),
          frontend("B", Buffer.from("\0\0"), Buffer.from([0, 0, 0, 0, 0, 1, 0, 1])),
          say.execute(),
          say.sync(),
        ],
        [say.query("prepare p as update orders set paid = false where id < $1")],
        [say.query("execute p(3)")],
        [say.query("rollback")],
      ];
      // One after the other: each holds the rows that it changes.
      const through: string[] = [];
      const real: string[] = [];
      for (const script of scripts) through.push(await answer(client, script));
      for (const script of scripts) real.push(await answer(bare, script));
      assert.deepEqual(through, real);
    });

    test("what goes over is undone, in each protocol, and the session goes on", async () => {
      const client = await connect();
      const over = "update orders set paid = true";
      assert.equal(await ask(client, over), `${refused} | Z:I`);
      assert.equal(await ask(client, `${over} returning id`), `${refused} | Z:I`);
      assert.equal(await ask(client, "delete from orders where id > 1"), `${refused} | Z:I`);
      assert.equal(await ask(client, "insert into counted (n) values (1), (2), (3), (4)"), `${refused} | Z:I`);
      assert.equal(await ask(client, "insert into counted (n) select id from orders"), `${refused} | Z:I`);
      assert.equal(await ask(client, "insert into counted (n) values (1), (2), (3)"), "C:INSERT 0 3 | Z:I");
      const prepared = [say.parse("update orders set paid = true where id <= $1", "u"), say.sync()];
      assert.equal(await run(client, prepared, 1), "1 | Z:I");
      assert.equal(await run(client, [say.bind(["9"], "u"), say.execute(), say.sync()], 1), `2 | ${refused} | Z:I`);
      assert.equal(
        await run(client, [say.bind(["9"], "u"), say.execute("", 1), say.sync()], 1),
        `2 | ${refused} | Z:I`,
      );
      assert.equal(await ask(client, "prepare p as update orders set paid = $1"), "C:PREPARE | Z:I");
      assert.equal(await ask(client, "execute p(true)"), `${refused} | Z:I`);
      assert.match(
        await run(client, [say.bind(["true"], "p"), say.execute(), say.sync()], 1),
        new RegExp(`${refused} \\| Z:I$`),
      );
      assert.equal(await paid(), 0);
      assert.equal(await run(client, [say.bind(["2"], "u"), say.execute(), say.sync()], 1), "2 | C:UPDATE 2 | Z:I");
      assert.equal(await paid(), 2);
      assert.equal(await ask(client, "update orders set paid = false where id <= 2"), "C:UPDATE 2 | Z:I");
    });

    test("what a WITH changes counts too, whatever the statement around it is", async () => {
      const client = await connect();
      for (const sql of [
        "with d as (update orders set paid = true) select 1",
        "with d as (update orders set paid = true returning 1) select 1 where false",
        "with d as (update orders set paid = true returning 1) select count(*) from d limit 0",
        "with d as (update orders set paid = true returning 1) select 1 union all select 2 order by 1 limit 1",
        "with d as (update orders set paid = true where id < 3), e as (update orders set paid = true where id in (3, 4)) select 1",
        "with d as (update orders set paid = true where id < 4 returning id) insert into counted (n) select id from d where id = 1",
        "with recursive gw_changed as (update orders set paid = true where id < 3 returning id) insert into counted (n) select id from gw_changed",
        "copy (update orders set paid = true returning id) to stdout",
        "copy (with d as (update orders set paid = true) select 1) to stdout",
        "(with d as (update orders set paid = true returning 1) select 1) union select 2",
        "select * from (with d as (update orders set paid = true returning 1) select 1) s",
        "insert into counted (n) with d as (update orders set paid = true returning id) select id from d where id = 1",
        "explain analyze update orders set paid = true",
        "create temp table t as with d as (update orders set paid = true returning id) select id from d",
      ]) {
        const answer = await ask(client, sql);
        assert.match(answer, /^(?:H \| )?E:(?:42501|0A000|42601) .* \| Z:I$/, sql);
        assert.equal(await paid(), 0, sql);
      }
    });

    test("only rows that the client may see are counted", async () => {
      const client = await connect();
      assert.equal(await ask(client, "update orders set paid = false where id > 9"), "C:UPDATE 1 | Z:I");
    });

    test("a transaction fails as it does with any error of the server, and a savepoint saves it", async () => {
      const client = await connect();
      await ask(client, "begin");
      assert.equal(await ask(client, "update orders set paid = true where id = 1"), "C:UPDATE 1 | Z:T");
      assert.equal(await ask(client, "update orders set paid = true"), `${refused} | Z:E`);
      assert.match(await ask(client, "select 1"), /^E:25P02 .* \| Z:E$/);
      assert.equal(await ask(client, "commit"), "C:ROLLBACK | Z:I");
      assert.equal(await paid(), 0);
      await ask(client, "begin");
      await ask(client, "update orders set paid = true where id = 1");
      await ask(client, "savepoint s");
      assert.equal(await ask(client, "update orders set paid = true"), `${refused} | Z:E`);
      assert.equal(await ask(client, "rollback to s"), "C:ROLLBACK | Z:T");
      assert.equal(await ask(client, "commit"), "C:COMMIT | Z:I");
      assert.equal(await paid(), 1);
      assert.equal(await ask(client, "update orders set paid = false where id = 1"), "C:UPDATE 1 | Z:I");
    });

    test("an implicit transaction is undone as a whole: statements of one text, and a pipeline up to its Sync", async () => {
      const client = await connect();
      const text = "update orders set paid = true where id = 1; update orders set paid = true; select 1";
      assert.equal(await ask(client, text), `C:UPDATE 1 | ${refused} | Z:I`);
      assert.equal(await paid(), 0);
      const one = (sql: string): readonly Buffer[] => [say.parse(sql), say.bind(), say.execute()];
      const first = one("update orders set paid = true where id = 1");
      const over = one("update orders set paid = true");
      const again = one("update orders set paid = true where id = 2");
      const pipeline = [...first, ...over, ...again, say.sync(), ...again, say.sync()];
      assert.equal(
        await run(client, pipeline, 2),
        `1 | 2 | C:UPDATE 1 | 1 | 2 | ${refused} | Z:I | 1 | 2 | C:UPDATE 1 | Z:I`,
      );
      assert.equal(await paid(), 1);
      assert.equal(await ask(client, "update orders set paid = false where id = 2"), "C:UPDATE 1 | Z:I");
    });

    test("triggers see nothing of what went over, and deferred constraints still speak at the end", async () => {
      const client = await connect();
      const logged = (): Promise<number> =>
        withClient(world.gw.database, async (c) => Number((await c.query("select count(*) from log")).rows[0].count));
      const before = await logged();
      await ask(client, "update orders set paid = true");
      assert.equal(await logged(), before);
      assert.match(await ask(client, "insert into lines select 900 + i, 999 from generate_series(1, 2) i"), /^E:23503/);
    });

    test("a client that goes away before the answer leaves nothing behind", async () => {
      const client = await connect();
      client.send(say.query("begin"), say.query("update orders set paid = true where id < 3"));
      client.socket.destroy();
      assert.equal(await paid(), 0);
      const other = await connect();
      other.send(say.query("update orders set paid = true"), say.terminate());
      await other.untilEnd();
      assert.equal(await paid(), 0);
    });

    test("MERGE is counted from PostgreSQL 17 on and refused before", async () => {
      const client = await connect();
      const merge = (where: string): string =>
        `merge into counted c using (select id from orders where ${where}) o on c.id = -o.id when not matched then insert (n) values (o.id)`;
      const [few, many] = [await ask(client, merge("id < 3")), await ask(client, merge("id < 9"))];
      const uncounted =
        /^E:42501 the rows that MERGE changes can't be counted on this server, and a rule limits how many/;
      if (world.major >= 17) assert.deepEqual([few, many], ["C:MERGE 2 | Z:I", `${refused} | Z:I`]);
      else for (const answer of [few, many]) assert.match(answer, uncounted);
    });

    test("what can't be counted is refused", async () => {
      const client = await connect();
      assert.match(
        await ask(client, "truncate counted"),
        /^E:42501 the rows that this statement changes can't be counted/,
      );
      assert.match(await ask(client, "copy counted (n) from stdin"), /^E:42501 /);
    });

    test("the record says which rule ended it", async () => {
      const client = await connect();
      await ask(client, "update orders set paid = true");
      const events = await world.gw.events();
      const { outcome, sqlstate, overLimit } = events.findLast((e) => e.type === "completion" && e.overLimit) as never;
      assert.deepEqual(
        { outcome, sqlstate, overLimit },
        { outcome: "error", sqlstate: "42501", overLimit: "acme.test.few" },
      );
    });
  });
}

test("a gateway that is killed in the middle leaves nothing of a statement that goes over", async () => {
  const prepared = await prepareGateway({ schema, policy });
  const { child, ports } = await spawnGateway(prepared.configPath);
  const port = ports["test-pg"] ?? 0;
  const client = await connectTo(prepared, port, { sub: "olga", kind: "human", groups: [] });
  await withClient(prepared.database, async (owner) => {
    const one = async (sql: string): Promise<number> => Number((await owner.query(sql)).rows[0].count);
    await owner.query("begin; update orders set note = 'held' where id = 2");
    const asked = client.query("update orders set paid = true").catch((error: unknown) => error);
    const here = "database = (select oid from pg_database where datname = current_database())";
    const touching = `select pid from pg_locks where relation = 'orders'::regclass and ${here} and pid <> pg_backend_pid()`;
    const busy = `select count(*) from pg_locks where not granted and pid in (${touching})`;
    await eventually(async () => (await one(busy)) === 1 || undefined);
    child.kill("SIGKILL");
    assert.ok((await asked) instanceof Error);
    await owner.query("rollback");
    const left = `select count(*) from (${touching}) p`;
    await eventually(async () => (await one(left)) === 0 || undefined);
    assert.equal(await one("select count(*) from orders where paid"), 0);
  });
  await client.end().catch(() => undefined);
});
