// A token that was found good is looked at again for its times, and for whatever else it is asked for.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { exportJWK, SignJWT } from "jose";
import type { JSONWebKeySet, VerifyOptions } from "../../proxy/identity/jose.ts";
import { verifyOnce } from "../../proxy/identity/verified-tokens.ts";

const { privateKey, publicKey } = generateKeyPairSync("ed25519");
const keys: JSONWebKeySet = { keys: [{ ...(await exportJWK(publicKey)), kid: "one" }] };
const nowS = 1_800_000_000;
const options: VerifyOptions = {
  issuer: "https://id.example",
  audience: "gatewright",
  algorithms: ["EdDSA"],
  clockSkewS: 30,
  nowMs: nowS * 1_000,
};
const tokenOf = (times: { readonly exp: number; readonly nbf?: number }): Promise<string> =>
  new SignJWT({ sub: "olga", ...times })
    .setProtectedHeader({ alg: "EdDSA", kid: "one" })
    .setIssuer(options.issuer)
    .setAudience(options.audience)
    .sign(privateKey);

const said = async (token: string, more: Partial<VerifyOptions> = {}, by = keys): Promise<string> => {
  const verified = await verifyOnce(token, by, { ...options, ...more });
  return verified.ok ? `sub ${verified.value.sub}` : verified.error.code;
};

test("a token is good from its beginning to its end, the skew of clocks included, however often it was used", async () => {
  const token = await tokenOf({ exp: nowS + 60, nbf: nowS - 60 });
  const at = [0, 0, 89, 90, 0, -90, -91, 1e6, 0].map((seconds) => said(token, { nowMs: (nowS + seconds) * 1_000 }));
  const good = "sub olga";
  const late = "token-expired";
  assert.deepEqual(await Promise.all(at), [good, good, good, late, good, good, late, late, good]);
});

test("another audience, issuer, algorithm, set of keys or letter is another question", async () => {
  const token = await tokenOf({ exp: nowS + 60 });
  assert.equal(await said(token), "sub olga");
  const other: JSONWebKeySet = { keys: [] };
  const [head = "", body = "", signature = ""] = token.split(".");
  const changed = `${head}.${Buffer.from(body, "base64url").toString().replace("olga", "root")}`;
  const forged = `${head}.${Buffer.from(changed.slice(head.length + 1)).toString("base64url")}.${signature}`;
  assert.deepEqual(
    [
      await said(token, { audience: "others" }),
      await said(token, { issuer: "https://other.example" }),
      await said(token, { algorithms: ["ES256"] }),
      await said(token, {}, other),
      await said(forged),
      await said(token),
    ],
    [
      "token-audience-wrong",
      "token-claims-invalid",
      "token-algorithm-refused",
      "key-unknown",
      "token-signature-invalid",
      "sub olga",
    ],
  );
});
