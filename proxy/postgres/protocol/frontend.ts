// frame -> frontend message (protocol 3.0 and 3.2, section 54.7 of PostgreSQL's documentation).
import { err, ok, type Result } from "../../../engine/lib/result.ts";
import { Cursor, LayoutFault } from "./cursor.ts";

/** Type bytes of the messages that a client sends. */
export const frontendType = {
  query: 0x51,
  parse: 0x50,
  bind: 0x42,
  describe: 0x44,
  execute: 0x45,
  close: 0x43,
  flush: 0x48,
  sync: 0x53,
  terminate: 0x58,
  copyData: 0x64,
  copyDone: 0x63,
  copyFail: 0x66,
  functionCall: 0x46,
  password: 0x70,
} as const;

export type Named = { readonly of: "statement" | "portal"; readonly name: string };

export type FrontendMessage =
  | { readonly kind: "query"; readonly text: Buffer }
  | {
      readonly kind: "parse";
      readonly name: string;
      readonly text: Buffer;
      /** OIDs; 0 leaves the choice to the server. */
      readonly parameterTypes: readonly number[];
    }
  | {
      readonly kind: "bind";
      readonly portal: string;
      readonly statement: string;
      /** 0 text, 1 binary; [] all text, one for all, or one each. */
      readonly parameterFormats: readonly number[];
      readonly parameters: readonly (Buffer | null)[];
      readonly resultFormats: readonly number[];
    }
  | { readonly kind: "describe"; readonly target: Named }
  | { readonly kind: "execute"; readonly portal: string; readonly rowsMax: number }
  | { readonly kind: "close"; readonly target: Named }
  | { readonly kind: "flush" | "sync" | "terminate" | "copy-done" }
  | {
      readonly kind: "function-call";
      readonly oid: number;
      /** As in a Bind. */
      readonly parameterFormats: readonly number[];
      readonly parameters: readonly (Buffer | null)[];
      readonly resultFormat: number;
    }
  | { readonly kind: "copy-data"; readonly data: Buffer }
  | { readonly kind: "copy-fail"; readonly reason: Buffer }
  | { readonly kind: "password"; readonly body: Buffer };

export type FrontendFault =
  /** PostgreSQL ends the session: the stream can't be trusted any further. */
  | { readonly code: "unknown-type"; readonly type: number }
  /** PostgreSQL answers an ERROR 08P01 and goes on: the frame was whole, its fields were not. */
  | { readonly code: "bad-layout" };

/** Decodes one whole frame, header included. Text stays bytes: its encoding is the caller's to judge. */
export function decodeFrontend(type: number, frame: Buffer): Result<FrontendMessage, FrontendFault> {
  try {
    const cursor = new Cursor(frame, 5);
    const message = decodeBody(type, cursor);
    if (message === undefined) return err({ code: "unknown-type", type });
    cursor.end();
    return ok(message);
  } catch (fault) {
    if (fault instanceof LayoutFault) return err({ code: "bad-layout" });
    throw fault;
  }
}

function decodeBody(type: number, cursor: Cursor): FrontendMessage | undefined {
  switch (type) {
    case frontendType.query:
      return { kind: "query", text: cursor.cstringBytes() };
    case frontendType.parse:
      return { kind: "parse", name: cursor.cstring(), text: cursor.cstringBytes(), parameterTypes: oids(cursor) };
    case frontendType.bind:
      return bind(cursor);
    case frontendType.describe:
      return { kind: "describe", target: named(cursor) };
    case frontendType.execute:
      return { kind: "execute", portal: cursor.cstring(), rowsMax: cursor.int32() };
    case frontendType.close:
      return { kind: "close", target: named(cursor) };
    case frontendType.flush:
      return { kind: "flush" };
    case frontendType.sync:
      return { kind: "sync" };
    case frontendType.terminate:
      return { kind: "terminate" };
    case frontendType.copyData:
      return { kind: "copy-data", data: cursor.bytes(cursor.remaining) };
    case frontendType.copyDone:
      return { kind: "copy-done" };
    case frontendType.copyFail:
      return { kind: "copy-fail", reason: cursor.cstringBytes() };
    case frontendType.functionCall:
      return functionCall(cursor);
    case frontendType.password:
      return { kind: "password", body: cursor.bytes(cursor.remaining) };
    default:
      return undefined;
  }
}

/** String portal, string statement, int16 n + n formats, int16 n + n × (int32 length | -1, bytes), int16 n + n formats. */
function bind(cursor: Cursor): FrontendMessage {
  const portal = cursor.cstring();
  const statement = cursor.cstring();
  const parameterFormats = formats(cursor);
  const parameters = values(cursor);
  return { kind: "bind", portal, statement, parameterFormats, parameters, resultFormats: formats(cursor) };
}

/** int32 OID, int16 n + n formats, int16 n + n × (int32 length | -1, bytes), int16 format of the result. */
function functionCall(cursor: Cursor): FrontendMessage {
  const oid = cursor.uint32();
  const parameterFormats = formats(cursor);
  const parameters = values(cursor);
  return { kind: "function-call", oid, parameterFormats, parameters, resultFormat: cursor.int16() };
}

function values(cursor: Cursor): readonly (Buffer | null)[] {
  const count = cursor.int16();
  const all: (Buffer | null)[] = [];
  for (let i = 0; i < count; i++) {
    const length = cursor.int32();
    all.push(length === -1 ? null : cursor.bytes(length));
  }
  return all;
}

function formats(cursor: Cursor): readonly number[] {
  const count = cursor.int16();
  if (count === 0) return none;
  const codes: number[] = [];
  for (let i = 0; i < count; i++) codes.push(cursor.int16());
  return codes;
}

function oids(cursor: Cursor): readonly number[] {
  const count = cursor.int16();
  if (count === 0) return none;
  const types: number[] = [];
  for (let i = 0; i < count; i++) types.push(cursor.uint32());
  return types;
}

function named(cursor: Cursor): Named {
  const of = cursor.byte();
  if (of === 0x53) return { of: "statement", name: cursor.cstring() };
  if (of === 0x50) return { of: "portal", name: cursor.cstring() };
  throw new LayoutFault("neither a statement nor a portal");
}

const none: readonly number[] = [];
