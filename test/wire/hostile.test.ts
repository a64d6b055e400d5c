// Bad input: a clear error or a closed connection with a reason, other sessions unharmed, no growth of memory.
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, test } from "node:test";
import { collectGarbage } from "../support/collect-garbage.ts";
import { testDatabase } from "../support/postgres.ts";
import { startGateway } from "./gateway.ts";
import { connectRaw, describeAll, frontend, say } from "./raw-client.ts";

const database = await testDatabase("create table t (id int)");
const gateway = await startGateway(database, { limits: { loginTimeoutMs: 400 } });
const bystander = await connectRaw(gateway);
after(() => bystander.socket.destroy());

async function othersLiveOn(): Promise<void> {
  bystander.send(say.query("select 1"));
  assert.equal(describeAll(await bystander.until("Z")), "T | D | C:SELECT 1 | Z:I");
}

const ended = (socket: Socket, timeoutMs = 20_000): Promise<boolean> =>
  new Promise((resolve) => {
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(true));
    setTimeout(() => resolve(false), timeoutMs).unref();
    socket.resume();
  });

const lengthOf = (type: string, length: number): Buffer => {
  const bytes = Buffer.alloc(5);
  bytes.write(type, "latin1");
  bytes.writeUInt32BE(length, 1);
  return bytes;
};

const rows: readonly {
  readonly name: string;
  readonly sends: Buffer;
  readonly hears: RegExp;
  readonly reason?: string;
}[] = [
  {
    name: "a length field of 1 GB",
    sends: lengthOf("Q", 1 << 30),
    hears: /^E:54000 a message of 1073741824 bytes is more than the gateway accepts$/,
    reason: "frame-length-too-large",
  },
  {
    name: "a length field of 4 GB in a Bind",
    sends: lengthOf("B", 0xffff_ffff),
    hears: /^E:54000 a message of 4294967295 bytes/,
    reason: "frame-length-too-large",
  },
  {
    name: "a length that is too small",
    sends: lengthOf("Q", 3),
    hears: /^E:08P01 invalid message length$/,
    reason: "frame-length-too-small",
  },
  {
    name: "a query of 20 MB",
    sends: say.query(`select '${"x".repeat(20_000_000)}'`),
    hears: /^E:54000 a message of 20000014 bytes is more than the gateway accepts$/,
    reason: "frame-length-too-large",
  },
  {
    name: "an unknown message type",
    sends: frontend("y"),
    hears: /^E:08P01 invalid frontend message type 121$/,
    reason: "unknown-message",
  },
  {
    name: "a password after login",
    sends: frontend("p", Buffer.from("x\0")),
    hears: /^E:08P01 invalid frontend message type 112$/,
    reason: "unknown-message",
  },
];
for (const row of rows) {
  test(`${row.name} ends the session with its reason`, async () => {
    const client = await connectRaw(gateway);
    client.send(row.sends);
    assert.match(describeAll(await client.untilEnd()), row.hears);
    assert.equal(gateway.journal.closed.at(-1), row.reason);
    await othersLiveOn();
  });
}

const survived: readonly { readonly name: string; readonly sends: readonly Buffer[]; readonly hears: string }[] = [
  {
    name: "a text over the limit",
    sends: [say.query(`select '${"x".repeat(2_000_000)}'`)],
    hears: "E:54000 a statement text of more than 1048576 bytes is not accepted | Z:I",
  },
  {
    name: "a NUL byte in a query",
    sends: [frontend("Q", Buffer.from("select 1\0; drop table t\0"))],
    hears: "E:08P01 invalid message format | Z:I",
  },
  {
    name: "a query without its end",
    sends: [frontend("Q", Buffer.from("select 1"))],
    hears: "E:08P01 invalid message format | Z:I",
  },
  {
    name: "invalid UTF-8",
    sends: [frontend("Q", Buffer.from([...Buffer.from("select '"), 0xff, 0xfe, 0x27, 0]))],
    hears: 'E:22021 invalid byte sequence for encoding "UTF8" | Z:I',
  },
  {
    name: "half a multi-byte character before a quote",
    sends: [frontend("Q", Buffer.from([...Buffer.from("select '"), 0xe3, 0x81, 0x27, 0]))],
    hears: 'E:22021 invalid byte sequence for encoding "UTF8" | Z:I',
  },
  {
    name: "an empty message of a type with fields",
    sends: [frontend("P"), say.sync()],
    hears: "E:08P01 invalid message format | Z:I",
  },
  {
    name: "a Bind whose counts lie",
    sends: [frontend("B", Buffer.from("\0\0"), Buffer.from([0, 0, 0xff, 0xff])), say.sync()],
    hears: "E:08P01 invalid message format | Z:I",
  },
  {
    name: "a Bind with a parameter of negative length",
    sends: [frontend("B", Buffer.from("\0\0"), Buffer.from([0, 0, 0, 1, 0xff, 0xff, 0xff, 0, 0, 0])), say.sync()],
    hears: "E:08P01 invalid message format | Z:I",
  },
  {
    name: "stray COPY data",
    sends: [say.copyData("x"), say.copyDone(), say.copyFail("y"), say.query("select 1")],
    hears: "T | D | C:SELECT 1 | Z:I",
  },
  {
    name: "a Describe of neither kind",
    sends: [frontend("D", Buffer.from("Xname\0")), say.sync()],
    hears: "E:08P01 invalid message format | Z:I",
  },
];
for (const row of survived) {
  test(`${row.name} is an error, and the session goes on`, async () => {
    const client = await connectRaw(gateway);
    client.send(...row.sends);
    assert.equal(describeAll(await client.until("Z")), row.hears);
    client.send(say.query("select 1"));
    assert.equal(describeAll(await client.until("Z")), "T | D | C:SELECT 1 | Z:I");
    client.socket.destroy();
  });
}

