// What a bench is run against: the gateway, the wire alone, PgBouncer and Pgpool-II before one PostgreSQL.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../cli/demo/postgres-server.ts";
import { startTokenIssuer } from "../cli/demo/token-issuer.ts";

export type Target = {
  readonly name: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly process: ChildProcess | undefined;
};

/** A folder of the run's own, and how everything that it started ends. */
export const folder = mkdtempSync(join(tmpdir(), "gw-bench-"));
export const undo: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
export const ended = async (): Promise<void> => {
  for (const step of undo.splice(0).toReversed()) await step();
};
process.once("SIGINT", () => void ended().then(() => process.exit(130)));

/** Time of a process and of those that it started, µs, from /proc: 10 ms ticks. */
export function cpuUs(child: ChildProcess | undefined): { readonly user: number; readonly kernel: number } {
  return child?.pid === undefined ? { user: 0, kernel: 0 } : cpuOf(String(child.pid));
}

function cpuOf(pid: string): { readonly user: number; readonly kernel: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  let [user, kernel] = [Number(fields[11]) * 10_000, Number(fields[12]) * 10_000];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  for (const part of children === "" ? [] : children.split(" ").map(cpuOf)) {
    user += part.user;
    kernel += part.kernel;
  }
  return { user, kernel };
}

export function connection(target: Target): readonly string[] {
  return ["-h", "127.0.0.1", "-p", String(target.port), "-U", target.user, "postgres"];
}

export function env(target: Target): Record<string, string> {
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

export type GatewayChoice = {
  readonly policy?: string;
  /** Lines under the connection, indented by four. */
  readonly connection?: string;
  /** Lines at the top of gw.yaml. */
  readonly top?: string;
};

export async function gateway(
  name: string,
  checkout: string,
  direct: Target,
  choice: GatewayChoice = {},
): Promise<Target> {
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  undo.push(issuer.stop);
  const own = join(folder, name);
  mkdirSync(join(own, "policies"), { recursive: true });
  writeFileSync(
    join(own, "policies", "bench.policy"),
    choice.policy ?? "package bench\n\nallow everybody on sql read, tcl, session\n",
  );
  writeFileSync(join(own, "password"), direct.password);
  const config = join(own, "gw.yaml");
  const issuerLine = `{ issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }`;
  writeFileSync(
    config,
    `${choice.top ?? ""}policies: { path: policies }
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
${choice.connection ?? ""}`,
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

export async function wireOnly(direct: Target): Promise<Target> {
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

export async function pgbouncer(direct: Target): Promise<Target> {
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

/** Undefined where it isn't installed. `PGPOOL` names the binary. */
export async function pgpool(direct: Target): Promise<Target | undefined> {
  const binary = process.env.PGPOOL ?? "pgpool";
  try {
    execFileSync(binary, ["--version"], { stdio: "ignore" });
  } catch {
    return undefined;
  }
  const [port, control] = [await freePort(), await freePort()];
  const own = join(folder, "pgpool");
  mkdirSync(own);
  writeFileSync(
    join(own, "pgpool.conf"),
    `backend_clustering_mode = 'raw'
listen_addresses = '127.0.0.1'
port = ${port}
pcp_port = ${control}
socket_dir = '${own}'
pcp_socket_dir = '${own}'
wd_ipc_socket_dir = '${own}'
pid_file_name = '${own}/pgpool.pid'
logdir = '${own}'
work_dir = '${own}'
backend_hostname0 = '127.0.0.1'
backend_port0 = ${direct.port}
num_init_children = 40
max_pool = 1
enable_pool_hba = off
allow_clear_text_frontend_auth = on
pool_passwd = '${own}/pool_passwd'
sr_check_period = 0
health_check_period = 0
load_balance_mode = off
`,
  );
  writeFileSync(join(own, "pool_passwd"), `${direct.user}:TEXT${direct.password}\n`);
  writeFileSync(join(own, "pcp.conf"), "");
  for (const path of [folder, own, join(own, "pgpool.conf"), join(own, "pool_passwd"), join(own, "pcp.conf")]) {
    chownSync(path, 65534, 65534);
  }
  const child = spawn(binary, ["-n", "-f", join(own, "pgpool.conf"), "-F", join(own, "pcp.conf")], {
    uid: 65534,
    gid: 65534,
    stdio: ["ignore", "pipe", "pipe"],
  });
  undo.push(() => stopped(child));
  await spoken(child, /successfully started/);
  return { name: "Pgpool-II", port, user: direct.user, password: direct.password, process: child };
}
