// pgbench -S: direct, gateway (policies enforced, decisions recorded), the wire alone, PgBouncer in session mode.
// Interleaved rounds, so that a machine that changes its mind changes it for all. `[seconds] [rounds] [clients…]`
// GW_BENCH_MODES=prepared,simple and GW_BENCH_TARGETS=gateway,PgBouncer narrow it down, GW_BENCH_BESIDE=FOLDER,… adds the
// gateways of other checkouts under their folders' names, GW_BENCH_PROF=FOLDER leaves a CPU profile of the gateway there.
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { startPostgres } from "../cli/demo/postgres-server.ts";
import {
  connection,
  cpuUs,
  ended,
  env,
  folder,
  gateway,
  pgbouncer,
  pgpool,
  type Target,
  undo,
  wireOnly,
} from "./pgbench-targets.ts";

const [seconds = 4, rounds = 3, ...clientCounts] = process.argv.slice(2).map(Number);
const clients = clientCounts.length > 0 ? clientCounts : [1, 32];
const modes = (process.env.GW_BENCH_MODES ?? "simple,extended,prepared").split(",");
const wanted = process.env.GW_BENCH_TARGETS?.split(",");
const beside = process.env.GW_BENCH_BESIDE?.split(",") ?? [];
const run = promisify(execFile);

type Sample = {
  readonly tps: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuUsPerTransaction: number | undefined;
  /** The part of it that the kernel spent on the process's behalf. */
  readonly kernelUsPerTransaction: number | undefined;
};

try {
  const password = "bench";
  const server = await startPostgres({ password, settings: ["shared_buffers=256MB", "max_connections=300"] });
  undo.push(server.stop);
  const direct: Target = { name: "direct", port: server.port, user: "postgres", password, process: undefined };
  await run("pgbench", ["-i", "-q", "-s", "1", ...connection(direct)], { env: env(direct) });
  const makers: Readonly<Record<string, () => Promise<Target | undefined>>> = {
    gateway: () => gateway("gateway", process.cwd(), direct),
    "2 workers": () => gateway("2 workers", process.cwd(), direct, { top: "workers: 2\n" }),
    "wire only": () => wireOnly(direct),
    PgBouncer: () => pgbouncer(direct),
    "Pgpool-II": () => pgpool(direct),
  };
  const targets = [direct];
  for (const checkout of beside) targets.push(await gateway(basename(checkout), checkout, direct));
  for (const [name, make] of Object.entries(makers)) {
    if (wanted?.includes(name) === false) continue;
    const target = await make();
    if (target === undefined) console.log(`${name} is not installed: left out\n`);
    else targets.push(target);
  }
  console.log(
    `| mode | clients | target | tps | ratio to direct | p50 µs | p99 µs | added p50 µs | proxy CPU µs / transaction | of it kernel |`,
  );
  console.log("|---|---|---|---|---|---|---|---|---|---|");
  for (const mode of modes) {
    for (const count of clients) {
      const samples = new Map<string, Sample[]>();
      for (let round = 0; round < rounds; round++) {
        for (const target of targets) {
          samples.set(target.name, [...(samples.get(target.name) ?? []), await measure(target, mode, count)]);
        }
      }
      report(mode, count, samples);
    }
  }
} finally {
  await ended();
}
process.exit(0);

function report(mode: string, count: number, samples: ReadonlyMap<string, readonly Sample[]>): void {
  const middle = (name: string, of: (sample: Sample) => number): number => {
    const values = (samples.get(name) ?? []).map(of).sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)] ?? Number.NaN;
  };
  for (const name of samples.keys()) {
    const tps = middle(name, (s) => s.tps);
    const p50 = middle(name, (s) => s.p50);
    const cpu = middle(name, (s) => s.cpuUsPerTransaction ?? Number.NaN);
    const kernel = middle(name, (s) => s.kernelUsPerTransaction ?? Number.NaN);
    const cells = [
      ...[mode, count, name, tps.toFixed(0), (tps / middle("direct", (s) => s.tps)).toFixed(2), p50.toFixed(0)],
      ...[middle(name, (s) => s.p99).toFixed(0), (p50 - middle("direct", (s) => s.p50)).toFixed(0)],
      ...(Number.isNaN(cpu) ? ["", ""] : [cpu.toFixed(1), kernel.toFixed(1)]),
    ];
    console.log(`| ${cells.join(" | ")} |`);
  }
}

async function measure(target: Target, mode: string, count: number): Promise<Sample> {
  const logs = join(folder, "logs");
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs);
  const before = cpuUs(target.process);
  const args = [
    "-S",
    "-n",
    "-M",
    mode,
    "-c",
    String(count),
    "-j",
    "1",
    "-T",
    String(seconds),
    "-l",
    "--log-prefix",
    join(logs, "l"),
  ];
  const { stdout } = await run("pgbench", [...args, ...connection(target)], { env: env(target), cwd: logs });
  const after = cpuUs(target.process);
  const tps = Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
  const transactions = Number(/actually processed: (\d+)/.exec(stdout)?.[1]);
  const latencies = readdirSync(logs)
    .flatMap((file) => readFileSync(join(logs, file), "utf8").trimEnd().split("\n"))
    .map((line) => Number(line.split(" ")[2]))
    .sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return {
    tps,
    p50: at(0.5),
    p99: at(0.99),
    cpuUsPerTransaction:
      target.process === undefined
        ? undefined
        : (after.user + after.kernel - before.user - before.kernel) / transactions,
    kernelUsPerTransaction: target.process === undefined ? undefined : (after.kernel - before.kernel) / transactions,
  };
}
