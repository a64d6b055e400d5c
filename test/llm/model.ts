// A scripted model endpoint on loopback, in both forms of an answer: what the gateway stands before in these tests.
import { createServer } from "node:http";
import { after } from "node:test";

export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown };

export type Turn = {
  readonly blocks: readonly Block[];
  readonly stopReason?: string;
  /** Instead of blocks: an answer of the provider's own. */
  readonly status?: number;
  readonly body?: string;
};

export type ModelRequestSeen = {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Readonly<Record<string, unknown>> & { readonly messages?: readonly Message[] };
};
export type Message = { readonly role: string; readonly content: unknown };

export type ScriptedModel = { readonly url: string; readonly seen: readonly ModelRequestSeen[] };

const usage = { input_tokens: 1_000, cache_creation_input_tokens: 0, cache_read_input_tokens: 500, output_tokens: 40 };

/** `script` gives the turn for a request. Streams are written in pieces of `pieceBytes`. */
export async function startModel(
  script: (request: ModelRequestSeen, count: number) => Turn,
  pieceBytes = 37,
): Promise<ScriptedModel> {
  const seen: ModelRequestSeen[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString("utf8");
      const body = text === "" ? {} : JSON.parse(text);
      const got = { method: request.method ?? "", url: request.url ?? "", headers: request.headers, body };
      seen.push(got);
      if (got.url.startsWith("/v1/models")) {
        const data = ["claude-good-1", "claude-bad-1"].map((id) => ({ type: "model", id, display_name: id }));
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ data, has_more: false }));
        return;
      }
      if (got.url.startsWith("/v1/messages/count_tokens")) {
        response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ input_tokens: 12 }));
        return;
      }
      const turn = script(got, seen.length);
      const model = typeof body.model === "string" ? body.model : "";
      if (turn.status !== undefined) {
        response.writeHead(turn.status, { "content-type": "application/json", "x-should-retry": "false" });
        response.end(turn.body);
      } else if (body.stream === true) {
        response.writeHead(200, { "content-type": "text/event-stream", "request-id": "req_1" });
        void writeInPieces(response, streamText(model, turn, seen.length), pieceBytes);
      } else {
        response.writeHead(200, { "content-type": "application/json", "request-id": "req_1" });
        response.end(JSON.stringify({ ...messageOf(model, turn, seen.length), content: turn.blocks, usage }));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`, seen };
}

const messageOf = (model: string, turn: Turn, count: number) => ({
  id: `msg_${count}`,
  type: "message",
  role: "assistant",
  model,
  stop_reason: turn.stopReason ?? (turn.blocks.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn"),
  stop_sequence: null,
});

export function streamText(model: string, turn: Turn, count: number): string {
  const event = (type: string, data: object): string =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...data })}\n\n`;
  const { stop_reason, ...message } = messageOf(model, turn, count);
  const { output_tokens, ...input } = usage;
  let text = event("message_start", {
    message: { ...message, content: [], stop_reason: null, usage: { ...input, output_tokens: 1 } },
  });
  text += event("ping", {});
  turn.blocks.forEach((block, index) => {
    if (block.type === "text") {
      text += event("content_block_start", { index, content_block: { type: "text", text: "" } });
      for (const part of block.text.match(/.{1,8}/gs) ?? []) {
        text += event("content_block_delta", { index, delta: { type: "text_delta", text: part } });
      }
    } else {
      const { input: value, ...rest } = block;
      text += event("content_block_start", { index, content_block: { ...rest, input: {} } });
      for (const part of JSON.stringify(value).match(/.{1,5}/gs) ?? []) {
        text += event("content_block_delta", { index, delta: { type: "input_json_delta", partial_json: part } });
      }
    }
    text += event("content_block_stop", { index });
  });
  text += event("message_delta", { delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } });
  return text + event("message_stop", {});
}

async function writeInPieces(
  response: { write: (piece: Buffer) => boolean; end: () => void },
  text: string,
  pieceBytes: number,
): Promise<void> {
  const bytes = Buffer.from(text, "utf8");
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    response.write(bytes.subarray(at, at + pieceBytes));
    if (at % (pieceBytes * 16) === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  response.end();
}
