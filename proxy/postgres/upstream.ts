// target + startup settings -> a logged-in session at the upstream, at its first ReadyForQuery.
import { createHash } from "node:crypto";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { unreachable } from "../../engine/lib/assert.ts";
import { err, ok, type Result } from "../../engine/lib/result.ts";
import type { SessionAttributes, UpstreamTarget } from "../deps.ts";
import { GatewayError } from "../errors.ts";
import { ByteSource, readMessage } from "./byte-source.ts";
import {
  backendType,
  decodeAuthentication,
  decodeBackendKey,
  decodeErrorFields,
  decodeNegotiatedMinor,
  decodeParameterStatus,
  fieldOf,
} from "./protocol/backend.ts";
import { LayoutFault } from "./protocol/cursor.ts";
import {
  type ErrorText,
  encodePassword,
  encodeSaslInitial,
  encodeSaslResponse,
  encodeSslRequest,
  encodeStartup,
} from "./protocol/encode.ts";
import { sqlstate } from "./protocol/sqlstate.ts";
import { answerScram, isServerProven, type ScramFinal, type ScramStart, startScram } from "./scram.ts";

export type UpstreamSession = {
  readonly socket: Socket | TLSSocket;
  /** Which of the target's places it is at. */
  readonly host: string;
  readonly port: number;
  /** What the server calls `current_user`. */
  readonly user: string;
  readonly processId: number;
  readonly secret: Buffer;
  /** As the server reported them during login. */
  readonly parameters: ReadonlyMap<string, string>;
  /** ParameterStatus and NoticeResponse frames of the login, for the client. */
  readonly greeting: readonly Buffer[];
  /** Bytes that came behind the first ReadyForQuery. */
  readonly rest: Buffer;
};

/** `code` is for the log; `error` for the client, without the gateway's own credentials or addresses. */
export type UpstreamFault = { readonly code: string; readonly error: ErrorText };

/**
 * Settings that decide how the server reads text, whatever its database or the role has as a default: `'\\'` would end
 * elsewhere than for our parser. In the startup packet, where RESET and DISCARD ALL come back to them. A server or a
 * pooler in between that doesn't report them so is not talked to.
 */
export const pinnedSettings: readonly (readonly [name: string, value: string])[] = [
  ["client_encoding", "UTF8"],
  ["standard_conforming_strings", "on"],
];

/** Login messages are small; a server that sends more isn't PostgreSQL. */
const loginMessageBytesMax = 65_536;

/** Connects, with TLS as the target asks, and logs in. `signal` ends the attempt: the deadline, or a client that left. */
export async function openUpstream(
  target: UpstreamTarget,
  settings: readonly (readonly [string, string])[],
  signal: AbortSignal,
): Promise<Result<UpstreamSession, UpstreamFault>> {
  const places = [{ host: target.host, port: target.port }, ...(target.others ?? [])];
  const passes = target.attributes === "prefer-standby" ? (["standby", undefined] as const) : [target.attributes];
  let last: Result<UpstreamSession, UpstreamFault> = err(unreachableFault("upstream-unreachable"));
  for (const attributes of passes) {
    for (const [i, place] of places.entries()) {
      // The last one may take all the time that there is: nobody waits for its turn.
      const isLast = i === places.length - 1;
      const inTurn = isLast ? signal : AbortSignal.any([signal, AbortSignal.timeout(placeTimeoutMs)]);
      last = await openAt(target, place, settings, inTurn);
      if (last.ok) {
        if (attributes === undefined || hasAttributes(last.value.parameters, attributes)) return last;
        last.value.socket.destroy();
        last = err(unreachableFault("upstream-attributes"));
      } else if (!isAboutPlace(last.error)) return last;
      if (signal.aborted) return last;
    }
  }
  return last;
}

/** One place of several has this long to answer. */
const placeTimeoutMs = 3_000;

