// an accepted connection -> a client that has proved who it is, or none. TLS, versions, parameters, token.
import type { Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Authenticated } from "../deps.ts";
import { ByteSource, readMessage } from "./byte-source.ts";
import type { PostgresListenerOptions } from "./options.ts";
import { Cursor } from "./protocol/cursor.ts";
import {
  type ErrorText,
  encodeAuthenticationCleartext,
  encodeError,
  encodeNegotiateVersion,
} from "./protocol/encode.ts";
import { frontendType } from "./protocol/frontend.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import { readStartup, type StartupPacket } from "./protocol/startup.ts";
import { readStartupSettings, type StartupRequest } from "./startup-settings.ts";

export type LoggedIn = {
  readonly kind: "logged-in";
  readonly socket: Socket;
  readonly rest: Buffer;
  readonly request: StartupRequest;
  readonly who: Authenticated;
  /** Protocol 3.2 and later take a longer cancel secret. */
  readonly takesLongSecret: boolean;
};

export type LoginOutcome =
  | LoggedIn
  | { readonly kind: "cancel"; readonly processId: number; readonly secret: Buffer; readonly socket: Socket }
  /** Refused or gone. What the client should hear has been written, and the socket ended. */
  | { readonly kind: "none"; readonly reason: string };

/** Newest minor version of protocol 3 that is spoken. */
const newestMinor = 2;
const lingerMs = 1_000;

export async function loginClient(
  accepted: Socket,
  secureContext: SecureContext | undefined,
  options: PostgresListenerOptions,
): Promise<LoginOutcome> {
  const opened = await openStartup(accepted, secureContext, options);
  if (opened.kind !== "startup") return opened;
  const { socket, source, packet } = opened;
  if (packet.major !== 3) {
    const message = `unsupported frontend protocol ${packet.major}.${packet.minor}: server supports 3.0 to 3.${newestMinor}`;
    return refuse(socket, "protocol-version", fatal(sqlstate.featureNotSupported, message));
  }
  const request = readStartupSettings(packet.parameters);
  if (!request.ok) return refuse(socket, "startup-parameter", request.error);
  const { database, protocolOptions, user } = request.value;
  if (packet.minor > newestMinor || protocolOptions.length > 0) {
    socket.write(encodeNegotiateVersion(3, Math.min(packet.minor, newestMinor), protocolOptions));
  }
  if (!isPrivate(socket, options)) return refuse(socket, "tls-required", tlsRequired);
  if (database !== undefined && database !== options.upstream.database && database !== options.name) {
    const unknown = fatal(sqlstate.undefinedDatabase, `database "${database.slice(0, 63)}" does not exist`);
    return refuse(socket, "unknown-database", {
      ...unknown,
      hint: `This port leads to database "${options.upstream.database}".`,
    });
  }
  socket.write(encodeAuthenticationCleartext());
  const password = await readPassword(source, options.limits.passwordBytesMax);
  if (password === undefined) return refuse(socket, "no-password", noPassword);
  const who = await options.authenticate({
    user,
    password,
    clientAddress: addressOf(socket),
    application: request.value.application,
  });
  if (!who.ok) {
    const { code, message, hint } = who.error;
    return refuse(socket, code, { severity: "FATAL", sqlstate: sqlstate.invalidPassword, message, hint });
  }
  return {
    kind: "logged-in",
    socket,
    rest: source.detach(),
    request: request.value,
    who: who.value,
    takesLongSecret: packet.minor >= 2,
  };
}

type Opened =
  | Exclude<LoginOutcome, LoggedIn>
  | {
      readonly kind: "startup";
      readonly socket: Socket;
      readonly source: ByteSource;
      readonly packet: StartupPacket & { readonly kind: "startup" };
    };

