// after the startup packet -> who the client has proved to be: by certificate, by SCRAM, by a token as the password
import type { Socket } from "node:net";
import type { PeerCertificate } from "node:tls";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import type { Authenticated, LoginFault } from "../deps.ts";
import type { LoginDelay } from "../identity/login-delay.ts";
import { challenge, checkProof } from "../identity/scram-verifier.ts";
import { authenticatedUser, type StaticUser } from "../identity/static-users.ts";
import { type ByteSource, readMessage } from "./byte-source.ts";
import type { PostgresListenerOptions } from "./options.ts";
import { Cursor } from "./protocol/cursor.ts";
import { encodeAuthenticationCleartext, encodeAuthenticationSasl } from "./protocol/encode.ts";
import { frontendType } from "./protocol/frontend.ts";

/** Ways to prove who one is besides a token. */
export type ClientProofs = {
  readonly certificates?:
    | {
        /** The certificate alone is not enough: a token of the same person has to come with it. */
        readonly needsToken: boolean;
        readonly identify: (certificate: PeerCertificate, clientAddress: string) => Result<Authenticated, LoginFault>;
      }
    | undefined;
  readonly userNamed: (name: string) => StaticUser | undefined;
  readonly delay: LoginDelay;
};

export type Proving = {
  readonly socket: Socket;
  readonly source: ByteSource;
  readonly certificate: PeerCertificate | undefined;
  readonly user: string;
  readonly application: string | undefined;
  readonly clientAddress: string;
};

/** `no-password`: the client left, or sent none. */
export async function proveClient(
  proving: Proving,
  options: PostgresListenerOptions,
): Promise<Result<Authenticated, LoginFault | "no-password">> {
  const { certificates } = options.proofs ?? {};
  const { certificate, clientAddress } = proving;
  const byCertificate = certificates && certificate && certificates.identify(certificate, clientAddress);
  if (byCertificate !== undefined && !byCertificate.ok) return byCertificate;
  if (byCertificate !== undefined && certificates?.needsToken === false) return checkTime(byCertificate.value, options);
  const user = options.proofs?.userNamed(proving.user);
  const who = user ? await bySecret(proving, user, options) : await byToken(proving, options);
  if (!who.ok || certificates?.needsToken !== true) return who;
  // INVARIANT: with `both`, whoever has no certificate of the token's subject is nobody.
  return isSamePerson(byCertificate?.value, who.value) ? who : err(otherPerson);
}

function isSamePerson(a: Authenticated | undefined, b: Authenticated): boolean {
  return a !== undefined && isKnown(a.identity.sub) && isKnown(b.identity.sub) && a.identity.sub === b.identity.sub;
}

function checkTime(who: Authenticated, options: PostgresListenerOptions): Result<Authenticated, LoginFault> {
  const hasEnded = who.expiresAtS !== undefined && who.expiresAtS * 1_000 <= options.nowMs();
  return hasEnded ? err(ended) : ok(who);
}

async function byToken(
  { socket, source, user, application, clientAddress }: Proving,
  options: PostgresListenerOptions,
): Promise<Result<Authenticated, LoginFault | "no-password">> {
  socket.write(encodeAuthenticationCleartext());
  const message = await readPassword(source, options.limits.passwordBytesMax);
  const password = message && cstringOf(message);
  if (password === undefined) return err("no-password");
  const attempt = () => options.authenticate({ user, password, clientAddress, application });
  const outcome = await (options.proofs?.delay.run(clientAddress, user, attempt) ?? attempt());
  return outcome ?? err(tooManyAttempts);
}

async function bySecret(
  proving: Proving,
  user: StaticUser,
  options: PostgresListenerOptions,
): Promise<Result<Authenticated, LoginFault | "no-password">> {
  const { clientAddress } = proving;
  const attempt = () => exchange(proving, user, options);
  const outcome = await (options.proofs?.delay.run(clientAddress, user.name, attempt) ?? attempt());
  return outcome ?? err(tooManyAttempts);
}

/** RFC 5802 section 5. Without channel binding: the offer has none, and a client that asks for it is refused. */
async function exchange(
  { socket, source, clientAddress }: Proving,
  user: StaticUser,
  options: PostgresListenerOptions,
): Promise<Result<Authenticated, LoginFault | "no-password">> {
  socket.write(encodeAuthenticationSasl({ kind: "offer", mechanisms: ["SCRAM-SHA-256"] }));
  const initial = await readPassword(source, saslBytesMax);
  const clientFirst = initial && initialOf(initial);
  if (clientFirst === undefined) return err("no-password");
  const first = challenge(user.verifier, clientFirst);
  if (!first.ok) return err(wrongPassword(user.name));
  socket.write(encodeAuthenticationSasl({ kind: "continue", data: first.value.message }));
  const response = await readPassword(source, saslBytesMax);
  if (response === undefined) return err("no-password");
  const final = checkProof(user.verifier, first.value, response.toString("utf8", 5));
  if (!final.ok) return err(wrongPassword(user.name));
  const who = checkTime(authenticatedUser(user, clientAddress), options);
  if (who.ok) socket.write(encodeAuthenticationSasl({ kind: "final", data: final.value }));
  return who;
}

/** What a SCRAM message may take: names and numbers, no content. */
const saslBytesMax = 4_096;

async function readPassword(source: ByteSource, bytesMax: number): Promise<Buffer | undefined> {
  const message = await readMessage(source, bytesMax);
  return message?.[0] === frontendType.password ? message : undefined;
}

function cstringOf(message: Buffer): string | undefined {
  const cursor = new Cursor(message, 5);
  try {
    const text = cursor.cstring();
    cursor.end();
    return text;
  } catch {
    return undefined;
  }
}

function initialOf(message: Buffer): string | undefined {
  const cursor = new Cursor(message, 5);
  try {
    const mechanism = cursor.cstring();
    const data = cursor.bytes(cursor.int32());
    cursor.end();
    return mechanism === "SCRAM-SHA-256" ? data.toString("utf8") : undefined;
  } catch {
    return undefined;
  }
}

const wrongPassword = (user: string): LoginFault => ({
  code: "password-wrong",
  message: `password authentication failed for user "${user.slice(0, 63)}"`,
  hint: "this user has a password of its own at the gateway; everybody else uses a token as the password",
});
const otherPerson: LoginFault = {
  code: "certificate-mismatch",
  message: "this connection takes a client certificate and a token of the same person, and these aren't",
  hint: "give the certificate that was issued to you (sslcert, sslkey) together with your own token",
};
const ended: LoginFault = {
  code: "credentials-expired",
  message: "these credentials have expired",
  hint: "ask whoever runs the gateway for new ones",
};
const tooManyAttempts: LoginFault = {
  code: "login-attempts",
  message: "too many failed logins with this name from your address",
  hint: "wait a few seconds and try again",
};
