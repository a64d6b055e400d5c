// One of several processes that serve: everything of the gateway, on ports that the primary shares out.
import { join } from "node:path";
import { clusterProtocol, type WorkerStart } from "../proxy/cluster/messages.ts";
import { SharedCounters } from "../proxy/cluster/shared-counters.ts";
import { type Leave, toldToStart, WorkerLink } from "../proxy/cluster/worker-link.ts";
import { parseConfig } from "../proxy/config.ts";
import type { Log } from "../proxy/deps.ts";
import { GatewayError } from "../proxy/errors.ts";
import type { Address, GatewayConfig, TrafficConnectionConfig } from "../proxy/gateway-config.ts";
import { createLog } from "../proxy/log.ts";
import { openMcpLedger } from "../proxy/mcp/ledger.ts";
import { type Gateway, startGateway } from "./compose.ts";
import { monitorFile } from "./compose-monitoring.ts";

/** Folder of the counters that all workers share, in the recording's. */
export const countersFile = (config: GatewayConfig): string => join(config.recording.directory, "counters.sqlite");

/** Returns when the worker has been told to leave, and has left. */
export async function runWorker(): Promise<void> {
  // Signals of a terminal reach every process: the primary alone answers them.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, () => undefined);
  const start = await toldToStart();
  const { promise: told, resolve: leave } = Promise.withResolvers<Leave>();
  const link = new WorkerLink(start.worker, leave);
  try {
    if (start.protocol !== clusterProtocol)
      throw new GatewayError("worker-failed", "the primary is of another version");
    const config = parseConfig(start.configText, start.configPath, process.env);
    const log = namedLog(createLog(config.logLevel), start.worker);
    const counters = new SharedCounters(countersFile(config), { nowMs: () => Date.now() });
    const mcpLedger = openMcpLedger(join(config.recording.directory, "mcp.sqlite"), { nowMs: () => Date.now() });
    const gateway = await startGateway(ownConfig(config, start), {
      log,
      shared: {
        counters,
        mcpLedger,
        monitorMemory: { path: monitorFile(config), worker: start.worker },
        cancelElsewhere: link.cancelElsewhere,
        onChange: () => link.say({ type: "changed" }),
        allMetrics: link.allMetrics,
      },
    });
    link.serve(gateway);
    link.say({
      type: "ready",
      protocol: clusterProtocol,
      connections: gateway.connections,
      admin: gateway.admin,
      policyHash: gateway.policy.status().hash,
    });
    await left(gateway, await told);
    const { seq, hash } = gateway.recordingHead();
    link.say({ type: "ended", head: `${seq}:${hash}` });
    counters.close();
    mcpLedger.end();
  } catch (error) {
    if (!(error instanceof GatewayError)) {
      // A bug: the primary hears of the end at once, not when it has waited for long enough.
      setImmediate(() => process.disconnect());
      throw error;
    }
    link.say({ type: "failed", code: error.code, message: error.message, help: error.help });
  }
  // The last words go out before the pipe closes.
  await new Promise((resolve) => setImmediate(resolve));
  process.disconnect();
}

/** A new generation has the ports: its own sessions end by themselves for a while, and are then ended. */
async function left(gateway: Gateway, leave: Leave): Promise<void> {
  if (leave.kind === "retire") {
    await gateway.stopAccepting();
    const untilMs = performance.now() + leave.lingerMs;
    while (gateway.sessions() > 0 && performance.now() < untilMs) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(100, untilMs - performance.now())));
    }
  }
  await gateway.stop(leave.drainMs);
}

function ownConfig(config: GatewayConfig, { worker, isLead, ports }: WorkerStart): GatewayConfig {
  const { shared, leads } = serversOf(config.http);
  const again = <T extends { readonly listen: Address }>(part: T, name: string): T =>
    part.listen.port === 0 ? { ...part, listen: { ...part.listen, port: ports[name] ?? 0 } } : part;
  return {
    ...config,
    node: `${config.node}/${worker}`,
    recording: {
      ...config.recording,
      directory: join(config.recording.directory, worker),
      holds: config.recording.directory,
    },
    admin: isLead && config.admin ? again(config.admin, "admin") : undefined,
    // INVARIANT: port 0 is given out in the order of asking. What all workers ask for stands first.
    http: isLead ? [...shared, ...leads.map((connection) => again(connection, connection.name))] : shared,
  };
}

/** HTTP keeps nothing between two requests, and what is kept of MCP is in a file of all workers. Denied tool uses of models aren't. */
const servedByAll: ReadonlySet<TrafficConnectionConfig["kind"]> = new Set(["http", "mcp"]);

/** A port belongs to all or to the lead: where one of its connections is the lead's, all are. */
function serversOf(http: readonly TrafficConnectionConfig[]): {
  readonly shared: readonly TrafficConnectionConfig[];
  readonly leads: readonly TrafficConnectionConfig[];
} {
  const placeOf = ({ listen, name }: TrafficConnectionConfig): string =>
    listen.port === 0 ? `0 ${name}` : `${listen.host}:${listen.port}`;
  const leadPlaces = new Set(http.filter(({ kind }) => !servedByAll.has(kind)).map(placeOf));
  const isLeads = (connection: TrafficConnectionConfig): boolean => leadPlaces.has(placeOf(connection));
  return { shared: http.filter((connection) => !isLeads(connection)), leads: http.filter(isLeads) };
}

const namedLog = (log: Log, worker: string): Log => ({
  debug: (fields, message) => log.debug({ ...fields, worker }, message),
  info: (fields, message) => log.info({ ...fields, worker }, message),
  warn: (fields, message) => log.warn({ ...fields, worker }, message),
  error: (fields, message) => log.error({ ...fields, worker }, message),
});
