// issuer + PostgreSQL + gateway, as `gw serve` would run them: for end-to-end tests
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after } from "node:test";
import pg from "pg";
import { type Gateway, startGateway } from "../../cli/compose.ts";
import { startTokenIssuer, type TokenIssuer } from "../../cli/demo/token-issuer.ts";
import { readConfig } from "../../proxy/config.ts";
import type { Log } from "../../proxy/deps.ts";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import type { Disk } from "../../proxy/recording/file-sink.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { type TestServer, testDatabase } from "./postgres.ts";
import { temporaryFolder } from "./temporary-folder.ts";

export type PreparedGateway = Omit<TestGateway, "gateway" | "port" | "adminUrl" | "connect" | "psql">;

export type TestGateway = {
  readonly gateway: Gateway;
  readonly issuer: TokenIssuer;
  readonly folder: string;
  readonly recording: string;
  readonly configPath: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly database: TestServer & { readonly database: string };
  /** Logs in with a token of these claims. Ended after the test file at the latest. */
  readonly connect: (claims: Claims) => Promise<pg.Client>;
  readonly psql: (claims: Claims, args: readonly string[]) => Promise<PsqlOutcome>;
  readonly writePolicy: (text: string) => void;
  readonly events: () => Promise<readonly RecordedEvent[]>;
};

export type Claims = Readonly<Record<string, unknown>> & { readonly sub: string };
export type PsqlOutcome = { readonly code: number; readonly out: string; readonly err: string };

export type TestGatewayOptions = {
  readonly schema: string;
  /** Another server than the run's own. */
  readonly server?: TestServer;
  /** Role that the gateway uses upstream; default: the server's superuser. */
  readonly role?: { readonly user: string; readonly password: string };
  readonly policy: string;
  /** Lines for gw.yaml, after the test's own issuer. */
  readonly issuers?: string;
  /** What gw.yaml's `env:` secrets find. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What `admin` has, as in gw.yaml, indented by two. */
  readonly admin?: string;
  /** Where the upstream's password comes from, as in gw.yaml; default: the role's, from a file. */
  readonly password?: string;
  /** Lines for gw.yaml: at the top, and in the connection. */
  readonly config?: string;
  readonly connection?: string;
  /** The connection's `tls`. */
  readonly tls?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly log?: Log;
  /** Under the recording. */
  readonly disk?: Disk;
  /** Runs before anything starts, with the test's folder. */
  readonly prepare?: (folder: string) => void;
  /** Keys of `recording` besides its directory. */
  readonly recordingKeys?: string;
};

/** Database, issuer, policies and gw.yaml, without a gateway: for tests that start `gw` as a process. */
export async function prepareGateway(options: TestGatewayOptions): Promise<PreparedGateway> {
  const folder = temporaryFolder();
  options.prepare?.(folder);
  const database = await testDatabase(options.schema, options.server);
  const issuer = await startTokenIssuer({ audience: "gatewright" });
  after(() => issuer.stop());
  const policies = join(folder, "policies");
  mkdirSync(policies);
  const writePolicy = (text: string): void => writeFileSync(join(policies, "test.policy"), text);
  writePolicy(options.policy);
  for (const [name, text] of Object.entries(options.files ?? {})) writeFileSync(join(policies, name), text);
  const role = options.role ?? database;
  writeFileSync(join(folder, "password"), role.password);
  const configPath = join(folder, "gw.yaml");
  writeFileSync(
    configPath,
    `
policies: { path: policies }
recording: { directory: recording${options.recordingKeys === undefined ? "" : `, ${options.recordingKeys}`} }
admin:
  ${options.admin ?? "listen: 127.0.0.1:0"}
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
${options.issuers ?? ""}
${options.config ?? ""}
connections:
  - name: test-pg
    kind: postgres
    listen: 127.0.0.1:0
    tls: ${options.tls ?? "{ required: false }"}
    upstream:
      host: ${database.host}
      port: ${database.port}
      database: ${database.database}
      user: ${role.user}
      password: ${options.password ?? "{ file: password }"}
      sslmode: disable
${options.connection ?? ""}
`,
  );
  const recording = join(folder, "recording");
  return {
    issuer,
    folder,
    recording,
    configPath,
    database,
    writePolicy,
    events: async () => {
      const events: RecordedEvent[] = [];
      for await (const event of readAllEvents(recording)) events.push(event);
      return events;
    },
  };
}

