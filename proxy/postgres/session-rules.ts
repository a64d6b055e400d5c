// `sessions` of a connection in gw.yaml -> how many sessions there may be, for how long, and what they share upstream
import { limits } from "../../engine/limits.ts";
import { durationMs, durationSchema } from "../config-schema.ts";
import { z } from "../schema.ts";
import type { LoginRules } from "./login-slots.ts";

/** Sessions upstream that outlive their client: a session is handed to the next one after a reset that is checked. */
export type PoolRules = {
  /** Sessions at the server at a time, used and kept. */
  readonly sessionsMax: number;
  /** Kept for the next client. */
  readonly keptMax: number;
  /** Clients that may wait for a session; one more is refused at once. */
  readonly waitingMax: number;
  readonly waitMs: number;
};

export type SessionRules = {
  /** Undefined: each client has a session of its own at the server. */
  readonly pool?: PoolRules;
  /** How many log in to the server at a time, and how many wait for it. Undefined: as `limits` have it. */
  readonly logins?: LoginRules;
  /** Sessions of one principal at a time. */
  readonly perPrincipalMax?: number;
  /** A session outside of a transaction that says nothing for this long ends. */
  readonly idleTimeoutMs?: number;
  /** A statement that runs longer is cancelled. */
  readonly statementTimeoutMs?: number;
};

const count = z.int().min(1).max(100_000);

export const poolSchema = z.strictObject({
  sessions: count,
  keep: z.int().min(0).max(100_000).optional(),
  queue: z.int().min(0).max(100_000).default(100),
  wait: durationSchema.default("5s"),
});

/** By default what `limits.upstreamLoginsMax` and its neighbours say. */
export const loginsSchema = z.strictObject({
  at_once: count.default(limits.upstreamLoginsMax),
  queue: z.int().min(0).max(100_000).default(limits.upstreamLoginsWaitingMax),
  wait: durationSchema.default(`${limits.upstreamLoginWaitMs / 1_000}s`),
});

export const sessionsSchema = z.strictObject({
  logins: loginsSchema.optional(),
  pool: poolSchema.optional(),
  per_principal: count.optional(),
  idle_timeout: durationSchema.optional(),
  statement_timeout: durationSchema.optional(),
});

export function buildSessionRules(parsed: z.infer<typeof sessionsSchema>): SessionRules {
  const { pool, logins, per_principal, idle_timeout, statement_timeout } = parsed;
  return {
    ...(pool === undefined
      ? {}
      : {
          pool: {
            sessionsMax: pool.sessions,
            keptMax: Math.min(pool.keep ?? pool.sessions, pool.sessions),
            waitingMax: pool.queue,
            waitMs: durationMs(pool.wait),
          },
        }),
    ...(logins === undefined
      ? {}
      : { logins: { atOnceMax: logins.at_once, waitingMax: logins.queue, waitMs: durationMs(logins.wait) } }),
    ...(per_principal === undefined ? {} : { perPrincipalMax: per_principal }),
    ...(idle_timeout === undefined ? {} : { idleTimeoutMs: durationMs(idle_timeout) }),
    ...(statement_timeout === undefined ? {} : { statementTimeoutMs: durationMs(statement_timeout) }),
  };
}
