// `admin` of gw.yaml
import type { ConfigReader } from "../config-reader.ts";
import { addressOf, addressSchema, secretSchema } from "../config-schema.ts";
import type { Address, IssuerConfig } from "../gateway-config.ts";
import type { OpenIdClient } from "../identity/openid.ts";
import { z } from "../schema.ts";

export const adminSchema = z.strictObject({
  listen: addressSchema,
  page: z
    .strictObject({
      origin: z
        .string()
        .regex(/^https?:\/\/[^/?#@\s]+$/, "write it as browsers do, without a path: `https://gw.example`"),
      issuer: z.string().min(1),
      client_id: z.string().min(1),
      client_secret: secretSchema.optional(),
      scope: z.string().default("openid profile email groups"),
    })
    .optional(),
});

export const adminKeys: readonly string[] = [
  "page",
  "origin",
  "client_id",
  "client_secret",
  "scope",
  "login",
  "use",
  "resource",
];

export type PageConfig = {
  readonly origin: string;
  readonly client: () => Promise<OpenIdClient>;
  /** As one of the issuers, with our client id as the audience: what ID tokens are for. */
  readonly issuer: IssuerConfig;
};

export type AdminConfig = { readonly listen: Address; readonly page?: PageConfig };

export function buildAdmin(
  parsed: z.infer<typeof adminSchema>,
  issuers: readonly IssuerConfig[],
  at: ConfigReader,
): AdminConfig {
  const listen = addressOf(parsed.listen);
  if (parsed.page === undefined) return { listen };
  const path = ["admin", "page"];
  const { origin, issuer, client_id: clientId, client_secret: secret, scope } = parsed.page;
  const known = issuers.find((one) => one.issuer === issuer);
  if (known === undefined) {
    at.complain(
      [...path, "issuer"],
      `\`${issuer}\` is none of \`identity.issuers\`: people log in where their tokens come from`,
    );
    return { listen };
  }
  if (!/^https:|^http:\/\/(?:127\.|localhost|\[::1\])/.test(origin)) {
    at.complain([...path, "origin"], "people log in over https only, but on loopback");
  }
  const secretOf = secret === undefined ? undefined : at.secret(secret, [...path, "client_secret"]);
  return {
    listen,
    page: {
      origin,
      issuer: { ...known, audience: clientId },
      client: async () => ({
        issuer,
        clientId,
        scope,
        ...(secretOf === undefined ? {} : { clientSecret: await secretOf() }),
      }),
    },
  };
}
