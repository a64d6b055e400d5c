// first bytes of a connection -> what the client wants. Untagged packets: int32 length, int32 code, body.
import { err, ok, type Result } from "../../../engine/lib/result.ts";
import { Cursor, LayoutFault } from "./cursor.ts";

export type StartupPacket =
  | { readonly kind: "ssl-request" }
  | { readonly kind: "gssenc-request" }
  | { readonly kind: "cancel"; readonly processId: number; readonly secret: Buffer }
  | {
      readonly kind: "startup";
      readonly major: number;
      readonly minor: number;
      /** In the client's order; a later one of the same name wins, as at the server. */
      readonly parameters: readonly (readonly [name: string, value: string])[];
    };

export type StartupRead =
  | { readonly kind: "packet"; readonly packet: StartupPacket; readonly size: number }
  | { readonly kind: "more" }
  /** The first byte is a TLS record's: a handshake without SSLRequest (PostgreSQL 17, `sslnegotiation=direct`). */
  | { readonly kind: "tls" };

const cancelCode = 80_877_102;
const sslCode = 80_877_103;
const gssencCode = 80_877_104;
const tlsHandshakeRecord = 0x16;
/** Lengths of a cancel secret: 4 in protocol 3.0, up to 256 in 3.2. */
export const cancelSecretBytesMax = 256;

/** Reads one packet off the front of `buffered`. A fault names what is wrong; the connection must be closed then. */
export function readStartup(buffered: Buffer, packetBytesMax: number): Result<StartupRead, string> {
  if (buffered.length > 0 && buffered.readUInt8(0) === tlsHandshakeRecord) return ok({ kind: "tls" });
  if (buffered.length < 4) return ok({ kind: "more" });
  const size = buffered.readUInt32BE(0);
  if (size < 8 || size > packetBytesMax) return err("invalid length of startup packet");
  if (buffered.length < size) return ok({ kind: "more" });
  try {
    return ok({ kind: "packet", packet: decodeStartup(new Cursor(buffered, 4, size)), size });
  } catch (fault) {
    if (fault instanceof LayoutFault) return err("invalid startup packet layout: expected terminator as last byte");
    throw fault;
  }
}

function decodeStartup(cursor: Cursor): StartupPacket {
  const code = cursor.uint32();
  if (code === sslCode) return end(cursor, { kind: "ssl-request" });
  if (code === gssencCode) return end(cursor, { kind: "gssenc-request" });
  if (code === cancelCode) {
    const processId = cursor.int32();
    if (cursor.remaining < 1 || cursor.remaining > cancelSecretBytesMax)
      throw new LayoutFault("a cancel secret's length");
    return { kind: "cancel", processId, secret: Buffer.from(cursor.bytes(cursor.remaining)) };
  }
  const parameters: (readonly [string, string])[] = [];
  const major = code >>> 16;
  if (major !== 3) return { kind: "startup", major, minor: code & 0xffff, parameters };
  for (let name = cursor.cstring(); name !== ""; name = cursor.cstring()) parameters.push([name, cursor.cstring()]);
  return end(cursor, { kind: "startup", major, minor: code & 0xffff, parameters });
}

function end<T>(cursor: Cursor, packet: T): T {
  cursor.end();
  return packet;
}
