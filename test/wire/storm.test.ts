// More connections than can be served at once: they wait in lines with bounds, by turns, and are told when it is in vain.
import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, Socket } from "node:net";
import { after, test } from "node:test";
import { queryObjects } from "node:v8";
import fc from "fast-check";
import { type Arrival, Arrivals } from "../../proxy/postgres/arrivals.ts";
import { FairQueue } from "../../proxy/postgres/fair-queue.ts";
import { LoginSlots } from "../../proxy/postgres/login-slots.ts";
import { encodeStartup } from "../../proxy/postgres/protocol/encode.ts";
import { Relay } from "../../proxy/postgres/relay.ts";
import { Turnstile } from "../../proxy/postgres/turnstile.ts";
import { collectGarbage } from "../support/collect-garbage.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase } from "../support/postgres.ts";
import { startGateway, type TestGateway } from "./gateway.ts";
import { connectRaw, describeAll, frontend, type RawClient, say } from "./raw-client.ts";

const database = await testDatabase("select 1");

/** Before the server: connections stand here until they are let on. */
async function startHolder() {
  const held: { readonly near: Socket; readonly letOn: () => void }[] = [];
  let isOpen = true;
  const server = createServer((near) => {
    const letOn = (): void => {
      const far = connect(database);
      for (const socket of [near, far]) socket.on("error", () => near.destroy());
      near.pipe(far).pipe(near);
    };
    near.on("error", () => undefined);
    if (isOpen) letOn();
    else held.push({ near, letOn });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return {
    port,
    held,
    hold: () => {
      isOpen = false;
    },
    letAllOn: () => {
      isOpen = true;
      for (const { letOn } of held.splice(0)) letOn();
    },
  };
}

const soon = (condition: () => boolean): Promise<true> => eventually(() => (condition() ? true : undefined));
const codesOf = ({ journal }: TestGateway): readonly unknown[] => journal.log.map(({ code }) => code);
const tooMany = /53300 sorry, too many clients want a session at once/;

async function answers(client: RawClient): Promise<void> {
  client.send(say.query("select 1"));
  assert.equal(describeAll(await client.until("Z")), "T | D | C:SELECT 1 | Z:I");
}

test("so many logins at a time reach the server, the others wait for their turn, and sessions are served meanwhile", async () => {
  const holder = await startHolder();
  const gateway = await startGateway(database, {
    upstream: { port: holder.port },
    sessions: { logins: { atOnceMax: 2, waitingMax: 100, waitMs: 60_000 } },
  });
  const served = await connectRaw(gateway);
  holder.hold();
  const coming = Array.from({ length: 20 }, () => connectRaw(gateway));
  await soon(() => gateway.listener.sessions() === 21 && holder.held.length === 2);
  await answers(served);
  assert.equal(holder.held.length, 2);
  holder.letAllOn();
  const clients = await Promise.all(coming);
  for (const client of [served, ...clients]) {
    await answers(client);
    client.socket.destroy();
  }
});

test("who finds the line full is told so", async () => {
  const holder = await startHolder();
  const gateway = await startGateway(database, {
    upstream: { port: holder.port },
    sessions: { logins: { atOnceMax: 1, waitingMax: 2, waitMs: 60_000 } },
  });
  holder.hold();
  const first = connectRaw(gateway);
  await soon(() => holder.held.length === 1);
  // Of five at once two find a place in the line.
  const five = Promise.allSettled(Array.from({ length: 5 }, () => connectRaw(gateway)));
  const isFull = () => codesOf(gateway).filter((code) => code === "login-queue-full").length === 3;
  await soon(isFull);
  holder.letAllOn();
  const outcomes = await five;
  const refusals = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
  assert.equal(refusals.length, 3);
  for (const refusal of refusals) assert.match(refusal, tooMany);
  for (const client of [await first, ...outcomes.flatMap((o) => (o.status === "fulfilled" ? [o.value] : []))]) {
    await answers(client);
    client.socket.destroy();
  }
});

test("who waits in vain is told so, and whoever gives up before holds no place", async () => {
  const holder = await startHolder();
  const gateway = await startGateway(database, {
    upstream: { port: holder.port },
    sessions: { logins: { atOnceMax: 1, waitingMax: 2, waitMs: 200 } },
    limits: { upstreamConnectTimeoutMs: 60_000 },
  });
  holder.hold();
  const first = connect({ host: "127.0.0.1", port: gateway.port });
  first.write(Buffer.concat([encodeStartup([["user", "first"]]), frontend("p", Buffer.from(`${gateway.password}\0`))]));
  await soon(() => holder.held.length === 1);
  await assert.rejects(connectRaw(gateway), tooMany);
  await assert.rejects(connectRaw(gateway), tooMany);
  const codes = codesOf(gateway).filter((code) => String(code).startsWith("login-queue"));
  assert.deepEqual(codes, ["login-queue-timeout", "login-queue-timeout"]);
  first.destroy();
  holder.letAllOn();
  const later = await eventually(() => connectRaw(gateway).catch(() => undefined));
  await answers(later);
  later.socket.destroy();
});

test("a login that takes too long hears why, as from PostgreSQL", async () => {
  const gateway = await startGateway(database, { limits: { loginTimeoutMs: 300 } });
  const socket = connect({ host: "127.0.0.1", port: gateway.port });
  socket.write(encodeStartup([["user", "slow"]]));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  assert.match(
    Buffer.concat(chunks).toString("latin1"),
    /SFATAL\0.*C57014\0Mcanceling authentication due to timeout\0/,
  );
});

test("connections that stay silent give way to those of others: the oldest of whoever has most", async () => {
  const gateway = await startGateway(database, { limits: { arrivalsMax: 3 } });
  const silent = Array.from({ length: 3 }, () => connect({ host: "127.0.0.1", port: gateway.port }));
  for (const socket of silent) socket.on("error", () => undefined);
  await soon(() => gateway.listener.sessions() === 3);
  // All from one address: nobody has more than the newcomer.
  await assert.rejects(connectRaw(gateway), /53300 sorry, too many clients already/);
  const elsewhere = connect({ host: "127.0.0.1", port: gateway.port, localAddress: "127.0.0.2" });
  elsewhere.write(encodeStartup([["user", "somebody"]]));
  assert.equal(String((await elsewhere.take(1).toArray())[0]?.[0]), String("R".charCodeAt(0)));
  await soon(() => silent.filter(({ closed }) => closed).length === 1);
  for (const socket of [...silent, elsewhere]) socket.destroy();
  await soon(() => gateway.listener.sessions() === 0);
});

test("lines take turns, whoever is in them: each gets as much of what there is as every other", () => {
  const names = fc.constantFrom("a", "b", "c");
  fc.assert(
    fc.property(fc.array(names, { maxLength: 60 }), (keys) => {
      const queue = new FairQueue<string>();
      keys.forEach((key, i) => void queue.add(key, `${key}${i}`));
      const taken: string[] = [];
      for (let item = queue.take(); item !== undefined; item = queue.take()) taken.push(item);
      // Nobody is lost, and a line keeps its order.
      for (const key of ["a", "b", "c"]) {
        const own = keys.flatMap((k, i) => (k === key ? [`${key}${i}`] : []));
        assert.deepEqual(
          taken.filter((item) => item.startsWith(key)),
          own,
        );
        // Behind n others of its own line, one is out after n rounds of all lines.
        own.forEach((item, n) => void assert.ok(taken.indexOf(item) < (n + 1) * new Set(keys).size));
      }
      assert.equal(queue.length, 0);
    }),
  );
});

test("a full line makes room for who has less in it", async () => {
  const slots = new LoginSlots({ atOnceMax: 1, waitingMax: 2, waitMs: 60_000 });
  const { signal } = new AbortController();
  assert.equal(await slots.enter("greedy", signal), "entered");
  const greedy = [slots.enter("greedy", signal), slots.enter("greedy", signal)];
  assert.equal(await slots.enter("greedy", signal), "full");
  const modest = slots.enter("modest", signal);
  assert.equal(await greedy[1], "full");
  assert.equal(await slots.enter("greedy", signal), "full");
  slots.leave();
  assert.equal(await greedy[0], "entered");
  slots.leave();
  assert.equal(await modest, "entered");
  assert.equal(slots.waiting, 0);
});

test("arrivals stay within their bound, and no address has more than another by more than one when it is reached", () => {
  const addresses = fc.constantFrom("x", "y", "z");
  fc.assert(
    fc.property(fc.array(addresses, { maxLength: 80 }), (from) => {
      const arrivals = new Arrivals(7);
      const counts = { x: 0, y: 0, z: 0 };
      for (const address of from) {
        const arrival: Arrival = { address, socket: new Socket(), canHear: false };
        const before = { ...counts };
        const admission = arrivals.admit(arrival);
        if (admission.kind !== "full") counts[address] += 1;
        if (admission.kind === "instead") {
          counts[admission.of.address as "x"] -= 1;
          assert.ok(before[admission.of.address as "x"] > before[address] + 1);
        }
        assert.equal(arrivals.size, counts.x + counts.y + counts.z);
        assert.ok(arrivals.size <= 7);
      }
      assert.equal([...arrivals].length, arrivals.size);
    }),
  );
});

test("handshakes are begun a few in each turn of the event loop, by turns of where they come from", async () => {
  const turnstile = new Turnstile(2);
  const passed: string[] = [];
  for (const from of ["a", "a", "a", "b", "a"]) void turnstile.pass(from).then(() => passed.push(from));
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  const lengths: number[] = [];
  while (turnstile.waiting > 0) {
    lengths.push(turnstile.waiting);
    await turn();
  }
  await turn();
  assert.equal(lengths[0], 5);
  assert.deepEqual(passed, ["a", "b", "a", "a", "a"]);
});

test("storm after storm leaves no session, socket or signal behind, and no memory", async () => {
  const gateway = await startGateway(database, {
    sessions: { logins: { atOnceMax: 4, waitingMax: 8, waitMs: 60_000 } },
  });
  const socketsAtRest = queryObjects(Socket, { format: "count" });
  const storm = async (): Promise<void> => {
    const clients = await Promise.allSettled(Array.from({ length: 24 }, () => connectRaw(gateway)));
    const served = clients.flatMap((client) => (client.status === "fulfilled" ? [client.value] : []));
    assert.ok(served.length >= 12);
    for (const client of served) await answers(client);
    // Some say goodbye, the others are just gone.
    served.forEach((client, i) => void (i % 2 === 0 ? client.socket.destroy() : client.send(say.terminate())));
    await soon(() => gateway.listener.sessions() === 0);
    for (const client of served) client.socket.destroy();
  };
  /** Once what was refused has been read on for its second. */
  const left = async () => {
    await soon(() => queryObjects(Socket, { format: "count" }) <= socketsAtRest);
    await soon(() => queryObjects(Relay, { format: "count" }) === 0);
    collectGarbage();
    const counts = [AbortController, AbortSignal].map((of) => queryObjects(of, { format: "count" }));
    return { counts, heap: process.memoryUsage().heapUsed };
  };
  await storm();
  await storm();
  const before = await left();
  for (let i = 0; i < 3; i += 1) await storm();
  const after = await left();
  // The clients of the last storm have some of their own.
  for (const i of [0, 1]) assert.ok((after.counts[i] ?? 0) <= (before.counts[i] ?? 0) + 24);
  // 72 connections later: 4 KB that each left behind would be seen. Code that was compiled meanwhile takes about 60 KB.
  assert.ok(after.heap - before.heap < 300_000, `${after.heap - before.heap} bytes more`);
});
