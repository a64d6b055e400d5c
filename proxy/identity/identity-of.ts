// verified claims -> IdentityFacts
import type { Json } from "../../engine/lib/json.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { IdentityFacts, PrincipalKind } from "../../engine/model/principal.ts";
import type { IssuerConfig } from "../gateway-config.ts";
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
  const kind = kindOf(claims, actor, issuer);
  if (kind === undefined) {
    return err({
      code: "token-claims-invalid",
      message: `the token doesn't say what kind of principal it is: claim \`${names.kind}\` must be human, agent or service`,
    });
  }
  const named = (name: string): string => issuer.prefix + name;
  const onBehalfOf = actor !== undefined ? subject : owner;
  return ok({
    purpose,
    identity: {
      sub: named(actor?.sub ?? subject),
      kind,
      groups: new Set(groups.map(named)),
      email,
      ip: plainAddress(clientAddress),
      mfa: hasSecondFactor(claims, names.mfa),
      on_behalf_of: onBehalfOf === undefined ? undefined : named(onBehalfOf),
      // Verified by signature; JSON by construction, it was parsed from JSON.
      claims: claims as Readonly<Record<string, Json>>,
    },
  });
}

type Actor = { readonly sub: string; readonly kind: unknown };

function actorOf(act: unknown): Actor | undefined {
  if (typeof act !== "object" || act === null || !("sub" in act) || typeof act.sub !== "string" || act.sub === "") {
    return undefined;
  }
  return { sub: act.sub, kind: "kind" in act ? act.kind : undefined };
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

/** The claim of that very name (URLs with dots are usual), else a path into objects. Own properties only. */
function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let value: unknown = claims;
  for (const part of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = Reflect.get(value, part);
  }
  return value;
}

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((item) => typeof item === "string");

/** `::ffff:10.0.0.1` is 10.0.0.1; a zone (`fe80::1%eth0`) names our own interface. */
export const plainAddress = (address: string): string =>
  address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "");

const wrong = (claim: string, expected: string) =>
  err<TokenFault>({ code: "token-claims-invalid", message: `the token's claim \`${claim}\` must be ${expected}` });
