// `node test/soak.ts --minutes N --seed S [--workers W] [--clients C]`: mixed work through `gw serve` over a network that
// misbehaves, clients that are killed, an upstream that goes away; at the end nothing may be left behind.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import pg from "pg";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import { startTokenIssuer } from "../cli/demo/token-issuer.ts";
import { type Fault, startFaultProxy } from "./fault-proxy.ts";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    workers: { type: "string", default: "2" },
    clients: { type: "string", default: "12" },
  },
});
const minutes = Number(values.minutes);
const clients = Number(values.clients);
const workers = Number(values.workers);

/** mulberry32: the run's choices come from the seed; their timing doesn't. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
const random = randomFrom(Number(values.seed));
const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0];
/** Memory says something once everything has been loaded, compiled and collected a few times. */
const memoryMinutes = 2;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const undo: (() => unknown)[] = [];
let adminPort = 0;
const folder = mkdtempSync(join(tmpdir(), "gw-soak-"));
undo.push(() => rmSync(folder, { recursive: true, force: true }));

type Footing = {
  readonly descriptors: number;
  readonly rssMb: number;
  readonly sessions: number;
  readonly backends: number;
};

let failure: unknown;
try {
  await soak();
} catch (error) {
  failure = error;
  console.error(error);
}
for (const step of undo.toReversed()) await step();
process.exit(failure === undefined ? 0 : 1);

async function soak(): Promise<void> {
  const password = randomBytes(12).toString("hex");
  const postgres = await startPostgres({ password, settings: ["max_connections=200"] });
  undo.push(postgres.stop);
  const direct = { host: postgres.host, port: postgres.port, user: "postgres", password, database: "postgres" };
  const owner = new pg.Client(direct);
  owner.on("error", () => undefined);
  await owner.connect();
  undo.push(() => owner.end().catch(() => undefined));
  await owner.query(
    "create table t (id int primary key, v text); insert into t select i, repeat('x', 100) from generate_series(1, 20000) i",
  );
  const upstream = await startFaultProxy(direct, () => ({ fault: "none", afterMs: 0 }));
  undo.push(upstream.close);
  const { child, port, token } = await startGateway(upstream.port, password);
  const faults: readonly [Fault, ...Fault[]] = ["none", "none", "none", "delay", "cut", "half-close", "slow-reader"];
  const network = await startFaultProxy({ host: "127.0.0.1", port }, () => ({
    fault: pick(faults),
    afterMs: 50 + random() * 1_500,
  }));
  undo.push(network.close);

  const counts = new Map<string, number>();
  const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);
  let isOver = false;
  let refuses = false;
  const work = async (): Promise<void> => {
    while (!isOver) {
      const client = new pg.Client({
        host: "127.0.0.1",
        port: network.port,
        user: "soak",
        password: token,
        database: "postgres",
        ssl: random() < 0.3 ? { rejectUnauthorized: false } : false,
      });
      client.on("error", () => undefined);
      try {
        await within(5_000, client.connect());
        for (let i = 0; i < 1 + random() * 20 && !isOver; i += 1) {
          const did = await within(10_000, oneThing(client));
          count(did);
          if (did === "left in the middle") break;
        }
      } catch (error) {
        count(`error ${error instanceof pg.DatabaseError ? error.code : "network"}`);
        if (refuses) await sleep(50);
      }
      // Some say good-bye, some are just gone.
      if (random() < 0.5) client.end().catch(() => undefined);
      else destroy(client);
      await sleep(1);
    }
  };
  // What is loaded and compiled by the first work is no growth: measured after a first round of it.
  const running = Array.from({ length: clients }, work);
  const roundMs = Math.max(2_000, (minutes * 60_000) / 6);
  const footings: Footing[] = [];
  for (let elapsedMs = 0; elapsedMs < minutes * 60_000; elapsedMs += roundMs) {
    await sleep(roundMs / 2);
    // The upstream goes away, and comes back.
    refuses = true;
    upstream.cutAll();
    count("upstream cut");
    await sleep(roundMs / 2);
    refuses = false;
    if (random() < 0.5 && elapsedMs + roundMs < minutes * 60_000) {
      child.kill("SIGHUP");
      count("reload");
    }
  }
  isOver = true;
  await Promise.all(running);
  network.cutAll();
  footings.push(await settled(child, owner));
  // The same once more: what grows with work, not with the first use of something, shows between two settled states.
  isOver = false;
  const again = Array.from({ length: clients }, work);
  await sleep(roundMs);
  isOver = true;
  await Promise.all(again);
  network.cutAll();
  footings.push(await settled(child, owner));
  report(counts, footings);
  judge(footings);
}

function report(counts: ReadonlyMap<string, number>, footings: readonly Footing[]): void {
  console.log(`seed ${values.seed}, ${minutes} min, ${workers} workers, ${clients} clients`);
  for (const [what, n] of [...counts].sort()) console.log(`  ${String(n).padStart(8)}  ${what}`);
  console.log("| settled | descriptors | resident MB | sessions | backends |\n|---|---|---|---|---|");
  footings.forEach((f, i) => {
    console.log(`| ${i + 1} | ${f.descriptors} | ${f.rssMb.toFixed(0)} | ${f.sessions} | ${f.backends} |`);
  });
}

