// token + keys -> verified claims; the signature of a token is looked at once, its times at each use
import { hash } from "node:crypto";
import { ok } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import { type Claims, type JSONWebKeySet, type VerifyOptions, verifySignedToken } from "./jose.ts";

/** By the keys that they were verified with: newer keys know nothing of what older ones let in. */
const verified = new WeakMap<JSONWebKeySet, Map<string, Claims>>();

/**
 * As `verifySignedToken`. What a signature says of a token doesn't change, what the clock says of it does: a token outside of
 * its time is judged anew, and so is whatever isn't known to be good. Revocation is the caller's, each time.
 */
export async function verifyOnce(
  token: string,
  keys: JSONWebKeySet,
  options: VerifyOptions,
): ReturnType<typeof verifySignedToken> {
  const known = verified.get(keys) ?? new Map<string, Claims>();
  verified.set(keys, known);
  const key = keyOf(token, options);
  const claims = known.get(key);
  if (claims !== undefined && isInTime(claims, options)) return ok(claims);
  const fresh = await verifySignedToken(token, keys, options);
  if (fresh.ok) {
    const oldest = known.keys().next().value;
    if (known.size >= limits.verifiedTokensMax && oldest !== undefined) known.delete(oldest);
    known.set(key, fresh.value);
  } else known.delete(key);
  return fresh;
}

/** A digest: the tokens themselves aren't kept. JSON keeps the parts apart. */
const keyOf = (token: string, { issuer, audience, algorithms, clockSkewS }: VerifyOptions): string =>
  hash("sha256", JSON.stringify([token, issuer, audience, algorithms, clockSkewS]));

/** RFC 7519, sections 4.1.4 and 4.1.5. */
function isInTime({ exp, nbf }: Claims, { nowMs, clockSkewS }: VerifyOptions): boolean {
  const nowS = Math.floor(nowMs / 1_000);
  const hasBegun = nbf === undefined || (typeof nbf === "number" && nbf <= nowS + clockSkewS);
  return typeof exp === "number" && exp > nowS - clockSkewS && hasBegun;
}
