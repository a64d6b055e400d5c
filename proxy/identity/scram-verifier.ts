// SCRAM-SHA-256 as a server: RFC 5802, RFC 7677. Stored verifiers in PostgreSQL's own form, never passwords.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { err, ok, type Result } from "../../engine/lib/result.ts";

export type ScramVerifier = {
  readonly iterations: number;
  /** Base64, as it goes over the wire. */
  readonly salt: string;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
};

/** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`: what PostgreSQL keeps in `pg_authid.rolpassword`. */
export function parseVerifier(text: string): ScramVerifier | undefined {
  const match = /^SCRAM-SHA-256\$(\d{4,7}):([A-Za-z0-9+/]{16,}={0,2})\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/.exec(
    text,
  );
  const [, iterations, salt, stored, server] = match ?? [];
  if (iterations === undefined || salt === undefined || stored === undefined || server === undefined) return undefined;
  if (Number(iterations) < 4_096) return undefined;
  return {
    iterations: Number(iterations),
    salt,
    storedKey: Buffer.from(stored, "base64"),
    serverKey: Buffer.from(server, "base64"),
  };
}

const derive = promisify(pbkdf2);

/** A new verifier with a salt of its own. The password itself is kept by whoever logs in. */
export async function makeVerifier(password: string, iterations = 4_096): Promise<string> {
  const salt = randomBytes(16);
  const salted = await derive(password.normalize("NFKC"), salt, iterations, 32, "sha256");
  const stored = sha256(hmac(salted, "Client Key")).toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${hmac(salted, "Server Key").toString("base64")}`;
}

export type Challenge = {
  /** `server-first-message` */
  readonly message: string;
  readonly clientFirstBare: string;
  readonly gs2Header: string;
  readonly nonce: string;
};

/** Answers `client-first-message`. Its user name is ignored, as in PostgreSQL: the startup packet's counts. */
export function challenge(verifier: ScramVerifier, clientFirst: string): Result<Challenge, string> {
  const [, gs2Header, bare, clientNonce] =
    /^([ny],,)(n=[^,]*,r=([\x21-\x2b\x2d-\x7e]{8,256}))$/.exec(clientFirst) ?? [];
  if (gs2Header === undefined || bare === undefined || clientNonce === undefined) return err("malformed SCRAM message");
  const nonce = clientNonce + randomBytes(18).toString("base64");
  const message = `r=${nonce},s=${verifier.salt},i=${verifier.iterations}`;
  return ok({ message, clientFirstBare: bare, gs2Header, nonce });
}

/** `server-final-message` for a good proof. Without one, nothing tells which part was wrong. */
export function checkProof(verifier: ScramVerifier, given: Challenge, clientFinal: string): Result<string, "refused"> {
  const [, withoutProof, binding, nonce, proofText] =
    /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)),p=([A-Za-z0-9+/]{43}=)$/.exec(clientFinal) ?? [];
  if (withoutProof === undefined || nonce !== given.nonce || proofText === undefined) return err("refused");
  if (binding !== Buffer.from(given.gs2Header).toString("base64")) return err("refused");
  const transcript = `${given.clientFirstBare},${given.message},${withoutProof}`;
  const signature = hmac(verifier.storedKey, transcript);
  const proof = Buffer.from(proofText, "base64");
  const clientKey = Buffer.from(proof.map((byte, i) => byte ^ (signature[i] ?? 0)));
  if (!timingSafeEqual(sha256(clientKey), verifier.storedKey)) return err("refused");
  return ok(`v=${hmac(verifier.serverKey, transcript).toString("base64")}`);
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const sha256 = (bytes: Buffer): Buffer => createHash("sha256").update(bytes).digest();
