// Who may come in, and with whose rights: the parts of a gateway that know identities.
import type { PolicySet } from "../engine/model/policy.ts";
import { withinOwner } from "../engine/within-owner.ts";
import type { Clock, Log } from "../proxy/deps.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";
import { createVerifyToken, type VerifyToken } from "../proxy/identity/authenticate.ts";
import { openRevocation, revocable } from "../proxy/identity/revocation.ts";
import type { GateSession } from "../proxy/postgres/sql-gate.ts";

export type IdentityParts = {
  readonly verify: VerifyToken;
  /** Asked before each statement: a token that is revoked ends what is logged in with it. */
  readonly isRevoked: (session: GateSession) => boolean;
};

/** @throws GatewayError `config-unreadable` */
export function openIdentity(config: GatewayConfig, clock: Clock, log: Log): IdentityParts {
  const revocation = openRevocation(config.identity, clock, log);
  const { issuers } = config.identity;
  // The address of an MCP server is what its tokens are for (RFC 8707), where nothing else is said.
  const resources = config.http.flatMap((connection): (readonly [string, string])[] =>
    connection.kind === "mcp" && connection.resource !== undefined ? [[connection.name, connection.resource]] : [],
  );
  const audiences = new Map([...resources, ...(config.identity.audiences ?? [])]);
  return {
    verify: createVerifyToken({
      issuers,
      revocation,
      audiences,
      clock,
      log,
    }),
    isRevoked: (session) =>
      !revocation.isEmpty() && revocation.isRevoked({ ...revocable(session.identity), session: session.id }),
  };
}

/** The policies in force with agents held to their owners' rights, unless the configuration says otherwise. */
export function boundPolicies(config: GatewayConfig, current: () => PolicySet): () => PolicySet {
  if (config.identity.areAgentsBound === false) return current;
  // One object for one policy set: gates tell by it whether policies changed.
  const bound = new WeakMap<PolicySet, PolicySet>();
  return () => {
    const policies = current();
    const known = bound.get(policies);
    if (known !== undefined) return known;
    const made = withinOwner(policies);
    bound.set(policies, made);
    return made;
  };
}