/** Another place may do: this one is away, or starting, stopping or full. What is said of the account or of settings holds there too. */
const isAboutPlace = ({ code, error }: UpstreamFault): boolean =>
  error.sqlstate === sqlstate.connectionFailure
    ? !code.startsWith("upstream-refused-")
    : elsewhereMayDo.has(error.sqlstate);

const elsewhereMayDo: ReadonlySet<string> = new Set([sqlstate.cannotConnectNow, sqlstate.tooManyConnections]);

/** PostgreSQL 14 and later report both. A server that doesn't report them has none of the attributes. */
function hasAttributes(
  parameters: ReadonlyMap<string, string>,
  attributes: Exclude<SessionAttributes, "prefer-standby">,
): boolean {
  const standby = parameters.get("in_hot_standby");
  const readOnly = parameters.get("default_transaction_read_only");
  switch (attributes) {
    case "primary":
      return standby === "off";
    case "standby":
      return standby === "on";
    case "read-write":
      return standby === "off" && readOnly === "off";
    case "read-only":
      return standby === "on" || readOnly === "on";
    default:
      return unreachable(attributes);
  }
}

type Place = { readonly host: string; readonly port: number };

async function openAt(
  target: UpstreamTarget,
  place: Place,
  settings: readonly (readonly [string, string])[],
  signal: AbortSignal,
): Promise<Result<UpstreamSession, UpstreamFault>> {
  const open = (minor: number) => openOnce({ ...target, ...place }, settings, signal, minor);
  const minor = speaksOldOnly.has(target) ? 0 : newestMinor;
  let last = await open(minor);
  if (minor > 0 && !last.ok && last.error.code === versionRefused && !signal.aborted) {
    last = await open(0);
    if (last.ok) speaksOldOnly.add(target);
  }
  if (last.ok || target.refused === undefined || !isAboutPassword(last.error)) return last;
  // It may have been rotated a moment ago: once more with what is good now.
  target.refused();
  return open(speaksOldOnly.has(target) ? 0 : newestMinor);
}

/** Protocol 3.2: cancel secrets of up to 256 bytes (PostgreSQL 18). Older servers answer that they speak 3.0, and go on. */
const newestMinor = 2;

/** Poolers in between that don't know how to answer: they close the connection, or say an error, before anything else. */
const speaksOldOnly = new WeakSet<UpstreamTarget>();
const versionRefused = "upstream-version";
const versionErrors: ReadonlySet<string> = new Set([sqlstate.protocolViolation, sqlstate.featureNotSupported]);

const isAboutPassword = ({ code }: UpstreamFault): boolean =>
  code === "upstream-refused-28p01" || code === "upstream-refused-28000";

