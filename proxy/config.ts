// gw.yaml -> GatewayConfig: every key known, every named file read, every mistake shown as file:line:column.

import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { LineCounter, parseDocument } from "yaml";
import { limits } from "../engine/limits.ts";
import { adminKeys, adminSchema, buildAdmin } from "./admin/config.ts";
import { alertsKeys, alertsSchema, buildAlerts } from "./alerts/config.ts";
import { approvalsKeys, approvalsSchema, buildApprovals } from "./approvals/config.ts";
import { buildShadow, buildSource, bundleKeys, defaultState, keySchema, policiesKeys } from "./bundle/config.ts";
import { ConfigReader, type Environment, type Path } from "./config-reader.ts";
import {
  addressOf,
  addressSchema,
  durationMs,
  durationSchema,
  keysIn,
  nameSchema,
  secretSchema,
} from "./config-schema.ts";
import { causeCode, GatewayError } from "./errors.ts";
import { isTimeZone } from "./gate/time-facts.ts";
import type { GatewayConfig, PostgresConnectionConfig, RegoConfig, TrafficConnectionConfig } from "./gateway-config.ts";
import { buildHttpConnection, httpConnectionSchema, httpKeys } from "./http/config.ts";
import { buildIdentity, identitySchema, issuerSchema } from "./identity/config.ts";
import { buildUsers, usersSchema } from "./identity/users-config.ts";
import { buildLlmConnection, llmConfigKeys, llmConnectionSchema } from "./llm/config.ts";
import { logLevels } from "./log.ts";
import { buildMcpConnection, buildMcpStdio, mcpConfigKeys, mcpConnectionSchema, mcpStdioSchema } from "./mcp/config.ts";
import { nearestKey } from "./nearest-key.ts";
import { buildSessionRules, poolSchema, sessionsSchema } from "./postgres/session-rules.ts";
import { buildCheckpoints, buildContent, buildRetention, recordingKeys, recordingSchema } from "./recording/config.ts";
import { z } from "./schema.ts";
import {
  buildUpstreamSecrets,
  buildVault,
  credentialSchema,
  principalsSchema,
  secretsKeys,
  vaultSchema,
} from "./secrets/config.ts";
import { withRecipe } from "./secrets/upstream.ts";
import type { Vault } from "./secrets/vault.ts";
import { buildDecisionLogs, decisionLogsKeys, decisionLogsSchema } from "./telemetry/decision-log-config.ts";
import { buildMonitoring, monitoringKeys, monitoringSchema } from "./telemetry/monitor-config.ts";
import { buildTelemetry, telemetryKeys, telemetrySchema } from "./telemetry/otel-config.ts";
import { buildTls, clientsSchema, tlsSchema } from "./tls/config.ts";

/** @throws GatewayError `config-unreadable` or `config-invalid`; its message has one line per mistake. */
export async function readConfig(path: string, environment: Environment): Promise<GatewayConfig> {
  return parseConfig(await readText(path), path, environment);
}

const readText = (path: string): Promise<string> =>
  readFile(path, "utf8").catch((error: unknown) => {
    throw new GatewayError(
      "config-unreadable",
      `the configuration \`${path}\` can't be read: ${causeCode(error)}`,
      "name it with `--config`; docs/operations.md has a complete example",
    );
  });

/** As `readConfig`, from text; relative paths in it start at the folder of `path`. */
export function parseConfig(text: string, path: string, environment: Environment): GatewayConfig {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, strict: true });
  const reader = new ConfigReader(path, document, lines, environment);
  for (const error of document.errors) {
    reader.complainAt(error.pos[0], firstLine(error.message).replace(/ at line \d+, column \d+:$/, ""));
  }
  reader.finish();
  const parsed = configSchema.safeParse(document.toJS({ maxAliasCount: 100 }) ?? {});
  if (!parsed.success) {
    for (const issue of parsed.error.issues) complain(reader, issue);
    throw reader.failure();
  }
  const config = build(parsed.data, reader);
  reader.finish();
  return config;
}

/** `recording.directory` alone: reading a recording needs none of the secrets. @throws as `readConfig` */
export async function readRecordingDirectory(path: string): Promise<string> {
  const text = await readText(path);
  const parsed: unknown = parseDocument(text).toJS({ maxAliasCount: 100 });
  const found = z.looseObject({ recording: z.looseObject({ directory: z.string() }) }).safeParse(parsed);
  if (!found.success) {
    throw new GatewayError(
      "config-invalid",
      `${path}: \`recording.directory\` is missing`,
      "name the folder with `--recording`",
    );
  }
  const { directory } = found.data.recording;
  return isAbsolute(directory) ? directory : join(dirname(path), directory);
}