/** SSLRequest, GSSENCRequest, a TLS handshake right away: whatever stands before the startup packet, once each. */
async function openStartup(
  accepted: Socket,
  secureContext: SecureContext | undefined,
  options: PostgresListenerOptions,
): Promise<Opened> {
  let socket: Socket = accepted;
  let source = new ByteSource(accepted);
  let mayAskTls = true;
  let mayAskGss = true;
  for (;;) {
    const packet = await nextPacket(source, options.limits.startupPacketBytesMax);
    if (packet === undefined) return gone(socket, "no-startup-packet");
    if (typeof packet === "string") {
      return refuse(socket, "startup-packet", fatal(sqlstate.protocolViolation, packet));
    }
    if (packet.kind === "startup") return { kind: "startup", socket, source, packet };
    if (packet.kind === "cancel") {
      source.detach();
      return { ...packet, socket };
    }
    if (packet.kind === "gssenc-request") {
      if (!mayAskGss) return gone(socket, "startup-packet");
      mayAskGss = false;
      // Nobody may put words between the request and our answer.
      if (source.buffered.length > 0) return refuse(socket, "early-bytes", earlyBytes("GSSAPI encryption"));
      socket.write("N");
      continue;
    }
    const isDirect = packet.kind === "tls";
    if (!mayAskTls || (isDirect && !secureContext)) return gone(socket, "startup-packet");
    mayAskTls = false;
    if (!isDirect && source.buffered.length > 0) return refuse(socket, "early-bytes", earlyBytes("SSL"));
    if (!secureContext) {
      socket.write("N");
      continue;
    }
    const hello = source.detach();
    if (isDirect) accepted.unshift(hello);
    else accepted.write("S");
    const secure = await secureSocket(accepted, secureContext);
    if (!secure) return gone(accepted, "tls-handshake");
    if (isDirect && secure.alpnProtocol !== "postgresql") return gone(secure, "tls-without-alpn");
    socket = secure;
    source = new ByteSource(secure);
  }
}

/** A packet, a fault to tell, or `undefined` when the client left. */
async function nextPacket(
  source: ByteSource,
  bytesMax: number,
): Promise<StartupPacket | { readonly kind: "tls" } | string | undefined> {
  for (;;) {
    const read = readStartup(source.buffered, bytesMax);
    if (!read.ok) return read.error;
    if (read.value.kind === "tls") return read.value;
    if (read.value.kind === "packet") {
      source.consume(read.value.size);
      return read.value.packet;
    }
    if (!(await source.more())) return undefined;
  }
}

function secureSocket(socket: Socket, secureContext: SecureContext): Promise<TLSSocket | undefined> {
  const secure = new TLSSocket(socket, { isServer: true, secureContext, ALPNProtocols: ["postgresql"] });
  secure.on("error", () => undefined);
  return new Promise((resolve) => {
    secure.once("secure", () => resolve(secure));
    secure.once("error", () => resolve(undefined));
    secure.once("close", () => resolve(undefined));
    socket.once("close", () => resolve(undefined));
  });
}

async function readPassword(source: ByteSource, bytesMax: number): Promise<string | undefined> {
  const message = await readMessage(source, bytesMax);
  if (message === undefined || message[0] !== frontendType.password) return undefined;
  const cursor = new Cursor(message, 5);
  try {
    const password = cursor.cstring();
    cursor.end();
    return password;
  } catch {
    return undefined;
  }
}

/** A token may travel in clear on loopback only, and only where the configuration doesn't ask for TLS. */
function isPrivate(socket: Socket, options: PostgresListenerOptions): boolean {
  if (socket instanceof TLSSocket) return true;
  return options.tls?.required !== true && isLoopback(addressOf(socket));
}

const isLoopback = (address: string): boolean => address === "::1" || /^127\./.test(address);

/** IPv4 addresses that came in by IPv6 are written as IPv4. */
export const addressOf = (socket: Socket): string =>
  (socket.remoteAddress ?? "").replace(/^::ffff:/, "").replace(/%.*$/, "");

export function refuse(
  socket: Socket,
  reason: string,
  error: ErrorText,
): { readonly kind: "none"; readonly reason: string } {
  if (socket.writable) socket.end(encodeError(error));
  return gone(socket, reason);
}

/** Reads on for a moment, so that the client gets to see what was written. */
function gone(socket: Socket, reason: string): { readonly kind: "none"; readonly reason: string } {
  socket.end();
  socket.resume();
  setTimeout(() => socket.destroy(), lingerMs).unref();
  return { kind: "none", reason };
}

const fatal = (code: string, message: string): ErrorText => ({ severity: "FATAL", sqlstate: code, message });

const earlyBytes = (after: string): ErrorText => ({
  ...fatal(sqlstate.protocolViolation, `received unencrypted data after ${after} request`),
  detail: "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.",
});

const tlsRequired: ErrorText = {
  ...fatal(sqlstate.invalidAuthorization, "the gateway takes tokens over TLS only"),
  hint: "Connect with sslmode=require or stricter.",
};

const noPassword: ErrorText = {
  ...fatal(sqlstate.invalidPassword, "empty password returned by client"),
  hint: "Give a token as the password, e.g. in PGPASSWORD.",
};
