// A denial is an answer: the session goes on, in and out of transactions and in the middle of a pipeline.
import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { testDatabase } from "../support/postgres.ts";
import { startGateway } from "./gateway.ts";
import { connectRaw, describeAll, say } from "./raw-client.ts";

const gateway = await startGateway(await testDatabase("create table t (id int); insert into t values (1)"), {
  splits: true,
});

beforeEach(() => {
  gateway.rule = (text) => (text.includes("secret") ? { kind: "refuse", message: "not for you" } : { kind: "release" });
  gateway.recordFails = false;
  gateway.writeFails = false;
  gateway.journal.recorded.length = 0;
  gateway.journal.completed.length = 0;
});

const rows = (text: string): Buffer[] => [say.parse(text), say.bind(), say.execute()];

/** Messages sent at once → what comes back, as one line. */
const talk: readonly {
  readonly name: string;
  readonly says: readonly Buffer[];
  readonly ready?: number;
  readonly hears: string;
}[] = [
  {
    name: "refuses a simple query and goes on",
    says: [say.query("select secret"), say.query("select 1")],
    ready: 2,
    hears: "E:42501 not for you | Z:I | T | D | C:SELECT 1 | Z:I",
  },
  {
    name: "refuses a whole query when one of its statements is refused, before any has run",
    says: [say.query("insert into t values (2); select secret"), say.query("select 1 from t")],
    ready: 2,
    hears: "E:42501 not for you | Z:I | T | D | C:SELECT 1 | Z:I",
  },
  {
    name: "refuses at Parse and skips to Sync",
    says: [...rows("select secret"), say.sync(), ...rows("select 1"), say.sync()],
    ready: 2,
    hears: "E:42501 not for you | Z:I | 1 | 2 | D | C:SELECT 1 | Z:I",
  },
  {
    name: "answers what stands before a refused message first, in order",
    says: [...rows("select 1"), ...rows("select secret"), ...rows("select 2"), say.sync()],
    hears: "1 | 2 | D | C:SELECT 1 | E:42501 not for you | Z:I",
  },
  {
    name: "undoes the implicit transaction that a refused message stands in",
    says: [
      ...rows("insert into t values (3)"),
      ...rows("select secret"),
      say.sync(),
      say.query("select 1 from t where id = 3"),
    ],
    ready: 2,
    hears: "1 | 2 | C:INSERT 0 1 | E:42501 not for you | Z:I | T | C:SELECT 0 | Z:I",
  },
  {
    name: "a refusal in an open transaction fails it at the server too",
    says: [say.query("begin"), say.query("select secret"), say.query("select 1"), say.query("rollback")],
    ready: 4,
    hears:
      "C:BEGIN | Z:T | E:42501 not for you | Z:E | E:25P02 current transaction is aborted, commands ignored until end of transaction block | Z:E | C:ROLLBACK | Z:I",
  },
  {
    name: "a savepoint brings a transaction back after a refusal",
    says: [
      say.query("begin"),
      say.query("savepoint s"),
      ...rows("select secret"),
      say.sync(),
      say.query("rollback to s"),
      say.query("select 1"),
      say.query("commit"),
    ],
    ready: 6,
    hears:
      "C:BEGIN | Z:T | C:SAVEPOINT | Z:T | E:42501 not for you | Z:E | C:ROLLBACK | Z:T | T | D | C:SELECT 1 | Z:T | C:COMMIT | Z:I",
  },
  {
    name: "COMMIT behind a refusal rolls back",
    says: [
      say.query("begin"),
      say.query("insert into t values (4)"),
      say.query("select secret"),
      say.query("commit"),
      say.query("select 1 from t where id = 4"),
    ],
    ready: 5,
    hears: "C:BEGIN | Z:T | C:INSERT 0 1 | Z:T | E:42501 not for you | Z:E | C:ROLLBACK | Z:I | T | C:SELECT 0 | Z:I",
  },
  {
    name: "a message behind an error of the server's own is skipped, not refused",
    says: [...rows("select 1/0"), ...rows("select secret"), say.sync()],
    hears: "1 | E:22012 division by zero | Z:I",
  },
  {
    name: "a simple query while skipping is skipped too",
    says: [...rows("select secret"), say.query("select 1"), say.sync()],
    hears: "E:42501 not for you | Z:I",
  },
  {
    name: "a refused simple query behind unfinished extended messages keeps the order",
    says: [...rows("select 1"), say.query("select secret"), say.sync()],
    ready: 2,
    hears: "1 | 2 | D | C:SELECT 1 | E:42501 not for you | Z:I | Z:I",
  },
  {
    name: "a refused function call is answered as a refused query is",
    says: [say.call(1, "1"), say.query("select 1")],
    ready: 2,
    hears: "E:42883 function with OID 1 does not exist | Z:I | T | D | C:SELECT 1 | Z:I",
  },
  {
    name: "a Bind to a statement that does not exist is PostgreSQL's error",
    says: [say.bind([], "nope"), say.execute(), say.sync()],
    hears: 'E:26000 prepared statement "nope" does not exist | Z:I',
  },
  {
    name: "a Parse of a used name is PostgreSQL's error and changes nothing",
    says: [
      say.parse("select 1", "used"),
      say.parse("select 2, 3", "used"),
      say.sync(),
      say.close("S", "used"),
      say.sync(),
    ],
    ready: 2,
    hears: '1 | E:42P05 prepared statement "used" already exists | Z:I | 3 | Z:I',
  },
  {
    name: "a refused Parse without a name takes the unnamed statement away, as at the server",
    says: [say.parse("select 1"), say.sync(), say.parse("select secret"), say.sync(), say.bind(), say.sync()],
    ready: 3,
    hears: "1 | Z:I | E:42501 not for you | Z:I | E:26000 unnamed prepared statement does not exist | Z:I",
  },
  {
    name: "two statements in one Parse are PostgreSQL's error",
    says: [say.parse("select 1; select 2"), say.sync()],
    hears: "E:42601 cannot insert multiple commands into a prepared statement | Z:I",
  },
];

