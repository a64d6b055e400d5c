// A real OpenID provider on loopback: people log in by posting their name, tokens are JWTs for the gateway.
import { generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";
import { exportJWK } from "jose";
import Provider from "oidc-provider";

export type TestOpenId = {
  readonly issuer: string;
  /** Follows redirects and consents as `name`, as a browser would, from an authorization URL to where it leads at last. */
  readonly consent: (url: string, name: string) => Promise<string>;
  /** Confirms the code of a device login as `name`. */
  readonly confirmDevice: (url: string, name: string) => Promise<void>;
  stop: () => Promise<void>;
};

export type OpenIdOptions = {
  readonly audience: string;
  readonly clients: readonly {
    readonly clientId: string;
    readonly redirectUris: readonly string[];
    readonly isNative?: boolean;
  }[];
  /** Claims of a person beyond `sub`. */
  readonly claimsOf: (name: string) => Readonly<Record<string, unknown>>;
  readonly accessTtlS?: number;
};

/** Stopped after the test file at the latest. */
export async function startOpenId(options: OpenIdOptions): Promise<TestOpenId> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const claimNames = ["kind", "groups", "mfa"];
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "ES256", use: "sig", kid: "k1" }] },
    clients: options.clients.map(({ clientId, redirectUris, isNative }) => ({
      client_id: clientId,
      token_endpoint_auth_method: "none",
      application_type: isNative ? "native" : "web",
      redirect_uris: redirectUris,
      response_types: ["code"],
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
      id_token_signed_response_alg: "ES256",
    })),
    cookies: { keys: ["k"] },
    claims: { openid: ["sub", ...claimNames] },
    conformIdTokenClaims: false,
    scopes: ["openid", "offline_access"],
    pkce: { required: () => true },
    findAccount: (_ctx: unknown, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, ...options.claimsOf(id) }),
    }),
    extraTokenClaims: (_ctx: unknown, token: { readonly accountId: string }) => options.claimsOf(token.accountId),
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    ttl: { AccessToken: options.accessTtlS ?? 600, IdToken: 600, DeviceCode: 600 },
    features: {
      devInteractions: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:gatewright",
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: "openid offline_access",
          audience: options.audience,
          accessTokenFormat: "jwt",
          accessTokenTTL: options.accessTtlS ?? 600,
          jwt: { sign: { alg: "ES256" } },
        }),
      },
    },
  });
  const handle: (request: IncomingMessage, response: ServerResponse) => void = provider.callback();
  server.on("request", handle);
  const stop = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
  };
  after(stop);

  const browser = () => {
    const jar = new Map<string, string>();
    return async (url: string, form?: Readonly<Record<string, string>>): Promise<Response> => {
      const response = await fetch(url, {
        redirect: "manual",
        method: form === undefined ? "GET" : "POST",
        headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") },
        ...(form === undefined ? {} : { body: new URLSearchParams(form) }),
      });
      for (const line of response.headers.getSetCookie()) {
        const [pair = ""] = line.split(";");
        const at = pair.indexOf("=");
        jar.set(pair.slice(0, at), pair.slice(at + 1));
      }
      return response;
    };
  };
  /** Until the page leaves the provider, or has no form any more. */
  const walk = async (first: Response, at: string, name: string, go: ReturnType<typeof browser>): Promise<string> => {
    let response = first;
    let url = at;
    for (let step = 0; step < 20; step += 1) {
      const location = response.headers.get("location");
      if (location !== null) {
        url = new URL(location, url).href;
        if (!url.startsWith(issuer)) return url;
        response = await go(url);
        continue;
      }
      const page = await response.text();
      const action = /<form[^>]*action="([^"]+)"/.exec(page)?.[1];
      if (action === undefined || step > 18) return url;
      const hidden = [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map((m) => [
        m[1],
        m[2],
      ]);
      const fields: Record<string, string> = { ...Object.fromEntries(hidden) };
      if (page.includes('name="login"')) Object.assign(fields, { login: name, password: "x" });
      url = new URL(action.replaceAll("&amp;", "&"), url).href;
      response = await go(url, fields);
    }
    throw new Error("the provider leads nowhere");
  };
  return {
    issuer,
    stop,
    consent: async (url, name) => {
      const go = browser();
      return walk(await go(url), url, name, go);
    },
    confirmDevice: async (url, name) => {
      const go = browser();
      await walk(await go(url), url, name, go);
    },
  };
}
