// issuer -> its public keys: fetched, kept, renewed on rotation, and for a while outliving an outage
import { limits } from "../../engine/limits.ts";
import type { Clock, Log } from "../deps.ts";
import { causeCode } from "../errors.ts";
import type { IssuerConfig } from "../gateway-config.ts";
import { decodeKeySet, type JSONWebKeySet } from "./jose.ts";

export type IssuerKeys = {
  /** Undefined when there are none that are young enough. */
  readonly current: () => Promise<JSONWebKeySet | undefined>;
  /** A token names a key that we don't have: fetch, unless we did a moment ago. */
  readonly renewed: () => Promise<JSONWebKeySet | undefined>;
};

export function issuerKeys(issuer: IssuerConfig, clock: Clock, log: Log): IssuerKeys {
  if (issuer.keys.kind === "jwks") {
    const fixed = decodeKeySet(issuer.keys.jwks);
    return { current: async () => fixed, renewed: async () => fixed };
  }
  const source = issuer.keys;
  let keys: JSONWebKeySet | undefined;
  let fetchedAtMs = Number.NEGATIVE_INFINITY;
  let triedAtMs = Number.NEGATIVE_INFINITY;
  let running: Promise<void> | undefined;

  const fetchKeys = async (): Promise<void> => {
    triedAtMs = clock.nowMs();
    try {
      const url = source.kind === "jwks-url" ? source.url : await discover(issuer.issuer);
      const found = decodeKeySet(await fetchJson(url));
      if (found === undefined) throw new Error("not a JWK set");
      keys = found;
      fetchedAtMs = clock.nowMs();
    } catch (error) {
      log.warn({ code: "issuer-unreachable", issuer: issuer.issuer, cause: causeCode(error) }, "keys not fetched");
    }
  };
  /** Callers share one fetch; failures are not repeated within the cooldown. */
  const renew = (): Promise<void> => {
    if (clock.nowMs() - triedAtMs < limits.jwksCooldownMs && running === undefined) return Promise.resolve();
    running ??= fetchKeys().finally(() => {
      running = undefined;
    });
    return running;
  };
  const usable = (): JSONWebKeySet | undefined =>
    clock.nowMs() - fetchedAtMs < limits.jwksStaleMaxMs ? keys : undefined;

  return {
    current: async () => {
      if (usable() === undefined) await renew();
      else if (clock.nowMs() - fetchedAtMs > limits.jwksMaxAgeMs) void renew();
      return usable();
    },
    renewed: async () => {
      await renew();
      return usable();
    },
  };
}

/** OpenID Connect Discovery 1.0 section 4: the document must name the issuer it was asked for. */
async function discover(issuer: string): Promise<string> {
  const document = await fetchJson(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
  if (typeof document !== "object" || document === null) throw new Error("not a discovery document");
  const named: unknown = "issuer" in document ? document.issuer : undefined;
  const url: unknown = "jwks_uri" in document ? document.jwks_uri : undefined;
  if (named !== issuer || typeof url !== "string") throw new Error("the discovery document is another issuer's");
  return url;
}

async function fetchJson(url: string): Promise<unknown> {
  const response = await fetch(url, {
    redirect: "error",
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(limits.jwksTimeoutMs),
  });
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.length;
    if (length > limits.jwksBytesMax) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}
