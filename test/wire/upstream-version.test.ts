// Protocol 3.2 towards the server: the long cancel secrets of PostgreSQL 18, and 3.0 where the server, or a pooler before it, is older.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type AddressInfo, connect, createServer } from "node:net";
import { after, test } from "node:test";
import { startPostgres } from "../../cli/demo/postgres-server.ts";
import { cancelUpstream } from "../../proxy/postgres/cancel.ts";
import { decodeNegotiatedMinor } from "../../proxy/postgres/protocol/backend.ts";
import { LayoutFault } from "../../proxy/postgres/protocol/cursor.ts";
import { encodeError } from "../../proxy/postgres/protocol/encode.ts";
import { openUpstream } from "../../proxy/postgres/upstream.ts";
import { olderPostgres } from "../support/older-postgres.ts";
import { type TestServer, testServer } from "../support/postgres.ts";
import { describeAll, frontend, RawClient, say } from "./raw-client.ts";

const newest = await testServer();
const deadline = (): AbortSignal => AbortSignal.timeout(30_000);
const targetOf = ({ host, port, user, password }: TestServer) => ({
  host,
  port,
  user,
  database: "postgres",
  password: async () => password,
  tls: { mode: "disable", ca: undefined } as const,
});

/** Logs in, cancels a statement that would run for a minute, and gives the secret's length and what was heard. */
async function cancelled(server: TestServer): Promise<readonly [secretBytes: number, heard: string]> {
  const target = targetOf(server);
  const session = await openUpstream(target, [], deadline());
  assert.ok(session.ok, JSON.stringify(session));
  const client = new RawClient(session.value);
  // The notice says that it runs: a cancel before that would find nothing.
  client.send(say.query("do $$ begin raise notice 'runs'; perform pg_sleep(60); end $$"));
  await client.until("N");
  assert.equal(await cancelUpstream(target, session.value, 30_000), true);
  const heard = describeAll(await client.until("Z"));
  client.socket.destroy();
  return [session.value.secret.length, heard];
}
const ended = "E:57014 canceling statement due to user request | Z:I";

test("PostgreSQL 18 gives a long secret, and a cancel with it arrives", async () => {
  assert.deepEqual(await cancelled(newest), [32, ended]);
});

const found = olderPostgres(15);
test("PostgreSQL 15 answers that it speaks 3.0, and the session goes on with a secret of four bytes", {
  skip: found === undefined && "no PostgreSQL 15 on this machine",
}, async () => {
  const password = randomBytes(12).toString("hex");
  const server = await startPostgres({ password, ...(found === undefined ? {} : { binDirectory: found }) });
  try {
    assert.deepEqual(await cancelled({ host: server.host, port: server.port, user: server.superuser, password }), [
      4,
      ended,
    ]);
  } finally {
    await server.stop();
  }
});

/** A pooler that knows no other version than 3.0: it notes each version that it was asked for. */
async function oldPooler(behind: TestServer, answer: Buffer) {
  const versions: number[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    let start = Buffer.alloc(0);
    const onStart = (chunk: Buffer): void => {
      start = Buffer.concat([start, chunk]);
      if (start.length < 8) return;
      socket.off("data", onStart);
      versions.push(start.readInt32BE(4));
      if (start.readInt32BE(4) > 196_608 && start.readInt32BE(4) < 262_144) {
        socket.end(answer);
        return;
      }
      const to = connect(behind.port, behind.host, () => {
        to.write(start);
        socket.pipe(to).pipe(socket);
      });
      to.on("error", () => socket.destroy());
      socket.on("close", () => to.destroy());
    };
    socket.on("data", onStart);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  after(() => server.close());
  return { versions, port: (server.address() as AddressInfo).port };
}

const refusal = encodeError({ severity: "FATAL", sqlstate: "0A000", message: "unsupported frontend protocol 3.2" });
for (const [says, answer] of [
  ["closes the connection", Buffer.alloc(0)],
  ["says an error", refusal],
] as const) {
  test(`a pooler that ${says} at 3.2 is asked again with 3.0, and from then on only so`, async () => {
    const pooler = await oldPooler(newest, answer);
    const target = targetOf({ ...newest, host: "127.0.0.1", port: pooler.port });
    for (let i = 0; i < 2; i++) {
      const session = await openUpstream(target, [], deadline());
      assert.ok(session.ok, JSON.stringify(session));
      assert.equal(session.value.secret.length, 4);
      session.value.socket.destroy();
    }
    assert.deepEqual(pooler.versions, [196_610, 196_608, 196_608]);
  });
}

test("NegotiateProtocolVersion is read as PostgreSQL writes it, and what answers no question of ours is a fault", () => {
  const told = (...numbers: readonly number[]): Buffer =>
    frontend(
      "v",
      ...numbers.map((n) => {
        const bytes = Buffer.alloc(4);
        bytes.writeInt32BE(n);
        return bytes;
      }),
    );
  assert.equal(decodeNegotiatedMinor(told(196_608, 0)), 0);
  assert.equal(decodeNegotiatedMinor(told(196_610, 0)), 2);
  for (const bad of [told(131_072, 0), told(196_608, 1), told(196_608), told(196_608, 0, 0)]) {
    assert.throws(() => decodeNegotiatedMinor(bad), LayoutFault);
  }
});
