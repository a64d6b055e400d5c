// An MCP server that says exactly what a test tells it to, over HTTP, JSON answers: for servers that SDKs don't make.
import { startUpstream } from "../support/http-gateway.ts";

export type RawRequest = {
  readonly id: unknown;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
};

export type RawServer = { readonly url: string; readonly seen: readonly RawRequest[] };

/** `answer` gives a result; a string is the whole body of an answer, with `ID` for the request's id. */
export async function startRawServer(answer: (request: RawRequest) => object | string): Promise<RawServer> {
  const seen: RawRequest[] = [];
  const { origin } = await startUpstream((request, response) => {
    if (request.method !== "POST") return void response.writeHead(405).end();
    const { id, method, params = {} } = JSON.parse(request.text);
    const asked = { id, method, params, headers: request.headers };
    seen.push(asked);
    if (id === undefined) return void response.writeHead(202).end();
    const told = answer(asked);
    const body =
      typeof told === "string"
        ? told.replaceAll("ID", JSON.stringify(id))
        : JSON.stringify({ jsonrpc: "2.0", id, result: told });
    const session = method === "initialize" ? { "mcp-session-id": "upstream-session" } : {};
    response.writeHead(200, { "content-type": "application/json", ...session }).end(body);
  });
  return { url: `${origin}/mcp`, seen };
}

export const initialized = (capabilities: object = {}) => ({
  protocolVersion: "2025-11-25",
  capabilities: { tools: {}, ...capabilities },
  serverInfo: { name: "raw", version: "1" },
});

export const toolNamed = (name: string, more: object = {}) => ({
  name,
  description: "a tool",
  inputSchema: { type: "object" },
  ...more,
});
