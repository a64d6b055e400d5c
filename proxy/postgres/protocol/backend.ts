// frame -> backend message, for the messages whose content the gateway reads. The others pass by their type.
import { Cursor, LayoutFault } from "./cursor.ts";
import { cancelSecretBytesMax } from "./startup.ts";

/** Type bytes of the messages that a server sends. */
export const backendType = {
  authentication: 0x52,
  backendKeyData: 0x4b,
  bindComplete: 0x32,
  closeComplete: 0x33,
  commandComplete: 0x43,
  copyBoth: 0x57,
  copyData: 0x64,
  copyDone: 0x63,
  copyIn: 0x47,
  copyOut: 0x48,
  dataRow: 0x44,
  emptyQuery: 0x49,
  error: 0x45,
  functionCall: 0x56,
  negotiateVersion: 0x76,
  noData: 0x6e,
  notice: 0x4e,
  notification: 0x41,
  parameterDescription: 0x74,
  parameterStatus: 0x53,
  parseComplete: 0x31,
  portalSuspended: 0x73,
  readyForQuery: 0x5a,
  rowDescription: 0x54,
} as const;

export type TransactionStatus = "idle" | "open" | "failed";

/** Fields of an ErrorResponse or NoticeResponse by their type letter (section 54.8), in the server's order. */
export type ErrorFields = readonly (readonly [field: string, value: string])[];

export type AuthenticationRequest =
  | { readonly kind: "ok" }
  | { readonly kind: "cleartext" }
  | { readonly kind: "md5"; readonly salt: Buffer }
  | { readonly kind: "sasl"; readonly mechanisms: readonly string[] }
  | { readonly kind: "sasl-continue" | "sasl-final"; readonly data: Buffer }
  | { readonly kind: "other"; readonly code: number };

/** All decoders take the whole frame, header included, and throw LayoutFault. */
export function decodeReady(frame: Buffer): TransactionStatus {
  const status = new Cursor(frame, 5).byte();
  return status === 0x49 ? "idle" : status === 0x54 ? "open" : "failed";
}

/** Values keep the server's bytes: UTF-8 where they are, replacement characters where a server of another encoding speaks. */
export function decodeErrorFields(frame: Buffer): ErrorFields {
  const cursor = new Cursor(frame, 5);
  const fields: (readonly [string, string])[] = [];
  for (let type = cursor.byte(); type !== 0; type = cursor.byte()) {
    fields.push([String.fromCharCode(type), cursor.cstringBytes().toString("utf8")]);
  }
  return fields;
}

export const fieldOf = (fields: ErrorFields, type: string): string | undefined =>
  fields.find(([field]) => field === type)?.[1];

export function decodeParameterStatus(frame: Buffer): readonly [name: string, value: string] {
  const cursor = new Cursor(frame, 5);
  return [cursor.cstring(), cursor.cstringBytes().toString("utf8")];
}

export function decodeBackendKey(frame: Buffer): { readonly processId: number; readonly secret: Buffer } {
  const cursor = new Cursor(frame, 5);
  const processId = cursor.int32();
  if (cursor.remaining > cancelSecretBytesMax) throw new LayoutFault("a cancel secret's length");
  return { processId, secret: Buffer.from(cursor.bytes(cursor.remaining)) };
}

/** int32 newest version, int32 n + n names of `_pq_.` options that the server doesn't know. The minor version of protocol 3. */
export function decodeNegotiatedMinor(frame: Buffer): number {
  const cursor = new Cursor(frame, 5);
  const version = cursor.int32();
  // We ask for no option: a server that refuses one has read something else than what was sent.
  if (cursor.int32() !== 0) throw new LayoutFault("an option that nobody asked for");
  cursor.end();
  if (version >> 16 !== 3) throw new LayoutFault("another protocol's version");
  return version & 0xffff;
}

export function decodeCommandTag(frame: Buffer): string {
  return new Cursor(frame, 5).cstringBytes().toString("latin1");
}

/** True when a column of a RowDescription comes straight from one of `origins` (`oid:attnum`), or is a whole row with it. */
export const hasOrigin = (frame: Buffer, origins: ReadonlySet<string>): boolean =>
  decodeOrigins(frame).some((origin) => {
    if (origins.has(origin)) return true;
    const [table, attribute] = origin.split(":");
    return attribute === "0" && [...origins].some((one) => one.startsWith(`${table}:`));
  });

/** `oid:attnum` of each result column that comes straight from a table, 0 for a whole row; others are left out. */
function decodeOrigins(frame: Buffer): readonly string[] {
  const cursor = new Cursor(frame, 5);
  const origins: string[] = [];
  for (let columns = cursor.int16(); columns > 0; columns--) {
    cursor.cstringBytes();
    const table = cursor.uint32();
    const attribute = cursor.int16();
    cursor.bytes(12); // type OID, size, modifier, format
    if (table !== 0) origins.push(`${table}:${attribute}`);
  }
  return origins;
}

export type ColumnDescription = {
  readonly name: string;
  /** OID of the table of origin, 0 for none. */
  readonly table: number;
  readonly attribute: number;
  readonly type: number;
  /** 0 is text, 1 binary; 0 as well where a statement is described, whose Bind decides. */
  readonly format: number;
};

/** RowDescription. */
export function decodeColumns(frame: Buffer): readonly ColumnDescription[] {
  const cursor = new Cursor(frame, 5);
  const columns: ColumnDescription[] = [];
  for (let count = cursor.int16(); count > 0; count--) {
    const name = cursor.cstringBytes().toString("utf8");
    const table = cursor.uint32();
    const attribute = (cursor.int16() << 16) >> 16; // signed: system columns are below 0
    const type = cursor.uint32();
    cursor.bytes(6); // size, modifier
    const format = cursor.int16();
    columns.push({ name, table, attribute, type, format });
  }
  return columns;
}

export function decodeAuthentication(frame: Buffer): AuthenticationRequest {
  const cursor = new Cursor(frame, 5);
  const code = cursor.int32();
  switch (code) {
    case 0:
      return { kind: "ok" };
    case 3:
      return { kind: "cleartext" };
    case 5:
      return { kind: "md5", salt: cursor.bytes(4) };
    case 10: {
      const mechanisms: string[] = [];
      for (let name = cursor.cstring(); name !== ""; name = cursor.cstring()) mechanisms.push(name);
      return { kind: "sasl", mechanisms };
    }
    case 11:
      return { kind: "sasl-continue", data: cursor.bytes(cursor.remaining) };
    case 12:
      return { kind: "sasl-final", data: cursor.bytes(cursor.remaining) };
    default:
      return { kind: "other", code };
  }
}
