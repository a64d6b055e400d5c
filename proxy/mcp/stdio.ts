// An MCP server on the standard streams of a process: one JSON-RPC message a line, both ways through the mediator.
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
  let asked = 0;
  let ended: Promise<undefined> = new Promise(() => undefined);
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const toClient = (message: RpcMessage): Promise<void> => writeLine(ports.toClient, message);
  const toServer = (message: RpcMessage): Promise<void> => writeLine(ports.toServer, message);
  const askForTools: AskForTools = async (cursor) => {
    asked += 1;
    const id = `gw-tools-${asked}`;
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
  ended = Promise.race([client, server]).then(() => undefined);
  await Promise.race([ended, failed]);
}

function readLine(line: string): RpcMessage | undefined {
  const value = readJson(line, limits.mcpJsonDepthMax);
  const message = value.ok ? readMessage(value.value) : undefined;
  return message?.ok ? message.value : undefined;
}

function writeLine(to: Writable, message: RpcMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    to.write(`${JSON.stringify(writeMessage(message))}\n`, (error) => (error ? reject(error) : resolve()));
  });
}

/** A line that is too long ends the stream: what follows can't be told apart from it. */
async function* linesOf(stream: Readable, charsMax: number): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line.trim() !== "") yield line;
    if (rest.length > charsMax) return;
  }
}
