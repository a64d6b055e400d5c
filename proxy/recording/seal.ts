// field <-> JWE in compact form (RFC 7516): `dir` and A256GCM with a key of the session's own. docs/recording-format.md
import { createCipheriv, createDecipheriv, hkdfSync, randomFillSync } from "node:crypto";

/** The key of one session's fields, from the content key in whose time it runs. */
export const sessionKey = (contentKey: Uint8Array, session: string): Buffer =>
  Buffer.from(hkdfSync("sha256", contentKey, new Uint8Array(), `gatewright content/1 ${session}`, 32));

/** The protected header of every field under one content key. */
export const headerOf = (keyId: string): string =>
  Buffer.from(JSON.stringify({ alg: "dir", enc: "A256GCM", kid: keyId })).toString("base64url");

/** Randomness is asked for in pages: one system call for many fields. */
const nonces = Buffer.alloc(12 * 256);
let nonceAt = nonces.length;

function newNonce(): Buffer {
  if (nonceAt === nonces.length) {
    randomFillSync(nonces);
    nonceAt = 0;
  }
  nonceAt += 12;
  return nonces.subarray(nonceAt - 12, nonceAt);
}

export function seal(text: string, key: Buffer, header: string): string {
  const nonce = newNonce();
  const cipher = createCipheriv("aes-256-gcm", key, nonce);
  cipher.setAAD(Buffer.from(header, "ascii"));
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]).toString("base64url");
  return `${header}..${nonce.toString("base64url")}.${sealed}.${cipher.getAuthTag().toString("base64url")}`;
}

/** Id of the content key that a field is sealed under; undefined for what isn't a sealed field. */
export function keyIdOfSealed(sealed: string): string | undefined {
  try {
    const header: unknown = JSON.parse(Buffer.from(sealed.split(".", 1)[0] ?? "", "base64url").toString("utf8"));
    if (typeof header !== "object" || header === null || !("kid" in header) || !("alg" in header)) return undefined;
    return header.alg === "dir" && typeof header.kid === "string" ? header.kid : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where the key isn't the one, or a byte was changed. */
export function unseal(sealed: string, key: Buffer): string | undefined {
  const [header = "", none, nonce = "", text = "", tag = "", ...rest] = sealed.split(".");
  const tagBytes = Buffer.from(tag, "base64url");
  if (none !== "" || rest.length > 0 || tagBytes.length !== 16) return undefined;
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(nonce, "base64url"), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(header, "ascii"));
    decipher.setAuthTag(tagBytes);
    return Buffer.concat([decipher.update(Buffer.from(text, "base64url")), decipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
}
