// connections over HTTP -> listeners: the wiring of fronts, gates, upstreams and what understands the content
import { hostname } from "node:os";
import type { ApiDescription } from "../engine/http/api-description.ts";
import { limits } from "../engine/limits.ts";
import type { ApprovalDesk } from "../proxy/approvals/desk.ts";
import type { Clock, Log, NewId } from "../proxy/deps.ts";
import { causeCode, GatewayError } from "../proxy/errors.ts";
import { timeFactsOf } from "../proxy/gate/time-facts.ts";
import type { TrafficGate } from "../proxy/gate/traffic.ts";
import { createTrafficGate, type TrafficGateDeps } from "../proxy/gate/traffic-gate.ts";
import type { Address, ClientTls, Durability, TrafficConnectionConfig } from "../proxy/gateway-config.ts";
import { createApiHandler } from "../proxy/http/api.ts";
import { upgradeApi } from "../proxy/http/api-upgrade.ts";
import type { HttpConnectionBase, HttpConnectionConfig } from "../proxy/http/config.ts";
import type { HttpRoute, HttpUpstream, RouteBehaviour } from "../proxy/http/exchange.ts";
import { createHttpFront, type HttpFront } from "../proxy/http/front.ts";
import { readOpenApi } from "../proxy/http/openapi.ts";
import { HttpSessions } from "../proxy/http/sessions.ts";
import { openHttpUpstream } from "../proxy/http/upstream.ts";
import type { VerifyToken } from "../proxy/identity/authenticate.ts";
import { makeSelfSigned } from "../proxy/tls/self-signed.ts";
import { llmBehaviour } from "./compose-llm.ts";
import { type McpParts, mcpBehaviour } from "./compose-mcp.ts";

export type HttpParts = Omit<TrafficGateDeps, "connection" | "timeFacts" | "approvals"> &
  McpParts & {
    readonly approvals: ApprovalDesk;
    readonly verify: VerifyToken;
    readonly durability: Durability;
    readonly clock: Clock;
    readonly newId: NewId;
    readonly log: Log;
  };

export type ServingHttp = {
  readonly connection: TrafficConnectionConfig;
  readonly host: string;
  readonly port: number;
  readonly front: HttpFront;
};

type Undo = ((drainMs: number) => Promise<void> | void)[];

/** Connections with the same `listen` share a listener, and its TLS is the first one's. @throws GatewayError `listen-failed` */
export async function serveHttp(
  connections: readonly TrafficConnectionConfig[],
  parts: HttpParts,
  undo: Undo,
): Promise<readonly ServingHttp[]> {
  const byAddress = new Map<string, TrafficConnectionConfig[]>();
  for (const connection of connections) {
    const { host, port } = connection.listen;
    // Port 0 is a port of its own each time.
    const key = port === 0 ? `${host}:0:${connection.name}` : `${host}:${port}`;
    byAddress.set(key, [...(byAddress.get(key) ?? []), connection]);
  }
  const serving: ServingHttp[] = [];
  for (const group of byAddress.values()) serving.push(...(await serveAddress(group, parts, undo)));
  return serving;
}

async function serveAddress(
  group: readonly TrafficConnectionConfig[],
  parts: HttpParts,
  undo: Undo,
): Promise<readonly ServingHttp[]> {
  const [first] = group;
  if (first === undefined) return [];
  const { recorder, content, clock, newId, log, verify, approvals } = parts;
  const routes = await Promise.all(
    group.map((connection) => {
      const upstream = openHttpUpstream(connection.upstream, connection.name, log);
      undo.push(() => upstream.close());
      return routeOf(connection, gateOf(connection, parts), upstream, parts);
    }),
  );
  const sessions = new HttpSessions({ recorder, content, clock, newId, limits });
  undo.push(() => sessions.close());
  const kinds = new Map(group.map(({ name, kind }) => [name, kind]));
  const front = createHttpFront({
    listen: first.listen,
    tls: tlsOf(first.tls, first.listen, clock),
    routes,
    protocolOf: ({ name }) => kinds.get(name) ?? "http",
    verify,
    sessions,
    approvals,
    limits,
    log,
  });
  const { host, port } = first.listen;
  const listening = await front.listen().catch((error: unknown) => {
    throw new GatewayError(
      "listen-failed",
      `connection \`${first.name}\` can't listen on ${host}:${port}: ${causeCode(error)}`,
      "change its `listen`, or stop what uses the port",
    );
  });
  undo.push((drainMs) => front.close(drainMs));
  return group.map((connection) => ({ connection, host, port: listening.port, front }));
}

const gateOf = ({ name }: TrafficConnectionConfig, parts: HttpParts): TrafficGate =>
  createTrafficGate({ ...parts, connection: name, timeFacts: timeFactsOf(parts.policies) });

async function routeOf(
  connection: TrafficConnectionConfig,
  gate: TrafficGate,
  upstream: HttpUpstream,
  parts: HttpParts,
): Promise<HttpRoute> {
  return { ...(await behaviourOf(connection, parts)), ...placeOf(connection, parts.durability), gate, upstream };
}

function placeOf(
  connection: HttpConnectionBase,
  durability: Durability,
): Omit<HttpRoute, keyof RouteBehaviour | "gate" | "upstream"> {
  const { name, hosts, prefix, env, tags, bodyBytesMax, isCaseInsensitive, passCookies } = connection;
  const facts = { name, env, tags: new Set(tags), durability };
  return { name, hosts, prefix, connection: facts, bodyBytesMax, isCaseInsensitive, passCookies };
}

const apiOf = async ({ openapi }: HttpConnectionConfig): Promise<ApiDescription | undefined> =>
  openapi && (await readOpenApi(openapi.text, openapi.path));

async function behaviourOf(connection: TrafficConnectionConfig, parts: HttpParts): Promise<RouteBehaviour> {
  const { clock, log } = parts;
  switch (connection.kind) {
    case "http":
      return {
        handler: createApiHandler({ maskKey: connection.maskKey, api: await apiOf(connection), limits, clock, log }),
        upgrade: upgradeApi,
        tokenHeaders: [],
        sessionHeaders: [],
      };
    case "mcp":
      return mcpBehaviour(connection, parts);
    case "llm":
      return llmBehaviour(connection, parts);
    default:
      return connection satisfies never;
  }
}

function tlsOf(
  tls: ClientTls,
  listen: Address,
  clock: Clock,
): { readonly cert: string; readonly key: string } | undefined {
  if (tls.kind === "off") return undefined;
  if (tls.kind === "files") return { cert: tls.certificate, key: tls.key };
  const isAny = listen.host === "0.0.0.0" || listen.host === "::";
  return makeSelfSigned([...new Set(["localhost", "127.0.0.1", isAny ? hostname() : listen.host])], clock.nowMs());
}