/** Logs in at `port` with a token of these claims. */
export async function connectTo(prepared: PreparedGateway, port: number, claims: Claims): Promise<pg.Client> {
  const client = new pg.Client({
    host: "127.0.0.1",
    port,
    user: claims.sub,
    database: prepared.database.database,
    password: await prepared.issuer.issue(claims),
    ssl: { rejectUnauthorized: false },
  });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/** The connection is called `test-pg`. Everything is stopped after the test file. */
export async function startTestGateway(options: TestGatewayOptions): Promise<TestGateway> {
  const prepared = await prepareGateway(options);
  const config = await readConfig(prepared.configPath, options.environment ?? {});
  const gateway = await startGateway(config, {
    ...(options.log === undefined ? {} : { log: options.log }),
    ...(options.disk === undefined ? {} : { disk: options.disk }),
  });
  after(() => gateway.stop(0));
  const port = gateway.connections[0]?.port ?? 0;
  return {
    ...prepared,
    gateway,
    port,
    adminUrl: `http://127.0.0.1:${gateway.admin?.port}`,
    connect: async (claims) => {
      const client = await connectTo(prepared, port, claims);
      after(() => client.end().catch(() => undefined));
      return client;
    },
    psql: async (claims, args) =>
      run("psql", ["-X", "-A", "-t", ...args], {
        PGHOST: "127.0.0.1",
        PGPORT: String(port),
        PGUSER: claims.sub,
        PGDATABASE: prepared.database.database,
        PGPASSWORD: await prepared.issuer.issue(claims),
        PGSSLMODE: "require",
      }),
  };
}

export type GatewayProcess = {
  readonly child: ChildProcess;
  readonly ports: Readonly<Record<string, number>>;
  readonly printed: string;
  /** The newest of what it has logged. */
  readonly logged: () => string;
};

/** Where the runner keeps compiled modules. */
const { NODE_COMPILE_CACHE } = process.env;
const compiled: Readonly<Record<string, string>> = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** `gw serve` as a process, once it has said where it listens. Killed after the test file at the latest. */
export function spawnGateway(configPath: string): Promise<GatewayProcess> {
  const child = spawn(process.execPath, ["cli/gw.js", "serve", "--config", configPath], {
    env: { PATH: process.env.PATH ?? "", ...compiled },
    stdio: ["ignore", "pipe", "pipe"],
  });
  after(() => child.kill("SIGKILL"));
  return new Promise((resolve, reject) => {
    let printed = "";
    let errors = "";
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString("utf8");
      if (!/^recording /m.test(printed)) return;
      const ports = [...printed.matchAll(/^(\S+) .*[:](\d+)$/gm)].map(([, name, port]) => [name, Number(port)]);
      resolve({ child, ports: Object.fromEntries(ports), printed, logged: () => errors });
    });
    child.stderr.on("data", (chunk: Buffer) => {
      errors = (errors + chunk.toString("utf8")).slice(-64_000);
    });
    child.once("exit", (code) => reject(new Error(`gw serve ended with ${code}: ${errors}`)));
  });
}

/** Whether this machine has a program: a fresh one has Node and npm only, and tests of other programs are skipped there. */
export const hasProgram = (name: string): boolean => spawnSync(name, ["--version"]).status === 0;

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<PsqlOutcome> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? "", HOME: "/nonexistent", ...compiled, ...environment };
    execFile(program, [...args], { env, timeout: 180_000, maxBuffer: 64 * 1_048_576 }, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : 1;
      resolve({ code, out, err });
    });
  });
}

/** What the client was told, whole. */
export type Refused = {
  readonly severity: string | undefined;
  readonly code: string | undefined;
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
};

/** Runs `sql` and gives the server's error. */
export async function refusalOf(client: pg.Client, sql: string, values: readonly unknown[] = []): Promise<Refused> {
  try {
    await client.query(sql, [...values]);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const { severity, code, message, detail, hint } = error;
    return {
      severity,
      code,
      message,
      detail: detail?.replace(/dec_\w+/, "dec_…").replace(/apr_\w+/, "apr_…"),
      hint: hint?.replace(/dec_\w+/, "dec_…").replace(/apr_\w+/g, "apr_…"),
    };
  }
  throw new Error(`this was let through: ${sql}`);
}
