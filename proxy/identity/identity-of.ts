// verified claims -> IdentityFacts
import type { Json } from "../../engine/lib/json.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { IdentityFacts, PrincipalKind } from "../../engine/model/principal.ts";
import type { IssuerConfig } from "../gateway-config.ts";
import { claimAt, isStrings } from "./claims.ts";
import type { Claims, TokenFault } from "./jose.ts";

const kinds: readonly PrincipalKind[] = ["human", "agent", "service"];

/** Methods of RFC 8176 that mean a second factor, or several. */
const strongMethods: ReadonlySet<string> = new Set(["mfa", "otp", "hwk", "swk", "fpt", "face", "sc", "pop"]);

/**
 * In a delegated token (RFC 8693 section 4.1) `sub` is the one acted for and `act.sub` the one who acts now: the latter
 * is who asks here. A plain token names the person behind an agent in the `on_behalf_of` claim.
 */
export function identityOf(
  claims: Claims,
  issuer: IssuerConfig,
  clientAddress: string,
): Result<{ readonly identity: IdentityFacts; readonly purpose: string | undefined }, TokenFault> {
  const names = issuer.claims;
  const subject = claimAt(claims, names.sub);
  if (typeof subject !== "string" || subject === "") return wrong(names.sub, "a non-empty string");
  const act = claims.act;
  const actor = actorOf(act);
  if (act !== undefined && actor === undefined) return wrong("act", "an object with a `sub`");
  const groups = claimAt(claims, names.groups) ?? [];
  if (!isStrings(groups)) return wrong(names.groups, "a list of strings");
  const email = claimAt(claims, names.email);
  if (email !== undefined && typeof email !== "string") return wrong(names.email, "a string");
  const purpose = claimAt(claims, names.purpose);
  if (purpose !== undefined && typeof purpose !== "string") return wrong(names.purpose, "a string");
  const owner = claimAt(claims, names.on_behalf_of);
  if (owner !== undefined && typeof owner !== "string") return wrong(names.on_behalf_of, "a string");
  const ownerGroups =
    actor === undefined ? claimAt(claims, names.on_behalf_of_groups ?? "on_behalf_of_groups") : groups;
  if (ownerGroups !== undefined && !isStrings(ownerGroups)) {
    return wrong(names.on_behalf_of_groups ?? "on_behalf_of_groups", "a list of strings");
  }
  const kind = kindOf(claims, actor, issuer);
  if (kind === undefined) {
    return err({
      code: "token-claims-invalid",
      message: `the token doesn't say what kind of principal it is: claim \`${names.kind}\` must be human, agent or service`,
    });
  }
  const named = (name: string): string => issuer.prefix + name;
  const groupNamed = (name: string): string => named(issuer.groupNames?.get(name) ?? name);
  const onBehalfOf = actor !== undefined ? subject : owner;
  const chain = actor === undefined ? (owner === undefined ? [subject] : [owner, subject]) : [subject, ...actor.chain];
  return ok({
    purpose,
    identity: {
      sub: named(actor?.sub ?? subject),
      kind,
      groups: new Set(groups.map(groupNamed)),
      email,
      ip: plainAddress(clientAddress),
      mfa: hasSecondFactor(claims, names.mfa),
      on_behalf_of: onBehalfOf === undefined ? undefined : named(onBehalfOf),
      ...(onBehalfOf === undefined
        ? {}
        : {
            owner: {
              groups:
                ownerGroups === undefined
                  ? new Unknown("the token doesn't say which groups the one acted for is in")
                  : new Set(ownerGroups.map(groupNamed)),
            },
          }),
      chain: chain.map(named),
      // Verified by signature; JSON by construction, it was parsed from JSON.
      claims: claims as Readonly<Record<string, Json>>,
    },
  });
}

/** `chain`: the actors from the first to the one who acts now. */
type Actor = { readonly sub: string; readonly kind: unknown; readonly chain: readonly string[] };

/** Depth is bounded by the token's own size. An actor without a name somewhere in it makes the whole unusable. */
function actorOf(act: unknown): Actor | undefined {
  const chain: string[] = [];
  let kind: unknown;
  for (let at: unknown = act; at !== undefined; at = Reflect.get(at, "act")) {
    if (typeof at !== "object" || at === null || !("sub" in at) || typeof at.sub !== "string" || at.sub === "") {
      return undefined;
    }
    if (chain.length === 0) kind = "kind" in at ? at.kind : undefined;
    chain.unshift(at.sub);
  }
  const sub = chain.at(-1);
  return sub === undefined ? undefined : { sub, kind, chain };
}

/** Who acts for somebody else is an agent unless its own `kind` says service. */
function kindOf(claims: Claims, actor: Actor | undefined, issuer: IssuerConfig): PrincipalKind | undefined {
  if (actor !== undefined) return actor.kind === "service" ? "service" : "agent";
  const said = claimAt(claims, issuer.claims.kind);
  return said === undefined ? issuer.defaultKind : kinds.find((kind) => kind === said);
}

function hasSecondFactor(claims: Claims, name: string): boolean {
  const said = claimAt(claims, name);
  if (typeof said === "boolean") return said;
  const methods = claims.amr;
  return isStrings(methods) && methods.some((method) => strongMethods.has(method));
}

/** `::ffff:10.0.0.1` is 10.0.0.1; a zone (`fe80::1%eth0`) names our own interface. */
export const plainAddress = (address: string): string =>
  address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "");

const wrong = (claim: string, expected: string) =>
  err<TokenFault>({ code: "token-claims-invalid", message: `the token's claim \`${claim}\` must be ${expected}` });