async function openOnce(
  target: UpstreamTarget,
  settings: readonly (readonly [string, string])[],
  signal: AbortSignal,
  minor: number,
): Promise<Result<UpstreamSession, UpstreamFault>> {
  const socket = await connectUpstream(target, signal);
  if (!socket.ok) return socket;
  const abort = () => socket.value.destroy();
  signal.addEventListener("abort", abort);
  try {
    const session = await login(socket.value, target, settings, minor);
    if (!session.ok) socket.value.destroy();
    else if (signal.aborted) return err(unreachableFault("upstream-timeout"));
    return !session.ok && signal.aborted ? err(unreachableFault("upstream-timeout")) : session;
  } catch (fault) {
    socket.value.destroy();
    if (fault instanceof LayoutFault) return err(unreachableFault("upstream-protocol"));
    if (fault instanceof GatewayError) return err(unreachableFault(fault.code));
    throw fault;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** A connected socket, TLS where the target's mode asks for it or the server offers it. */
export async function connectUpstream(
  target: UpstreamTarget,
  signal: AbortSignal,
): Promise<Result<Socket | TLSSocket, UpstreamFault>> {
  const plain = connectTcp({ host: target.host, port: target.port, noDelay: true, keepAlive: true });
  if (!(await settled(plain, "connect", signal))) return err(unreachableFault("upstream-unreachable"));
  if (target.tls.mode === "disable") return ok(plain);
  plain.write(encodeSslRequest());
  const source = new ByteSource(plain);
  const answered = await Promise.race([source.more(), aborted(signal)]);
  const answer = answered ? source.consume(1)[0] : undefined;
  // Whatever came behind the answer came in clear: nobody may put words before the handshake.
  const smuggled = source.detach();
  if (answer === 0x4e && target.tls.mode === "prefer" && smuggled.length === 0) return ok(plain);
  if (answer !== 0x53 || smuggled.length > 0) {
    plain.destroy();
    return err(unreachableFault(answered ? "upstream-without-tls" : "upstream-unreachable"));
  }
  const { mode, ca, client } = target.tls;
  const verifies = mode === "verify-ca" || mode === "verify-full" || (mode === "require" && ca !== undefined);
  const secure = connectTls({
    socket: plain,
    ALPNProtocols: ["postgresql"],
    rejectUnauthorized: verifies,
    ...(ca === undefined ? {} : { ca }),
    ...client,
    ...(isIpAddress(target.host) ? {} : { servername: target.host }),
    ...(mode === "verify-full" ? { host: target.host } : { checkServerIdentity: () => undefined }),
  });
  if (await settled(secure, "secureConnect", signal)) return ok(secure);
  plain.destroy();
  return err(unreachableFault("upstream-tls"));
}

const isIpAddress = (host: string): boolean => /^[\d.]+$|:/.test(host);

/** True once `event` came; false on error, close or abort, with the socket destroyed. Leaves an error listener behind. */
function settled(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const finish = (isDone: boolean) => {
      signal.removeEventListener("abort", fail);
      if (!isDone) socket.destroy();
      resolve(isDone);
    };
    const fail = () => finish(false);
    socket.on("error", fail);
    socket.once("close", fail);
    socket.once(event, () => {
      socket.removeListener("close", fail);
      socket.removeListener("error", fail);
      socket.on("error", ignore);
      finish(true);
    });
    if (signal.aborted) fail();
    else signal.addEventListener("abort", fail);
  });
}

const ignore = (): void => undefined;

const aborted = (signal: AbortSignal): Promise<false> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(false);
    else signal.addEventListener("abort", () => resolve(false), { once: true });
  });

