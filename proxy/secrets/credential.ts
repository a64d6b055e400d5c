// What the gateway logs in with, and how it is kept fresh.
import { limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode, GatewayError } from "../errors.ts";

/** A secret, and the user it belongs to where its source makes one up. Never logged, never in an error. */
export type Credential = { readonly password: string; readonly user?: string };

export type Fetched = {
  readonly credential: Credential;
  /** Ms from now until it must not be used any more; undefined: for ever. */
  readonly ttlMs: number | undefined;
  /** Makes it live longer: ms from then, or undefined when that is over and a new one is needed. Absent: it can't. */
  readonly renew?: () => Promise<number | undefined>;
};

export type CredentialSource = {
  /** @throws GatewayError `secret-unavailable` when there is none that is still good */
  readonly get: () => Promise<Credential>;
  /** The other side refused it: the next one is asked for anew, unless that was a moment ago. */
  readonly refused: (credential: Credential) => void;
  readonly close: () => void;
};

export const secretUnavailable = (name: string, cause?: unknown): GatewayError =>
  new GatewayError(
    "secret-unavailable",
    `the secret \`${name}\` can't be had just now${cause === undefined ? "" : `: ${causeCode(cause)}`}`,
    "the operator finds the cause in the log; nothing is let through without it",
  );

/**
 * Kept for its life, renewed in the background from two thirds of it on. Callers share one fetch. While the source is down the
 * last one serves as long as it is good.
 * @param name what the log and errors call it: the kind and the place, never the content
 */
export function keepFresh(name: string, fetch: () => Promise<Fetched>, clock: Clock, log: Log): CredentialSource {
  let current: (Fetched & { readonly endsAtMs: number; readonly renewAtMs: number }) | undefined;
  let running: Promise<void> | undefined;
  let failedAtMs = Number.NEGATIVE_INFINITY;
  let refusedAtMs = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const take = (fetched: Fetched, ttlMs: number | undefined): void => {
    const nowMs = clock.nowMs();
    const life = ttlMs ?? Number.POSITIVE_INFINITY;
    current = { ...fetched, endsAtMs: nowMs + life, renewAtMs: nowMs + (life * 2) / 3 };
    clearTimeout(timer);
    // setTimeout can't wait longer than 2^31 ms: whoever uses it later looks at the time anyway.
    if (isClosed || ttlMs === undefined || ttlMs > 1_000_000_000) return;
    timer = setTimeout(() => void refresh(), Math.max(limits.secretRenewMinMs, (ttlMs * 2) / 3));
    timer.unref();
  };
  const fetchOnce = async (): Promise<void> => {
    try {
      const renewedMs = await current?.renew?.().catch(() => undefined);
      if (current !== undefined && renewedMs !== undefined) return take(current, renewedMs);
      const fetched = await fetch();
      take(fetched, fetched.ttlMs);
      failedAtMs = Number.NEGATIVE_INFINITY;
    } catch (error) {
      failedAtMs = clock.nowMs();
      log.warn({ code: "secret-unavailable", secret: name, cause: causeCode(error) }, "a secret can't be fetched");
      if (isClosed || current === undefined) return;
      clearTimeout(timer);
      timer = setTimeout(() => void refresh(), limits.secretRetryMs);
      timer.unref();
    }
  };
  const refresh = (): Promise<void> => {
    running ??= fetchOnce().finally(() => {
      running = undefined;
    });
    return running;
  };
  const good = () => (current !== undefined && clock.nowMs() < current.endsAtMs ? current : undefined);
  return {
    get: async () => {
      const has = good();
      if (has !== undefined) {
        if (clock.nowMs() >= has.renewAtMs && clock.nowMs() - failedAtMs >= limits.secretRetryMs) void refresh();
        return has.credential;
      }
      if (clock.nowMs() - failedAtMs >= limits.secretRetryMs || failedAtMs > clock.nowMs()) await refresh();
      const now = good();
      if (now === undefined) throw secretUnavailable(name);
      return now.credential;
    },
    refused: (credential) => {
      if (current?.credential !== credential) return;
      if (Math.abs(clock.nowMs() - refusedAtMs) < limits.secretRetryMs) return;
      refusedAtMs = clock.nowMs();
      current = undefined;
    },
    close: () => {
      isClosed = true;
      clearTimeout(timer);
    },
  };
}
