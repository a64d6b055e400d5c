// JWT as password -> who is asking
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import type { Authenticate, Authenticated, Clock, Log, LoginFault } from "../deps.ts";
import type { IssuerConfig } from "../gateway-config.ts";
import { hasClaim } from "./claims.ts";
import { identityOf } from "./identity-of.ts";
import { issuerKeys } from "./issuer-keys.ts";
import { type Claims, peekToken, type TokenFault } from "./jose.ts";
import { type Revocation, revocable } from "./revocation.ts";
import { verifyOnce } from "./verified-tokens.ts";

export type AuthenticateDeps = {
  readonly issuers: readonly IssuerConfig[];
  readonly revocation: Revocation;
  /** Connection → the audience that its tokens must be for, instead of the issuer's. */
  readonly audiences?: ReadonlyMap<string, string>;
  readonly clock: Clock;
  readonly log: Log;
};

/** `connection`: whose audience counts; left out for the gateway's own pages and API. */
export type VerifyToken = (
  token: string,
  clientAddress: string,
  connection?: string,
) => Promise<Result<Authenticated, TokenFault>>;

/** Issuers are told apart by `iss` and audience: one issuer may be configured for several audiences. */
export function createVerifyToken(deps: AuthenticateDeps): VerifyToken {
  const issuers = deps.issuers.map((config) => ({ config, keys: issuerKeys(config, deps.clock, deps.log) }));
  return async (token, clientAddress, connection) => {
    const audience = connection === undefined ? undefined : deps.audiences?.get(connection);
    if (token.length > limits.passwordBytesMax) return fault("token-malformed", "the token is too long");
    const peeked = peekToken(token);
    if (!peeked.ok) return peeked;
    const { issuer, algorithm } = peeked.value;
    const candidates = issuers.filter(({ config }) => config.issuer === issuer);
    let last: Result<Authenticated, TokenFault> = fault(
      "token-issuer-unknown",
      "the token's issuer isn't configured here",
    );
    for (const { config, keys } of candidates) {
      if (!config.algorithms.includes(algorithm)) {
        last = fault("token-algorithm-refused", "the token is signed with an algorithm that isn't accepted");
        continue;
      }
      const claims = await verifyWith(token, config, audience ?? config.audience, keys, deps.clock);
      last = claims.ok ? authenticated(claims.value, config, clientAddress, deps.revocation) : claims;
      if (claims.ok || claims.error.code !== "token-audience-wrong") return last;
    }
    return last;
  };
}

async function verifyWith(
  token: string,
  config: IssuerConfig,
  audience: string,
  keys: ReturnType<typeof issuerKeys>,
  clock: Clock,
): Promise<Result<Claims, TokenFault>> {
  const options = {
    issuer: config.issuer,
    audience,
    algorithms: config.algorithms,
    clockSkewS: limits.clockSkewMs / 1_000,
    nowMs: clock.nowMs(),
  };
  const known = await keys.current();
  if (known === undefined) return fault("issuer-unreachable", "the issuer's keys can't be fetched just now");
  const first = await verifyOnce(token, known, options);
  if (first.ok) return first;
  if (first.error.code !== "key-unknown") return err(first.error);
  const renewed = await keys.renewed();
  if (renewed === undefined || renewed === known)
    return fault("token-signature-invalid", "no key of the issuer fits the token");
  const second = await verifyOnce(token, renewed, options);
  if (second.ok) return second;
  if (second.error.code !== "key-unknown") return err(second.error);
  return fault("token-signature-invalid", "no key of the issuer fits the token");
}

function authenticated(
  claims: Claims,
  config: IssuerConfig,
  clientAddress: string,
  revocation: Revocation,
): Result<Authenticated, TokenFault> {
  for (const [claim, values] of config.requiredClaims ?? []) {
    if (!hasClaim(claims, claim, values)) {
      return fault("token-claims-invalid", `the token's claim \`${claim}\` is not what this gateway requires`);
    }
  }
  const { lifetimeMaxS } = config;
  if (lifetimeMaxS !== undefined && !(Number(claims.exp) - Number(claims.iat) <= lifetimeMaxS)) {
    return fault("token-claims-invalid", `the token lives longer than the ${lifetimeMaxS} s that are allowed here`);
  }
  const who = identityOf(claims, config, clientAddress);
  if (!who.ok) return who;
  // By the issuer's names and by ours: either may stand in the list.
  const { tokenId, subs } = revocable(who.value.identity);
  const plain = typeof claims.sub === "string" ? [claims.sub] : [];
  if (revocation.isRevoked({ tokenId, subs: [...subs, ...plain] }))
    return fault("token-revoked", "the token was revoked");
  return ok({
    identity: who.value.identity,
    purpose: who.value.purpose,
    expiresAtS: typeof claims.exp === "number" ? claims.exp : undefined,
  });
}

const fault = (code: TokenFault["code"], message: string) => err<TokenFault>({ code, message });

/** What the PostgreSQL listener asks: faults get the way to a good token. */
export function createAuthenticate(verify: VerifyToken, log: Log, connection?: string): Authenticate {
  return async (credentials) => {
    const verified = await verify(credentials.password, credentials.clientAddress, connection);
    if (verified.ok) return verified;
    const { code, message } = verified.error;
    log.warn({ code, client: credentials.clientAddress }, "login refused");
    return err<LoginFault>({ code, message, hint: hintFor(code) });
  };
}

function hintFor(code: string): string {
  if (code === "issuer-unreachable") return "try again in a minute; if it stays, tell whoever runs the gateway";
  if (code === "token-expired") return "get a new token (`gw login`) and use it as the password";
  return "use a token (JWT) of an issuer that this gateway trusts as the password: `gw login`, then `gw connect`";
}