/** `policies.path` alone, in the same way; undefined: they come from elsewhere. @throws as `readConfig` */
export async function readPolicyFolder(path: string): Promise<string | undefined> {
  const parsed: unknown = parseDocument(await readText(path)).toJS({ maxAliasCount: 100 });
  const found = z.looseObject({ policies: z.looseObject({ path: z.string() }) }).safeParse(parsed);
  const folder = found.data?.policies.path;
  return folder === undefined || isAbsolute(folder) ? folder : join(dirname(path), folder);
}

// ---- the schema: strict objects, so that an unknown key is a mistake

const functionName = z.string().regex(/^[^.\s]+\.[^.\s]+$/, "write a function as `schema.name`");

const timeZone = z.string().refine(isTimeZone, "this isn't a time zone: write one like `Europe/Berlin`").default("UTC");

const connectionSchema = z.strictObject({
  name: nameSchema,
  kind: z.literal("postgres"),
  listen: addressSchema,
  env: z.string().default("dev"),
  tags: z.array(z.string()).default([]),
  tls: tlsSchema.default("self-signed"),
  upstream: z.strictObject({
    host: z.string().min(1),
    port: z.int().min(1).max(65_535).default(5432),
    database: z.string().min(1),
    user: z.string().min(1).optional(),
    password: credentialSchema.optional(),
    principals: principalsSchema.optional(),
    others: z.array(addressSchema).default([]),
    target_session_attrs: z
      .enum(["any", "read-write", "read-only", "primary", "standby", "prefer-standby"])
      .default("any"),
    sslmode: z.enum(["disable", "prefer", "require", "verify-ca", "verify-full"]).default("verify-full"),
    ca: z.string().optional(),
    certificate: z.string().optional(),
    key: z.string().optional(),
  }),
  allowed_functions: z.array(functionName).default([]),
  mask_key: secretSchema.optional(),
  sessions: sessionsSchema.prefault({}),
});

const regoSchema = z.strictObject({
  bundle: z.string().min(1),
  entrypoint: z.string().min(1).optional(),
  deadline: durationSchema.optional(),
  signed_by: keySchema.optional(),
  connections: z.array(z.string()).min(1).optional(),
});

const workerCount = z.int().min(1).max(limits.workersMax);

const configSchema = z.strictObject({
  node: nameSchema.optional(),
  vault: vaultSchema.optional(),
  workers: z
    .union([workerCount, z.strictObject({ count: workerCount, linger: durationSchema.default("10m") })], {
      error: `give a number from 1 to ${limits.workersMax}, or { count: …, linger: … }`,
    })
    .optional(),
  log: z.strictObject({ level: z.enum(logLevels).default("info") }).prefault({}),
  policies: z.strictObject({ ...policiesKeys, time_zone: timeZone, rego: z.array(regoSchema).optional() }),
  recording: recordingSchema,
  approvals: approvalsSchema.prefault({}),
  alerts: alertsSchema.optional(),
  monitoring: monitoringSchema.optional(),
  telemetry: telemetrySchema.optional(),
  decision_logs: decisionLogsSchema.optional(),
  admin: adminSchema.optional(),
  identity: identitySchema,
  users: usersSchema.default([]),
  connections: z
    .array(
      z.discriminatedUnion("kind", [
        connectionSchema,
        httpConnectionSchema,
        mcpConnectionSchema,
        mcpStdioSchema,
        llmConnectionSchema,
      ]),
    )
    .min(1),
});
type Parsed = z.infer<typeof configSchema>;

// ---- decoded data -> configuration