for (const cut of ["whole", "byte by byte"] as const) {
  for (const row of talk) {
    test(`${row.name} (${cut})`, async () => {
      const client = await connectRaw(gateway);
      const bytes = Buffer.concat(row.says);
      if (cut === "whole") client.send(bytes);
      else for (const byte of bytes) client.socket.write(Buffer.from([byte]));
      const heard = describeAll(await client.until("Z", row.ready ?? 1));
      client.socket.destroy();
      assert.equal(heard, row.hears);
    });
  }
}

test("decides again at Bind: a statement that is refused by now does not run", async () => {
  const client = await connectRaw(gateway);
  client.send(say.parse("select 41", "a"), say.sync());
  assert.equal(describeAll(await client.until("Z")), "1 | Z:I");
  gateway.rule = () => ({ kind: "refuse", message: "not any more" });
  client.send(say.bind([], "a"), say.execute(), say.sync());
  assert.equal(describeAll(await client.until("Z")), "E:42501 not any more | Z:I");
  gateway.rule = () => ({ kind: "release", text: "select 42" });
  client.send(say.bind([], "a"), say.execute(), say.sync());
  const again = await client.until("Z");
  assert.equal(describeAll(again), "2 | D | C:SELECT 1 | Z:I");
  assert.equal(again[1]?.body.toString("latin1").slice(-2), "42");
  client.send(say.query("rollback"), say.bind([], "a"), say.execute(), say.sync());
  assert.match(describeAll(await client.until("Z", 2)), /2 \| D \| C:SELECT 1 \| Z:I$/);
  client.socket.destroy();
});

test("a statement prepared by SQL is decided at Bind, and can be parsed no more once it is deallocated", async () => {
  const client = await connectRaw(gateway);
  client.send(
    say.query("prepare q as select 'by sql'"),
    say.bind([], "q"),
    say.describe("P"),
    say.execute(),
    say.sync(),
  );
  assert.equal(describeAll(await client.until("Z", 2)), "C:PREPARE | Z:I | 2 | T | D | C:SELECT 1 | Z:I");
  gateway.rule = () => ({ kind: "refuse", message: "not any more" });
  client.send(say.bind([], "q"), say.execute(), say.sync());
  assert.equal(describeAll(await client.until("Z")), "E:42501 not any more | Z:I");
  gateway.rule = () => ({ kind: "release" });
  client.send(
    say.parse("select 1"),
    say.sync(),
    say.query("deallocate all"),
    say.bind([], "q"),
    say.sync(),
    say.bind(),
    say.sync(),
  );
  assert.equal(
    describeAll(await client.until("Z", 4)),
    '1 | Z:I | C:DEALLOCATE ALL | Z:I | E:26000 prepared statement "q" does not exist | Z:I | E:26000 unnamed prepared statement does not exist | Z:I',
  );
  client.socket.destroy();
});

