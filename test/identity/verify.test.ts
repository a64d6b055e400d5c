import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { exportJWK, type JWK, SignJWT } from "jose";
import Provider from "oidc-provider";
import { refuseBesideOthers, startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { GatewayError } from "../../proxy/errors.ts";
import type { IssuerConfig } from "../../proxy/gateway-config.ts";
import { createVerifyToken } from "../../proxy/identity/authenticate.ts";
import { plainAddress } from "../../proxy/identity/identity-of.ts";
import { openRevocation } from "../../proxy/identity/revocation.ts";
import { silentLog } from "../../proxy/log.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const claims = {
  sub: "sub",
  kind: "kind",
  groups: "groups",
  email: "email",
  mfa: "mfa",
  on_behalf_of: "on_behalf_of",
  purpose: "purpose",
};
const issuerConfig = (issuer: string, more: Partial<IssuerConfig> = {}): IssuerConfig => ({
  issuer,
  audience: "gatewright",
  keys: { kind: "discovery" },
  algorithms: ["EdDSA", "ES256", "RS256"],
  claims,
  defaultKind: undefined,
  prefix: "",
  ...more,
});
const verifier = (config: IssuerConfig, nowMs = () => Date.now(), revoked: readonly string[] = []) =>
  createVerifyToken({
    issuers: [config],
    revocation: openRevocation({ revoked: new Set(revoked) }, { nowMs }, silentLog),
    clock: { nowMs },
    log: silentLog,
  });

const issuer = await startTokenIssuer({ audience: "gatewright" });
after(() => issuer.stop());
const clock = { nowMs: () => Date.now() };
const human = { sub: "olga", kind: "human", groups: ["ops"] };

test("claims become facts about who is asking", async () => {
  const token = await issuer.issue({
    sub: "bot-7",
    kind: "agent",
    groups: ["support"],
    email: "bot@acme.example",
    on_behalf_of: "nina",
    mfa: true,
    purpose: "ticket 7",
    tenant: "acme",
  });
  const verified = await verifier(issuerConfig(issuer.issuer))(token, "::ffff:10.1.2.3");
  assert.ok(verified.ok);
  const { claims: all, ...identity } = verified.value.identity;
  assert.deepEqual(identity, {
    sub: "bot-7",
    kind: "agent",
    groups: new Set(["support"]),
    email: "bot@acme.example",
    ip: "10.1.2.3",
    mfa: true,
    on_behalf_of: "nina",
    owner: { groups: new Unknown("the token doesn't say which groups the one acted for is in") },
    chain: ["nina", "bot-7"],
  });
  assert.equal(Reflect.get(all, "tenant"), "acme");
  assert.equal(verified.value.purpose, "ticket 7");
  assert.ok((verified.value.expiresAtS ?? 0) > Date.now() / 1_000);
});

test("in a delegated token the actor asks, on behalf of the subject", async () => {
  const token = await issuer.issue({
    sub: "nina",
    groups: ["support"],
    act: { sub: "bot-7", act: { sub: "planner" } },
  });
  const verified = await verifier(issuerConfig(issuer.issuer))(token, "127.0.0.1");
  assert.ok(verified.ok);
  const { sub, kind, on_behalf_of, owner, chain } = verified.value.identity;
  assert.deepEqual(
    { sub, kind, on_behalf_of, owner, chain },
    {
      sub: "bot-7",
      kind: "agent",
      on_behalf_of: "nina",
      owner: { groups: new Set(["support"]) },
      chain: ["nina", "planner", "bot-7"],
    },
  );
});

test("a plain token may say which groups the one acted for is in, and everybody in the chain gets the issuer's prefix", async () => {
  const config = issuerConfig(issuer.issuer, { prefix: "corp:", groupNames: new Map([["3f2a", "dba"]]) });
  const token = await issuer.issue({
    sub: "bot-7",
    kind: "agent",
    groups: ["3f2a"],
    on_behalf_of: "nina",
    on_behalf_of_groups: ["3f2a", "ops"],
  });
  const verified = await verifier(config)(token, "127.0.0.1");
  assert.ok(verified.ok);
  const { groups, owner, chain } = verified.value.identity;
  assert.deepEqual(
    { groups, owner, chain },
    {
      groups: new Set(["corp:dba"]),
      owner: { groups: new Set(["corp:dba", "corp:ops"]) },
      chain: ["corp:nina", "corp:bot-7"],
    },
  );
});