function build(parsed: Parsed, at: ConfigReader): GatewayConfig {
  const recordingDirectory = at.path(parsed.recording.directory);
  const names = new Set<string>();
  const vault = buildVault(parsed.vault, at);
  parsed.connections.forEach((c, i) => {
    if (names.has(c.name)) at.complain(["connections", i, "name"], `two connections are called \`${c.name}\``);
    names.add(c.name);
  });
  const content = buildContent(
    parsed.recording,
    parsed.connections.map(({ name }) => name),
    ["recording"],
    at,
  );
  const decisionLogs = parsed.decision_logs && buildDecisionLogs(parsed.decision_logs, at);
  const identity = buildIdentity(parsed.identity, names, at);
  return {
    node: parsed.node ?? (hostname().replaceAll(/[^A-Za-z0-9._-]/g, "-") || "gw"),
    logLevel: parsed.log.level,
    ...(parsed.workers === undefined ? {} : { workers: workersOf(parsed.workers) }),
    policies: {
      source: buildSource(parsed.policies, ["policies"], at),
      state: parsed.policies.state === undefined ? defaultState(recordingDirectory) : at.path(parsed.policies.state),
      operators: parsed.policies.operators,
      timeZone: parsed.policies.time_zone,
      ...(parsed.policies.rego === undefined
        ? {}
        : { rego: parsed.policies.rego.map((rego, i) => buildRego(rego, ["policies", "rego", i], names, at)) }),
      ...(parsed.policies.shadow === undefined
        ? {}
        : { shadow: buildShadow(parsed.policies.shadow, names, ["policies", "shadow"], at) }),
    },
    recording: {
      directory: recordingDirectory,
      durability: parsed.recording.durability,
      ...(parsed.recording.checkpoints === undefined
        ? {}
        : { checkpoints: buildCheckpoints(parsed.recording.checkpoints, ["recording", "checkpoints"], at) }),
      ...(parsed.recording.retention === undefined
        ? {}
        : { retention: buildRetention(parsed.recording.retention, ["recording", "retention"], at) }),
      ...(content === undefined ? {} : { content }),
    },
    approvals: buildApprovals(
      parsed.approvals,
      join(parsed.recording.directory, "approvals.sqlite"),
      parsed.admin?.page?.origin,
      vault,
      at,
    ),
    ...(parsed.alerts === undefined ? {} : { alerts: buildAlerts(parsed.alerts, at) }),
    ...(parsed.monitoring === undefined ? {} : { monitoring: buildMonitoring(parsed.monitoring, at) }),
    ...(parsed.telemetry === undefined ? {} : { telemetry: buildTelemetry(parsed.telemetry, at) }),
    ...(decisionLogs === undefined ? {} : { decisionLogs }),
    admin: parsed.admin === undefined ? undefined : buildAdmin(parsed.admin, identity.issuers, at),
    identity,
    users: buildUsers(parsed.users, names, at),
    connections: parsed.connections.flatMap((c, i) =>
      c.kind === "postgres" ? [buildConnection(c, vault, ["connections", i], at)] : [],
    ),
    stdio: parsed.connections.flatMap((c, i) =>
      c.kind === "mcp-stdio" ? [buildMcpStdio(c, ["connections", i], at, recordingDirectory)] : [],
    ),
    http: parsed.connections.flatMap((c, i) => buildTraffic(c, ["connections", i], recordingDirectory, names, at)),
  };
}

/** `folder`: where files of the gateway's own lie. */
function buildTraffic(
  parsed: Parsed["connections"][number],
  path: Path,
  folder: string,
  names: ReadonlySet<string>,
  at: ConfigReader,
): readonly TrafficConnectionConfig[] {
  switch (parsed.kind) {
    case "postgres":
    case "mcp-stdio":
      return [];
    case "http":
      return [buildHttpConnection(parsed, path, at)];
    case "mcp":
      parsed.sql.forEach(({ connection }, i) => {
        if (!names.has(connection)) at.complain([...path, "sql", i], `there is no connection \`${connection}\``);
      });
      return [buildMcpConnection(parsed, path, at, folder)];
    case "llm":
      return [buildLlmConnection(parsed, path, at)];
    default:
      return parsed satisfies never;
  }
}

function workersOf(parsed: NonNullable<Parsed["workers"]>): NonNullable<GatewayConfig["workers"]> {
  const { count, linger } = typeof parsed === "number" ? { count: parsed, linger: "10m" } : parsed;
  return { count, lingerMs: durationMs(linger) };
}

function buildRego(
  parsed: z.infer<typeof regoSchema>,
  path: Path,
  names: ReadonlySet<string>,
  at: ConfigReader,
): RegoConfig {
  parsed.connections?.forEach((name, i) => {
    if (!names.has(name)) at.complain([...path, "connections", i], `there is no connection \`${name}\``);
  });
  return {
    bundle: at.path(parsed.bundle),
    entrypoint: parsed.entrypoint,
    deadlineMs: parsed.deadline === undefined ? limits.regoDeadlineMs : durationMs(parsed.deadline),
    ...(parsed.signed_by === undefined
      ? {}
      : {
          signedBy: {
            key: at.file(parsed.signed_by.key, [...path, "signed_by", "key"]),
            algorithm: parsed.signed_by.algorithm,
          },
        }),
    connections: parsed.connections,
  };
}

