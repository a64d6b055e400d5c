// The one door to jose: token + keys -> verified claims.
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import {
  CompactEncrypt,
  CompactSign,
  compactDecrypt,
  compactVerify,
  createLocalJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  importPKCS8,
  importSPKI,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
} from "jose";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { FaultCode } from "../errors.ts";

export type TokenFault = { readonly code: FaultCode; readonly message: string };
export type Claims = Readonly<Record<string, unknown>>;

/** `iss`, `alg` and `kid` as the token says, nothing of it believed yet: only to find the keys. */
export function peekToken(
  token: string,
): Result<{ readonly issuer: string; readonly algorithm: string; readonly keyId: string | undefined }, TokenFault> {
  try {
    const { iss } = decodeJwt(token);
    const { alg, kid } = decodeProtectedHeader(token);
    if (typeof iss !== "string" || typeof alg !== "string") {
      return err({ code: "token-malformed", message: "the token names no issuer (`iss`) or no algorithm" });
    }
    return ok({ issuer: iss, algorithm: alg, keyId: typeof kid === "string" ? kid : undefined });
  } catch {
    return err({ code: "token-malformed", message: "the password is not a JWT" });
  }
}

export type VerifyOptions = {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly clockSkewS: number;
  readonly nowMs: number;
};

/** `key-unknown` is apart from the faults: newer keys may help. */
export async function verifySignedToken(
  token: string,
  keys: JSONWebKeySet,
  options: VerifyOptions,
): Promise<Result<Claims, TokenFault | { readonly code: "key-unknown"; readonly message: string }>> {
  try {
    const { payload } = await jwtVerify(token, keyFinderOf(keys), {
      issuer: options.issuer,
      audience: options.audience,
      algorithms: [...options.algorithms],
      clockTolerance: options.clockSkewS,
      currentDate: new Date(options.nowMs),
      requiredClaims: ["exp", "sub"],
    });
    return ok<JWTPayload>(payload);
  } catch (error) {
    return err(faultOf(error));
  }
}

/** It keeps the keys that it has imported. */
const keyFinders = new WeakMap<JSONWebKeySet, ReturnType<typeof createLocalJWKSet>>();

function keyFinderOf(keys: JSONWebKeySet): ReturnType<typeof createLocalJWKSet> {
  const known = keyFinders.get(keys);
  if (known) return known;
  const made = createLocalJWKSet(keys);
  keyFinders.set(keys, made);
  return made;
}

function faultOf(error: unknown): TokenFault | { readonly code: "key-unknown"; readonly message: string } {
  if (error instanceof errors.JWKSNoMatchingKey) return { code: "key-unknown", message: "no key fits the token" };
  if (error instanceof errors.JWTExpired) return { code: "token-expired", message: "the token has expired" };
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "aud") return { code: "token-audience-wrong", message: "the token is for another audience" };
    if (error.claim === "nbf") return { code: "token-expired", message: "the token isn't valid yet" };
    return { code: "token-claims-invalid", message: `the token's claim \`${error.claim}\` is missing or wrong` };
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return { code: "token-algorithm-refused", message: "the token is signed with an algorithm that isn't accepted" };
  }
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSMultipleMatchingKeys) {
    return { code: "token-signature-invalid", message: "the token's signature doesn't verify" };
  }
  // Everything else, also what jose throws for keys of the wrong kind, is a token that we don't take.
  return { code: "token-malformed", message: "the token can't be verified" };
}

const isKeyList = (keys: unknown): keys is JSONWebKeySet["keys"] =>
  Array.isArray(keys) && keys.every((key: unknown) => typeof key === "object" && key !== null && "kty" in key);

/** A JWK set from JSON. Symmetric keys are dropped: a published key must never be a signing secret. */
export function decodeKeySet(json: unknown): JSONWebKeySet | undefined {
  if (typeof json !== "object" || json === null || !("keys" in json) || !isKeyList(json.keys)) return undefined;
  return { keys: json.keys.filter((key) => key.kty !== "oct") };
}

/** JWS in compact form over `payload`. `key`: PKCS #8 PEM. */
export async function signCompact(
  payload: Uint8Array,
  key: string,
  algorithm: string,
  keyId: string,
): Promise<Result<string, string>> {
  try {
    const signer = new CompactSign(payload).setProtectedHeader({ alg: algorithm, kid: keyId });
    return ok(await signer.sign(await importPKCS8(key, algorithm)));
  } catch {
    return err(`the key is not a private key in PKCS #8 PEM for ${algorithm}`);
  }
}

/** The payload, once the signature is known to be by this key. `key`: SPKI PEM. */
export async function verifyCompact(jws: string, key: string, algorithm: string): Promise<Result<Uint8Array, string>> {
  const imported = await importSPKI(key, algorithm).catch(() => undefined);
  if (imported === undefined) return err(`the key is not a public key in PEM for ${algorithm}`);
  try {
    return ok((await compactVerify(jws, imported, { algorithms: [algorithm] })).payload);
  } catch {
    return err("the signature is not by this key");
  }
}

/** JWE in compact form, A256GCM. `key`: SPKI PEM of an EC, X25519 (ECDH-ES+A256KW) or RSA key (RSA-OAEP-256, at least 2048 bits). */
export async function encryptCompact(payload: Uint8Array, key: string): Promise<Result<string, string>> {
  const algorithm = keyAgreementOf(() => createPublicKey(key));
  const fault = recipientFault(key);
  if (fault !== undefined || algorithm === undefined) return err(fault ?? "the key to encrypt to can't be used");
  try {
    const header = { alg: algorithm, enc: "A256GCM" };
    return ok(await new CompactEncrypt(payload).setProtectedHeader(header).encrypt(await importSPKI(key, algorithm)));
  } catch {
    return err("the key to encrypt to can't be used");
  }
}

/** Why `encryptCompact` wouldn't take the key; undefined: it would. */
export function recipientFault(key: string): string | undefined {
  if (key.includes("PRIVATE KEY")) return "the key to encrypt to is a private key: the gateway must not have it";
  return keyAgreementOf(() => createPublicKey(key)) === undefined
    ? "the key to encrypt to is no public key in PEM: EC, X25519, or RSA of 2048 bits"
    : undefined;
}

/** `key`: PKCS #8 PEM. */
export async function decryptCompact(jwe: string, key: string): Promise<Result<Uint8Array, string>> {
  const algorithm = keyAgreementOf(() => createPrivateKey(key));
  if (algorithm === undefined) return err("the key is no private key in PKCS #8 PEM: EC, X25519 or RSA");
  try {
    const imported = await importPKCS8(key, algorithm);
    const options = { keyManagementAlgorithms: [algorithm], contentEncryptionAlgorithms: ["A256GCM"] };
    return ok((await compactDecrypt(jwe, imported, options)).plaintext);
  } catch {
    return err("it wasn't encrypted to this key");
  }
}

function keyAgreementOf(read: () => KeyObject): "ECDH-ES+A256KW" | "RSA-OAEP-256" | undefined {
  try {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = read();
    if (type === "ec" || type === "x25519") return "ECDH-ES+A256KW";
    return type === "rsa" && (details?.modulusLength ?? 0) >= 2_048 ? "RSA-OAEP-256" : undefined;
  } catch {
    return undefined;
  }
}

export type { JSONWebKeySet };