test("a connection with an audience of its own takes tokens for that one only, and the others go on", async () => {
  const verify = createVerifyToken({
    issuers: [issuerConfig(issuer.issuer)],
    revocation: openRevocation({ revoked: new Set() }, clock, silentLog),
    audiences: new Map([["crm", "urn:crm"]]),
    clock,
    log: silentLog,
  });
  const [general, forCrm] = [await issuer.issue(human), await issuer.issue(human, { audience: "urn:crm" })];
  const outcome = async (token: string, connection?: string) => {
    const verified = await verify(token, "127.0.0.1", connection);
    return verified.ok ? "ok" : verified.error.code;
  };
  assert.deepEqual(
    [
      await outcome(general, "crm"),
      await outcome(forCrm, "crm"),
      await outcome(general, "prod-pg"),
      await outcome(forCrm, "prod-pg"),
      await outcome(forCrm),
    ],
    ["token-audience-wrong", "ok", "ok", "token-audience-wrong", "token-audience-wrong"],
  );
});

test("of two issuers each vouches for its own names only", async () => {
  const other = await startTokenIssuer({ audience: "gatewright" });
  after(() => other.stop());
  const verify = createVerifyToken({
    issuers: [issuerConfig(issuer.issuer, { prefix: "a:" }), issuerConfig(other.issuer, { prefix: "b:" })],
    revocation: openRevocation({ revoked: new Set() }, clock, silentLog),
    clock,
    log: silentLog,
  });
  for (const [from, name] of [
    [issuer, "a:olga"],
    [other, "b:olga"],
  ] as const) {
    const verified = await verify(await from.issue(human), "127.0.0.1");
    assert.equal(verified.ok ? verified.value.identity.sub : verified.error.code, name);
  }
  const forged = await verify(await other.issue({ ...human, iss: issuer.issuer }), "127.0.0.1");
  assert.equal(forged.ok ? "accepted" : forged.error.code, "token-signature-invalid");
});

const required: readonly (readonly [claims: Readonly<Record<string, unknown>>, isTaken: boolean])[] = [
  [{ tenant: "acme", email_verified: true, scope: ["x", "gw"], level: 3 }, true],
  [{ tenant: "evil", email_verified: true, scope: ["gw"], level: 3 }, false],
  [{ tenant: "acme", email_verified: "true", scope: ["gw"], level: 3 }, false],
  [{ tenant: "acme", email_verified: true, scope: [], level: 3 }, false],
  [{ tenant: "acme", email_verified: true, scope: ["gw"] }, false],
];
for (const [more, isTaken] of required) {
  test(`${isTaken ? "takes" : "refuses"} a token with ${JSON.stringify(more)} where claims are required`, async () => {
    const config = issuerConfig(issuer.issuer, {
      requiredClaims: new Map<string, readonly (string | number | boolean)[]>([
        ["tenant", ["acme", "umbra"]],
        ["email_verified", [true]],
        ["scope", ["gw"]],
        ["level", ["*"]],
      ]),
    });
    const verified = await verifier(config)(await issuer.issue({ ...human, ...more }), "127.0.0.1");
    assert.equal(verified.ok ? "ok" : verified.error.code, isTaken ? "ok" : "token-claims-invalid");
  });
}

test("a token that lives longer than the issuer's may is refused, also one that doesn't say since when", async () => {
  const verify = verifier(issuerConfig(issuer.issuer, { lifetimeMaxS: 900 }));
  assert.equal((await verify(await issuer.issue(human, { ttlS: 900 }), "127.0.0.1")).ok, true);
  assert.equal((await verify(await issuer.issue(human, { ttlS: 901 }), "127.0.0.1")).ok, false);
  const timeless = await issuer.issue({ ...human, iat: undefined as unknown as number }, { ttlS: 60 });
  assert.equal((await verify(timeless, "127.0.0.1")).ok, false);
});

