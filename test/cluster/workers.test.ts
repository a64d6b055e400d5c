// `gw serve` with several worker processes on the same ports.
import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type pg from "pg";
import { eventually } from "../support/eventually.ts";
import { connectTo, prepareGateway, refusalOf, run, spawnGateway } from "../support/gateway.ts";
import { withClient } from "../support/postgres.ts";
import { isRunning, sendCancel, workersOf, workersSoon } from "./support.ts";

const policy = `package acme.test

counter reads = count of sql read of public.t by identity.sub over 1h

allow staff on sql at "test-pg"
deny enough on sql read of public.t at "test-pg"
  when identity.sub == "counted" and reads >= 20
  because "{identity.sub} has read enough"
require approval writes from group "leads" on sql write of public.guarded at "test-pg"
  because "writing needs a lead"
`;
const prepared = await prepareGateway({
  schema: "create table t (id int); create table guarded (id int); create table locked (id int)",
  policy,
  config: "workers: 2",
});
const gateway = await spawnGateway(prepared.configPath);
const port = gateway.ports["test-pg"] ?? 0;
const admin = `http://127.0.0.1:${gateway.ports.admin}`;
const olga = { sub: "olga", kind: "human", groups: ["ops"] };

/** Two neighbours: connections go round. */
const pair = async (claims: Parameters<typeof connectTo>[2] = olga): Promise<readonly [pg.Client, pg.Client]> => [
  await connectTo(prepared, port, claims),
  await connectTo(prepared, port, claims),
];
const leave = (clients: readonly pg.Client[]) => Promise.all(clients.map((c) => c.end().catch(() => undefined)));
const keyOf = (client: pg.Client): { readonly pid: number; readonly secret: Buffer } => {
  const { processID, secretKey } = client as unknown as { processID: number; secretKey: number };
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey);
  return { pid: processID, secret };
};

test("two workers share one port, and connections go round", async () => {
  assert.match(gateway.printed, /^workers {2}2\ntest-pg {2}postgres on /);
  const clients = [...(await pair()), ...(await pair())];
  for (const client of clients) assert.deepEqual((await client.query("select 1 as one")).rows, [{ one: 1 }]);
  const starts = (worker: string): number =>
    readFileSync(join(prepared.recording, worker, "00000001.jsonl"), "utf8").match(/"type":"session-start"/g)?.length ??
    0;
  assert.deepEqual([starts("worker-1"), starts("worker-2")], [2, 2]);
  await leave(clients);
});

test("a cancel reaches its session whichever worker it comes to", async () => {
  const clients = await pair();
  await withClient(prepared.database, async (owner) => {
    await owner.query("begin; lock table locked");
    const waiting = clients.map((c) => assert.rejects(c.query("select * from locked"), { code: "57014" }));
    const count = async (): Promise<number> => {
      const { rows } = await owner.query("select count(*)::int as n from pg_locks where not granted");
      return Number(rows[0]?.n);
    };
    await eventually(async () => ((await count()) === 2 ? true : undefined));
    for (const client of clients) {
      const { pid, secret } = keyOf(client);
      const wrong = Buffer.from(secret.map((byte) => byte ^ 1));
      await sendCancel(port, pid, wrong);
      await sendCancel(port, pid, wrong);
    }
    assert.equal(await count(), 2);
    // One connection each, to neighbours: one cancel in two comes to the other worker, whoever's turn it is.
    for (const client of [...clients, ...clients]) {
      const { pid, secret } = keyOf(client);
      await sendCancel(port, pid, secret);
    }
    await Promise.all(waiting);
  });
  await leave(clients);
  // Those that found nothing are on record, and those that did say where they came from, whichever worker they came to.
  const events = await eventually(async () => {
    const all = await prepared.events();
    return all.filter((e) => e.type === "completion" && e.outcome === "cancelled").length === 2 ? all : undefined;
  });
  assert.deepEqual(
    [...new Set(events.flatMap((e) => (e.type === "cancel-request" && e.session === "" ? [e.client] : [])))],
    ["127.0.0.1"],
  );
  const cancelled = events.flatMap((e) => (e.type === "completion" && e.outcome === "cancelled" ? [e.refs] : []));
  assert.deepEqual(cancelled, [{ cancel: "127.0.0.1" }, { cancel: "127.0.0.1" }]);
});

