// The law of the cable: where everything is allowed, a client hears the same as from the server itself, byte for byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeErrorFields } from "../../proxy/postgres/protocol/backend.ts";
import { testDatabase } from "../support/postgres.ts";
import { startGateway } from "./gateway.ts";
import { connectRaw, describeAll, type Message, say } from "./raw-client.ts";

const database = await testDatabase(
  "create table t (id int primary key, name text); insert into t select i, 'n' || i from generate_series(1, 20) i",
);
const gateway = await startGateway(database);

const texts = [
  "select 1",
  "select id, name from t order by id limit 3",
  "select * from t where id = 4",
  "select",
  "",
  " -- nothing\n",
  "select 1/(id - 5) from t",
  "select * from missing",
  "selec",
  "begin",
  "commit",
  "rollback",
  "savepoint s",
  "rollback to s",
  "release s",
  "insert into w values (1, 'x')",
  "insert into w values (1, 'x'), (1, 'y')",
  "select count(*) from w",
  "delete from w returning 1",
  "set search_path = pg_catalog, public",
  "set local timezone = 'Asia/Tokyo'",
  "set timezone = 'UTC'",
  "show timezone",
  "reset all",
  "notify news, 'x'",
  "listen news",
  "set transaction isolation level serializable",
  "execute a",
  "deallocate a",
  "deallocate all",
  "discard all",
  "declare c cursor for select id from t order by id",
  "fetch 2 from c",
  "close c",
  "do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$",
  "copy t to stdout",
  "copy (select 1) to stdout (format binary)",
  "vacuum",
] as const;
const several = [
  "select 1; select 2",
  "insert into w values (7, 'a'); select 1/0; insert into w values (8, 'b')",
  "begin; select 1; commit",
  "select 1;; select 2;",
  "savepoint x; select 1",
] as const;
const parameterised = ["select $1::int", "select name from t where id = $1", "insert into w values ($1, 'p')"] as const;

/** pg_proc's OID of the function that adds two integers. */
const int4pl = 177;

const statementName = fc.constantFrom("", "a", "b");
const portalName = fc.constantFrom("", "p", "c");

const step: fc.Arbitrary<readonly Buffer[]> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...texts, ...several).map((text) => [say.query(text)]) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom(...texts, ...parameterised), statementName)
      .map(([text, name]) => [say.parse(text, name)]),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.constantFrom([], ["4"], [null], ["x"]), statementName, portalName)
      .map(([values, s, p]) => [say.bind(values, s, p)]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom("S", "P"), fc.constantFrom("", "a", "b", "p", "c"))
      .map(([of, name]) => [say.describe(of as "S" | "P", name)]),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(portalName, fc.constantFrom(0, 0, 1, 2)).map(([name, max]) => [say.execute(name, max)]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom("S", "P"), fc.constantFrom("", "a", "b", "p", "c"))
      .map(([of, name]) => [say.close(of as "S" | "P", name)]),
  },
  {
    weight: 3,
    arbitrary: fc
      .constantFrom(["2", "3"], [Buffer.from([0, 0, 0, 2]), "3"], ["2", null], ["x", "3"], ["2147483647", "1"])
      .map((values) => [say.call(int4pl, ...values)]),
  },
  { weight: 4, arbitrary: fc.constant([say.sync()]) },
  { weight: 2, arbitrary: fc.constant([say.flush()]) },
  {
    weight: 6,
    arbitrary: fc
      .constantFrom(...texts)
      .map((text) => [say.parse(text), say.bind(), say.describe("P"), say.execute(), say.sync()]),
  },
  {
    weight: 1,
    arbitrary: fc.constant([
      say.query("copy w from stdin"),
      say.copyData("11\tel"),
      say.copyData("even\n"),
      say.copyDone(),
    ]),
  },
  {
    weight: 1,
    arbitrary: fc.constant([say.query("copy w from stdin"), say.copyData("not a number\n"), say.copyDone()]),
  },
  { weight: 1, arbitrary: fc.constant([say.query("copy w from stdin"), say.copyFail("no more")]) },
  {
    weight: 1,
    arbitrary: fc.constant([
      say.sync(),
      say.parse("copy w from stdin"),
      say.bind(),
      say.execute(),
      say.copyData("12\tx\n"),
      say.copyDone(),
      say.sync(),
    ]),
  },
);

/** Source file, line and routine of an error may differ where the gateway has to say PostgreSQL's words itself. */
function comparable(messages: readonly Message[]): readonly string[] {
  return messages.map(({ type, body }) => {
    if (type !== "E") return `${type} ${body.toString("hex")}`;
    const fields = decodeErrorFields(Buffer.concat([Buffer.alloc(5), body]));
    return `E ${JSON.stringify(fields.filter(([field]) => !"FLR".includes(field))).replace(/pg_temp_\d+/g, "pg_temp")}`;
  });
}

const theEnd = say.query("select 'the end'");

async function converse(
  to: Parameters<typeof connectRaw>[0],
  bytes: Buffer,
  cuts: readonly number[],
): Promise<readonly Message[]> {
  const client = await connectRaw(to);
  client.send(say.query("create temp table w (id int primary key, name text); set client_min_messages = notice"));
  await client.until("Z");
  let at = 0;
  for (const cut of [...cuts].map((c) => c % bytes.length).sort((a, b) => a - b)) {
    client.socket.write(bytes.subarray(at, cut));
    await new Promise((resolve) => setImmediate(resolve));
    at = cut;
  }
  client.socket.write(bytes.subarray(at));
  const heard: Message[] = [];
  while (!heard.some((m) => m.type === "D" && m.body.includes("the end"))) {
    const more = await client.until("Z").catch(async (error: unknown) => {
      if (client.isEnded) return client.untilEnd();
      throw error;
    });
    heard.push(...more);
    // EXECUTE of a prepared SAVEPOINT outside of a transaction: the server itself ends the session.
    if (client.isEnded) break;
  }
  client.socket.destroy();
  // The gateway waits for its turn where the server does: asynchronous messages keep their place, but for NOTIFY's.
  return heard.filter((m) => m.type !== "A");
}

test("the same bytes get the same messages, whole or cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 14 }),
      fc.array(fc.nat(100_000), { maxLength: 6 }),
      async (steps, cuts) => {
        const bytes = Buffer.concat([...steps.flat(), say.sync(), say.query("rollback"), theEnd]);
        const direct = await converse(database, bytes, []);
        const through = await converse({ ...gateway }, bytes, cuts);
        if (JSON.stringify(comparable(direct)) !== JSON.stringify(comparable(through))) {
          assert.equal(describeAll(through), describeAll(direct));
          assert.deepEqual(comparable(through), comparable(direct));
        }
      },
    ),
    { numRuns: Number(process.env.GW_WIRE_RUNS ?? 150) },
  );
});