test("the deny list in a file is read again when it changes, and its last content stays when it can't be read", async () => {
  const path = join(temporaryFolder(), "revoked");
  writeFileSync(path, "# nobody yet\n");
  let nowMs = Date.now();
  const moving = { nowMs: () => nowMs };
  const revocation = openRevocation({ revoked: new Set(), revokedFile: path }, moving, silentLog);
  const verify = createVerifyToken({ issuers: [issuerConfig(issuer.issuer)], revocation, clock, log: silentLog });
  const token = await issuer.issue({ sub: "bot-7", kind: "agent", on_behalf_of: "nina", jti: "t-9" });
  const outcome = async () => {
    const verified = await verify(token, "127.0.0.1");
    return verified.ok ? "ok" : verified.error.code;
  };
  const write = (text: string) => {
    writeFileSync(path, text);
    nowMs += 1_001;
  };
  assert.equal(await outcome(), "ok");
  for (const line of ["jti:t-9", "t-9", "sub:bot-7", "sub:nina # whom it acts for", "nina"]) {
    write(`${line}\n`);
    assert.equal(await outcome(), "token-revoked", line);
    write("sub:somebody-else\n");
    assert.equal(await outcome(), "ok", line);
  }
  write("jti:t-9\nsession:ses_1\n");
  assert.equal(await outcome(), "token-revoked");
  assert.equal(revocation.isRevoked({ tokenId: undefined, subs: [], session: "ses_1" }), true);
  assert.equal(revocation.isRevoked({ tokenId: "session:ses_1", subs: ["jti:t-9"], session: "ses_2" }), false);
  rmSync(path);
  nowMs += 1_001;
  assert.equal(await outcome(), "token-revoked");
  assert.throws(
    () => openRevocation({ revoked: new Set(), revokedFile: path }, moving, silentLog),
    (error: unknown) => error instanceof GatewayError && error.code === "config-unreadable",
  );
});

test("an issuer's prefix keeps its names apart from another issuer's", async () => {
  const token = await issuer.issue({ ...human, on_behalf_of: "nina" });
  const verified = await verifier(issuerConfig(issuer.issuer, { prefix: "corp:" }))(token, "127.0.0.1");
  assert.ok(verified.ok);
  const { sub, groups, on_behalf_of } = verified.value.identity;
  assert.deepEqual([sub, groups, on_behalf_of], ["corp:olga", new Set(["corp:ops"]), "corp:nina"]);
});

test("groups are found inside other claims, and methods of RFC 8176 tell a second factor", async () => {
  const config = issuerConfig(issuer.issuer, {
    claims: { ...claims, groups: "realm_access.roles", kind: "https://acme.example/kind" },
  });
  const token = await issuer.issue({
    sub: "olga",
    "https://acme.example/kind": "human",
    realm_access: { roles: ["dba"] },
    amr: ["pwd", "otp"],
  });
  const verified = await verifier(config)(token, "127.0.0.1");
  assert.ok(verified.ok);
  assert.deepEqual([verified.value.identity.groups, verified.value.identity.mfa], [new Set(["dba"]), true]);
});

const parts = (token: string) => token.split(".") as [string, string, string];
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