test("a counter's limit holds over all workers: of 60 reads at once exactly 20 pass", async () => {
  const claims = { sub: "counted", kind: "service", groups: [] };
  const clients = [...(await pair(claims)), ...(await pair(claims))];
  const readFifteen = async (client: pg.Client): Promise<readonly string[]> => {
    const outcomes: string[] = [];
    for (let i = 0; i < 15; i += 1) {
      const outcome = await client.query("select count(*) from t").then(
        () => "passed",
        (error: unknown) => (error instanceof Error ? error.message : "?"),
      );
      outcomes.push(outcome);
    }
    return outcomes;
  };
  const outcomes = (await Promise.all(clients.map(readFifteen))).flat();
  const counts = Object.groupBy(outcomes, (outcome) => outcome);
  assert.deepEqual(
    Object.entries(counts).map(([outcome, all]) => [outcome, all?.length]),
    [
      ["passed", 20],
      ["counted has read enough", 40],
    ],
  );
  await leave(clients);
});

test("a statement that one worker holds is approved through another", async () => {
  const clients = await pair();
  const writes = clients.map((client, i) => client.query("insert into guarded values ($1)", [i]));
  const lead = await prepared.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] });
  const headers = { authorization: `Bearer ${lead}` };
  const waiting = await eventually(async () => {
    const answer = await fetch(`${admin}/v1/approvals?state=pending`, { headers });
    const { approvals } = (await answer.json()) as { approvals: readonly { readonly id: string }[] };
    return approvals.length === 2 ? approvals : undefined;
  });
  for (const { id } of waiting) {
    const answer = await fetch(`${admin}/v1/approvals/${id}/approve`, { method: "POST", headers });
    assert.equal(answer.status, 200);
  }
  await Promise.all(writes);
  await leave(clients);
});