test("a name that changes hands in a skipped part of a pipeline stands for the old statement", async () => {
  const client = await connectRaw(gateway);
  client.send(say.parse("select 'old'", "s"), say.sync());
  await client.until("Z");
  gateway.journal.recorded.length = 0;
  // The server skips Close and Parse; the Bind of the next segment meets the old statement and must be judged as such.
  client.send(
    ...[say.parse("select 1/0"), say.bind(), say.execute()],
    ...[say.close("S", "s"), say.parse("select 'new'", "s"), say.sync()],
    ...[say.bind([], "s"), say.execute(), say.sync()],
  );
  const heard = await client.until("Z", 2);
  assert.equal(describeAll(heard), "1 | E:22012 division by zero | Z:I | 2 | D | C:SELECT 1 | Z:I");
  assert.equal(gateway.journal.recorded.at(-1)?.text, "select 'old'");
  client.socket.destroy();
});

test("names that the server takes for one are not told apart here either: long ones are refused", async () => {
  const client = await connectRaw(gateway);
  const stem = "x".repeat(63);
  client.send(say.parse("select 1", stem), say.sync());
  assert.equal(describeAll(await client.until("Z")), "1 | Z:I");
  const refused = "E:42622 the name of a prepared statement or portal may have 63 bytes | Z:I";
  for (const message of [
    say.parse("select 2", `${stem}b`),
    say.close("S", `${stem}b`),
    say.bind([], `${stem}b`),
    say.bind([], stem, `${stem}p`),
    say.describe("S", `${stem}b`),
    say.execute(`${stem}p`),
    say.parse("select 2", "é".repeat(32)),
  ]) {
    client.send(message, say.sync());
    assert.equal(describeAll(await client.until("Z")), refused);
  }
  client.send(say.bind([], stem), say.execute(), say.sync());
  assert.equal(describeAll(await client.until("Z")), "2 | D | C:SELECT 1 | Z:I");
  client.socket.destroy();
});

test("records one intent per execution before it goes, and one completion", async () => {
  const client = await connectRaw(gateway);
  client.send(
    say.parse("select * from generate_series(1, $1::int)", "q"),
    say.bind(["5"], "q"),
    say.execute("", 2),
    say.execute("", 0),
    say.sync(),
  );
  await client.until("Z");
  client.send(
    say.query("insert into t values (9); select secret"),
    say.query("delete from t where id = 9"),
    say.query("select 1/0"),
  );
  await client.until("Z", 3);
  const text = "select * from generate_series(1, $1::int)";
  assert.deepEqual(gateway.journal.recorded, [
    { kind: "release", text, parameters: 1 },
    { kind: "refuse", text: " select secret", parameters: 0 },
    { kind: "release", text: "delete from t where id = 9", parameters: 0 },
    { kind: "release", text: "select 1/0", parameters: 0 },
  ]);
  assert.deepEqual(gateway.journal.completed, [
    { text, outcome: "ok", tag: "SELECT 3", sqlstate: undefined, rows: 5 },
    { text: "delete from t where id = 9", outcome: "ok", tag: "DELETE 0", sqlstate: undefined, rows: 0 },
    { text: "select 1/0", outcome: "error", tag: undefined, sqlstate: "22012", rows: 0 },
  ]);
  client.socket.destroy();
});

const notRecorded = "E:53000 the decision could not be recorded, so nothing was run";

test("runs nothing that could not be recorded, and the session goes on", async () => {
  const client = await connectRaw(gateway);
  gateway.recordFails = true;
  client.send(say.query("insert into t values (77)"));
  assert.equal(describeAll(await client.until("Z")), `${notRecorded} | Z:I`);
  client.send(say.parse("select 5", "unrecorded"), say.flush());
  assert.equal(describeAll(await client.until("E")), notRecorded);
  gateway.recordFails = false;
  client.send(say.sync(), say.query("select 1 from t where id = 77"));
  assert.equal(describeAll(await client.until("Z", 2)), "Z:I | T | C:SELECT 0 | Z:I");
  client.socket.destroy();
});

const lostBatches: readonly (readonly [name: string, messages: readonly Buffer[], answer: string, next: string])[] = [
  ["a Query", [say.query("insert into t values (78)")], `${notRecorded} | Z:I`, "T | C:SELECT 0 | Z:I"],
  [
    "two Queries",
    [say.query("insert into t values (78)"), say.query("select 1")],
    `${notRecorded} | Z:I | ${notRecorded} | Z:I`,
    "T | C:SELECT 0 | Z:I",
  ],
  [
    "a pipeline up to Sync, and the one behind it",
    [
      ...[say.parse("insert into t values (78)"), say.bind(), say.execute(), say.parse("select 1", "kept"), say.sync()],
      ...[say.parse("select 1"), say.bind(), say.describe("P"), say.execute(), say.sync()],
    ],
    `${notRecorded} | Z:I | ${notRecorded} | Z:I`,
    "T | C:SELECT 0 | Z:I",
  ],
  [
    "a Query behind a pipeline without Sync, which the server skips as it does after any error",
    [say.parse("insert into t values (78)"), say.bind(), say.execute(), say.query("select 1"), say.sync()],
    `${notRecorded} | Z:I`,
    "T | C:SELECT 0 | Z:I",
  ],
  ["COPY from the client", [say.query("copy t (id) from stdin")], `${notRecorded} | Z:I`, "T | C:SELECT 0 | Z:I"],
  ["what changes the names", [say.query("set search_path to other")], `${notRecorded} | Z:I`, "T | C:SELECT 0 | Z:I"],
];

