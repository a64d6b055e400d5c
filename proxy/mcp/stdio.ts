// An MCP server on the standard streams of a process: one JSON-RPC message a line, both ways through the mediator.
import { randomUUID } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import { readJson } from "../../engine/lib/read-json.ts";
import { limits } from "../../engine/limits.ts";
import {
  type RpcMessage,
  type RpcRequest,
  readMessage,
  rpcCodes,
  rpcError,
  writeMessage,
} from "../../engine/mcp/json-rpc.ts";
import type { TrafficGate, TrafficSession } from "../gate/traffic.ts";
import type { AskForTools, Judged, Mediator, Peer } from "./mediator.ts";
import { newState } from "./sessions.ts";

export type StdioPorts = {
  readonly fromClient: Readable;
  readonly toClient: Writable;
  readonly fromServer: Readable;
  readonly toServer: Writable;
  /** What the server says beside the protocol, and where that goes. */
  readonly serverLog?: { readonly from: Readable; readonly to: Writable };
};

/** Resolves when either side ends. @throws GatewayError when the recording fails: nothing passes then */
export async function mediateStdio(
  ports: StdioPorts,
  mediator: Mediator,
  gate: TrafficGate,
  session: TrafficSession,
  signal: AbortSignal,
): Promise<void> {
  const peer: Peer = { gate, session, state: newState(session), refs: {} };
  const own = new Map<string, (message: RpcMessage) => void>();
  let ended: Promise<undefined> = new Promise(() => undefined);
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const toClient = (message: RpcMessage): Promise<void> => writeLine(ports.toClient, message);
  const toServer = (message: RpcMessage): Promise<void> => writeLine(ports.toServer, message);
  const askForTools: AskForTools = async (cursor) => {
    const id = `gw-${randomUUID()}`;
    const ask: RpcRequest = {
      kind: "request",
      id,
      method: "tools/list",
      params: cursor === undefined ? {} : { cursor },
    };
    const answer = new Promise<RpcMessage>((resolve) => own.set(id, resolve));
    await toServer(ask);
    const message = await Promise.race([answer, ended]);
    return message?.kind === "result" ? message.result : undefined;
  };
  const act = async (judged: Judged): Promise<void> => {
    if (judged.kind === "answer") await toClient(judged.message);
    else if (judged.kind === "forward") await toServer(judged.message);
    else if (judged.kind === "hold") {
      const outcome = await judged.wait(signal, limits.trafficHoldMsMax, () => undefined);
      if (outcome.kind !== "gone") await act(outcome);
    }
  };
  const client = (async () => {
    for await (const line of linesOf(ports.fromClient, limits.mcpMessageBytesMax)) {
      const message = readLine(line);
      if (message === undefined)
        await toClient(rpcError(undefined, rpcCodes.invalidRequest, "this line is not one message"));
      // Not awaited: a call that waits for people must not keep the others.
      else void mediator.judge(peer, message, askForTools).then(act).catch(fail);
    }
  })();
  const server = (async () => {
    for await (const line of linesOf(ports.fromServer, limits.mcpAnswerBytesMax)) {
      const message = readLine(line);
      if (message === undefined) continue;
      if (message.kind === "result" || message.kind === "error") {
        const waiting = typeof message.id === "string" ? own.get(message.id) : undefined;
        if (waiting !== undefined && typeof message.id === "string") {
          own.delete(message.id);
          waiting(message);
          continue;
        }
      }
      const down = mediator.passDown(peer, message, undefined);
      if (down.toServer) await toServer(down.toServer);
      if (down.toClient) await toClient(down.toClient);
    }
  })();
  if (ports.serverLog !== undefined) void passLog(ports.serverLog, mediator, peer).catch(fail);
  ended = Promise.race([client, server]).then(() => undefined);
  await Promise.race([ended, failed]);
}

function readLine(line: string): RpcMessage | undefined {
  const value = readJson(line, limits.mcpJsonDepthMax);
  const message = value.ok ? readMessage(value.value) : undefined;
  return message?.ok ? message.value : undefined;
}

/** Some readers end a line at these too; inside of a string their escapes mean the same. */
const lineEnds = /[\u0085\u2028\u2029]/g;
const escapeOf = (end: string): string => `\\u${end.charCodeAt(0).toString(16).padStart(4, "0")}`;

function writeLine(to: Writable, message: RpcMessage): Promise<void> {
  const line = JSON.stringify(writeMessage(message)).replaceAll(lineEnds, escapeOf);
  return new Promise((resolve, reject) => {
    to.write(`${line}\n`, (error) => (error ? reject(error) : resolve()));
  });
}

/** A log line of the server's is masked like one that comes by the protocol, and can't steer a terminal. */
async function passLog(
  { from, to }: { readonly from: Readable; readonly to: Writable },
  mediator: Mediator,
  peer: Peer,
): Promise<void> {
  for await (const line of linesOf(from, limits.mcpMessageBytesMax, "lossy")) {
    const plain = line.replaceAll(/[\p{Cc}\p{Cf}]/gu, " ");
    const params = { level: "info", logger: "stderr", data: plain };
    const { toClient } = mediator.passDown(
      peer,
      { kind: "notification", method: "notifications/message", params },
      undefined,
    );
    const data = toClient?.kind === "notification" ? toClient.params?.data : undefined;
    if (typeof data === "string" && !to.destroyed) to.write(`${data}\n`);
  }
}

/** A line that is too long ends the stream: what follows can't be told apart from it. */
async function* linesOf(
  stream: Readable,
  bytesMax: number,
  form: "strict" | "lossy" = "strict",
): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: form === "strict" });
  let parts: Buffer[] = [];
  let length = 0;
  for await (const piece of stream) {
    const chunk: Buffer = typeof piece === "string" ? Buffer.from(piece, "utf8") : piece;
    let from = 0;
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      length += at - from;
      if (length > bytesMax) return;
      const line = decoder.decode(Buffer.concat([...parts, chunk.subarray(from, at)]));
      parts = [];
      length = 0;
      from = at + 1;
      if (line.trim() !== "") yield line;
    }
    parts.push(chunk.subarray(from));
    length += chunk.length - from;
    if (length > bytesMax) return;
  }
}

const newline = 0x0a;