function buildConnection(
  parsed: z.infer<typeof connectionSchema>,
  vault: Vault | undefined,
  path: Path,
  at: ConfigReader,
): PostgresConnectionConfig {
  const upstream = parsed.upstream;
  if (upstream.ca !== undefined && (upstream.sslmode === "disable" || upstream.sslmode === "prefer")) {
    at.complain([...path, "upstream", "ca"], "`ca` is of no use with this `sslmode`: use `verify-full`");
  }
  const { target: named, secret, principals } = buildUpstreamSecrets(upstream, vault, [...path, "upstream"], at);
  return {
    kind: "postgres",
    name: parsed.name,
    listen: addressOf(parsed.listen),
    env: parsed.env,
    tags: parsed.tags,
    ...buildTls(parsed.tls, [...path, "tls"], at),
    upstream: withRecipe(
      {
        host: upstream.host,
        port: upstream.port,
        ...(upstream.others.length === 0 ? {} : { others: upstream.others.map(addressOf) }),
        ...(upstream.target_session_attrs === "any" ? {} : { attributes: upstream.target_session_attrs }),
        database: upstream.database,
        user: named.user,
        tls: {
          mode: upstream.sslmode,
          ca: upstream.ca === undefined ? undefined : at.file(upstream.ca, [...path, "upstream", "ca"]),
          ...ownCertificate(upstream, [...path, "upstream"], at),
        },
      },
      secret,
    ),
    login: { secret, ...(principals === undefined ? {} : { principals }) },
    allowedFunctions: parsed.allowed_functions,
    sessions: buildSessionRules(parsed.sessions),
    maskKey: maskKeyOf(parsed.mask_key, [...path, "mask_key"], at),
  };
}

/** What the gateway shows a server that asks for a certificate. */
function ownCertificate(
  { certificate, key, sslmode }: z.infer<typeof connectionSchema>["upstream"],
  path: Path,
  at: ConfigReader,
): Pick<PostgresConnectionConfig["upstream"]["tls"], "client"> {
  if (certificate === undefined && key === undefined) return {};
  if (certificate === undefined || key === undefined) {
    at.complain(path, "`certificate` and `key` belong together");
    return {};
  }
  if (sslmode === "disable") at.complain([...path, "certificate"], "a certificate is of no use without TLS");
  return { client: { cert: at.file(certificate, [...path, "certificate"]), key: at.file(key, [...path, "key"]) } };
}

/** Without a configured key none is made up: hashes would change at each start, and nobody would know why. */
function maskKeyOf(parsed: z.infer<typeof secretSchema> | undefined, path: Path, at: ConfigReader): Uint8Array {
  if (parsed === undefined) return new Uint8Array();
  const text = at.secretNow(parsed, path);
  if (text !== undefined && Buffer.byteLength(text) < 16) {
    at.complain(path, "a mask key needs at least 16 bytes: `openssl rand -hex 32` makes a good one");
  }
  return Buffer.from(text ?? "", "utf8");
}

const knownKeys: readonly string[] = [
  ...new Set(
    [
      configSchema,
      configSchema.shape.policies,
      configSchema.shape.identity,
      connectionSchema,
      regoSchema,
      clientsSchema,
      connectionSchema.shape.upstream,
      sessionsSchema,
      poolSchema,
      issuerSchema,
      secretSchema,
    ].flatMap(keysIn),
  ),
  ...bundleKeys,
  ...recordingKeys,
  ...secretsKeys,
  ...approvalsKeys,
  ...alertsKeys,
  ...monitoringKeys,
  ...telemetryKeys,
  ...decisionLogsKeys,
  ...adminKeys,
  ...httpKeys,
  ...mcpConfigKeys,
  ...llmConfigKeys,
  "hold",
  "count",
  "linger",
  "level",
  "certificate",
  "key",
  "required",
];

function complain(reader: ConfigReader, issue: z.core.$ZodIssue): void {
  const path = issue.path.filter((part): part is string | number => typeof part !== "symbol");
  if (issue.code === "unrecognized_keys") {
    for (const key of issue.keys) {
      const near = nearestKey(key, knownKeys);
      const hint = near === undefined ? "" : `; did you mean \`${near}\`?`;
      reader.complainAt(reader.offsetOfKey(path, key), `unknown key \`${key}\`${hint}`);
    }
    return;
  }
  const where = path.length === 0 ? "the configuration" : `\`${path.join(".")}\``;
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined")) {
    reader.complain(path, `${where} is missing: it must be ${article(issue.expected)}`);
    return;
  }
  reader.complain(path, `${where}: ${firstLine(issue.message).replace(/^Invalid input: /, "")}`);
}

const article = (expected: string): string => (/^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`);

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? text;
