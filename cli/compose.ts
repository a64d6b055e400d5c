// The one place where the parts are wired together.

import { hostname } from "node:os";
import { limits } from "../engine/limits.ts";
import type { ConnectionFacts } from "../engine/model/principal.ts";
import type { SessionEvent } from "../engine/model/session-event.ts";
import type { Metric } from "../proxy/admin/metrics.ts";
import { policyRoutes } from "../proxy/admin/policy-routes.ts";
import { startAdminServer } from "../proxy/admin/server.ts";
import type { ApprovalDesk } from "../proxy/approvals/desk.ts";
import type { PolicyOperations } from "../proxy/bundle/operations.ts";
import type { Clock, Log, NewId } from "../proxy/deps.ts";
import { causeCode, GatewayError } from "../proxy/errors.ts";
import { type Counters, WindowCounters } from "../proxy/gate/counters.ts";
import { createSqlGate } from "../proxy/gate/gate.ts";
import { GateMetrics } from "../proxy/gate/gate-metrics.ts";
import type { Shadow } from "../proxy/gate/shadow.ts";
import { taggedCatalog } from "../proxy/gate/tagged-catalog.ts";
import { timeFactsOf } from "../proxy/gate/time-facts.ts";
import type { GatewayConfig, PostgresConnectionConfig } from "../proxy/gateway-config.ts";
import { createAuthenticate } from "../proxy/identity/authenticate.ts";
import { LoginDelay } from "../proxy/identity/login-delay.ts";
import { silentLog } from "../proxy/log.ts";
import type { McpLedger } from "../proxy/mcp/ledger.ts";
import type { SqlJudge } from "../proxy/mcp/sql-arguments.ts";
import { createNewId } from "../proxy/new-id.ts";
import type { CompileBundle, PolicyHolder, PolicyStatus } from "../proxy/policy-holder.ts";
import { loadCatalog } from "../proxy/postgres/catalog-loader.ts";
import { openCatalogSource } from "../proxy/postgres/catalog-source.ts";
import { createPostgresListener } from "../proxy/postgres/listener.ts";
import type { PostgresListener } from "../proxy/postgres/options.ts";
import { rowEstimator } from "../proxy/postgres/row-estimate.ts";
import type { ChainHead } from "../proxy/recording/chain.ts";
import { sinkOf } from "../proxy/recording/checkpoint-sinks.ts";
import { startCheckpointer } from "../proxy/recording/checkpointer.ts";
import { type ContentRecorder, openContent } from "../proxy/recording/content.ts";
import type { Disk } from "../proxy/recording/file-sink.ts";
import { startPruner } from "../proxy/recording/pruner.ts";
import { openRecorder, type Recorder } from "../proxy/recording/recorder.ts";
import { logReload, type Reloadable, reloadAll } from "../proxy/reload.ts";
import { openUpstreamSecrets } from "../proxy/secrets/upstream.ts";
import { canaryScanner } from "../proxy/telemetry/canary-scan.ts";
import { openTelemetry } from "../proxy/telemetry/otel.ts";
import { makeSelfSigned } from "../proxy/tls/self-signed.ts";
import type { TlsMaterial } from "../proxy/tls/server-tls.ts";
import { openApprovals, pageOf } from "./compose-approvals.ts";
import { type ServingHttp, serveHttp } from "./compose-http.ts";
import { boundPolicies, type IdentityParts, openIdentity } from "./compose-identity.ts";
import { clientProofs, reloadedCertificate } from "./compose-login.ts";
import { sqlJudge } from "./compose-mcp.ts";
import { type Monitoring, monitorFile, openMonitoring } from "./compose-monitoring.ts";
import { openPolicies } from "./compose-policies.ts";
import { capabilitiesOf } from "./connection-capabilities.ts";
import { createSqlEngine } from "./sql-engine.ts";

