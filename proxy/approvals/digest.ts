// what a grant is bound to -> digest
import { createHash } from "node:crypto";
import { invariant } from "../../engine/lib/assert.ts";
import type { Json } from "../../engine/lib/json.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { Protocol } from "../../engine/model/request.ts";
import type { Requester } from "./approval.ts";

/** One of them other: the grant doesn't fit, and the request asks again. */
export type GrantBinding = {
  readonly identity: IdentityFacts;
  readonly connection: string;
  readonly protocol: Protocol;
  /** What would go upstream, in the gateway's own spelling, with every value: statement and binds, method and body, tool and arguments. */
  readonly action: Json;
  /** Masks, filters and limits, the row ceiling among them, as a text that is equal for equal ones. */
  readonly obligations: string;
  readonly policyHash: string;
};

/** Hex of SHA-256 over all fields of the binding, in an unambiguous form. The expiry is a column of the grant. */
export function grantDigest({ identity, connection, protocol, action, obligations, policyHash }: GrantBinding): string {
  const { sub, kind, on_behalf_of } = identity;
  const parts: Json = [
    "gw-approval-2",
    isKnown(sub) ? sub : null,
    isKnown(kind) ? kind : null,
    isKnown(on_behalf_of) ? (on_behalf_of ?? null) : null,
    [...actorsOf(identity)],
    connection,
    protocol,
    action,
    obligations,
    policyHash,
  ];
  return createHash("sha256").update(canonicalJson(parts)).digest("hex");
}

/** JSON with the keys of objects sorted: one spelling for one value. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== "object") {
    const text = JSON.stringify(value);
    invariant(typeof text === "string", "a value that JSON has no spelling for");
    return text;
  }
  if (isList(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, of]) => `${JSON.stringify(key)}:${canonicalJson(of)}`).join(",")}}`;
}

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

/** Who asks, and everybody behind: whom they act for and all actors of the token's chain. */
export function requesterOf(identity: IdentityFacts): Requester {
  const { sub, kind, on_behalf_of } = identity;
  const owners = new Set<string>();
  if (isKnown(on_behalf_of) && on_behalf_of !== undefined) owners.add(on_behalf_of);
  for (const actor of actorsOf(identity)) owners.add(actor);
  const name = isKnown(sub) ? sub : "unknown";
  owners.delete(name);
  return { sub: name, kind: isKnown(kind) ? kind : "unknown", onBehalfOf: [...owners] };
}

/** Everyone behind the request. Where the token's chain was not read, `act.sub` and those within (RFC 8693 section 4.1), outermost first. The token's size bounds the depth. */
function actorsOf({ claims, chain }: IdentityFacts): ReadonlySet<string> {
  if (chain !== undefined) return new Set(chain);
  const actors = new Set<string>();
  let actor: unknown = isKnown(claims) ? claims.act : undefined;
  while (typeof actor === "object" && actor !== null) {
    if ("sub" in actor && typeof actor.sub === "string") actors.add(actor.sub);
    actor = "act" in actor ? actor.act : undefined;
  }
  return actors;
}