test("garbage before startup is closed", async () => {
  for (const bytes of [
    Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    Buffer.alloc(100_000, 0xff),
    Buffer.from([0, 0, 0, 4]),
    Buffer.from([0x40, 0, 0, 0, 0, 3, 0, 0]),
    Buffer.from("0000000800030000", "hex"),
    Buffer.from("16030100ff", "hex"),
  ]) {
    const socket = connect({ host: "127.0.0.1", port: gateway.port });
    socket.write(bytes);
    assert.equal(await ended(socket), true);
  }
  await othersLiveOn();
});

test("a client that connects and stays silent is closed at the deadline, also in the middle of its login", async () => {
  const silent = connect({ host: "127.0.0.1", port: gateway.port });
  const half = connect({ host: "127.0.0.1", port: gateway.port });
  half.write(Buffer.from([0, 0, 0, 50, 0, 3]));
  const startedAtMs = Date.now();
  assert.deepEqual(await Promise.all([ended(silent), ended(half)]), [true, true]);
  assert.ok(Date.now() - startedAtMs >= 350);
  assert.equal(
    gateway.journal.log.some((fields) => fields.code === "login-timeout"),
    true,
  );
});

test("an unterminated message waits, costs what it sent, and is forgotten with its client", async () => {
  const client = await connectRaw(gateway);
  client.send(say.query("select 1").subarray(0, 9));
  await othersLiveOn();
  const before = process.memoryUsage().rss;
  const claims = await Promise.all(Array.from({ length: 20 }, () => connectRaw(gateway)));
  for (const claim of claims) claim.send(lengthOf("B", 200_000_000));
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(process.memoryUsage().rss - before < 60e6, "a claimed length must not be allocated");
  for (const claim of [client, ...claims]) claim.socket.destroy();
});

test("more sessions than the limit are told so", async () => {
  const small = await startGateway(database, { limits: { sessionsMax: 1 } });
  const one = await connectRaw(small);
  await assert.rejects(connectRaw(small), /53300 sorry, too many clients already/);
  one.socket.destroy();
});

test("more prepared statements than the limit are an error", async () => {
  const small = await startGateway(database, { limits: { preparedStatementsMax: 3 } });
  const client = await connectRaw(small);
  client.send(...["a", "b", "c", "d"].map((name) => say.parse("select 1", name)), say.sync());
  assert.equal(
    describeAll(await client.until("Z")),
    "1 | 1 | 1 | E:54000 a session may hold 3 prepared statements and portals | Z:I",
  );
  client.socket.destroy();
});

test("memory does not grow over many bad sessions", async () => {
  const round = async (): Promise<void> => {
    for (let i = 0; i < 40; i++) {
      const client = await connectRaw(gateway);
      client.send(say.query(`select '${"y".repeat(100_000)}'`), say.parse("select 1/0", "x"), frontend("y"));
      await client.untilEnd();
    }
  };
  await round();
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  await round();
  collectGarbage();
  assert.ok(process.memoryUsage().heapUsed - before < 30e6);
  assert.ok(gateway.listener.sessions() < 5);
});
