// connections over HTTP -> is the upstream there, does it take the gateway's credential, and does it ask for one at all
import { connect } from "node:net";
import { limits } from "../engine/limits.ts";
import { causeCode } from "../proxy/errors.ts";
import type { Address, TrafficConnectionConfig } from "../proxy/gateway-config.ts";
import type { UpstreamRequest } from "../proxy/http/exchange.ts";
import { openHttpUpstream } from "../proxy/http/upstream.ts";
import { silentLog } from "../proxy/log.ts";

export type Check = { readonly what: string; readonly state: "ok" | "warn" | "fail"; readonly says: string };

export const isLoopback = (host: string): boolean => /^(?:127\.|\[?::1\]?$|localhost$)/.test(host);

/** Of a server that counts ahead or behind: tokens and approvals have times. */
export function skewCheck(what: string, skewMs: number): Check {
  const says = `${Math.round(skewMs / 1_000)} s ahead of this machine`;
  const isOff = !(Math.abs(skewMs) <= limits.clockSkewMs / 2);
  return { what, state: isOff ? "fail" : "ok", says: isOff ? `${says}: set both by NTP` : says };
}

type Harmless = Pick<UpstreamRequest, "method" | "target" | "headers" | "body">;

/** Reads nothing of anybody's, and changes nothing. */
function harmlessRequest(kind: TrafficConnectionConfig["kind"], basePath: string): Harmless {
  switch (kind) {
    case "http":
      return { method: "HEAD", target: "/", headers: [], body: undefined };
    case "llm":
      return { method: "GET", target: "/v1/models", headers: [["anthropic-version", "2023-06-01"]], body: undefined };
    case "mcp":
      return {
        method: "POST",
        // The URL names the endpoint itself.
        target: basePath === "" ? "/" : "",
        headers: [
          ["content-type", "application/json"],
          ["accept", "application/json, text/event-stream"],
        ],
        body: Buffer.from('{"jsonrpc":"2.0","id":1,"method":"ping"}'),
      };
    default:
      return kind satisfies never;
  }
}

export async function trafficChecks({ name, kind, upstream }: TrafficConnectionConfig): Promise<readonly Check[]> {
  const what = `upstream of ${name}`;
  const checks: Check[] = [];
  const say = (state: Check["state"], says: string): void => void checks.push({ what, state, says });
  const { protocol, hostname } = new URL(upstream.origin);
  if (protocol === "https:") say("ok", "TLS, and the server's certificate is checked");
  else if (!isLoopback(hostname)) say("warn", "requests and the credential travel to it in clear");
  const withCredential = await statusOf(upstream, name, kind);
  if (!withCredential.isReached) {
    say("fail", `it can't be reached: ${withCredential.cause}`);
    return checks;
  }
  const { status, skewMs } = withCredential;
  const isRefused = status === 401 || status === 403;
  const hasCredential = upstream.credential.kind !== "none";
  if (!isRefused) say("ok", `it can be reached, and answers with ${status}`);
  else if (hasCredential) say("fail", `it refuses the gateway's credential with ${status}`);
  else say("warn", `it asks for a credential (${status}), and the configuration has none for it`);
  if (!Number.isNaN(skewMs)) checks.push(skewCheck(`clock of ${name}`, skewMs));
  if (isRefused) return checks;
  const bare = hasCredential
    ? await statusOf({ ...upstream, credential: { kind: "none" } }, name, kind)
    : withCredential;
  if (bare.isReached && bare.status < 400)
    say("warn", "it answers without the gateway's credential: whoever reaches it goes around the gateway");
  return checks;
}

type Asked =
  | { readonly isReached: true; readonly status: number; readonly skewMs: number }
  | { readonly isReached: false; readonly cause: string };

async function statusOf(
  target: TrafficConnectionConfig["upstream"],
  name: string,
  kind: TrafficConnectionConfig["kind"],
): Promise<Asked> {
  const upstream = openHttpUpstream(target, name, silentLog);
  try {
    const answer = await upstream.forward(
      harmlessRequest(kind, target.basePath),
      AbortSignal.timeout(limits.upstreamConnectTimeoutMs),
    );
    if (!answer.ok) return { isReached: false, cause: answer.error.code };
    const { status, headers, discard } = answer.value;
    // Not read: an event stream has no end.
    discard();
    const date = headers.find(([header]) => header.toLowerCase() === "date")?.[1];
    return { isReached: true, status, skewMs: Date.parse(date ?? "") - Date.now() };
  } catch (error) {
    return { isReached: false, cause: causeCode(error) };
  } finally {
    await upstream.close();
  }
}

/** From a client's machine: what only the gateway should reach must not be reached from here. */
export async function bypassCheck({ host, port }: Address): Promise<Check> {
  const what = `way around the gateway to ${host}:${port}`;
  const isOpen = await new Promise<boolean>((resolve) => {
    const socket = connect({ host, port, timeout: limits.doctorConnectMs });
    const end = (reached: boolean) => (): void => {
      socket.destroy();
      resolve(reached);
    };
    socket.once("connect", end(true)).once("error", end(false)).once("timeout", end(false));
  });
  return isOpen
    ? { what, state: "fail", says: "this machine reaches it directly: let a firewall take the gateway's address only" }
    : { what, state: "ok", says: "it can't be reached from this machine" };
}
