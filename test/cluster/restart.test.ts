// A restart under load: new processes take the ports over, and no transaction notices.
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { connectTo, prepareGateway, spawnGateway } from "../support/gateway.ts";
import { isRunning, workersOf } from "./support.ts";

const prepared = await prepareGateway({
  schema: "create table t (id int); insert into t values (0)",
  policy: `package acme.test

allow staff on sql at "test-pg"
`,
  config: "workers: { count: 2, linger: 30s }",
});
const { child, ports } = await spawnGateway(prepared.configPath);
const port = ports["test-pg"] ?? 0;
const olga = { sub: "olga", kind: "human", groups: ["ops"] };

/** Transactions on connections that live for `perConnection` of them, until told to stop; gives how many committed. */
async function load(perConnection: number, isOver: () => boolean): Promise<number> {
  let committed = 0;
  while (!isOver()) {
    const client = await connectTo(prepared, port, olga);
    for (let i = 0; i < perConnection && !isOver(); i += 1) {
      await client.query("begin");
      await client.query("update t set id = id + 1");
      await client.query("select pg_backend_pid()");
      await client.query("commit");
      committed += 1;
    }
    await client.end();
  }
  return committed;
}

test("a restart under load fails no transaction and refuses no connection", async () => {
  let isOver = false;
  const running = [1, 1, 20, 20, 20].map((perConnection) => load(perConnection, () => isOver));
  const first = workersOf(child.pid);
  assert.equal(first.length, 2);
  child.kill("SIGUSR2");
  await eventually(() => (first.some(isRunning) ? undefined : true), 60_000);
  const second = workersOf(child.pid);
  assert.equal(second.length, 2);
  isOver = true;
  // A refused connection or a failed statement would have rejected.
  const committed = (await Promise.all(running)).reduce((a, b) => a + b);
  const client = await connectTo(prepared, port, olga);
  assert.deepEqual((await client.query("select id from t")).rows, [{ id: committed }]);
  assert.ok(committed > 0);
  await client.end();
});

test("what outlives the linger limit is ended between two transactions, with PostgreSQL's words", async () => {
  const short = await prepareGateway({
    schema: "select 1",
    policy: `package acme.test

allow staff on sql at "test-pg"
`,
    config: "workers: { count: 1, linger: 200ms }",
  });
  const gateway = await spawnGateway(short.configPath);
  const idle = await connectTo(short, gateway.ports["test-pg"] ?? 0, olga);
  const busy = await connectTo(short, gateway.ports["test-pg"] ?? 0, olga);
  const told = once(idle, "error");
  await busy.query("begin");
  gateway.child.kill("SIGUSR2");
  assert.equal(((await told)[0] as { code?: string }).code, "57P01");
  // Its transaction ends in peace.
  const end = once(busy, "error");
  assert.deepEqual((await busy.query("select 1 as one")).rows, [{ one: 1 }]);
  await busy.query("commit");
  assert.equal(((await end)[0] as { code?: string }).code, "57P01");

  const ended = once(gateway.child, "exit");
  gateway.child.kill("SIGTERM");
  assert.deepEqual((await ended)[0], 0);
});
