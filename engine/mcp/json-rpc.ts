// JSON value -> JSON-RPC 2.0 message -> text. MCP 2025-11-25 and 2026-07-28, "Base Protocol: Messages".
import type { Json } from "../lib/json.ts";
import { field, isObject, type JsonObject } from "../lib/read-json.ts";
import { err, ok, type Result } from "../lib/result.ts";

/** MCP: a string or an integer, never null. */
export type RpcId = string | number;

export type RpcRequest = {
  readonly kind: "request";
  readonly id: RpcId;
  readonly method: string;
  readonly params: JsonObject | undefined;
};
export type RpcNotification = {
  readonly kind: "notification";
  readonly method: string;
  readonly params: JsonObject | undefined;
};
export type RpcResult = { readonly kind: "result"; readonly id: RpcId; readonly result: JsonObject };
export type RpcError = {
  readonly kind: "error";
  /** undefined: the peer could not tell which request it was. */
  readonly id: RpcId | undefined;
  readonly code: number;
  readonly message: string;
  readonly data: Json | undefined;
};
export type RpcMessage = RpcRequest | RpcNotification | RpcResult | RpcError;

export type RpcFault = {
  readonly code: "batch-refused" | "message-malformed";
  readonly message: string;
  /** So that the refusal finds its request. */
  readonly id: RpcId | undefined;
};

/** Codes of JSON-RPC 2.0 and of MCP that we answer with. */
export const rpcCodes = {
  parseError: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internalError: -32_603,
  /** 2026-07-28, `HEADER_MISMATCH`. */
  headerMismatch: -32_020,
  /** Of the range that JSON-RPC leaves to implementations: a policy refused it. */
  refused: -32_003,
} as const;

/**
 * One message. An array is refused: batches left MCP with 2025-06-18, and servers that still run them read each
 * element without asking. Members that JSON-RPC doesn't have are refused too: somebody else may read them.
 */
export function readMessage(value: Json): Result<RpcMessage, RpcFault> {
  if (Array.isArray(value)) {
    return err({ code: "batch-refused", message: "batches are refused: send each message by itself", id: undefined });
  }
  if (!isObject(value)) return malformed("a message is an object", undefined);
  const id = readId(field(value, "id"));
  if (field(value, "jsonrpc") !== "2.0") return malformed('a message says `"jsonrpc": "2.0"`', idOf(id));
  const hasMethod = Object.hasOwn(value, "method");
  const known = hasMethod ? requestMembers : responseMembers;
  const odd = Object.keys(value).find((key) => !known.has(key));
  if (odd !== undefined) return malformed(`a message has no member \`${odd.slice(0, 40)}\``, idOf(id));
  if (id === "wrong") return malformed("an id is a string or a whole number", undefined);
  return hasMethod ? readCall(value, id) : readAnswer(value, id);
}

const requestMembers: ReadonlySet<string> = new Set(["jsonrpc", "id", "method", "params"]);
const responseMembers: ReadonlySet<string> = new Set(["jsonrpc", "id", "result", "error"]);

function readCall(value: JsonObject, id: RpcId | undefined): Result<RpcMessage, RpcFault> {
  const method = field(value, "method");
  const params = field(value, "params");
  if (typeof method !== "string" || !/^[A-Za-z0-9_$./-]{1,128}$/.test(method)) {
    return malformed("a method is a name", id);
  }
  if (params !== undefined && !isObject(params)) return malformed("`params` is an object", id);
  return ok(id === undefined ? { kind: "notification", method, params } : { kind: "request", id, method, params });
}

function readAnswer(value: JsonObject, id: RpcId | undefined): Result<RpcMessage, RpcFault> {
  const result = field(value, "result");
  const error = field(value, "error");
  // Libraries are seen to write the member that isn't meant as null.
  if (isObject(result) && (error === undefined || error === null)) {
    return id === undefined ? malformed("a result has an id", id) : ok({ kind: "result", id, result });
  }
  if (!isObject(error) || (result !== undefined && result !== null)) {
    return malformed("an answer has either `result` or `error`", id);
  }
  const code = field(error, "code");
  const message = field(error, "message");
  if (typeof code !== "number" || !Number.isInteger(code) || typeof message !== "string") {
    return malformed("an error has a code and a message", id);
  }
  return ok({ kind: "error", id, code, message, data: field(error, "data") });
}

/** An error's id may be null: the peer could not read it. */
function readId(value: Json | undefined): RpcId | undefined | "wrong" {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value.length <= 256 ? value : "wrong";
  return typeof value === "number" && Number.isSafeInteger(value) ? value : "wrong";
}

const idOf = (id: RpcId | undefined | "wrong"): RpcId | undefined => (id === "wrong" ? undefined : id);

const malformed = (message: string, id: RpcId | undefined): Result<never, RpcFault> =>
  err({ code: "message-malformed", message, id });

/** Our own spelling: nothing of the sender's bytes is left. */
export function writeMessage(message: RpcMessage): JsonObject {
  const head = { jsonrpc: "2.0" };
  switch (message.kind) {
    case "request":
      return { ...head, id: message.id, method: message.method, ...optional("params", message.params) };
    case "notification":
      return { ...head, method: message.method, ...optional("params", message.params) };
    case "result":
      return { ...head, id: message.id, result: message.result };
    case "error":
      return {
        ...head,
        id: message.id ?? null,
        error: { code: message.code, message: message.message, ...optional("data", message.data) },
      };
    default:
      return message satisfies never;
  }
}

const optional = (name: string, value: Json | undefined): JsonObject => (value === undefined ? {} : { [name]: value });

/** `1` and `"1"` are two ids. */
export const idKey = (id: RpcId): string => JSON.stringify(id);

export const rpcError = (id: RpcId | undefined, code: number, message: string, data?: Json): RpcError => ({
  kind: "error",
  id,
  code,
  message,
  data,
});