test("metrics are of all workers, each sample with whose it is", async () => {
  const clients = await pair();
  const text = await eventually(async () => {
    const answer = await (await fetch(`${admin}/metrics`)).text();
    return /^gw_sessions\{connection="test-pg",worker="worker-1"\} 1$/m.test(answer) &&
      /^gw_sessions\{connection="test-pg",worker="worker-2"\} 1$/m.test(answer)
      ? answer
      : undefined;
  });
  assert.match(text, /^gw_workers 2$/m);
  assert.match(text, /^gw_worker_restarts_total 0$/m);
  assert.equal(text.match(/^# TYPE gw_sessions /gm)?.length, 1);
  await leave(clients);
});

test("an edit is in force in all workers or in none", async () => {
  const clients = await pair();
  const file = join(prepared.folder, "policies", "test.policy");
  writeFileSync(file, `${policy}\ndeny nobody on sql at "test-pg" because "closed"\n`);
  for (const client of clients) {
    await eventually(async () => {
      const error = await client.query("select 1").then(
        () => undefined,
        (e: unknown) => e,
      );
      return error instanceof Error && error.message.startsWith("closed") ? true : undefined;
    });
  }
  writeFileSync(file, `${policy}\ndeny nobody on sql at`);
  await eventually(async () =>
    (await prepared.events()).some((e) => e.type === "policy" && e.state === "rejected") ? true : undefined,
  );
  for (const client of clients) assert.equal((await refusalOf(client, "select 1")).message, "closed");
  writeFileSync(file, policy);
  for (const client of clients) {
    await eventually(() =>
      client.query("select 1").then(
        () => true,
        () => undefined,
      ),
    );
  }
  await leave(clients);
});

test("a worker that is killed ends its sessions alone, is recorded, and is started again", async () => {
  const clients = await pair();
  await Promise.all(clients.map((client) => client.query("begin")));
  const [victim = 0] = workersOf(gateway.child.pid);
  const backends = await Promise.all(
    clients.map(async (c) => Number((await c.query("select pg_backend_pid() as pid")).rows[0]?.pid)),
  );
  process.kill(victim, "SIGKILL");
  const alive = await eventually(async () => {
    const { rows } = await withClient(prepared.database, (c) =>
      c.query("select pid from pg_stat_activity where pid = any($1)", [backends]),
    );
    return rows.length === 1 ? backends.indexOf(Number(rows[0].pid)) : undefined;
  });
  await clients[alive]?.query("commit");
  await assert.rejects(async () => clients[1 - alive]?.query("commit"));
  const workers = await workersSoon(gateway.child.pid, 2);
  assert.equal(workers.includes(victim), false);
  await eventually(async () => {
    const lives = (await prepared.events()).flatMap((e) => (e.type === "worker" ? [`${e.worker} ${e.state}`] : []));
    return lives.length === 4 && lives[2]?.endsWith(" died") && lives[3]?.endsWith(" started") ? true : undefined;
  });
  // Both serve again.
  const later = [...(await pair()), ...(await pair())];
  for (const client of later) await client.query("select 1");
  await leave([...clients, ...later]);
});

test("a new configuration is taken up by new workers, a bad one by none; the recording is whole in the end", async () => {
  const config = readFileSync(prepared.configPath, "utf8");
  const before = await connectTo(prepared, port, olga);
  const old = workersOf(gateway.child.pid);
  writeFileSync(prepared.configPath, `${config}\nnonsense: true\n`);
  gateway.child.kill("SIGHUP");
  await eventually(() => (/config-invalid.*the old one stays/.test(gateway.logged()) ? true : undefined));
  writeFileSync(prepared.configPath, config.replace("policies: { path: policies }", "policies: { path: nowhere }"));
  gateway.child.kill("SIGHUP");
  await eventually(() =>
    /the new workers could not start: the old ones stay/.test(gateway.logged()) ? true : undefined,
  );
  assert.deepEqual((await before.query("select 1 as one")).rows, [{ one: 1 }]);
  writeFileSync(prepared.configPath, config.replace("workers: 2", "workers: { count: 1, linger: 1m }"));
  gateway.child.kill("SIGHUP");
  await eventually(() => (workersOf(gateway.child.pid).some((pid) => !old.includes(pid)) ? true : undefined));
  await before.query("select 1");
  await before.end();
  // The old ones leave when their last session has.
  await eventually(() => (old.some(isRunning) ? undefined : true));
  const after = await connectTo(prepared, port, olga);
  await after.query("select 1");
  await after.end();
  const ended = once(gateway.child, "exit");
  gateway.child.kill("SIGTERM");
  assert.deepEqual((await ended)[0], 0);

  const audit = await run(process.execPath, ["cli/gw.js", "audit", "verify", "--recording", prepared.recording], {});
  assert.match(
    audit.out,
    /^\d+ lines, .*: the chain is whole\nworker-1: \d+ lines, .*whole\nworker-2: \d+ lines, .*whole\n(worker-\d+: .*whole\n)*$/,
  );
  const sessions = await run(
    process.execPath,
    ["cli/gw.js", "sessions", "list", "--recording", prepared.recording],
    {},
  );
  assert.match(sessions.out, /\nses_\w+ +[\d-]+ [\d:]+ +olga \(human\) +test-pg +\d+ +\d+ +\S+/);
});

test("a worker's recording that was cut off, or removed as a whole, is found", async () => {
  const verify = async (): Promise<string> =>
    (await run(process.execPath, ["cli/gw.js", "audit", "verify", "--recording", prepared.recording], {})).out;
  const folder = join(prepared.recording, "worker-2");
  const last = join(
    folder,
    readdirSync(folder)
      .filter((name) => name.endsWith(".jsonl"))
      .sort()
      .at(-1) ?? "",
  );
  const bytes = readFileSync(last);
  truncateSync(last, bytes.lastIndexOf(0x0a, bytes.length - 2) + 1);
  assert.match(
    await verify(),
    /^worker-2: the line that the primary noted at its end is not there, .*: lines were cut off$/m,
  );
  appendFileSync(last, bytes.subarray(bytes.lastIndexOf(0x0a, bytes.length - 2) + 1));
  assert.doesNotMatch(await verify(), /cut off|damaged/);
  rmSync(folder, { recursive: true });
  assert.match(await verify(), /^worker-2: the whole folder is gone$/m);
});

test("when the primary dies, everything ends", async () => {
  const other = await prepareGateway({ schema: "select 1", policy, config: "workers: 2" });
  const { child, ports } = await spawnGateway(other.configPath);
  const client = await connectTo(other, ports["test-pg"] ?? 0, olga);
  const workers = workersOf(child.pid);
  assert.equal(workers.length, 2);
  child.kill("SIGKILL");
  await eventually(() => (workers.some(isRunning) ? undefined : true));
  await assert.rejects(client.query("select 1"));
});