/** A running gateway. Ports are the real ones: `listen: 127.0.0.1:0` picks a free one. */
export type Gateway = {
  readonly connections: readonly { readonly name: string; readonly host: string; readonly port: number }[];
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly policy: {
    readonly status: () => PolicyStatus;
    /** Reads the folder again now; resolves when the outcome is known. */
    readonly reload: () => Promise<PolicyStatus>;
  };
  /** What a change of files or a SIGHUP reads anew. */
  readonly reloadables: readonly Reloadable[];
  /** Leaves the ports to another process; sessions go on. */
  readonly stopAccepting: () => Promise<void>;
  /** A cancel that another process on the same ports received. */
  readonly cancel: (connection: string, processId: number, secret: Buffer, client: string) => Promise<boolean>;
  readonly sessions: () => number;
  /** Of this process alone. */
  readonly metrics: () => readonly Metric[];
  readonly recordingHead: () => ChainHead;
  /** Stops listening, lets running statements end for `drainMs` (default 5 s), closes everything. Idempotent. */
  readonly stop: (drainMs?: number) => Promise<void>;
};

export type GatewayOverrides = {
  readonly log?: Log;
  readonly clock?: Clock;
  readonly compile?: CompileBundle;
  /** Under the recording. */
  readonly disk?: Disk;
  /** What a process needs that shares its ports with others. */
  readonly shared?: SharedParts;
};

export type SharedParts = {
  readonly counters: Counters;
  /** Sessions and tasks of MCP clients. */
  readonly mcpLedger: McpLedger;
  /** What the monitors of all processes have learned, and the name of this one. */
  readonly monitorMemory?: { readonly path: string; readonly worker: string };
  readonly cancelElsewhere: (connection: string, processId: number, secret: Buffer, client: string) => Promise<boolean>;
  /** Files have changed: somebody else decides when all processes take it up. */
  readonly onChange: () => void;
  /** Of this process -> of all of them. */
  readonly allMetrics: (own: readonly Metric[]) => readonly Metric[];
};

type Parts = IdentityParts & {
  readonly config: GatewayConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly recorder: Recorder;
  readonly content: ContentRecorder | undefined;
  readonly policies: PolicyHolder;
  readonly shadow: Shadow | undefined;
  readonly operations: PolicyOperations;
  readonly reloadables: Reloadable[];
  readonly loginDelay: LoginDelay;
  readonly approvals: ApprovalDesk;
  readonly counters: Counters;
  readonly shared: SharedParts | undefined;
  readonly metrics: GateMetrics;
  readonly monitoring: Monitoring;
  readonly watch: Monitoring["watch"];
  readonly monitor: Monitoring["monitor"];
  readonly isEnded: Monitoring["isEnded"];
};

/**
 * Starts everything that `config` names, or nothing: on a failure what was started is stopped again.
 * @throws GatewayError with the code and the way out: policies that don't compile, an address in use, an unreachable catalog.
 */
