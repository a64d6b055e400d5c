// Every kind of message of the protocol by itself: the same conversation with the server and with the gateway. The law in
// test/wire/transparency.test.ts mixes them; here each has a row of its own that says what is heard, and that can fail for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { testDatabase, withClient } from "../support/postgres.ts";
import { startGateway } from "../wire/gateway.ts";
import { connectRaw, describeAll, frontend, type Message, type RawClient, say } from "../wire/raw-client.ts";

const database = await testDatabase("create table t (id int primary key, name text, payload bytea)");
const gateway = await startGateway(database);

/** A binary COPY of (1, 'one', bytes that look like messages) and (2, NULL, empty). */
const signature = Buffer.from("5047434f50590aff0d0a000000000000000000", "hex");
const field = (bytes: Buffer | undefined): Buffer => {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes?.length ?? -1);
  return Buffer.concat([length, bytes ?? Buffer.alloc(0)]);
};
const three = Buffer.from([0, 3]);
const binaryCopy = Buffer.concat([
  signature,
  ...[three, field(Buffer.from([0, 0, 0, 1])), field(Buffer.from("one")), field(Buffer.from("Z\0\0\0\x05I", "latin1"))],
  ...[three, field(Buffer.from([0, 0, 0, 2])), field(undefined), field(Buffer.alloc(0))],
  Buffer.from([0xff, 0xff]),
]);
const binaryBind = (): Buffer => {
  const value = Buffer.from([0, 0, 0, 7]);
  const counts = (...numbers: readonly number[]) => Buffer.from(numbers.flatMap((n) => [n >> 8, n & 255]));
  return frontend("B", Buffer.from("\0\0"), counts(1, 1, 1), field(value), counts(1, 1));
};

/** pg_proc's OID of the function that adds two integers. */
const int4pl = 177;

type Row = {
  readonly name: string;
  readonly talk: (client: RawClient) => Promise<readonly Message[]>;
  readonly hears: RegExp;
};

const all =
  (end: string, count: number, ...sends: readonly Buffer[]) =>
  async (client: RawClient): Promise<readonly Message[]> => {
    client.send(...sends);
    return client.until(end, count);
  };

