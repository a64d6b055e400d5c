// what the gateway itself says -> bytes, to the client and to the upstream.
import type { TransactionStatus } from "./backend.ts";
import { backendType } from "./backend.ts";
import { frontendType, type Named } from "./frontend.ts";

type Part = string | number | Buffer | { readonly int16: number } | { readonly byte: number };

/** Strings become NUL-terminated UTF-8, numbers int32. Callers keep NUL out of strings: `cleanText`. */
function body(parts: readonly Part[]): Buffer {
  return Buffer.concat(
    parts.map((part) => {
      if (typeof part === "string") return Buffer.from(`${part}\0`, "utf8");
      if (typeof part === "number") return int32(part);
      if (Buffer.isBuffer(part)) return part;
      if ("byte" in part) return Buffer.from([part.byte]);
      const bytes = Buffer.allocUnsafe(2);
      bytes.writeUInt16BE(part.int16);
      return bytes;
    }),
  );
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

function message(type: number, parts: readonly Part[]): Buffer {
  const content = body(parts);
  return Buffer.concat([Buffer.from([type]), int32(content.length + 4), content]);
}

const untagged = (parts: readonly Part[]): Buffer => {
  const content = body(parts);
  return Buffer.concat([int32(content.length + 4), content]);
};

/** A NUL would end a field early and let its rest pass for the next one. */
const cleanText = (text: string): string => text.replaceAll("\0", "\\0");

// To the client.

export type ErrorText = {
  readonly severity: "ERROR" | "FATAL";
  readonly sqlstate: string;
  readonly message: string;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** From 1, in characters of the client's own text. */
  readonly position?: number | undefined;
};

export function encodeError(error: ErrorText): Buffer {
  return encodeFields(backendType.error, [
    ["S", error.severity],
    ["V", error.severity],
    ["C", error.sqlstate],
    ["M", error.message],
    ["D", error.detail],
    ["H", error.hint],
    ["P", error.position?.toString()],
  ]);
}

export function encodeNotice(text: { readonly sqlstate: string; readonly message: string }): Buffer {
  return encodeFields(backendType.notice, [
    ["S", "NOTICE"],
    ["V", "NOTICE"],
    ["C", text.sqlstate],
    ["M", text.message],
  ]);
}

/** An ErrorResponse or NoticeResponse of just these fields. */
export function encodeFields(
  type: number,
  fields: readonly (readonly [field: string, value: string | undefined])[],
): Buffer {
  const parts: Part[] = [];
  for (const [field, value] of fields) {
    if (value !== undefined) parts.push({ byte: field.charCodeAt(0) }, cleanText(value));
  }
  return message(type, [...parts, { byte: 0 }]);
}

const statusByte: Readonly<Record<TransactionStatus, number>> = { idle: 0x49, open: 0x54, failed: 0x45 };

export const encodeCommandComplete = (tag: string): Buffer => message(backendType.commandComplete, [tag]);
export const encodeNoData = (): Buffer => message(backendType.noData, []);
export const encodeReady = (status: TransactionStatus): Buffer =>
  message(backendType.readyForQuery, [{ byte: statusByte[status] }]);

export const encodeAuthenticationOk = (): Buffer => message(backendType.authentication, [0]);
export type SaslStep =
  | { readonly kind: "offer"; readonly mechanisms: readonly string[] }
  | { readonly kind: "continue" | "final"; readonly data: string };

/** AuthenticationSASL, -SASLContinue, -SASLFinal. */
export const encodeAuthenticationSasl = (step: SaslStep): Buffer =>
  step.kind === "offer"
    ? message(backendType.authentication, [10, ...step.mechanisms, { byte: 0 }])
    : message(backendType.authentication, [step.kind === "continue" ? 11 : 12, Buffer.from(step.data, "utf8")]);

export const encodeAuthenticationCleartext = (): Buffer => message(backendType.authentication, [3]);
export const encodeParameterStatus = (name: string, value: string): Buffer =>
  message(backendType.parameterStatus, [name, value]);
export const encodeBackendKey = (processId: number, secret: Buffer): Buffer =>
  message(backendType.backendKeyData, [processId, secret]);

/** Newest version that is spoken, and the `_pq_.` options that are not understood. */
export const encodeNegotiateVersion = (major: number, minor: number, options: readonly string[]): Buffer =>
  message(backendType.negotiateVersion, [(major << 16) | minor, options.length, ...options]);

// To the upstream.

export const encodeSslRequest = (): Buffer => untagged([80_877_103]);
export const encodeCancelRequest = (processId: number, secret: Buffer): Buffer =>
  untagged([80_877_102, processId, secret]);

/** Protocol 3.0. */
/** Of protocol 3; a server that knows no such minor version answers NegotiateProtocolVersion and goes on. */
export const encodeStartup = (parameters: readonly (readonly [string, string])[], minor = 0): Buffer =>
  untagged([(3 << 16) | minor, ...parameters.flat(), { byte: 0 }]);

export const encodePassword = (password: string): Buffer => message(frontendType.password, [password]);
export const encodeSaslInitial = (mechanism: string, data: Buffer): Buffer =>
  message(frontendType.password, [mechanism, data.length, data]);
export const encodeSaslResponse = (data: Buffer): Buffer => message(frontendType.password, [data]);

/** Type, length, text, NUL in one allocation: the hot one. */
export function encodeQuery(text: string): Buffer {
  const length = Buffer.byteLength(text, "utf8");
  const bytes = Buffer.allocUnsafe(length + 6);
  bytes[0] = frontendType.query;
  bytes.writeInt32BE(length + 5, 1);
  bytes.write(text, 5, "utf8");
  bytes[length + 5] = 0;
  return bytes;
}

export function encodeParse(name: string, text: string, parameterTypes: readonly number[]): Buffer {
  const nameLength = Buffer.byteLength(name, "utf8");
  const textLength = Buffer.byteLength(text, "utf8");
  const total = 5 + nameLength + 1 + textLength + 1 + 2 + 4 * parameterTypes.length;
  const bytes = Buffer.allocUnsafe(total);
  bytes[0] = frontendType.parse;
  bytes.writeInt32BE(total - 1, 1);
  bytes.write(name, 5, "utf8");
  bytes[5 + nameLength] = 0;
  bytes.write(text, 6 + nameLength, "utf8");
  bytes[6 + nameLength + textLength] = 0;
  let at = bytes.writeUInt16BE(parameterTypes.length, 7 + nameLength + textLength);
  for (const type of parameterTypes) at = bytes.writeUInt32BE(type, at);
  return bytes;
}

const namedByte = (target: Named): Part => ({ byte: target.of === "statement" ? 0x53 : 0x50 });

export const encodeClose = (target: Named): Buffer => message(frontendType.close, [namedByte(target), target.name]);
export const encodeDescribe = (target: Named): Buffer =>
  message(frontendType.describe, [namedByte(target), target.name]);
/** Of all rows. */
export const encodeExecute = (portal: string): Buffer => message(frontendType.execute, [portal, 0]);
export const encodeFlush = (): Buffer => message(frontendType.flush, []);
export const encodeSync = (): Buffer => message(frontendType.sync, []);
export const encodeTerminate = (): Buffer => message(frontendType.terminate, []);

/** The DataRow of one column that holds what a FunctionCallResponse does: both are a length, or -1, and bytes. */
export function encodeOneValueRow(response: Buffer): Buffer {
  return message(backendType.dataRow, [{ int16: 1 }, response.subarray(5)]);
}