export async function startGateway(config: GatewayConfig, overrides: GatewayOverrides = {}): Promise<Gateway> {
  const undo: ((drainMs: number) => Promise<void> | void)[] = [];
  let stopping: Promise<void> | undefined;
  const stop = (drainMs = 5_000): Promise<void> => {
    stopping ??= (async () => {
      for (const step of undo.toReversed()) await step(drainMs);
    })();
    return stopping;
  };
  try {
    const parts = await openParts(config, overrides, undo);
    const connections = await Promise.all(config.connections.map((connection) => serve(connection, parts, undo)));
    const http = await serveHttp(
      config.http,
      {
        ...parts,
        policies: parts.policies.current,
        approvalHoldMs: config.approvals.holdMs,
        durability: config.recording.durability,
        issuers: config.identity.issuers.map(({ issuer }) => issuer),
        ...(parts.shared === undefined ? {} : { mcpLedger: parts.shared.mcpLedger }),
        sqlJudgeOf: (name) => connections.find((connection) => connection.name === name)?.judge,
      },
      undo,
    );
    const metrics = (): readonly Metric[] => metricsOf(parts, connections);
    const admin = config.admin && (await startAdmin(config.admin, parts, connections, http, metrics));
    if (admin) undo.push(() => admin.close());
    return {
      connections: [
        ...connections.map(({ name, host, port }) => ({ name, host, port })),
        ...http.map(({ connection, host, port }) => ({ name: connection.name, host, port })),
      ],
      admin: admin && { host: admin.host, port: admin.port },
      policy: { status: parts.policies.status, reload: parts.policies.reload },
      reloadables: parts.reloadables,
      stopAccepting: async () => {
        for (const { listener } of connections) listener.stopAccepting();
        for (const { front } of http) front.stopAccepting();
        await admin?.close();
      },
      cancel: async (name, ...cancel) =>
        (await connections.find((c) => c.name === name)?.listener.cancel(...cancel)) ?? false,
      sessions: () => connections.reduce((sum, { listener }) => sum + listener.sessions(), 0) + runningIn(http),
      metrics,
      recordingHead: parts.recorder.head,
      stop,
    };
  } catch (error) {
    await stop(0);
    throw error;
  }
}

/** One listener may serve several connections. */
const runningIn = (http: readonly ServingHttp[]): number =>
  [...new Set(http.map(({ front }) => front))].reduce((sum, front) => sum + front.running(), 0);

type Undo = ((drainMs: number) => Promise<void> | void)[];

async function startCheckpoints({ node, recording }: GatewayConfig, clock: Clock, log: Log) {
  if (recording.checkpoints === undefined) return undefined;
  const { key, everyMs, sinks } = recording.checkpoints;
  const { directory } = recording;
  return startCheckpointer({ directory, node, key, everyMs, sinks: sinks.map(sinkOf), clock, log });
}

/** What all connections share, in the order in which each needs the one before. */
export async function openParts(config: GatewayConfig, overrides: GatewayOverrides, undo: Undo): Promise<Parts> {
  const telemetry = config.telemetry && openTelemetry(config.telemetry, config.node);
  if (telemetry !== undefined) undo.push(telemetry.close);
  const log = telemetry?.alsoTo(overrides.log ?? silentLog) ?? overrides.log ?? silentLog;
  const clock = overrides.clock ?? { nowMs: () => Date.now() };
  const newId = createNewId(clock);
  const { directory, durability } = config.recording;
  const recorder = openRecorder({ directory, durability, node: config.node, clock, log, disk: overrides.disk });
  const checkpoints = await startCheckpoints(config, clock, log);
  undo.push(async () => {
    await recorder.close();
    // The recording's last line is covered, too.
    await checkpoints?.close();
  });
  const pruner = startPruner({
    directory,
    holdsDirectory: config.recording.holds ?? directory,
    node: config.node,
    retention: config.recording.retention,
    key: config.recording.checkpoints?.key,
    recorder,
    checkpointer: checkpoints,
    clock,
    newId,
    log,
  });
  undo.push(() => pruner.close());
  const content = await openContent(config.recording.content, { recorder, clock, log });
  undo.push(() => content?.close());
  const counters = overrides.shared?.counters ?? new WindowCounters(clock);
  const { policies, shadow, operations, reloadables } = await openPolicies(
    config.policies,
    {
      connections: capabilitiesOf(config),
      recording: config.recording.directory,
      compile: overrides.compile,
      counters,
      clock,
      log,
      onSourceChange: overrides.shared?.onChange,
      record: ({ state, hash, message }) =>
        recorder.recordOutcome({ atMs: clock.nowMs(), session: "", type: "policy", state, policy: hash, message }),
    },
    undo,
  );
  const record = (event: SessionEvent): void => recorder.recordOutcome(event);
  const timeFacts = timeFactsOf(policies.current);
  const memory = overrides.shared?.monitorMemory ?? { path: monitorFile(config), worker: "" };
  const monitoring = openMonitoring(
    config,
    { record, timeFacts, policies: policies.current, telemetry, memory, clock, newId, log },
    undo,
  );
  const approvals = await openApprovals(config, (event) => recorder.recordIntent([event]), clock, log);
  undo.push(() => approvals.close());
  return {
    config,
    log,
    clock,
    newId,
    recorder,
    content,
    policies: { ...policies, current: boundPolicies(config, policies.current) },
    shadow,
    operations,
    reloadables: [...reloadables],
    approvals,
    counters,
    shared: overrides.shared,
    ...openIdentity(config, clock, log),
    metrics: new GateMetrics(),
    monitoring,
    watch: monitoring.watch,
    monitor: monitoring.monitor,
    isEnded: monitoring.isEnded,
    loginDelay: new LoginDelay(clock),
  };
}

