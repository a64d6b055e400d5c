// The one door to openid-client: logging people in at their identity provider.
import * as client from "openid-client";

/** Our registration at an issuer: public without a secret. */
export type OpenIdClient = {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret?: string;
  /** Asked for with each login; `offline_access` is what gives a refresh token. */
  readonly scope: string;
  /** RFC 8707: what the access token is for, where the issuer needs to be told. */
  readonly resource?: string;
};

export type Tokens = {
  readonly accessToken: string;
  readonly idToken: string | undefined;
  readonly refreshToken: string | undefined;
  /** Seconds. */
  readonly expiresInS: number | undefined;
};

export type DeviceLogin = {
  /** Where the person goes, and what they type there. */
  readonly url: string;
  readonly completeUrl: string | undefined;
  readonly code: string;
  /** Resolves once they have. */
  readonly wait: (signal: AbortSignal) => Promise<Tokens>;
};

export type CodeLogin = {
  readonly url: string;
  readonly state: string;
  /** `callback`: the address that the browser was sent back to. Checks state, PKCE, nonce, issuer and signature. */
  readonly finish: (callback: URL) => Promise<Tokens>;
};

export type OpenId = {
  readonly startCode: (redirectUri: string) => Promise<CodeLogin>;
  readonly startDevice: () => Promise<DeviceLogin>;
  readonly refresh: (refreshToken: string) => Promise<Tokens>;
};

/** Discovers the issuer. @throws the library's errors, which name codes and no tokens; plain http on loopback only */
export async function openOpenId(registration: OpenIdClient, timeoutS: number): Promise<OpenId> {
  const { issuer, clientId, clientSecret, scope, resource } = registration;
  const url = new URL(issuer);
  const isLocal = url.protocol === "http:" && /^(?:127\.|localhost$|\[::1\]$)/.test(url.hostname);
  const authentication = clientSecret === undefined ? client.None() : client.ClientSecretPost(clientSecret);
  const config = await client.discovery(url, clientId, undefined, authentication, {
    timeout: timeoutS,
    ...(isLocal ? { execute: [client.allowInsecureRequests] } : {}),
  });
  const wanted = { scope, ...(resource === undefined ? {} : { resource }) };
  return {
    startCode: async (redirectUri) => {
      const verifier = client.randomPKCECodeVerifier();
      const [state, nonce] = [client.randomState(), client.randomNonce()];
      const authorization = client.buildAuthorizationUrl(config, {
        ...wanted,
        redirect_uri: redirectUri,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        state,
        nonce,
        // Without it issuers give no refresh token.
        ...(scope.split(" ").includes("offline_access") ? { prompt: "consent" } : {}),
      });
      const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
      return {
        url: authorization.href,
        state,
        finish: async (callback) =>
          tokensOf(
            await client.authorizationCodeGrant(
              config,
              callback,
              checks,
              resource === undefined ? undefined : { resource },
            ),
          ),
      };
    },
    startDevice: async () => {
      const started = await client.initiateDeviceAuthorization(config, wanted);
      return {
        url: started.verification_uri,
        completeUrl: started.verification_uri_complete,
        code: started.user_code,
        wait: async (signal) =>
          tokensOf(
            await client.pollDeviceAuthorizationGrant(config, started, resource === undefined ? {} : { resource }, {
              signal,
            }),
          ),
      };
    },
    refresh: async (refreshToken) =>
      tokensOf(await client.refreshTokenGrant(config, refreshToken, resource === undefined ? {} : { resource })),
  };
}

const tokensOf = (answer: client.TokenEndpointResponse & client.TokenEndpointResponseHelpers): Tokens => ({
  accessToken: answer.access_token,
  idToken: answer.id_token,
  refreshToken: answer.refresh_token,
  expiresInS: answer.expiresIn(),
});
