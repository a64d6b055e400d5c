// who asks, as policies see them -> those facts that the configuration lets into the recording
import type { Json } from "../../engine/lib/json.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { RecordedFacts } from "../../engine/model/session-event.ts";

export type CallerFacts = { readonly identity: IdentityFacts; readonly purpose: string | undefined };

const plain = ["mfa", "email", "purpose", "owner_groups"] as const;
type Plain = (typeof plain)[number];
const isPlain = (name: string): name is Plain => plain.some((known) => known === name);

/** Claims that hold what lets somebody in, or would name the token itself. */
const secretName = /token|secret|passw|credential|assertion|api_?key|private|cookie|nonce|^jti$|^sid$|_hash$/i;
/** A JWT or JWE: base64url of `{"` and two parts or more behind it. */
const tokenText = /\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*/;

/** Why a fact can't be recorded by this name; undefined: it can. */
export function factNameFault(name: string): string | undefined {
  if (isPlain(name)) return undefined;
  const claim = claimOf(name);
  if (claim === undefined) {
    return `\`${name}\` is no fact about who asks: ${plain.map((known) => `\`${known}\``).join(", ")} or \`claims.NAME\``;
  }
  return secretName.test(claim) ? `\`${name}\` may hold a secret: it is never recorded` : undefined;
}

const claimOf = (name: string): string | undefined => /^claims\.(.+)$/.exec(name)?.[1];

/**
 * By name; null where there is none. A fact that isn't known, is longer than a record takes, or looks like a token is left out:
 * whoever reads the recording must not take it for known.
 */
export function recordedFacts(names: readonly string[], caller: CallerFacts): RecordedFacts {
  const found: [string, Json][] = [];
  for (const name of names) {
    if (factNameFault(name) !== undefined) continue;
    const value = factOf(name, caller);
    if (value === undefined) continue;
    const text = JSON.stringify(value);
    if (text.length <= limits.recordFactCharsMax && !tokenText.test(text) && !hasSecretName(value)) {
      found.push([name, value]);
    }
  }
  return Object.fromEntries(found);
}

/** In an object anywhere in it. Bounded by `recordFactCharsMax`, which was asked before. */
function hasSecretName(value: Json): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, item]) => secretName.test(name) || hasSecretName(item));
}

/** undefined: it isn't known. */
function factOf(name: string, { identity, purpose }: CallerFacts): Json | undefined {
  const claim = claimOf(name);
  if (claim !== undefined) {
    const { claims } = identity;
    if (!isKnown(claims)) return undefined;
    return Object.hasOwn(claims, claim) ? (claims[claim] ?? null) : null;
  }
  if (!isPlain(name)) return undefined;
  switch (name) {
    case "mfa":
      return isKnown(identity.mfa) ? identity.mfa : undefined;
    case "email":
      return isKnown(identity.email) ? (identity.email ?? null) : undefined;
    case "purpose":
      return purpose ?? null;
    case "owner_groups": {
      if (identity.owner === undefined) return null;
      const { groups } = identity.owner;
      return isKnown(groups) ? [...groups].sort() : undefined;
    }
  }
}