const rows: readonly Row[] = [
  {
    name: "a function call, by text and in binary, alone, in a transaction, and in a failed one",
    talk: all(
      "Z",
      6,
      ...[say.call(int4pl, "2", Buffer.from([0, 0, 0, 3])), say.query("begin"), say.call(int4pl, "2", null)],
      ...[say.call(int4pl, "2", "x"), say.call(int4pl, "2", "3"), say.query("rollback")],
    ),
    hears: /^V \| Z:I \| C:BEGIN \| Z:T \| V \| Z:T \| E:22P02 .* \| Z:E \| E:25P02 .* \| Z:E \| C:ROLLBACK \| Z:I$/,
  },
  {
    name: "Flush: what was asked is answered without a Sync",
    talk: async (client) => {
      client.send(say.parse("select $1::int"), say.describe("S"), say.flush());
      const described = await client.until("T");
      client.send(say.bind(["4"]), say.execute(), say.flush());
      const rows = await client.until("C");
      client.send(say.sync());
      return [...described, ...rows, ...(await client.until("Z"))];
    },
    hears: /^1 \| t \| T \| 2 \| D \| C:SELECT 1 \| Z:I$/,
  },
  {
    name: "portals with row limits: suspended, read on, and gone with their transaction",
    talk: all(
      "Z",
      4,
      ...[say.query("begin"), say.parse("select generate_series(1, 3)"), say.bind([], "", "p"), say.execute("p", 2)],
      ...[say.execute("p", 1), say.execute("p", 1), say.sync(), say.query("commit"), say.execute("p", 1), say.sync()],
    ),
    hears: /^C:BEGIN \| Z:T \| 1 \| 2 \| D \| D \| s \| D \| s \| C:SELECT 0 \| Z:T \| C:COMMIT \| Z:I \| E:34000 /,
  },
  {
    name: "Close of a statement and of a portal: they are gone, and closing nothing is no error",
    talk: all(
      "Z",
      3,
      ...[
        say.parse("select 1", "a"),
        say.bind([], "a", "p"),
        say.close("P", "p"),
        say.close("P", "p"),
        say.execute("p"),
      ],
      ...[say.sync(), say.close("S", "a"), say.close("S", "a"), say.bind([], "a"), say.sync(), say.query("select 2")],
    ),
    hears: /^1 \| 2 \| 3 \| 3 \| E:34000 .* \| Z:I \| 3 \| 3 \| E:26000 .* \| Z:I \| T \| D \| C:SELECT 1 \| Z:I$/,
  },
  {
    name: "COPY in, binary, one byte at a time",
    talk: async (client) => {
      client.send(say.query("copy t from stdin (format binary)"));
      const opened = await client.until("G");
      for (const byte of binaryCopy) client.send(frontend("d", Buffer.from([byte])));
      client.send(say.copyDone(), say.query("select * from t order by id"), say.query("truncate t"));
      return [...opened, ...(await client.until("Z", 3))];
    },
    hears: /^G \| C:COPY 2 \| Z:I \| T \| D \| D \| C:SELECT 2 \| Z:I \| C:TRUNCATE TABLE \| Z:I$/,
  },
  {
    name: "COPY out, binary, text and CSV",
    talk: all(
      "Z",
      3,
      say.query("copy (select i, null, 'a,\"b' from generate_series(1, 3) i) to stdout (format binary)"),
      say.query("copy (select i, null, 'a,\"b' from generate_series(1, 3) i) to stdout"),
      say.query("copy (select i, null, 'a,\"b' from generate_series(1, 3) i) to stdout (format csv, header)"),
    ),
    hears:
      /^H \| (d \| )+c \| C:COPY 3 \| Z:I \| H \| d \| d \| d \| c \| C:COPY 3 \| Z:I \| H \| (d \| ){4}c \| C:COPY 3 \| Z:I$/,
  },
  {
    name: "parameters and results in binary",
    talk: all("Z", 1, say.parse("select $1::int"), binaryBind(), say.describe("P"), say.execute(), say.sync()),
    hears: /^1 \| 2 \| T \| D \| C:SELECT 1 \| Z:I$/,
  },
  {
    name: "notices between rows keep their place",
    talk: all("Z", 1, say.query("select pg_cancel_backend(-i) from generate_series(1, 2) i")),
    hears:
      /^T \| N:01000 PID -1 is not a PostgreSQL backend process \| D \| N:01000 PID -2 is .* \| D \| C:SELECT 2 \| Z:I$/,
  },
  {
    name: "ParameterStatus follows SET, its rollback, and a change inside of a function",
    talk: all(
      "Z",
      5,
      ...[say.query("set timezone = 'Asia/Tokyo'"), say.query("begin"), say.query("set local datestyle = 'German'")],
      ...[say.query("rollback"), say.query("select set_config('application_name', 'later', false)")],
    ),
    hears:
      /^C:SET \| S \| Z:I \| C:BEGIN \| Z:T \| C:SET \| S \| Z:T \| C:ROLLBACK \| S \| Z:I \| T \| D \| C:SELECT 1 \| S \| Z:I$/,
  },
  {
    name: "an error inside of a pipeline: skipped to Sync, with the transaction's true state",
    talk: all(
      "Z",
      4,
      ...[say.query("begin"), say.parse("select 1/0"), say.bind(), say.execute(), say.parse("select 1"), say.bind()],
      ...[say.execute(), say.query("skipped too"), say.sync(), say.query("select 1"), say.query("rollback")],
    ),
    hears: /^C:BEGIN \| Z:T \| 1 \| (2 \| )?E:22012 .* \| Z:E \| E:25P02 .* \| Z:E \| C:ROLLBACK \| Z:I$/,
  },
  {
    name: "several statements in one Query are one implicit transaction",
    talk: all(
      "Z",
      2,
      say.query("insert into t values (9); select 1/0; insert into t values (10)"),
      say.query("select count(*) from t"),
    ),
    hears: /^C:INSERT 0 1 \| E:22012 .* \| Z:I \| T \| D \| C:SELECT 1 \| Z:I$/,
  },
  {
    name: "an empty query",
    talk: all("Z", 2, say.query(""), say.parse(""), say.bind(), say.execute(), say.sync()),
    hears: /^I \| Z:I \| 1 \| 2 \| I \| Z:I$/,
  },
];

const comparable = (messages: readonly Message[]): readonly string[] =>
  messages.map((m) => (m.type === "E" ? describeAll([m]) : `${m.type} ${m.body.toString("hex")}`));

for (const { name, talk, hears } of rows) {
  test(`as from the server itself: ${name}`, async () => {
    const heard: (readonly Message[])[] = [];
    for (const to of [database, gateway]) {
      const client = await connectRaw(to);
      heard.push(await talk(client));
      client.socket.destroy();
    }
    const [direct = [], through = []] = heard;
    assert.match(describeAll(direct), hears);
    assert.deepEqual(comparable(through), comparable(direct));
  });
}

test("a notification comes to a client that waits, and between two of its statements, with the sender's process id", async () => {
  for (const to of [database, gateway]) {
    const client = await connectRaw(to);
    client.send(say.query("listen news"));
    await client.until("Z");
    const sender = await withClient(database, async (c) => {
      await c.query("notify news, 'one'");
      return (await c.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid;
    });
    const [message] = await client.until("A");
    assert.deepEqual(message?.body.subarray(4).toString("latin1"), "news\0one\0");
    assert.equal(message?.body.readInt32BE(0), sender);
    client.socket.destroy();
  }
});

test("the settings that the server reports at the start are all reported, in its words", async () => {
  const reported = async (to: typeof database): Promise<readonly string[]> => {
    const client = await connectRaw({
      ...to,
      settings: [
        ["DateStyle", "German"],
        ["application_name", "probe"],
      ],
    });
    const parameters = [...client.session.parameters].map(([name, value]) => `${name}=${value}`).sort();
    client.socket.destroy();
    return parameters;
  };
  const direct = await reported(database);
  assert.ok(direct.includes("DateStyle=German, DMY"), direct.join());
  // Who logs in is the client's name at the gateway, and the upstream's role at the server: told as the server tells it.
  assert.deepEqual(await reported({ ...gateway }), direct);
});
