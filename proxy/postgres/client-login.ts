// an accepted connection -> a client that has proved who it is, or none. TLS, versions, parameters, token.
import type { Socket } from "node:net";
import { type PeerCertificate, TLSSocket } from "node:tls";
import type { Authenticated } from "../deps.ts";
import type { ServerTls } from "../tls/server-tls.ts";
import type { Arrival } from "./arrivals.ts";
import { ByteSource } from "./byte-source.ts";
import { proveClient } from "./client-proof.ts";
import type { PostgresListenerOptions } from "./options.ts";
import { type ErrorText, encodeError, encodeNegotiateVersion } from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import { readStartup, type StartupPacket } from "./protocol/startup.ts";
import { readStartupSettings, type StartupRequest } from "./startup-settings.ts";
import type { Turnstile } from "./turnstile.ts";

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

/** Keeps `arrival` up to date with whom it can be told something through. */
export async function loginClient(
  accepted: Socket,
  tls: ServerTls | undefined,
  options: PostgresListenerOptions,
  arrival: Arrival,
  turnstile: Turnstile,
): Promise<LoginOutcome> {
  const opened = await openStartup(accepted, tls, options, turnstile);
  if (opened.kind !== "startup") return opened;
  const { socket, source, packet } = opened;
  Object.assign(arrival, { socket, canHear: true });
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
  const who = await proveClient(
    {
      socket,
      source,
      certificate: opened.certificate,
      user,
      application: request.value.application,
      clientAddress: addressOf(socket),
    },
    options,
  );
  if (!who.ok) {
    if (who.error === "no-password") return refuse(socket, who.error, noPassword);
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
      readonly certificate: PeerCertificate | undefined;
    };

/** SSLRequest, GSSENCRequest, a TLS handshake right away: whatever stands before the startup packet, once each. */
async function openStartup(
  accepted: Socket,
  tls: ServerTls | undefined,
  options: PostgresListenerOptions,
  turnstile: Turnstile,
): Promise<Opened> {
  let socket: Socket = accepted;
  let source = new ByteSource(accepted);
  let certificate: PeerCertificate | undefined;
  let mayAskTls = true;
  let mayAskGss = true;
  for (;;) {
    const packet = await nextPacket(source, options.limits.startupPacketBytesMax);
    if (packet === undefined) return gone(socket, "no-startup-packet");
    if (typeof packet === "string") {
      return refuse(socket, "startup-packet", fatal(sqlstate.protocolViolation, packet));
    }
    if (packet.kind === "startup") return { kind: "startup", socket, source, packet, certificate };
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
    if (!mayAskTls || (isDirect && !tls)) return gone(socket, "startup-packet");
    mayAskTls = false;
    if (!isDirect && source.buffered.length > 0) return refuse(socket, "early-bytes", earlyBytes("SSL"));
    if (!tls) {
      socket.write("N");
      continue;
    }
    if (!isDirect) {
      accepted.write("S");
      // The handshake costs from its first byte on: that it has come, and a turn for it, is waited for before.
      if (!(await source.more())) return gone(socket, "tls-handshake");
    }
    await turnstile.pass(addressOf(accepted));
    const hello = source.detach();
    if (accepted.destroyed) return gone(accepted, "tls-handshake");
    accepted.unshift(hello);
    const secured = await tls.secure(accepted);
    if (!secured) return gone(accepted, "tls-handshake");
    ({ socket, certificate } = secured);
    if (isDirect && secured.socket.alpnProtocol !== "postgresql") return gone(socket, "tls-without-alpn");
    source = new ByteSource(socket);
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
