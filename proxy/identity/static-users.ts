// Users that gw.yaml names, for tools that can't bring a token: a SCRAM verifier each, never a password.
import type { PrincipalKind } from "../../engine/model/principal.ts";
import type { Authenticated } from "../deps.ts";
import { plainAddress } from "./identity-of.ts";
import type { ScramVerifier } from "./scram-verifier.ts";

export type StaticUser = {
  /** Also the subject that policies see. */
  readonly name: string;
  readonly verifier: ScramVerifier;
  readonly kind: PrincipalKind;
  readonly groups: readonly string[];
  /** Names of connections; undefined: all. */
  readonly connections: readonly string[] | undefined;
  /** Seconds since the epoch; undefined: until it is taken out of the configuration. */
  readonly expiresAtS: number | undefined;
};

/** What the password has proved. */
export const authenticatedUser = (user: StaticUser, clientAddress: string): Authenticated => ({
  identity: {
    sub: user.name,
    kind: user.kind,
    groups: new Set(user.groups),
    email: undefined,
    ip: plainAddress(clientAddress),
    mfa: false,
    on_behalf_of: undefined,
    claims: {},
  },
  purpose: undefined,
  expiresAtS: user.expiresAtS,
});
