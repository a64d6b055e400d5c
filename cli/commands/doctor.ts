// gw doctor: what stands in the way of a gateway, or leads around it
import { X509Certificate } from "node:crypto";
import { closeSync, existsSync, fsyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { limits } from "../../engine/limits.ts";
import { readConfig } from "../../proxy/config.ts";
import { causeCode } from "../../proxy/errors.ts";
import type { Address, GatewayConfig, IssuerConfig, PostgresConnectionConfig } from "../../proxy/gateway-config.ts";
import { connectCatalog } from "../../proxy/postgres/catalog-connection.ts";
import { verifyChains } from "../../proxy/recording/chains.ts";
import { databaseCertificates, expiryCheck, trafficCertificate } from "../doctor-certificates.ts";
import { bypassCheck, type Check, isLoopback, skewCheck, trafficChecks } from "../doctor-http.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import type { CommandContext } from "../main.ts";

export function register(program: Command, { terminal, exit }: CommandContext): void {
  program
    .command("doctor")
    .description("check configuration, upstreams, clocks, disk, certificates, recording and ways around the gateway")
    .requiredOption("-c, --config <file>", "the configuration", "gw.yaml")
    .option("--strict", "warnings end with 1, too")
    .option("--json", "as JSON")
    .option(
      "--bypass <host:port...>",
      "on a client's machine: addresses that only the gateway should reach; nothing else is checked",
      address,
      [],
    )
    .action(async (options: Options) => {
      const checks =
        options.bypass.length > 0 ? await Promise.all(options.bypass.map(bypassCheck)) : await allChecks(options);
      if (options.json) terminal.out(`${JSON.stringify(checks)}\n`);
      else for (const { what, state, says } of checks) terminal.out(`${state.padEnd(4)}  ${what}: ${says}\n`);
      exit(codeOf(checks, options.strict === true));
    });
}

type Options = {
  readonly config: string;
  readonly strict?: boolean;
  readonly json?: boolean;
  readonly bypass: readonly Address[];
};

const codeOf = (checks: readonly Check[], isStrict: boolean): ExitCode =>
  checks.some(({ state }) => state === "fail" || (isStrict && state === "warn")) ? exitCodes.failed : exitCodes.ok;

function address(text: string, known: readonly Address[]): readonly Address[] {
  const [, host, port] =
    /^(?:\[([0-9A-Fa-f:.]+)\]|([^:/[\]\s]+)):(\d{1,5})$/.exec(text)?.filter((part) => part !== undefined) ?? [];
  if (host === undefined || Number(port) > 65_535) throw new InvalidArgumentError("write it like db.internal:5432.");
  return [...known, { host, port: Number(port) }];
}

async function allChecks({ config: path }: Options): Promise<readonly Check[]> {
  const config = await readConfig(path, process.env);
  const checks = await Promise.all([
    [{ what: "configuration", state: "ok", says: "it can be read" } as const],
    adminChecks(config),
    ...config.connections.map(upstreamChecks),
    ...config.connections.map((connection) => certificateChecks(connection)),
    ...config.http.map(trafficChecks),
    ...config.connections.map(({ name, upstream }) => databaseCertificates(name, upstream)),
    ...config.http.map(({ name, upstream }) => trafficCertificate(name, upstream)),
    ...config.identity.issuers.map(issuerChecks),
    diskChecks(config.recording.directory),
    recordingChecks(config.recording.directory),
  ]);
  return checks.flat();
}

async function adminChecks({ admin }: GatewayConfig): Promise<readonly Check[]> {
  if (admin === undefined) return [];
  const what = "admin interface";
  return isLoopback(admin.listen.host)
    ? [{ what, state: "ok", says: "only this machine reaches it" }]
    : [{ what, state: "warn", says: "tokens travel to it in clear unless TLS is put before it" }];
}

const roleQuery = `SELECT r.rolsuper::text, r.rolbypassrls::text, extract(epoch FROM clock_timestamp())::text,
  (SELECT count(*) FROM pg_catalog.pg_roles o WHERE o.rolcanlogin AND o.rolname <> current_user)::text,
  (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f'))::text
  FROM pg_catalog.pg_roles r WHERE r.rolname = current_user`;

async function upstreamChecks({ name, upstream }: PostgresConnectionConfig): Promise<readonly Check[]> {
  const what = `upstream of ${name}`;
  const checks: Check[] = [];
  const say = (state: Check["state"], says: string): void => void checks.push({ what, state, says });
  const { mode } = upstream.tls;
  if (mode === "verify-full" || mode === "verify-ca")
    say("ok", `TLS, and the server's certificate is checked (${mode})`);
  else if (!isLoopback(upstream.host)) say("warn", `sslmode ${mode}: nobody checks who answers there`);
  try {
    const connection = await connectCatalog(upstream, limits.upstreamConnectTimeoutMs);
    try {
      const [row] = await connection.query(roleQuery);
      const nowMs = Date.now();
      const [isSuper, bypassesRls, epoch, others, relations] = row ?? [];
      say("ok", `it can be reached, and the catalog lists ${relations} tables and views`);
      if (isSuper === "true") say("warn", "the gateway's role is a superuser: give it a role that owns nothing");
      else if (bypassesRls === "true") say("warn", "the gateway's role bypasses row-level security");
      if (Number(others) > 0) {
        say("warn", `${others} other roles may log in: let pg_hba.conf take connections from the gateway only`);
      }
      checks.push(skewCheck(`clock of ${name}`, Number(epoch) * 1_000 - nowMs));
    } finally {
      await connection.close();
    }
  } catch (error) {
    say("fail", `it can't be reached or refuses the login: ${causeCode(error)}`);
  }
  return checks;
}

async function certificateChecks({ name, tls }: PostgresConnectionConfig): Promise<readonly Check[]> {
  const what = `certificate of ${name}`;
  if (tls.kind === "off") return [{ what, state: "warn", says: "clients send their tokens in clear: `tls` is off" }];
  if (tls.kind === "self-signed") return [{ what, state: "warn", says: "it is self-signed: clients can't check it" }];
  try {
    return [expiryCheck(what, new X509Certificate(tls.certificate))];
  } catch {
    return [{ what, state: "fail", says: "it is no certificate" }];
  }
}

async function issuerChecks({ issuer, keys }: IssuerConfig): Promise<readonly Check[]> {
  const what = `issuer ${issuer}`;
  if (keys.kind === "jwks") return [{ what, state: "ok", says: "its keys are in the configuration" }];
  const url = keys.kind === "jwks-url" ? keys.url : `${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(limits.jwksTimeoutMs), redirect: "error" });
    await response.body?.cancel();
    if (!response.ok) return [{ what, state: "fail", says: `its keys can't be fetched: status ${response.status}` }];
    const date = Date.parse(response.headers.get("date") ?? "");
    const reached: Check = { what, state: "ok", says: "its keys can be fetched" };
    return Number.isNaN(date) ? [reached] : [reached, skewCheck(`clock of ${issuer}`, date - Date.now())];
  } catch (error) {
    return [{ what, state: "fail", says: `its keys can't be fetched: ${causeCode(error)}` }];
  }
}

