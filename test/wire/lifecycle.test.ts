// Cancel, waiting for people, COPY, LISTEN, clients and servers that go away, slow readers, drain.
import assert from "node:assert/strict";
import { connect } from "node:net";
import { beforeEach, test } from "node:test";
import pg from "pg";
import { encodeCancelRequest } from "../../proxy/postgres/protocol/encode.ts";
import { testDatabase, withClient } from "../support/postgres.ts";
import { type Ruling, startCutter, startGateway } from "./gateway.ts";
import { connectRaw, describeAll, type RawClient, say } from "./raw-client.ts";

const database = await testDatabase(
  "create table t (id int, name text); create schema other; create table other.t (x int)",
);
const gateway = await startGateway(database);

beforeEach(() => {
  gateway.rule = () => ({ kind: "release" });
  gateway.journal.completed.length = 0;
  gateway.journal.closed.length = 0;
});

const cancel = (client: RawClient, port: number, secret = client.session.secret): Promise<void> =>
  new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.write(encodeCancelRequest(client.session.processId, secret));
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });

const backends = (): Promise<number> =>
  withClient(database, async (c) => {
    const { rows } = await c.query(
      "select count(*)::int as n from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()",
      [database.database],
    );
    return rows[0].n;
  });

const isRunning = (text: string): Promise<boolean> =>
  withClient(database, async (c) => {
    const running = await c.query("select from pg_stat_activity where state = 'active' and query = $1", [text]);
    return running.rowCount === 1;
  });