type Serving = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly listener: PostgresListener;
  /** For SQL that comes by another way than this connection's own. */
  readonly judge: SqlJudge;
};

async function serve(connection: PostgresConnectionConfig, parts: Parts, undo: Undo): Promise<Serving> {
  const { log, clock, newId, policies, config, shared } = parts;
  const { name } = connection;
  const upstream = openUpstreamSecrets(connection.upstream, connection.login, clock, log);
  undo.push(() => upstream.close());
  const live = await openCatalogSource({ name, target: upstream.target, load: loadCatalog, clock, log });
  undo.push(() => live.close());
  const catalog = taggedCatalog(live, name, policies.current);
  const gate = createSqlGate({
    connection: name,
    engine: createSqlEngine(connection.maskKey),
    policies: policies.current,
    counters: parts.counters,
    recorder: parts.recorder,
    content: parts.content,
    approvals: parts.approvals,
    approvalHoldMs: config.approvals.holdMs,
    estimateRows: rowEstimator(({ identity }) => upstream.targetFor(identity), limits),
    isRevoked: parts.isRevoked,
    isEnded: parts.isEnded,
    timeFacts: timeFactsOf(policies.current),
    catalogVersion: () => catalog.current().version,
    onUnknownName: live.refreshSoon,
    metrics: parts.metrics,
    watch: parts.watch,
    monitor: parts.monitor,
    newScan: canaryScanner(config.monitoring?.canaries?.rows ?? []),
    shadow: parts.shadow,
    limits,
    clock,
    newId,
    log,
  });
  const { durability } = config.recording;
  const facts: ConnectionFacts = { name, env: connection.env, tags: new Set(connection.tags), durability };
  const listener = createPostgresListener({
    name,
    listen: connection.listen,
    tls: tlsOf(connection, clock),
    upstream: upstream.target,
    upstreamFor: ({ identity }) => upstream.targetFor(identity),
    gate,
    authenticate: createAuthenticate(parts.verify, log, name),
    proofs: clientProofs(connection, config.users, parts.loginDelay),
    catalog,
    connection: facts,
    allowedFunctions: new Set(connection.allowedFunctions),
    sessions: connection.sessions,
    limits,
    log,
    isRevoked: parts.isRevoked,
    isEnded: parts.isEnded,
    nowMs: clock.nowMs,
    newId,
    ...(shared === undefined ? {} : { cancelElsewhere: (...cancel) => shared.cancelElsewhere(name, ...cancel) }),
    noteCancel: ({ session, client, count }) =>
      parts.recorder.recordOutcome({
        ...{ atMs: clock.nowMs(), session, type: "cancel-request", connection: name, client, count },
      }),
  });
  const { host, port } = connection.listen;
  const listening = await listener.listen().catch((error: unknown) => {
    throw new GatewayError(
      "listen-failed",
      `connection \`${name}\` can't listen on ${host}:${port}: ${causeCode(error)}`,
      "change its `listen`, or stop what uses the port",
    );
  });
  undo.push((drainMs) => listener.close(drainMs));
  const certificate = reloadedCertificate(connection, listener, clock, (reloadable) => {
    if (shared === undefined) void reloadAll([reloadable]).then((report) => logReload(log, report));
    else shared.onChange();
  });
  if (certificate !== undefined) {
    undo.push(certificate.close);
    parts.reloadables.push(certificate.reloadable);
  }
  const judge = sqlJudge(gate, catalog, facts, connection);
  return { name, host, port: listening.port, database: connection.upstream.database, listener, judge };
}

