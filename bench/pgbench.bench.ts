// pgbench -S: direct, gateway (policies enforced, decisions recorded), the wire alone, PgBouncer in session mode.
// Interleaved rounds, so that a machine that changes its mind changes it for all. `[seconds] [rounds] [clients…]`
// GW_BENCH_MODES=prepared,simple and GW_BENCH_TARGETS=gateway,PgBouncer narrow it down, GW_BENCH_BESIDE=FOLDER,… adds the
// gateways of other checkouts under their folders' names, GW_BENCH_PROF=FOLDER leaves a CPU profile of the gateway there.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { freePort, startPostgres } from "../cli/demo/postgres-server.ts";
import { startTokenIssuer } from "../cli/demo/token-issuer.ts";

const [seconds = 4, rounds = 3, ...clientCounts] = process.argv.slice(2).map(Number);
const clients = clientCounts.length > 0 ? clientCounts : [1, 32];
const modes = (process.env.GW_BENCH_MODES ?? "simple,extended,prepared").split(",");
const wanted = process.env.GW_BENCH_TARGETS?.split(",");
const beside = process.env.GW_BENCH_BESIDE?.split(",") ?? [];
const run = promisify(execFile);

type Target = {
  readonly name: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly process: ChildProcess | undefined;
};
type Sample = {
  readonly tps: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpuUsPerTransaction: number | undefined;
  /** The part of it that the kernel spent on the process's behalf. */
  readonly kernelUsPerTransaction: number | undefined;
};

const folder = mkdtempSync(join(tmpdir(), "gw-bench-"));
const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
const ended = async (): Promise<void> => {
  for (const step of undo.toReversed()) await step();
};
process.once("SIGINT", () => void ended().then(() => process.exit(130)));

try {
  const password = "bench";
  const server = await startPostgres({ password, settings: ["shared_buffers=256MB"] });
  undo.push(server.stop);
  const direct: Target = { name: "direct", port: server.port, user: "postgres", password, process: undefined };
  await run("pgbench", ["-i", "-q", "-s", "1", ...connection(direct)], { env: env(direct) });
  const makers: Readonly<Record<string, () => Promise<Target>>> = {
    gateway: () => gateway("gateway", process.cwd(), direct),
    "wire only": () => wireOnly(direct),
    PgBouncer: () => pgbouncer(direct),
  };
  const targets = [direct];
  for (const checkout of beside) targets.push(await gateway(basename(checkout), checkout, direct));
  for (const [name, make] of Object.entries(makers)) if (wanted?.includes(name) ?? true) targets.push(await make());
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

/** Time of a process, µs, from /proc: 10 ms ticks. */
function cpuUs(child: ChildProcess | undefined): { readonly user: number; readonly kernel: number } {
  if (child?.pid === undefined) return { user: 0, kernel: 0 };
  const fields = readFileSync(`/proc/${child.pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return { user: Number(fields[11]) * 10_000, kernel: Number(fields[12]) * 10_000 };
}

function connection(target: Target): readonly string[] {
  return ["-h", "127.0.0.1", "-p", String(target.port), "-U", target.user, "postgres"];
}

function env(target: Target): Record<string, string> {
  return { PATH: process.env.PATH ?? "", PGPASSWORD: target.password, PGSSLMODE: "disable" };
}

/** Waits for a line on standard output. */
function spoken(child: ChildProcess, what: RegExp): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = "";
    const hear = (chunk: Buffer) => {
      text += chunk.toString("utf8");
      const match = what.exec(text);
      if (match) resolve(match);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("exit", () => reject(new Error(text)));
  });
}

async function gateway(name: string, checkout: string, direct: Target): Promise<Target> {
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  undo.push(issuer.stop);
  const own = join(folder, name);
  mkdirSync(join(own, "policies"), { recursive: true });
  writeFileSync(join(own, "policies", "bench.policy"), "package bench\n\nallow everybody on sql read, tcl, session\n");
  writeFileSync(join(own, "password"), direct.password);
  const config = join(own, "gw.yaml");
  const issuerLine = `{ issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }`;
  writeFileSync(
    config,
    `policies: { path: policies }
recording: { directory: recording }
identity:
  issuers:
    - ${issuerLine}
connections:
  - name: bench
    kind: postgres
    listen: 127.0.0.1:0
    tls: { required: false }
    upstream: { host: 127.0.0.1, port: ${direct.port}, database: postgres, user: postgres, password: { file: password }, sslmode: disable }
`,
  );
  const profile =
    process.env.GW_BENCH_PROF === undefined || name !== "gateway"
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${process.env.GW_BENCH_PROF}`];
  const child = spawn(process.execPath, [...profile, join(checkout, "cli/gw.js"), "serve", "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  undo.push(() => stopped(child));
  const [, port] = await spoken(child, /^bench .*:(\d+)$/m);
  const token = await issuer.issue({ sub: "bench", kind: "service", groups: [] });
  return { name, port: Number(port), user: "bench", password: token, process: child };
}

async function wireOnly(direct: Target): Promise<Target> {
  const server = {
    host: "127.0.0.1",
    port: direct.port,
    user: direct.user,
    password: direct.password,
    database: "postgres",
  };
  const child = spawn(process.execPath, ["bench/wire-only.ts"], {
    env: { ...process.env, GW_BENCH_SERVER: JSON.stringify(server) },
    stdio: ["ignore", "pipe", "pipe"],
  });
  undo.push(() => stopped(child));
  const [, port] = await spoken(child, /listening (\d+)/);
  return { name: "wire only", port: Number(port), user: "bench", password: "a-token", process: child };
}

async function pgbouncer(direct: Target): Promise<Target> {
  const port = await freePort();
  const own = join(folder, "pgbouncer");
  mkdirSync(own);
  const md5 = `md5${createHash("md5").update(`${direct.password}postgres`).digest("hex")}`;
  writeFileSync(join(own, "users.txt"), `"postgres" "${md5}"\n`);
  writeFileSync(
    join(own, "pgbouncer.ini"),
    `[databases]
postgres = host=127.0.0.1 port=${direct.port} user=postgres password=${direct.password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = md5
auth_file = ${own}/users.txt
pool_mode = session
default_pool_size = 100
max_client_conn = 500
ignore_startup_parameters = extra_float_digits
`,
  );
  for (const path of [folder, own, join(own, "users.txt"), join(own, "pgbouncer.ini")]) chownSync(path, 65534, 65534);
  const child = spawn("pgbouncer", [join(own, "pgbouncer.ini")], {
    uid: 65534,
    gid: 65534,
    stdio: ["ignore", "pipe", "pipe"],
  });
  undo.push(() => stopped(child));
  await spoken(child, /process up/);
  return { name: "PgBouncer", port, user: "postgres", password: direct.password, process: child };
}

function stopped(child: ChildProcess): Promise<unknown> {
  if (child.exitCode !== null) return Promise.resolve();
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  setTimeout(() => child.kill("SIGKILL"), 3_000).unref();
  return gone;
}