async function login(
  socket: Socket | TLSSocket,
  target: UpstreamTarget,
  settings: readonly (readonly [string, string])[],
  minor: number,
): Promise<Result<UpstreamSession, UpstreamFault>> {
  const source = new ByteSource(socket);
  const made = await target.login?.();
  const user = made?.user ?? target.user;
  const passwordOf = async (): Promise<string> => made?.password ?? (await target.password());
  const role = target.role === undefined ? [] : [["role", target.role] as const];
  const startup = [["user", user], ["database", target.database], ...settings, ...pinnedSettings, ...role] as const;
  socket.write(encodeStartup(startup, minor));
  const parameters = new Map<string, string>();
  const greeting: Buffer[] = [];
  let key: { readonly processId: number; readonly secret: Buffer } = { processId: 0, secret: Buffer.alloc(0) };
  let scram: ScramStart | undefined;
  let final: ScramFinal | undefined;
  let isProven = false;
  let isAnswered = false;
  for (;;) {
    const frame = await readMessage(source, loginMessageBytesMax);
    if (!frame) return err(unreachableFault(isAnswered || minor === 0 ? "upstream-closed" : versionRefused));
    const isFirst = !isAnswered;
    isAnswered = true;
    switch (frame[0]) {
      case backendType.error:
        return err(
          isFirst && minor > 0 && isAboutVersion(frame) ? unreachableFault(versionRefused) : loginFault(frame),
        );
      case backendType.notice:
        greeting.push(Buffer.from(frame));
        break;
      case backendType.parameterStatus: {
        const [name, value] = decodeParameterStatus(frame);
        parameters.set(name, value);
        greeting.push(Buffer.from(frame));
        break;
      }
      case backendType.backendKeyData:
        key = decodeBackendKey(frame);
        break;
      case backendType.negotiateVersion:
        if (decodeNegotiatedMinor(frame) >= minor) return err(unreachableFault("upstream-protocol"));
        break;
      case backendType.readyForQuery: {
        if (pinnedSettings.some(([name, value]) => parameters.get(name) !== value)) {
          return err(unreachableFault("upstream-settings"));
        }
        const { host, port } = target;
        return ok({
          socket,
          host,
          port,
          user: target.role ?? user,
          ...key,
          parameters,
          greeting,
          rest: source.detach(),
        });
      }
      case backendType.authentication: {
        const request = decodeAuthentication(frame);
        switch (request.kind) {
          case "ok":
            if (final && !isProven) return err(unreachableFault("upstream-unproven"));
            break;
          case "cleartext":
            socket.write(encodePassword(await passwordOf()));
            break;
          case "md5":
            socket.write(encodePassword(md5Password(user, await passwordOf(), request.salt)));
            break;
          case "sasl": {
            scram = startScram(request.mechanisms, serverCertificate(socket));
            if (!scram) return err(unreachableFault("upstream-auth-method"));
            socket.write(encodeSaslInitial(scram.mechanism, Buffer.from(scram.first)));
            break;
          }
          case "sasl-continue": {
            if (!scram) return err(unreachableFault("upstream-protocol"));
            const answer = await answerScram(scram, request.data.toString("utf8"), await passwordOf());
            if (!answer.ok) return err(unreachableFault("upstream-protocol"));
            final = answer.value;
            socket.write(encodeSaslResponse(Buffer.from(final.message)));
            break;
          }
          case "sasl-final":
            isProven = final !== undefined && isServerProven(final, request.data.toString("utf8"));
            if (!isProven) return err(unreachableFault("upstream-unproven"));
            break;
          case "other":
            return err(unreachableFault("upstream-auth-method"));
        }
        break;
      }
      default:
        return err(unreachableFault("upstream-protocol"));
    }
  }
}

const isAboutVersion = (frame: Buffer): boolean => versionErrors.has(fieldOf(decodeErrorFields(frame), "C") ?? "");

function serverCertificate(socket: Socket | TLSSocket): Buffer | undefined {
  return "getPeerCertificate" in socket ? socket.getPeerCertificate().raw : undefined;
}

function md5Password(user: string, password: string, salt: Buffer): string {
  const inner = createHash("md5").update(password).update(user).digest("hex");
  return `md5${createHash("md5").update(inner).update(salt).digest("hex")}`;
}

/**
 * The upstream's own FATAL. What is about the client's settings passes in PostgreSQL's words; what is about the
 * gateway's account does not: it would name the account.
 */
function loginFault(frame: Buffer): UpstreamFault {
  const fields = decodeErrorFields(frame);
  const code = fieldOf(fields, "C") ?? sqlstate.connectionFailure;
  const isAboutClient = ["22023", "42704", "53300", "57P03", "22P02", "55P02"].includes(code);
  if (isAboutClient) {
    const message = fieldOf(fields, "M") ?? "the upstream refused the connection";
    return {
      code: "upstream-refused",
      error: { severity: "FATAL", sqlstate: code, message, hint: fieldOf(fields, "H") },
    };
  }
  return {
    code: `upstream-refused-${code.toLowerCase()}`,
    error: {
      severity: "FATAL",
      sqlstate: sqlstate.connectionFailure,
      message: "the gateway could not log in to the database behind it",
      hint: `The database answered SQLSTATE ${code}; the operator finds the reason in the gateway's log.`,
    },
  };
}

function unreachableFault(code: string): UpstreamFault {
  return {
    code,
    error: {
      severity: "FATAL",
      sqlstate: sqlstate.connectionFailure,
      message: "the database behind the gateway can't be reached",
      hint: `The operator finds the reason in the gateway's log under \`${code}\`.`,
    },
  };
}
