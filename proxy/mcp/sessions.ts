// Sessions of 2025-11-25: the gateway's own ids, bound to who began them; ids of events, bound to the session.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { Tool } from "../../engine/mcp/tools.ts";
import type { Clock } from "../deps.ts";
import type { TrafficSession } from "../gate/traffic.ts";
import type { McpLedger } from "./ledger.ts";
import { McpState } from "./state.ts";

export type McpSessions = {
  /** Its id is the client's; the upstream's stays here. */
  readonly open: (state: McpState) => string;
  /** undefined for an unknown id and for somebody else's alike. */
  readonly find: (id: string, owner: string) => McpState | undefined;
  readonly close: (id: string) => void;
  /** An upstream's event id as the client sees it: of use in this session only. */
  readonly wrapEventId: (session: string, eventId: string) => string;
  readonly unwrapEventId: (session: string, wrapped: string) => string | undefined;
};

/** `shared`: other processes serve the same clients. */
export function createMcpSessions(
  clock: Clock,
  shared?: McpLedger,
  toolOf: (name: string) => Tool | undefined = () => undefined,
): McpSessions {
  const sessions = new Map<string, { readonly state: McpState; usedAtMs: number }>();
  const key = shared?.eventKey ?? randomBytes(32);
  const sign = (session: string, eventId: string): Buffer =>
    createHmac("sha256", key)
      .update(JSON.stringify([session, eventId]))
      .digest()
      .subarray(0, 16);
  const sweep = (): void => {
    const oldest = clock.nowMs() - limits.mcpSessionIdleMs;
    for (const [id, { usedAtMs }] of sessions) {
      if (usedAtMs > oldest && sessions.size < limits.mcpSessionsMax) break;
      sessions.delete(id);
    }
  };
  const remember = (id: string, state: McpState): void => {
    sweep();
    // Nobody takes the room of others.
    const own = [...sessions].filter(([, { state: each }]) => each.owner === state.owner);
    for (const [oldest] of own.slice(0, Math.max(0, own.length + 1 - limits.mcpSessionsPerOwnerMax)))
      sessions.delete(oldest);
    sessions.set(id, { state, usedAtMs: clock.nowMs() });
  };
  /** Begun by another process, or ended by it. */
  const fromShared = (id: string): void => {
    if (shared === undefined) return;
    const found = shared.find(id, toolOf);
    if (found === undefined) sessions.delete(id);
    else if (!sessions.has(id)) {
      const state = new McpState(found.owner);
      state.upstreamId = found.upstreamId;
      state.version = found.version;
      state.shared = found.state;
      remember(id, state);
    }
  };
  return {
    open: (state) => {
      const id = `mcp_${randomBytes(18).toString("base64url")}`;
      const { owner, upstreamId, version } = state;
      if (shared !== undefined && upstreamId !== undefined) {
        state.shared = shared.open(id, { owner, upstreamId, version }, toolOf);
      }
      remember(id, state);
      return id;
    },
    find: (id, owner) => {
      fromShared(id);
      const found = sessions.get(id);
      if (!found || found.state.owner !== owner || found.usedAtMs <= clock.nowMs() - limits.mcpSessionIdleMs) {
        return undefined;
      }
      // The map's order is by last use: the sweep looks at its beginning only.
      found.usedAtMs = clock.nowMs();
      sessions.delete(id);
      sessions.set(id, found);
      return found.state;
    },
    close: (id) => {
      shared?.close(id);
      sessions.delete(id);
    },
    wrapEventId: (session, eventId) =>
      `${sign(session, eventId).toString("base64url")}.${Buffer.from(eventId, "utf8").toString("base64url")}`,
    unwrapEventId: (session, wrapped) => {
      const [mark = "", text = ""] = wrapped.split(".");
      const eventId = Buffer.from(text, "base64url").toString("utf8");
      const wanted = sign(session, eventId);
      const given = Buffer.from(mark, "base64url");
      return given.length === wanted.length && timingSafeEqual(given, wanted) ? eventId : undefined;
    },
  };
}

/** Who may use a session or a task: the principal as its issuer knows it, with everyone behind it. */
export function ownerOf({ identity }: TrafficSession): string {
  const { sub, kind, on_behalf_of, claims, chain } = identity;
  const text = (fact: unknown): unknown => (isKnown(fact) ? (fact ?? null) : null);
  const issuer = isKnown(claims) ? (claims.iss ?? null) : null;
  return JSON.stringify([issuer, text(sub), text(kind), text(on_behalf_of), chain ?? null]);
}

export const newState = (session: TrafficSession): McpState => new McpState(ownerOf(session));
