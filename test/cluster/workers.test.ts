// `gw serve` with several worker processes on the same ports.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { connectTo, prepareGateway, refusalOf, run, spawnGateway } from "../support/gateway.ts";
import { eventually } from "../support/eventually.ts";

const policy = `package acme.test

allow staff on sql at "test-pg"
`;
const prepared = await prepareGateway({
  schema: "create table t (id int); insert into t select generate_series(1, 10)",
  policy,
  config: "workers: 2",
});
const olga = { sub: "olga", kind: "human", groups: ["ops"] };

test("two workers share one port, and each gets every other connection", async () => {
  const { ports, printed, child } = await spawnGateway(prepared.configPath);
  assert.match(printed, /^workers {2}2\n/);
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectTo(prepared, ports["test-pg"] ?? 0, olga)));
  for (const client of clients) assert.equal((await client.query("select count(*)::int as n from t")).rows[0]?.n, 10);
  for (const client of clients) await client.end();
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  assert.deepEqual((await ended)[0], 0);
  console.log(readdirSync(prepared.recording));
});