/** Free space, and how long it takes until 64 KiB are on the disk. */
async function diskChecks(directory: string): Promise<readonly Check[]> {
  const what = "disk of the recording";
  if (!existsSync(directory))
    return [{ what, state: "warn", says: "the folder isn't there yet: the gateway makes it" }];
  const path = join(directory, `doctor-${process.pid}`);
  try {
    const { bavail, bsize } = await statfs(directory);
    const free = Math.floor((bavail * bsize) / 1_048_576);
    const file = openSync(path, "wx", 0o600);
    const began = performance.now();
    try {
      writeSync(file, Buffer.alloc(65_536));
      fsyncSync(file);
    } finally {
      closeSync(file);
      unlinkSync(path);
    }
    const ms = Math.ceil(performance.now() - began);
    const isLow = free < 1_024;
    const state = isLow || ms > 250 ? "warn" : "ok";
    return [{ what, state, says: `${free} MiB free, a synced write of 64 KiB takes ${ms} ms` }];
  } catch (error) {
    return [{ what, state: "fail", says: `nothing can be written there: ${causeCode(error)}` }];
  }
}

async function recordingChecks(directory: string): Promise<readonly Check[]> {
  const what = "recording";
  if (!existsSync(directory)) return [];
  try {
    const { chains, missing } = await verifyChains(directory);
    // A line that a running gateway is writing just now is no damage.
    const damaged = chains.reduce((n, { damage }) => n + damage.filter(({ fault }) => fault !== "torn-line").length, 0);
    if (damaged + missing.length > 0) return [{ what, state: "fail", says: "it is damaged: run `gw audit verify`" }];
    const lines = chains.reduce((n, chain) => n + chain.lines, 0);
    const head = chains[0]?.head;
    return [{ what, state: "ok", says: `${lines} lines, the chain is whole up to number ${head?.seq ?? 0}` }];
  } catch (error) {
    return [{ what, state: "fail", says: `it can't be read: ${causeCode(error)}` }];
  }
}
