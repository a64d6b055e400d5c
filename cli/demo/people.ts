// Who is who in the demo: the claims that the demo's issuer signs.
import type { TokenIssuer } from "./token-issuer.ts";

export type DemoPerson = {
  readonly sub: string;
  readonly what: string;
  readonly claims: Readonly<Record<string, unknown>>;
};

export const people = {
  agent: {
    sub: "claude-agent",
    what: "an AI agent of the support team, working for nina in the region north",
    claims: {
      kind: "agent",
      groups: ["support-agents"],
      on_behalf_of: "nina",
      region: "north",
      tenant: "acme",
      mfa: false,
    },
  },
  onCall: {
    sub: "oscar",
    what: "the engineer on call",
    claims: { kind: "human", groups: ["on-call"], email: "oscar@larch.example", mfa: true },
  },
  approver: {
    sub: "lena",
    what: "a lead who approves changes",
    claims: { kind: "human", groups: ["leads", "admins"], email: "lena@larch.example", mfa: true },
  },
} as const satisfies Readonly<Record<string, DemoPerson>>;

export type Role = keyof typeof people;

/** A token of the demo's issuer, good for twelve hours. */
export const tokenOf = (issuer: TokenIssuer, role: Role): Promise<string> =>
  issuer.issue({ sub: people[role].sub, ...people[role].claims }, { ttlS: 12 * 3_600 });