for (const [name, messages, answer, next] of lostBatches) {
  test(`refuses a batch whose record is lost at the end of the turn, and the session goes on: ${name}`, async () => {
    const client = await connectRaw(gateway);
    gateway.writeFails = true;
    client.send(...messages);
    const count = answer.split("Z:I").length - 1;
    assert.equal(describeAll(await client.until("Z", count)), answer);
    gateway.writeFails = false;
    client.send(say.query("select 1 from t where id = 78"));
    assert.equal(describeAll(await client.until("Z")), next);
    client.send(say.bind([], "kept"), say.sync());
    assert.match(describeAll(await client.until("Z")), /^E:26000 .* \| Z:I$/, "nothing that was lost has a name");
    assert.equal(gateway.journal.searchPaths.at(-1), gateway.journal.searchPaths.at(0));
    client.socket.destroy();
  });
}

test("refuses a batch whose record is lost before its Sync has come: the rest up to Sync is skipped", async () => {
  const client = await connectRaw(gateway);
  gateway.writeFails = true;
  client.send(say.parse("insert into t values (78)"), say.bind(), say.flush());
  assert.equal(describeAll(await client.until("E")), notRecorded);
  gateway.writeFails = false;
  client.send(say.execute(), say.parse("select 1"), say.sync(), say.query("select 1 from t where id = 78"));
  assert.equal(describeAll(await client.until("Z", 2)), "Z:I | T | C:SELECT 0 | Z:I");
  client.socket.destroy();
});

test("a batch whose record is lost in a transaction leaves it failed, as any error does", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("begin"), say.query("insert into t values (79)"));
  assert.equal(describeAll(await client.until("Z", 2)), "C:BEGIN | Z:T | C:INSERT 0 1 | Z:T");
  gateway.writeFails = true;
  client.send(say.query("insert into t values (78)"));
  assert.equal(describeAll(await client.until("Z")), `${notRecorded} | Z:E`);
  gateway.writeFails = false;
  client.send(say.query("select 1"), say.query("commit"), say.query("select 1 from t where id in (78, 79)"));
  assert.equal(
    describeAll(await client.until("Z", 3)),
    "E:25P02 current transaction is aborted, commands ignored until end of transaction block | Z:E | C:ROLLBACK | Z:I | T | C:SELECT 0 | Z:I",
  );
  client.socket.destroy();
});

test("a client that says goodbye with its last statement is told that it was not recorded, and its session ends", async () => {
  const client = await connectRaw(gateway);
  gateway.writeFails = true;
  client.send(say.query("insert into t values (78)"), say.terminate());
  assert.equal(describeAll(await client.untilEnd()), `${notRecorded} | Z:I`);
  gateway.writeFails = false;
});

test("ends the session when the server names a masked column as an origin", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("select 't'::regclass::oid::int"));
  const [, row] = await client.until("Z");
  const oid = row?.body.toString("latin1").slice(6);
  gateway.rule = () => ({ kind: "release", maskedOrigins: [`${oid}:1`] });
  client.send(say.parse("select id from t", "masked"), say.bind([], "masked"), say.execute(), say.sync());
  assert.match(describeAll(await client.untilEnd()), /^1 \| E:XX000 the gateway ended the session/);
  assert.equal(gateway.journal.closed.at(-1), "masked-origin");
  const simple = await connectRaw(gateway);
  simple.send(say.query("select id from t"));
  assert.match(describeAll(await simple.untilEnd()), /^E:XX000 the gateway ended the session/);
});

test("an expired token ends the session at the next statement", async () => {
  gateway.expiresAtS = Date.now() / 1000 + 600;
  const client = await connectRaw(gateway);
  gateway.expiresAtS = undefined;
  client.send(say.query("select 1"));
  await client.until("Z");
  gateway.aheadMs = 601_000;
  client.send(say.query("select 1"));
  assert.equal(describeAll(await client.untilEnd()), "E:28000 the token of this session has expired");
  gateway.aheadMs = 0;
});
