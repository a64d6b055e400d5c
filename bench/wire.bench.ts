// Bulk results, new connections, large values: direct, through the gateway, through PgBouncer. Targets take turns within each
// round, the best of each is shown. `[rounds] [rows]`; GW_BENCH_ROWS=bulk,masked,churn,large narrows it down.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import pg from "pg";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import { connection, cpuUs, ended, env, gateway, pgbouncer, type Target, undo } from "./pgbench-targets.ts";

const [rounds = 3, count = 1_000_000] = process.argv.slice(2).map(Number);
const wanted = process.env.GW_BENCH_ROWS?.split(",");
const isWanted = (row: string): boolean => wanted?.includes(row) ?? true;

const password = "bench";
const server = await startPostgres({ password, settings: ["shared_buffers=256MB", "max_wal_size=4GB"] });
undo.push(server.stop);
const direct: Target = { name: "direct", port: server.port, user: "postgres", password, process: undefined };

/** `GW_BENCH_` settings aside, what one statement costs by the clock, its output thrown away. ms */
function psql(target: Target, text: string): Promise<number> {
  const startedAt = performance.now();
  const child = spawn("psql", ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", ...connection(target), "-c", text], {
    env: { ...env(target), LC_ALL: "C.UTF-8" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  return new Promise((resolve, reject) => {
    child.once("exit", (code) => (code === 0 ? resolve(performance.now() - startedAt) : reject(new Error(text))));
  });
}

const peakMb = ({ process: child }: Target): number =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child?.pid}/status`, "utf8"))?.[1]) / 1_024;

type Case = { readonly what: string; readonly runs: readonly (readonly [Target, string])[] };

async function report({ what, runs }: Case): Promise<void> {
  const best = runs.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round += 1) {
    for (const [i, [target, text]] of runs.entries()) {
      best[i] = Math.min(best[i] ?? Number.POSITIVE_INFINITY, await psql(target, text));
    }
  }
  for (const [i, [{ name }]] of runs.entries()) {
    const ms = best[i] ?? Number.NaN;
    console.log(`| ${what} | ${name} | ${ms.toFixed(0)} | ${((best[0] ?? Number.NaN) / ms).toFixed(2)} |`);
  }
}

/** A new connection and one query, in turn: ms at the median. */
async function churn({ port, user, password }: Target): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 200; i += 1) {
    const startedAt = performance.now();
    const client = new pg.Client({ host: "127.0.0.1", port, user, password, database: "postgres" });
    await client.connect();
    await client.query("select 1");
    times.push(performance.now() - startedAt);
    await client.end();
  }
  return times.sort((a, b) => a - b)[times.length / 2] ?? Number.NaN;
}

try {
  await psql(
    direct,
    `create table big as select g id, g % 97 tenant, md5(g::text) name, 'note ' || g note, g * 3 amount from generate_series(1, ${count}) g`,
  );
  await psql(direct, "vacuum analyze big");
  const open = await gateway("gateway", process.cwd(), direct);
  const bouncer = await pgbouncer(direct);
  const everywhere = (text: string): Case["runs"] => [direct, open, bouncer].map((target) => [target, text] as const);
  console.log(`| ${count} rows | target | ms | ratio to direct |\n|---|---|---|---|`);
  if (isWanted("bulk")) {
    await report({ what: "select", runs: everywhere("select * from big") });
    await report({ what: "copy out", runs: everywhere("copy big to stdout") });
    await report({ what: "copy out, binary", runs: everywhere("copy big to stdout (format binary)") });
  }
  if (isWanted("masked")) {
    const masked = await gateway("gateway, masked and filtered", process.cwd(), direct, {
      policy: `package bench
allow everybody on sql read, tcl, session
mask names of public.big.name using nullify
mask notes of public.big.note using partial(first: 4)
filter tenants of public.big where row.tenant < 90
`,
    });
    const byHand = `select id, tenant, null::text as name, case when note is not null then case when length(note) > 4 then left(note, 4) || '***' else '***' end end as note, amount from big where tenant < 90`;
    await report({
      what: "two masks and a filter",
      runs: [
        [direct, byHand],
        [masked, "select * from big"],
      ],
    });
  }
  if (isWanted("churn")) {
    const pooled = await gateway("gateway, pooled", process.cwd(), direct, {
      connection: "    sessions: { pool: { sessions: 20 } }\n",
    });
    console.log("\n| new connection and one query | ms, p50 | proxy CPU ms each |\n|---|---|---|");
    for (const target of [direct, open, pooled, bouncer]) {
      await churn(target);
      const before = cpuUs(target.process);
      const ms = await churn(target);
      const after = cpuUs(target.process);
      const cpuMs = (after.user + after.kernel - before.user - before.kernel) / 200_000;
      console.log(`| ${target.name} | ${ms.toFixed(1)} | ${target.process ? cpuMs.toFixed(1) : ""} |`);
    }
  }
  if (isWanted("large")) {
    await psql(direct, "create table wide as select repeat('x', 1000) w from generate_series(1, 1048576)");
    console.log("\n| large | direct ms | gateway ms | its peak memory, MB |\n|---|---|---|---|");
    for (const [what, text] of [
      ["1 GB, select", "select w from wide"],
      ["1 GB, copy out", "copy wide to stdout"],
      ["one value of 256 MB", "select repeat('x', 268435000)"],
    ] as const) {
      const near = await psql(direct, text);
      // Compiling the SQL parser takes several hundred MB for a moment, whatever is read: the peak counts from here.
      for (let i = 0; i < 20; i += 1) await psql(open, `select ${i}, repeat('x', 1000) from generate_series(1, 20000)`);
      writeFileSync(`/proc/${open.process?.pid}/clear_refs`, "5");
      const through = await psql(open, text);
      console.log(`| ${what} | ${near.toFixed(0)} | ${through.toFixed(0)} | ${peakMb(open).toFixed(0)} |`);
    }
  }
} finally {
  await ended();
}
process.exit(0);