const hostile: readonly (readonly [what: string, token: () => Promise<string> | string, code: string])[] = [
  ["an expired token", () => issuer.issue(human, { ttlS: -120 }), "token-expired"],
  ["a token that isn't valid yet", () => issuer.issue({ ...human, nbf: Date.now() / 1_000 + 600 }), "token-expired"],
  ["a token for another audience", () => issuer.issue(human, { audience: "other" }), "token-audience-wrong"],
  [
    "a token of an unknown issuer",
    () => issuer.issue({ ...human, iss: "https://evil.example" }),
    "token-issuer-unknown",
  ],
  [
    "a token without an expiry",
    () => issuer.issue({ ...human, exp: undefined as unknown as number }),
    "token-claims-invalid",
  ],
  ["a token without a kind", () => issuer.issue({ sub: "olga" }), "token-claims-invalid"],
  ["a kind of its own invention", () => issuer.issue({ ...human, kind: "root" }), "token-claims-invalid"],
  ["groups that are a string", () => issuer.issue({ ...human, groups: "ops" }), "token-claims-invalid"],
  ["an actor without a name", () => issuer.issue({ ...human, act: {} }), "token-claims-invalid"],
  ["a subject that is a number", () => issuer.issue({ ...human, sub: 7 as unknown as string }), "token-claims-invalid"],
  [
    "algorithm none",
    async () => `${encode({ alg: "none" })}.${parts(await issuer.issue(human))[1]}.`,
    "token-algorithm-refused",
  ],
  [
    "the public key used as a secret",
    async () => {
      const jwks = (await (await fetch(issuer.jwksUrl)).json()) as { keys: JWK[] };
      const head = encode({ alg: "HS256", kid: jwks.keys[0]?.kid });
      const body = parts(await issuer.issue(human))[1];
      const mac = createHmac("sha256", jwks.keys[0]?.x ?? "")
        .update(`${head}.${body}`)
        .digest("base64url");
      return `${head}.${body}.${mac}`;
    },
    "token-algorithm-refused",
  ],
  [
    "a key that the token brings along",
    async () => {
      const { privateKey, publicKey } = generateKeyPairSync("ed25519");
      return new SignJWT({ ...human, iss: issuer.issuer, aud: "gatewright", exp: Date.now() / 1_000 + 600 })
        .setProtectedHeader({ alg: "EdDSA", jwk: await exportJWK(publicKey) })
        .sign(privateKey);
    },
    "token-signature-invalid",
  ],
  [
    "another body under a good signature",
    async () => {
      const [head, , signature] = parts(await issuer.issue(human));
      const body = { ...human, groups: ["admins"], iss: issuer.issuer, aud: "gatewright", exp: 4_000_000_000 };
      return `${head}.${encode(body)}.${signature}`;
    },
    "token-signature-invalid",
  ],
  ["a huge token", () => `${"a".repeat(limits.passwordBytesMax)}.b.c`, "token-malformed"],
  [
    "a huge token in good form",
    () => issuer.issue({ ...human, pad: "x".repeat(limits.passwordBytesMax) }),
    "token-malformed",
  ],
  ["a plain password", () => "correct horse battery staple", "token-malformed"],
  ["nothing", () => "", "token-malformed"],
  ["a header that isn't JSON", () => "!!!.e30.x", "token-malformed"],
];

for (const [what, make, code] of hostile) {
  test(`refuses ${what}`, async () => {
    const verified = await verifier(issuerConfig(issuer.issuer))(await make(), "127.0.0.1");
    assert.deepEqual(verified.ok ? "accepted" : verified.error.code, code);
  });
}

test("any changed character of a good token is refused", async () => {
  const token = await issuer.issue(human);
  const verify = verifier(issuerConfig(issuer.issuer));
  await fc.assert(
    fc.asyncProperty(fc.nat(token.length - 1), fc.constantFrom("A", "b", "_", ".", "=", "\u0000"), async (at, by) => {
      fc.pre(token[at] !== by);
      const verified = await verify(token.slice(0, at) + by + token.slice(at + 1), "127.0.0.1");
      // The last character of a part carries padding bits: another spelling of the same bytes is the same token.
      assert.ok(!verified.ok || sameBytes(token, token.slice(0, at) + by + token.slice(at + 1)));
    }),
    { numRuns: 200 },
  );
});

const sameBytes = (a: string, b: string): boolean =>
  parts(a).every((part, i) => Buffer.from(part, "base64url").equals(Buffer.from(parts(b)[i] ?? "", "base64url")));

