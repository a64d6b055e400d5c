// SCRAM-SHA-256 as a client: RFC 5802, RFC 7677; channel binding tls-server-end-point: RFC 5929.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import { err, ok, type Result } from "../../engine/lib/result.ts";

export type ScramStart = {
  readonly mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";
  readonly gs2Header: string;
  readonly binding: Buffer;
  readonly nonce: string;
  readonly first: string;
};

export type ScramFinal = { readonly message: string; readonly serverSignature: Buffer };

/** Above it an upstream could burn our CPU at every login. PostgreSQL's default is 4,096. */
const iterationsMax = 10_000_000;

/**
 * Chooses the mechanism. With a TLS certificate whose hash is known, binding is used where offered, and otherwise the
 * gs2 flag `y` lets the server notice that somebody took the offer away.
 */
export function startScram(offered: readonly string[], certificate: Buffer | undefined): ScramStart | undefined {
  const endPoint = certificate === undefined ? undefined : certificateHash(certificate);
  const nonce = randomBytes(18).toString("base64");
  const start = (mechanism: ScramStart["mechanism"], gs2Header: string, binding: Buffer): ScramStart => ({
    mechanism,
    gs2Header,
    binding,
    nonce,
    first: `${gs2Header}n=,r=${nonce}`,
  });
  if (endPoint && offered.includes("SCRAM-SHA-256-PLUS")) {
    return start("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,", endPoint);
  }
  if (offered.includes("SCRAM-SHA-256")) return start("SCRAM-SHA-256", endPoint ? "y,," : "n,,", Buffer.alloc(0));
  return undefined;
}

/** The answer to `server-first-message`. */
export async function answerScram(
  start: ScramStart,
  serverFirst: string,
  password: string,
): Promise<Result<ScramFinal, string>> {
  const match = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(serverFirst);
  const [, nonce = "", salt = "", iterationsText = ""] = match ?? [];
  const iterations = Number(iterationsText);
  if (!match || !nonce.startsWith(start.nonce) || nonce.length === start.nonce.length) {
    return err("the upstream's SCRAM challenge is malformed");
  }
  if (iterations < 1 || iterations > iterationsMax) return err("the upstream's SCRAM iteration count is out of range");
  const channel = Buffer.concat([Buffer.from(start.gs2Header), start.binding]).toString("base64");
  const withoutProof = `c=${channel},r=${nonce}`;
  const transcript = `${start.first.slice(start.gs2Header.length)},${serverFirst},${withoutProof}`;
  const keys = await scramKeys(password, salt, iterations);
  const signature = hmac(createHash("sha256").update(keys.client).digest(), transcript);
  const proof = Buffer.from(keys.client.map((byte, i) => byte ^ (signature[i] ?? 0)));
  return ok({
    message: `${withoutProof},p=${proof.toString("base64")}`,
    serverSignature: hmac(keys.server, transcript),
  });
}

/** The server proves that it knows the password too. */
export function isServerProven(final: ScramFinal, serverFinal: string): boolean {
  const given = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? "", "base64");
  return given.length === final.serverSignature.length && timingSafeEqual(given, final.serverSignature);
}

type Keys = { readonly client: Buffer; readonly server: Buffer };

/** PBKDF2 costs 4 ms: off the event loop, and once per password and salt. Holds keys of a handful of upstream roles. */
const cachedKeys = new Map<string, Keys>();
const cachedKeysMax = 64;
const derive = promisify(pbkdf2);

async function scramKeys(password: string, salt: string, iterations: number): Promise<Keys> {
  const prepared = password.normalize("NFKC");
  const id = createHash("sha256").update(`${salt}\0${iterations}\0${prepared}`).digest("base64");
  const known = cachedKeys.get(id);
  if (known) return known;
  const salted = await derive(prepared, Buffer.from(salt, "base64"), iterations, 32, "sha256");
  const keys = { client: hmac(salted, "Client Key"), server: hmac(salted, "Server Key") };
  if (cachedKeys.size >= cachedKeysMax) cachedKeys.clear();
  cachedKeys.set(id, keys);
  return keys;
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

/** Hash of the certificate by its signature's hash function, MD5 and SHA-1 raised to SHA-256; undefined where unknown. */
function certificateHash(certificate: Buffer): Buffer | undefined {
  const algorithm = new X509Certificate(certificate).signatureAlgorithm?.toLowerCase() ?? "";
  const hash = /sha-?(256|384|512)/.exec(algorithm)?.[1];
  if (hash) return createHash(`sha${hash}`).update(certificate).digest();
  return /md5|sha-?1/.test(algorithm) ? createHash("sha256").update(certificate).digest() : undefined;
}
