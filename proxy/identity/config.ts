// `identity` of gw.yaml
import type { ConfigReader, Path } from "../config-reader.ts";
import { durationMs, durationSchema } from "../config-schema.ts";
import type { IssuerConfig } from "../gateway-config.ts";
import { z } from "../schema.ts";

const scalar = z.union([z.string(), z.number(), z.boolean()]);

export const issuerSchema = z.strictObject({
  issuer: z.string().min(1),
  audience: z.string().min(1),
  jwks_url: z.url({ protocol: /^https?$/ }).optional(),
  jwks_file: z.string().optional(),
  discovery: z.literal(true).optional(),
  algorithms: z
    .array(
      z.enum(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]),
    )
    .min(1)
    .default(["RS256", "PS256", "ES256", "EdDSA", "Ed25519"]),
  default_kind: z.enum(["human", "agent", "service"]).optional(),
  prefix: z.string().default(""),
  required_claims: z.record(z.string(), z.union([scalar, z.array(scalar).min(1)])).optional(),
  group_names: z.record(z.string(), z.string().min(1)).optional(),
  lifetime_max: durationSchema.optional(),
  claims: z
    .strictObject({
      sub: z.string().default("sub"),
      kind: z.string().default("kind"),
      groups: z.string().default("groups"),
      email: z.string().default("email"),
      mfa: z.string().default("mfa"),
      on_behalf_of: z.string().default("on_behalf_of"),
      on_behalf_of_groups: z.string().optional(),
      purpose: z.string().default("purpose"),
    })
    .prefault({}),
});

export const identitySchema = z.strictObject({
  issuers: z.array(issuerSchema).min(1),
  revoked: z.array(z.string()).default([]),
  revoked_file: z.string().min(1).optional(),
  audiences: z.record(z.string(), z.string().min(1)).optional(),
  login: z
    .strictObject({
      issuer: z.string().min(1),
      client_id: z.string().min(1),
      scope: z.string().default("openid offline_access"),
      resource: z.string().min(1).optional(),
      use: z.enum(["access", "id"]).default("access"),
    })
    .optional(),
  agents: z.enum(["within_owner", "independent"]).default("within_owner"),
});

export type IdentityConfig = {
  readonly issuers: readonly IssuerConfig[];
  readonly revoked: ReadonlySet<string>;
  /** Read again when it changes. */
  readonly revokedFile?: string;
  /** Connection → the audience of its tokens, instead of the issuer's. */
  readonly audiences?: ReadonlyMap<string, string>;
  /** What `gw login` is told. */
  readonly login?: {
    readonly issuer: string;
    readonly clientId: string;
    readonly scope: string;
    readonly resource?: string;
    readonly use: "access" | "id";
  };
  /** False: agents' rights are looked at alone, without those of whom they act for. */
  readonly areAgentsBound?: boolean;
};

export function buildIdentity(
  parsed: z.infer<typeof identitySchema>,
  connections: ReadonlySet<string>,
  at: ConfigReader,
): IdentityConfig {
  const path = ["identity"];
  for (const name of Object.keys(parsed.audiences ?? {})) {
    if (!connections.has(name)) at.complain([...path, "audiences", name], `there is no connection \`${name}\``);
  }
  return {
    issuers: parsed.issuers.map((issuer, i) => buildIssuer(issuer, [...path, "issuers", i], at)),
    revoked: new Set(parsed.revoked),
    ...(parsed.revoked_file === undefined ? {} : { revokedFile: at.path(parsed.revoked_file) }),
    ...(parsed.audiences === undefined ? {} : { audiences: new Map(Object.entries(parsed.audiences)) }),
    ...(parsed.login === undefined ? {} : { login: buildLogin(parsed.login, parsed.issuers, at) }),
    ...(parsed.agents === "independent" ? { areAgentsBound: false } : {}),
  };
}

function buildLogin(
  parsed: NonNullable<z.infer<typeof identitySchema>["login"]>,
  issuers: z.infer<typeof identitySchema>["issuers"],
  at: ConfigReader,
): NonNullable<IdentityConfig["login"]> {
  const { issuer, client_id: clientId, scope, resource, use } = parsed;
  if (!issuers.some((one) => one.issuer === issuer)) {
    at.complain(
      ["identity", "login", "issuer"],
      `\`${issuer}\` is none of \`identity.issuers\`: its tokens would be refused`,
    );
  }
  return { issuer, clientId, scope, ...(resource === undefined ? {} : { resource }), use };
}

function buildIssuer(parsed: z.infer<typeof issuerSchema>, path: Path, at: ConfigReader): IssuerConfig {
  const given = [parsed.jwks_url, parsed.jwks_file, parsed.discovery].filter((x) => x !== undefined).length;
  if (given !== 1) at.complain(path, "an issuer needs exactly one of `jwks_url`, `jwks_file`, `discovery: true`");
  return {
    issuer: parsed.issuer,
    audience: parsed.audience,
    keys:
      parsed.jwks_url !== undefined
        ? { kind: "jwks-url", url: parsed.jwks_url }
        : parsed.jwks_file !== undefined
          ? { kind: "jwks", jwks: readKeys(parsed.jwks_file, [...path, "jwks_file"], at) }
          : { kind: "discovery" },
    algorithms: parsed.algorithms,
    claims: claimsOf(parsed.claims),
    defaultKind: parsed.default_kind,
    prefix: parsed.prefix,
    ...(parsed.required_claims === undefined
      ? {}
      : {
          requiredClaims: new Map(
            Object.entries(parsed.required_claims).map(([name, value]) => [
              name,
              Array.isArray(value) ? value : [value],
            ]),
          ),
        }),
    ...(parsed.group_names === undefined ? {} : { groupNames: new Map(Object.entries(parsed.group_names)) }),
    ...(parsed.lifetime_max === undefined ? {} : { lifetimeMaxS: durationMs(parsed.lifetime_max) / 1_000 }),
  };
}

function claimsOf(parsed: z.infer<typeof issuerSchema>["claims"]): IssuerConfig["claims"] {
  const { on_behalf_of_groups, ...rest } = parsed;
  return on_behalf_of_groups === undefined ? rest : { ...rest, on_behalf_of_groups };
}

const keysSchema = z.object({ keys: z.array(z.record(z.string(), z.unknown())) });

function readKeys(file: string, path: Path, at: ConfigReader): z.infer<typeof keysSchema> {
  try {
    const parsed = keysSchema.safeParse(JSON.parse(at.file(file, path)));
    if (parsed.success) return parsed.data;
  } catch {
    // Not JSON: the same complaint.
  }
  at.complain(path, `\`${file}\` isn't a JWK set: it needs a \`keys\` list`);
  return { keys: [] };
}