test("a revoked token or subject is refused", async () => {
  const token = await issuer.issue({ ...human, jti: "t-1" });
  for (const value of ["t-1", "olga"]) {
    const verified = await verifier(issuerConfig(issuer.issuer), Date.now, [value])(token, "127.0.0.1");
    assert.deepEqual(verified.ok ? "accepted" : verified.error.code, "token-revoked");
  }
});

test("the clock may be off by the allowed skew and no more", async () => {
  const token = await issuer.issue(human, { ttlS: 60 });
  const at = (offsetMs: number) =>
    verifier(issuerConfig(issuer.issuer), () => Date.now() + offsetMs)(token, "127.0.0.1");
  assert.equal((await at(60_000 + limits.clockSkewMs - 5_000)).ok, true);
  assert.equal((await at(60_000 + limits.clockSkewMs + 5_000)).ok, false);
});

test("new keys are found when a token names them, old ones go, and an outage is survived for a while", async () => {
  const rotating = await startTokenIssuer({ audience: "gatewright" });
  let offsetMs = 0;
  const verify = verifier(issuerConfig(rotating.issuer), () => Date.now() + offsetMs);
  const outcome = async (token: string) => {
    const verified = await verify(token, "127.0.0.1");
    return verified.ok ? "ok" : verified.error.code;
  };
  const long = { ttlS: 100_000 };
  const first = await rotating.issue(human, long);
  assert.equal(await outcome(first), "ok");
  await rotating.rotate({ forgetOld: true });
  const second = await rotating.issue(human, long);
  assert.equal(await outcome(second), "token-signature-invalid", "no fetch within the cooldown");
  offsetMs += limits.jwksCooldownMs;
  assert.equal(await outcome(second), "ok");
  assert.equal(await outcome(first), "token-signature-invalid", "a withdrawn key is no good any more");
  await rotating.stop();
  offsetMs += limits.jwksMaxAgeMs + 1;
  assert.equal(await outcome(second), "ok", "the issuer is down: cached keys still serve");
  offsetMs += limits.jwksStaleMaxMs;
  assert.equal(await outcome(second), "issuer-unreachable");
});

test("a token of a real OpenID provider is verified by discovery", async () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const server = await listen();
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  const provider = new Provider(url, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "RS256", use: "sig", kid: "k1" }] },
    clients: [
      {
        client_id: "bot-7",
        client_secret: "s",
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_post",
      },
    ],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "urn:gatewright",
        getResourceServerInfo: () => ({
          scope: "",
          audience: "gatewright",
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    extraTokenClaims: () => ({ kind: "agent", groups: ["support"] }),
  });
  provider.on("server_error", (_ctx: unknown, error: unknown) => console.error(error));
  server.on("request", provider.callback());
  const answer = await fetch(`${url}/token`, {
    method: "POST",
    body: new URLSearchParams({ grant_type: "client_credentials", client_id: "bot-7", client_secret: "s" }),
  });
  const { access_token: token } = (await answer.json()) as { access_token: string };
  const verified = await verifier(issuerConfig(url))(token, "127.0.0.1");
  assert.ok(verified.ok, JSON.stringify(verified));
  const { sub, kind, groups } = verified.value.identity;
  assert.deepEqual({ sub, kind, groups }, { sub: "bot-7", kind: "agent", groups: new Set(["support"]) });
});

function listen(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer();
    after(() => {
      server.close();
      server.closeAllConnections();
    });
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

test("addresses lose their mapping and their zone", () => {
  const rows = [
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["fe80::1%eth0", "fe80::1"],
    ["2001:db8::1", "2001:db8::1"],
  ] as const;
  for (const [given, expected] of rows) assert.equal(plainAddress(given), expected);
});

test("the built-in issuer doesn't run beside another one", () => {
  const other = "https://id.example.com";
  const named = (...issuers: readonly string[]) => ({
    identity: { issuers: issuers.map((name) => issuerConfig(name)), revoked: new Set<string>() },
  });
  refuseBesideOthers(named(issuer.issuer), issuer.issuer);
  assert.throws(
    () => refuseBesideOthers(named(issuer.issuer, other), issuer.issuer),
    (error: unknown) => error instanceof GatewayError && error.message.includes(other),
  );
});
