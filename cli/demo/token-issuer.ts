// A token issuer for the demo and the tests: a real JWKS over HTTP on loopback, keys made at start and never written.
import type { webcrypto } from "node:crypto";
import { createServer } from "node:http";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { GatewayError } from "../../proxy/errors.ts";
import type { GatewayConfig } from "../../proxy/gateway-config.ts";

export type TokenIssuer = {
  /** Also the `iss` claim: `http://127.0.0.1:PORT`. */
  readonly issuer: string;
  readonly jwksUrl: string;
  readonly audience: string;
  /** A signed token. `iss`, `aud`, `iat`, `nbf` and `jti` are filled in; `claims` wins over them, so that tests can make bad ones. */
  readonly issue: (claims: JWTPayload, options?: IssueOptions) => Promise<string>;
  /** Signs with a new key from now on; the JWKS keeps the old one too unless `forgetOld`. */
  readonly rotate: (options?: { readonly forgetOld?: boolean }) => Promise<void>;
  readonly stop: () => Promise<void>;
};

export type IssueOptions = {
  /** Seconds until `exp`; negative for a token that has run out. Default one hour. */
  readonly ttlS?: number;
  readonly audience?: string;
};

export type IssuerOptions = {
  readonly audience?: string;
  readonly algorithm?: "EdDSA" | "ES256";
  readonly port?: number;
};

type SigningKey = {
  readonly kid: string;
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicJwk: Readonly<Record<string, unknown>>;
};

/**
 * Its keys vouch for whatever it is asked to sign, so it is never one issuer among others.
 * @throws GatewayError `config-invalid` when the configuration names another issuer than this one
 */
export function refuseBesideOthers(config: Pick<GatewayConfig, "identity">, own: string): void {
  const other = config.identity.issuers.find(({ issuer }) => issuer !== own);
  if (other === undefined) return;
  throw new GatewayError(
    "config-invalid",
    `the built-in issuer is for demos and tests, and this configuration names \`${other.issuer}\``,
    "take tokens from that issuer (`gw login`), or leave it out of the configuration",
  );
}

/** Listens on a free loopback port unless one is given. */
export async function startTokenIssuer(options: IssuerOptions = {}): Promise<TokenIssuer> {
  const algorithm = options.algorithm ?? "EdDSA";
  const audience = options.audience ?? "gatewright";
  let serial = 0;
  const newKey = async (): Promise<SigningKey> => {
    serial += 1;
    const kid = `demo-${serial}`;
    const { publicKey, privateKey } = await generateKeyPair(algorithm);
    return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: algorithm, use: "sig" } };
  };
  let current = await newKey();
  let published = [current];

  const server = createServer((request, response) => {
    const found = request.method === "GET" ? documents()[request.url ?? ""] : undefined;
    response.writeHead(found ? 200 : 404, { "content-type": "application/json", "cache-control": "no-store" });
    response.end(JSON.stringify(found ?? { error: "not found" }));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("the token issuer has no port");
  const issuer = `http://127.0.0.1:${address.port}`;
  const jwksUrl = `${issuer}/.well-known/jwks.json`;
  const documents = (): Readonly<Record<string, unknown>> => ({
    "/.well-known/jwks.json": { keys: published.map((key) => key.publicJwk) },
    "/.well-known/openid-configuration": { issuer, jwks_uri: jwksUrl },
  });

  return {
    issuer,
    jwksUrl,
    audience,
    issue: (claims, { ttlS = 3_600, audience: aud = audience } = {}) => {
      const now = Math.floor(Date.now() / 1_000);
      const payload: JWTPayload = {
        iss: issuer,
        aud,
        iat: now,
        nbf: now,
        exp: now + ttlS,
        jti: crypto.randomUUID(),
        ...claims,
      };
      return new SignJWT(payload)
        .setProtectedHeader({ alg: algorithm, kid: current.kid, typ: "JWT" })
        .sign(current.privateKey);
    },
    rotate: async ({ forgetOld = false } = {}) => {
      current = await newKey();
      published = forgetOld ? [current] : [...published, current];
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