async function eventually(what: string, check: () => Promise<boolean> | boolean, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(`within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("a cancel with the session's key cancels what runs now, one with another key nothing", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("select pg_sleep(60)"));
  await eventually("it runs", () => isRunning("select pg_sleep(60)"));
  await cancel(client, gateway.port, Buffer.from([1, 2, 3, 4]));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(client.received.length, 0);
  await cancel(client, gateway.port);
  assert.equal(describeAll(await client.until("Z")), "T | E:57014 canceling statement due to user request | Z:I");
  assert.deepEqual(gateway.journal.completed, [
    {
      text: "select pg_sleep(60)",
      outcome: "cancelled",
      tag: undefined,
      sqlstate: "57014",
      rows: 0,
      cancelledBy: "127.0.0.1",
    },
  ]);
  client.socket.destroy();
});

const holding =
  (outcome: (signal: AbortSignal) => Promise<"granted" | "refused" | "withdrawn">): ((text: string) => Ruling) =>
  (text) =>
    text.includes("careful") ? { kind: "hold", outcome } : { kind: "release" };
const untilAborted = (signal: AbortSignal): Promise<"withdrawn"> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve("withdrawn")));

test("tells at once that people are asked, then runs what they granted; what follows waits its turn", async () => {
  let grant = (): void => undefined;
  gateway.rule = holding(() => new Promise((resolve) => (grant = () => resolve("granted"))));
  const client = await connectRaw(gateway);
  client.send(say.query("select 1"), say.query("select 'careful'"), say.query("select 2"));
  // The notice does not wait for the answer that stands before it.
  const heard = [...(await client.until("N")), ...(await client.until("Z").catch(() => []))];
  assert.deepEqual(describeAll(heard).split(" | ").sort(), [
    "C:SELECT 1",
    "D",
    "N:00000 waiting for approval",
    "T",
    "Z:I",
  ]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(client.received.length, 0);
  grant();
  assert.equal(describeAll(await client.until("Z", 2)), "T | D | C:SELECT 1 | Z:I | T | D | C:SELECT 1 | Z:I");
  gateway.rule = holding(async () => "refused");
  client.send(say.parse("select 'careful', $1::int"), say.bind(["1"]), say.execute(), say.sync());
  assert.equal(
    describeAll(await client.until("Z")),
    "N:00000 waiting for approval | 1 | E:42501 refused by people | Z:I",
  );
  client.socket.destroy();
});

test("a function call message waits for people as a query does", async () => {
  const answers: ("granted" | "refused")[] = ["granted", "refused"];
  gateway.rule = (text) =>
    text.includes("int4pl") ? { kind: "hold", outcome: async () => answers.shift() ?? "refused" } : { kind: "release" };
  const client = await connectRaw(gateway);
  client.send(say.call(177, "2", "3"), say.query("select 1"), say.call(177, "2", "3"));
  assert.equal(
    describeAll((await client.until("Z", 3)).filter((m) => m.type !== "N")),
    "V | Z:I | T | D | C:SELECT 1 | Z:I | E:42501 refused by people | Z:I",
  );
  client.socket.destroy();
});

test("what is granted after an earlier message of the pipeline has failed is skipped, as at the server", async () => {
  gateway.rule = holding(() => new Promise((resolve) => setTimeout(() => resolve("granted"), 100)));
  const client = await connectRaw(gateway);
  client.send(
    ...[say.parse("select 1/0"), say.bind(), say.execute(), say.parse("select 'careful'"), say.bind(), say.execute()],
    ...[say.sync(), say.query("select 1")],
  );
  assert.equal(
    describeAll((await client.until("Z", 2)).filter((m) => m.type !== "N")),
    "1 | E:22012 division by zero | Z:I | T | D | C:SELECT 1 | Z:I",
  );
  assert.equal(
    gateway.journal.completed.some((c) => c.text === "select 'careful'" && c.outcome === "aborted"),
    true,
  );
  client.socket.destroy();
});

test("a cancel that cancels nothing is noted, with whose session it was meant for; a flood of them is a number", async () => {
  const own = await startGateway(database);
  const client = await connectRaw(own);
  const session = String(own.journal.log.find((fields) => fields.session !== undefined)?.session);
  await cancel(client, own.port);
  for (let i = 0; i < 20; i += 1) await cancel(client, own.port, Buffer.from([1, 2, 3, 4]));
  assert.deepEqual(own.journal.cancels[0], { client: "127.0.0.1", session, count: 1 });
  client.socket.destroy();
  await own.listener.close(0);
  // What was not told yet is told at the end.
  assert.equal(
    own.journal.cancels.reduce((sum, { count }) => sum + count, 0),
    21,
  );
  assert.ok(own.journal.cancels.length < 21);
  assert.equal(own.journal.cancels.at(-1)?.session, "");
});

test("a cancel withdraws the question, and so does a client that leaves", async () => {
  const aborted: string[] = [];
  gateway.rule = holding((signal) =>
    untilAborted(signal).then((kind) => {
      aborted.push(kind);
      return kind;
    }),
  );
  const client = await connectRaw(gateway);
  client.send(say.query("select 'careful'"));
  await client.until("N");
  await cancel(client, gateway.port);
  assert.equal(describeAll(await client.until("Z")), "E:57014 canceling statement due to user request | Z:I");
  client.send(say.query("select 'careful'"));
  await client.until("N");
  client.socket.destroy();
  await eventually("the question is withdrawn", () => aborted.length === 2);
});

test("COPY in and out, with data cut anywhere, an error in the middle, and a failed one", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("copy t from stdin"));
  await client.until("G");
  client.send(say.copyData("1\ton"), say.copyData("e\n2\ttwo\n"), say.sync(), say.flush(), say.copyDone());
  assert.equal(describeAll(await client.until("Z")), "C:COPY 2 | Z:I");
  client.send(say.query("copy t to stdout"));
  assert.equal(describeAll(await client.until("Z")), "H | d | d | c | C:COPY 2 | Z:I");
  client.send(say.query("copy t from stdin"));
  await client.until("G");
  client.send(say.copyData("not a number\tx\n"), say.copyData("3\tthree\n"), say.copyDone(), say.query("select 1"));
  assert.match(describeAll(await client.until("Z", 2)), /^E:22P02 .* \| Z:I \| T \| D \| C:SELECT 1 \| Z:I$/);
  client.send(say.query("copy t from stdin"), say.copyFail("enough"), say.copyData("stray"), say.query("select 1"));
  assert.match(describeAll(await client.until("Z", 2)), /^G \| E:57014 COPY from stdin failed: enough \| Z:I \| T/);
  client.send(
    say.parse("copy t from stdin"),
    say.bind(),
    say.execute(),
    say.copyData("4\tfour\n"),
    say.copyDone(),
    say.sync(),
  );
  assert.equal(describeAll(await client.until("Z")), "1 | 2 | G | C:COPY 1 | Z:I");
  client.send(say.parse("copy t to stdout"), say.bind(), say.execute(), say.sync());
  assert.equal(describeAll(await client.until("Z")), "1 | 2 | H | d | d | d | c | C:COPY 3 | Z:I");
  client.send(say.query("copy t from stdin"));
  await client.until("G");
  client.send(say.query("select 1"));
  assert.match(describeAll(await client.untilEnd()), /^E:08P01 unexpected message type during COPY/);
});

test("a client that is killed in COPY leaves nothing behind within a second", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("begin"), say.query("copy t from stdin"));
  await client.until("G");
  client.send(say.copyData("90\tninety\n"));
  client.socket.destroy();
  await eventually("the upstream session is gone", async () => (await backends()) === 0);
  assert.deepEqual(await withClient(database, async (c) => (await c.query("select * from t where id = 90")).rows), []);
});

test("a client that is killed while its statement runs ends it long before it is done", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("select pg_sleep(60)"));
  await eventually("it runs", () => isRunning("select pg_sleep(60)"));
  client.socket.resetAndDestroy();
  await eventually("the upstream session is gone", async () => (await backends()) === 0);
  const quiet = await connectRaw(gateway);
  quiet.send(say.query("select pg_sleep(60)"));
  await eventually("it runs", () => isRunning("select pg_sleep(60)"));
  quiet.socket.destroy(); // an orderly FIN, and nobody behind it
  await eventually("the upstream session is gone", async () => (await backends()) === 0, 20_000);
});

for (const ending of ["Terminate", "half-close"] as const) {
  test(`a query followed by ${ending} still gets its whole answer`, async () => {
    const client = await connectRaw(gateway);
    const bytes = say.query("select i, pg_sleep(0.3) from generate_series(1, 2) i");
    if (ending === "Terminate") client.send(bytes, say.terminate());
    else client.socket.end(bytes);
    assert.match(
      describeAll(await client.untilEnd()),
      /^(S \| )*T \| (S \| )*D \| (S \| )*D \| (S \| )*C:SELECT 2 \| Z:I( \| S)*$/,
    );
    await eventually("the upstream session is gone", async () => (await backends()) === 0);
  });
}

test("an upstream that is lost in the middle of a result is a FATAL, and other sessions live on", async () => {
  const cutter = await startCutter(database);
  const fragile = await startGateway({ ...database, port: cutter.port });
  const client = await connectRaw(fragile);
  const other = await connectRaw(gateway);
  client.send(say.query("select i, pg_sleep(0.02) from generate_series(1, 1000) i"));
  await eventually("it runs", () => isRunning("select i, pg_sleep(0.02) from generate_series(1, 1000) i"));
  cutter.cut();
  assert.match(
    describeAll(await client.untilEnd()),
    /E:08006 the connection to the database behind the gateway was lost$/,
  );
  assert.equal(fragile.journal.closed.at(-1), "upstream-closed");
  assert.equal(fragile.journal.completed.at(-1)?.outcome, "aborted");
  other.send(say.query("select 1"));
  assert.equal(describeAll(await other.until("Z")), "T | D | C:SELECT 1 | Z:I");
  other.socket.destroy();
});

test("the server's own FATAL reaches the client", async () => {
  const client = await connectRaw(gateway);
  await withClient(database, (c) => c.query("select pg_terminate_backend($1)", [client.session.processId]));
  assert.equal(describeAll(await client.untilEnd()), "E:57P01 terminating connection due to administrator command");
});

test("notifications arrive only after a LISTEN that went through", async () => {
  const client = new pg.Client({ ...gateway });
  await client.connect();
  const heard: string[] = [];
  client.on("notification", ({ payload }) => heard.push(payload ?? ""));
  await client.query("listen news");
  await withClient(database, (c) => c.query("notify news, 'hello'"));
  await eventually("the notification arrives", () => heard.length === 1);
  assert.deepEqual(heard, ["hello"]);
  await client.end();
});

test("a portal is read in slices, and other statements stand between them", async () => {
  const client = await connectRaw(gateway);
  client.send(
    ...[
      say.query("begin"),
      say.parse("select * from generate_series(1, 5)"),
      say.bind([], "", "p"),
      say.execute("p", 2),
    ],
    ...[say.parse("select 'between'"), say.bind(), say.execute(), say.execute("p", 2), say.execute("p", 2), say.sync()],
  );
  assert.equal(
    describeAll(await client.until("Z", 2)),
    "C:BEGIN | Z:T | 1 | 2 | D | D | s | 1 | 2 | D | C:SELECT 1 | D | D | s | D | C:SELECT 1 | Z:T",
  );
  client.socket.destroy();
});

test("search_path follows SET, transactions and savepoints", async () => {
  const client = await connectRaw(gateway);
  const { searchPaths } = gateway.journal;
  const pathAt = async (...texts: readonly string[]): Promise<string | undefined> => {
    for (const text of texts) {
      client.send(say.query(text));
      await client.until("Z");
    }
    return searchPaths.at(-1);
  };
  assert.equal(await pathAt("select 1"), "public");
  assert.equal(await pathAt("set search_path = other", "select 1"), "other");
  assert.equal(await pathAt("begin", "set search_path = public, other", "select 1"), "public,other");
  assert.equal(await pathAt("savepoint s", "set search_path = other", "rollback to s", "select 1"), "public,other");
  assert.equal(await pathAt("rollback", "select 1"), "other");
  assert.equal(await pathAt("begin", "set local search_path = public", "select 1"), "public");
  assert.equal(await pathAt("commit", "select 1"), "other");
  assert.equal(await pathAt("select set_config('search_path', 'public', false)", "select 1"), "public");
  // Sent at once: the second statement waits for the first one's outcome.
  client.send(say.query("set search_path = other"), say.query("select 1"));
  await client.until("Z", 2);
  assert.equal(searchPaths.at(-1), "other");
  client.send(say.parse("set search_path = public"), say.bind(), say.execute(), say.parse("select 2"), say.sync());
  await client.until("Z");
  assert.equal(searchPaths.at(-1), "public");
  client.socket.destroy();
});

test("an unexpected client_encoding ends the session", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("select set_config('client_encoding', 'SJIS', false)"));
  assert.match(describeAll(await client.untilEnd()), /E:XX000 the gateway ended the session/);
  assert.equal(gateway.journal.closed.at(-1), "unexpected-client_encoding");
});

test("DETAIL and context of a write to a protected relation stay behind", async () => {
  await withClient(database, (c) =>
    c.query(`create table p (id int primary key, name text not null);
      create function shout() returns trigger language plpgsql as $$ begin raise notice 'sees %', new.name; if new.id = 3 then raise exception 'value %', new.name; end if; return new; end $$;
      create trigger shout before insert on p for each row execute function shout()`),
  );
  const client = await connectRaw(gateway);
  gateway.rule = () => ({ kind: "release", touchesProtected: true });
  const fieldsOf = async (text: string): Promise<string> => {
    client.send(say.query(text));
    const [error] = (await client.until("Z")).filter((m) => m.type !== "Z");
    return (error?.body.toString("utf8") ?? "")
      .split("\0")
      .filter((f) => "CMDHWPqp".includes(f[0] ?? "?"))
      .join("|");
  };
  assert.equal(
    await fieldsOf("insert into p values (1, null)"),
    'C23502|Mnull value in column "name" of relation "p" violates not-null constraint',
  );
  assert.equal(await fieldsOf("insert into p values (3, 'hidden')"), "CP0001|Mserver-side code ended the statement");
  // A constraint that is judged at the end of the transaction speaks of its rows too.
  await withClient(database, (c) => c.query("create table d (id int unique deferrable initially deferred)"));
  gateway.rule = (text) => ({ kind: "release", touchesProtected: text.startsWith("insert") });
  client.send(say.query("begin"), say.query("insert into d values (1), (1)"), say.query("commit"));
  const [error] = (await client.until("Z", 3)).filter((m) => m.type === "E");
  assert.equal(error?.body.includes("already exists"), false);
  // A position in the gateway's text is that of the same part of the client's, or none.
  const positionOf = async (sent: string): Promise<string | undefined> => {
    gateway.rule = () => ({ kind: "release", text: sent });
    client.send(say.parse("select 1 from x"), say.sync());
    const [parse] = (await client.until("Z")).filter((m) => m.type === "E");
    return parse?.body
      .toString("utf8")
      .split("\0")
      .find((field) => field.startsWith("P"));
  };
  assert.equal(await positionOf("select   1   from   nowhere"), "P15");
  assert.equal(await positionOf("select 1 + nothing from pg_class"), undefined);
  client.socket.destroy();
});

test("a client that does not read the refusals it asks for is not read either", async () => {
  const client = await connectRaw(gateway);
  gateway.rule = () => ({ kind: "refuse", message: "m".repeat(1_000) });
  client.socket.pause();
  const before = process.memoryUsage().rss;
  const many = Buffer.concat(Array.from({ length: 2_000 }, () => say.query("select 'no'")));
  for (let i = 0; i < 100; i++) {
    if (!client.socket.write(many)) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await new Promise((resolve) => setTimeout(resolve, 200));
  // The parser's compilation takes hundreds of MB for a moment; what is held for this client would stay.
  await eventually("200 MB of refusals are not held", () => process.memoryUsage().rss - before < 100e6);
  client.socket.destroy();
});

test("a client that does not read stops the server, and memory stays flat", async () => {
  const client = await connectRaw(gateway);
  const before = process.memoryUsage().rss;
  client.socket.pause();
  client.send(say.query("select repeat('x', 1000) from generate_series(1, 300000)"));
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await eventually("300 MB are not held", () => process.memoryUsage().rss - before < 100e6);
  let bytes = 0;
  client.socket.removeAllListeners("data");
  client.socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  client.socket.resume();
  await eventually("the rest arrives", () => bytes > 300e6, 90_000);
  await eventually("nothing is left of it", () => process.memoryUsage().rss - before < 150e6);
  client.socket.destroy();
});

test("one value of 128 MB passes in pieces, and memory stays flat", async () => {
  const client = await connectRaw(gateway);
  const before = process.memoryUsage().rss;
  let bytes = 0;
  let peak = 0;
  client.socket.removeAllListeners("data");
  client.socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    peak = Math.max(peak, process.memoryUsage.rss());
  });
  client.send(say.query("select repeat('x', 134217728)"));
  await eventually("it arrives whole", () => bytes > 134_217_728, 60_000);
  assert.ok(peak - before < 150e6, "it must not be held whole, and not twice");
  client.socket.destroy();
});

test("drain lets an open transaction finish and ends the rest at once", async () => {
  const draining = await startGateway(database);
  const idle = await connectRaw(draining);
  const busy = await connectRaw(draining);
  busy.send(say.query("begin"));
  await busy.until("Z");
  const closed = draining.listener.close(5_000);
  assert.equal(describeAll(await idle.untilEnd()), "E:57P01 terminating connection due to administrator command");
  busy.send(say.query("select 1"), say.query("commit"));
  assert.equal(
    describeAll(await busy.untilEnd()),
    "T | D | C:SELECT 1 | Z:T | C:COMMIT | Z:I | E:57P01 terminating connection due to administrator command",
  );
  await closed;
  await assert.rejects(connectRaw(draining));
});