function tlsOf(
  { tls, listen }: PostgresConnectionConfig,
  clock: Clock,
): (TlsMaterial & { readonly required: boolean }) | undefined {
  if (tls.kind === "off") return undefined;
  if (tls.kind === "files") {
    const { certificate, key, isRequired, clients } = tls;
    return { cert: certificate, key, required: isRequired, ...(clients === undefined ? {} : { clients }) };
  }
  const isAny = listen.host === "0.0.0.0" || listen.host === "::";
  const hosts = new Set(["localhost", "127.0.0.1", isAny ? hostname() : listen.host]);
  return { ...makeSelfSigned([...hosts], clock.nowMs()), required: tls.isRequired };
}

function startAdmin(
  admin: NonNullable<GatewayConfig["admin"]>,
  parts: Parts,
  connections: readonly Serving[],
  http: readonly ServingHttp[],
  metrics: () => readonly Metric[],
) {
  const { approvals, verify, recorder, log } = parts;
  if (!/^(?:127\.|::1$|localhost$)/.test(admin.listen.host)) {
    log.warn(
      { code: "admin-in-clear", host: admin.listen.host },
      "put TLS before the admin interface: tokens travel to it in clear",
    );
  }
  const page = pageOf(parts.config, parts.clock, log);
  return startAdminServer({
    listen: admin.listen,
    approvals,
    ...(page === undefined ? {} : { page }),
    ...(parts.config.identity.login === undefined ? {} : { login: parts.config.identity.login }),
    verify,
    connections: [
      ...connections.map(({ name, host, port, database }) => ({
        name,
        kind: "postgres" as const,
        host,
        port,
        database,
      })),
      ...http.map(({ connection: { name, kind, tls, prefix }, host, port }) => ({
        name,
        kind,
        url: `${tls.kind === "off" ? "http" : "https"}://${host}:${port}/${prefix.join("/")}`,
      })),
    ],
    whyNotReady: () => (recorder.failure() === undefined ? undefined : "record-failed"),
    metrics: () => parts.shared?.allMetrics(metrics()) ?? metrics(),
    routes: policyRoutes(parts.operations, parts.config.policies.operators),
    log,
  });
}

function metricsOf(parts: Parts, connections: readonly Serving[]): readonly Metric[] {
  const { approvals, recorder, policies } = parts;
  return [
    ...parts.metrics.read(),
    ...(parts.shadow?.metrics() ?? []),
    ...parts.monitoring.metrics(),
    {
      name: "gw_sessions",
      help: "open client sessions",
      type: "gauge",
      samples: connections.map(({ name, listener }) => ({
        labels: { connection: name },
        value: listener.sessions(),
      })),
    },
    {
      name: "gw_approvals_pending",
      help: "requests that wait for people",
      type: "gauge",
      samples: [{ labels: {}, value: approvals.pending() }],
    },
    {
      name: "gw_policy_rejected",
      help: "1 while the policy folder holds an edit that doesn't compile",
      type: "gauge",
      samples: [{ labels: {}, value: policies.status().rejected === undefined ? 0 : 1 }],
    },
    {
      name: "gw_recording_failed",
      help: "1 while the recording can't be written, and so nothing runs",
      type: "gauge",
      samples: [{ labels: {}, value: recorder.failure() === undefined ? 0 : 1 }],
    },
  ];
}
