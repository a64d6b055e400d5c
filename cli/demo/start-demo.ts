// company + issuer + gateway on loopback, all of it in one temporary folder that goes away with it
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Log } from "../../proxy/deps.ts";
import type { Gateway } from "../compose.ts";
import { createCompany } from "./company.ts";
import { type Role, tokenOf } from "./people.ts";
import { startPostgres } from "./postgres-server.ts";
import { refuseBesideOthers, startTokenIssuer } from "./token-issuer.ts";
import { watchFor } from "./undertaker.ts";

export const demoConnection = "larch-db";

export type Demo = {
  readonly gateway: Gateway;
  readonly host: string;
  readonly port: number;
  readonly adminUrl: string;
  readonly directory: string;
  readonly configPath: string;
  readonly recordingDirectory: string;
  readonly policiesDirectory: string;
  readonly tokens: Readonly<Record<Role, { readonly token: string; readonly path: string }>>;
  /** From the call to the moment when a client may connect. */
  readonly startMs: number;
  /** Stops all of it and removes the folder. Idempotent. */
  readonly stop: () => Promise<void>;
};

export type DemoOptions = {
  /** Wanted ports; taken ones are replaced by free ones. */
  readonly port: number;
  readonly adminPort: number;
  readonly log?: Log;
};

/** The folder that the sample bundle lies in: edits there are live in a running demo. */
const policies = fileURLToPath(new URL("../../policies", import.meta.url));

/** @throws when a part can't start; what was started before is stopped again. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const startedAt = performance.now();
  const directory = mkdtempSync(join(tmpdir(), "gw-demo-"));
  const undertaker = watchFor(directory); // Ctrl-C while things start ends the process as it stands
  const undo: (() => Promise<void> | void)[] = [
    () => undertaker.dismiss(),
    () => rmSync(directory, { recursive: true, force: true }),
  ];
  let stopping: Promise<void> | undefined;
  const stop = () => {
    stopping ??= (async () => {
      for (const step of undo.reverse()) await step();
    })();
    return stopping;
  };
  try {
    const secret = () => randomBytes(18).toString("base64url");
    const gatewayPassword = secret();
    // Loading the gateway's modules and making the cluster both take a while: side by side.
    const modules = Promise.all([import("../compose.ts"), import("../../proxy/config.ts")]);
    modules.catch(() => undefined);
    const issuer = await startTokenIssuer({ audience: "gatewright-demo" });
    undo.push(issuer.stop);
    const server = await startPostgres({ password: secret() });
    undo.push(server.stop);
    const company = await createCompany(server, gatewayPassword);
    const tokens = await writeTokens(issuer, directory);
    const recordingDirectory = join(directory, "recording");
    mkdirSync(recordingDirectory, { mode: 0o700 });
    const configPath = join(directory, "gw.yaml");
    writeFileSync(join(directory, "upstream.password"), gatewayPassword, { mode: 0o600 });
    writeFileSync(join(directory, "mask.key"), randomBytes(32).toString("hex"), { mode: 0o600 });
    writeFileSync(
      configPath,
      demoConfig({
        port: await freeOr(options.port),
        adminPort: await freeOr(options.adminPort),
        issuer: issuer.issuer,
        audience: issuer.audience,
        jwksUrl: issuer.jwksUrl,
        upstreamPort: server.port,
        database: company.database,
        user: company.user,
      }),
    );
    const [{ startGateway }, { readConfig }] = await modules;
    const config = await readConfig(configPath, {});
    refuseBesideOthers(config, issuer.issuer);
    const gateway = await startGateway(config, options.log === undefined ? {} : { log: options.log });
    undo.push(() => gateway.stop(0));
    const connection = gateway.connections.find((c) => c.name === demoConnection);
    if (!connection || !gateway.admin) throw new Error("the demo's gateway did not open its ports");
    return {
      gateway,
      host: connection.host,
      port: connection.port,
      adminUrl: `http://${gateway.admin.host}:${gateway.admin.port}`,
      directory,
      configPath,
      recordingDirectory,
      policiesDirectory: policies,
      tokens,
      startMs: performance.now() - startedAt,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeTokens(issuer: Parameters<typeof tokenOf>[0], directory: string): Promise<Demo["tokens"]> {
  const write = async (role: Role) => {
    const token = await tokenOf(issuer, role);
    const path = join(directory, `${role === "onCall" ? "on-call" : role}.token`);
    writeFileSync(path, token, { mode: 0o600 });
    return { token, path };
  };
  return { agent: await write("agent"), onCall: await write("onCall"), approver: await write("approver") };
}

type ConfigValues = {
  readonly port: number;
  readonly adminPort: number;
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
  readonly upstreamPort: number;
  readonly database: string;
  readonly user: string;
};

const demoConfig = (
  v: ConfigValues,
): string => `# Written by \`gw demo\`: a complete configuration to look at and to start from.
node: demo
log: { level: warn }
policies:
  path: ${JSON.stringify(policies)}
recording:
  directory: recording
admin:
  listen: 127.0.0.1:${v.adminPort}
identity:
  issuers:
    - issuer: ${v.issuer}
      audience: ${v.audience}
      jwks_url: ${v.jwksUrl}
      algorithms: [EdDSA]
connections:
  - name: ${demoConnection}
    kind: postgres
    listen: 127.0.0.1:${v.port}
    env: demo
    tls: { required: false }
    mask_key: { file: mask.key }
    upstream:
      host: 127.0.0.1
      port: ${v.upstreamPort}
      database: ${v.database}
      user: ${v.user}
      password: { file: upstream.password }
      sslmode: disable
`;

/** `wanted` if nobody listens there, else 0: the system picks one. */
function freeOr(wanted: number): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(0));
    probe.listen(wanted, "127.0.0.1", () => probe.close(() => resolve(wanted)));
  });
}