/** @throws when a session, a descriptor or more than a tenth of the memory is left behind */
function judge(footings: readonly Footing[]): void {
  const [first, last] = [footings[0], footings.at(-1)];
  if (first === undefined || last === undefined) throw new Error("nothing was measured");
  const left: string[] = [];
  for (const f of [first, last]) if (f.sessions > 0) left.push(`${f.sessions} sessions at the gateway`);
  // Catalogs' connections may be away in the first count: each worker has one, and what it looks at the server through.
  if (last.descriptors > first.descriptors + workers) left.push(`${last.descriptors - first.descriptors} descriptors`);
  if (last.backends > workers) left.push(`${last.backends} sessions at the server`);
  if (minutes >= memoryMinutes && last.rssMb > first.rssMb * 1.1 + 20)
    left.push(`${(last.rssMb - first.rssMb).toFixed(0)} MB`);
  if (left.length > 0) throw new Error(`left behind: ${left.join(", ")}`);
}

type Work = "point" | "prepared" | "transaction" | "error" | "rows" | "sort" | "leave" | "refused";

async function oneThing(client: pg.Client): Promise<string> {
  const what = pick<Work>(["point", "point", "prepared", "transaction", "error", "rows", "sort", "leave", "refused"]);
  switch (what) {
    case "point":
      await client.query("select v from t where id = 1");
      return "simple query";
    case "prepared":
      await client.query({
        name: "p",
        text: "select v from t where id = $1",
        values: [1 + Math.floor(random() * 20_000)],
      });
      return "prepared";
    case "transaction":
      await client.query("begin");
      await client.query("update t set v = v where id = $1", [1 + Math.floor(random() * 20_000)]);
      await client.query(random() < 0.5 ? "commit" : "rollback");
      return "transaction";
    case "error":
      await client.query("select 1/0").catch((error: unknown) => {
        if (!(error instanceof pg.DatabaseError)) throw error;
      });
      return "error of the server";
    case "rows":
      await client.query("select * from t");
      return "20,000 rows";
    case "sort":
      await client.query("select count(*) from (select * from t order by v, id) x");
      return "sort";
    case "refused":
      await client.query("drop table t").catch((error: unknown) => {
        if (!(error instanceof pg.DatabaseError)) throw error;
      });
      return "refused by a policy";
    case "leave":
      client.query("select * from t a, t b").catch(() => undefined);
      await sleep(20);
      return "left in the middle";
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("too late")), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function destroy(client: pg.Client): void {
  const { stream } = (client as unknown as { readonly connection: { readonly stream: { destroy: () => void } } })
    .connection;
  stream.destroy();
}

/** Counts once everything has had the time to go: sessions end within seconds. */
async function settled(child: ChildProcess, owner: pg.Client): Promise<Footing> {
  let footing: Footing | undefined;
  for (let i = 0; i < 140; i += 1) {
    await sleep(250);
    const { rows } = await owner.query(
      "select count(*)::int as n from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name not like 'gatewright %'",
    );
    footing = { ...measure(child), sessions: await sessionsOf(), backends: Number(rows[0]?.n) };
    // A catalog's own connection has no name yet while it starts: one per worker at most.
    if (footing.sessions === 0 && footing.backends <= workers) break;
  }
  if (footing === undefined) throw new Error("nothing was measured");
  return footing;
}

async function sessionsOf(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text();
  return [...text.matchAll(/^gw_sessions\{.*\} (\d+)$/gm)].reduce((sum, m) => sum + Number(m[1]), 0);
}

/** The primary and its workers together. */
function measure(child: ChildProcess): { readonly descriptors: number; readonly rssMb: number } {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
  let descriptors = 0;
  let rssMb = 0;
  for (const pid of [String(child.pid), ...children.filter((c) => c !== "")]) {
    descriptors += readdirSync(`/proc/${pid}/fd`).length;
    rssMb += Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
  }
  return { descriptors, rssMb };
}

async function startGateway(
  upstreamPort: number,
  password: string,
): Promise<{ readonly child: ChildProcess; readonly port: number; readonly token: string }> {
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  undo.push(() => issuer.stop());
  mkdirSync(join(folder, "policies"));
  writeFileSync(
    join(folder, "policies", "soak.policy"),
    `package soak.test

allow everybody on sql at "soak"
deny definitions on sql ddl at "soak"
`,
  );
  writeFileSync(join(folder, "password"), password);
  writeFileSync(
    join(folder, "gw.yaml"),
    `workers: ${workers}
log: { level: error }
policies: { path: policies }
recording: { directory: recording }
admin: { listen: 127.0.0.1:0 }
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
  - name: soak
    kind: postgres
    listen: 127.0.0.1:0
    tls: { required: false }
    upstream: { host: 127.0.0.1, port: ${upstreamPort}, database: postgres, user: postgres, password: { file: password }, sslmode: disable }
`,
  );
  const child = spawn(process.execPath, ["cli/gw.js", "serve", "--config", join(folder, "gw.yaml"), "--drain", "1"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  undo.push(() => child.exitCode ?? new Promise((resolve) => child.once("exit", resolve).kill("SIGTERM")));
  const printed = await new Promise<string>((resolve, reject) => {
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
      if (/^recording /m.test(text)) resolve(text);
    });
    child.once("exit", (code) => reject(new Error(`gw serve ended with ${code}`)));
  });
  adminPort = Number(/^admin .*:(\d+)$/m.exec(printed)?.[1]);
  const port = Number(/^soak .*:(\d+)$/m.exec(printed)?.[1]);
  return { child, port, token: await issuer.issue({ sub: "soak", kind: "service", groups: [] }) };
}
