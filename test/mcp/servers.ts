// Real MCP servers of both eras on loopback, made with the SDKs: what the gateway stands before in these tests.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { after } from "node:test";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import type { EventStore } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { createMcpHandler, McpServer as ModernServer } from "@modelcontextprotocol/server";
import { z } from "zod";

export type Calls = { readonly tool: string; readonly args: unknown }[];

export type TestMcpServer = {
  readonly url: string;
  /** What the tools were called with. */
  readonly calls: Calls;
  /** Headers of every request. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>[];
  readonly bodies: string[];
};

type Handle = (request: IncomingMessage, response: ServerResponse, body: unknown) => Promise<void>;

async function serve(handle: Handle, calls: Calls): Promise<TestMcpServer> {
  const headers: Readonly<Record<string, string | string[] | undefined>>[] = [];
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      headers.push(request.headers);
      const text = Buffer.concat(parts).toString("utf8");
      bodies.push(text);
      handle(request, response, text === "" ? undefined : JSON.parse(text)).catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/mcp`, calls, headers, bodies };
}

export const customer = {
  id: 7,
  name: "Ann",
  email: "ann@example.com",
  iban: "DE89370400440532013000",
  note: "call ann@example.com",
};

/** The tools of `crm`; `describe` lets a test change what one says of itself. */
function addTools(server: McpServer, calls: Calls, describe: () => string): void {
  server.registerTool(
    "get_customer",
    { description: describe(), inputSchema: { id: z.number().int() } },
    async ({ id }) => {
      calls.push({ tool: "get_customer", args: { id } });
      return {
        content: [{ type: "text", text: JSON.stringify({ ...customer, id }) }],
        _meta: { owner: "ann@example.com" },
      };
    },
  );
  server.registerTool(
    "get_structured",
    {
      description: "a customer as data",
      inputSchema: { id: z.number().int() },
      outputSchema: { id: z.number(), name: z.string(), email: z.string(), iban: z.string(), note: z.string() },
    },
    async ({ id }) => {
      calls.push({ tool: "get_structured", args: { id } });
      const structuredContent = { ...customer, id };
      return { content: [{ type: "text", text: JSON.stringify(structuredContent) }], structuredContent };
    },
  );
  server.registerTool(
    "update_customer",
    { description: "changes a name", inputSchema: { id: z.number().int(), name: z.string() } },
    async (args) => {
      calls.push({ tool: "update_customer", args });
      return { content: [{ type: "text", text: "done" }] };
    },
  );
  server.registerTool("get_picture", { description: "a picture" }, async () => ({
    content: [{ type: "image", data: "AAAA", mimeType: "image/png" }],
  }));
  server.registerTool("get_files", { description: "files of a customer" }, async () => ({
    content: [
      { type: "text", text: "see ann@example.com" },
      { type: "resource", resource: { uri: "file:///a.txt", mimeType: "text/plain", text: "mail ann@example.com" } },
      {
        type: "resource",
        resource: {
          uri: "file:///b.txt",
          mimeType: "text/plain",
          blob: Buffer.from("to ann@example.com").toString("base64"),
        },
      },
      { type: "resource_link", uri: "file:///c.txt", name: "ann@example.com", description: "of ann@example.com" },
    ],
  }));
  server.registerTool("get_failure", { description: "always fails" }, async () => {
    throw new Error("no such customer: ann@example.com");
  });
  server.registerTool("exec", { description: "runs anything", inputSchema: { command: z.string() } }, async (args) => {
    calls.push({ tool: "exec", args });
    return { content: [{ type: "text", text: "ran" }] };
  });
  server.registerTool("get_slow", { description: "tells how it goes" }, async (extra) => {
    const progressToken = extra._meta?.progressToken;
    if (progressToken !== undefined) {
      await extra.sendNotification({
        method: "notifications/progress",
        params: { progressToken, progress: 1, total: 2, message: "reading ann@example.com" },
      });
    }
    await extra.sendNotification({
      method: "notifications/message",
      params: { level: "info", data: { row: "ann@example.com" } },
    });
    return { content: [{ type: "text", text: "done" }] };
  });
  server.registerTool("get_opinion", { description: "asks a model and a person" }, async () => {
    const told: string[] = [];
    for (const ask of [
      () =>
        server.server.createMessage({
          messages: [{ role: "user", content: { type: "text", text: "hi" } }],
          maxTokens: 5,
        }),
      () => server.server.elicitInput({ message: "really?", requestedSchema: { type: "object", properties: {} } }),
    ]) {
      told.push(
        await ask().then(
          (answer) => JSON.stringify(answer),
          (error: Error) => `refused: ${error.message}`,
        ),
      );
    }
    return { content: [{ type: "text", text: told.join("\n") }] };
  });
  server.registerTool(
    "query",
    { description: "SQL over the shop", inputSchema: { sql: z.string() } },
    async ({ sql }) => {
      calls.push({ tool: "query", args: { sql } });
      return { content: [{ type: "text", text: "3 rows" }] };
    },
  );
  server.registerResource("report", "file:///reports/a.txt", { description: "a report" }, async (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: "by ann@example.com" }],
  }));
  server.registerResource("secret", "file:///secret/b.txt", { description: "a secret" }, async (uri) => ({
    contents: [{ uri: uri.href, mimeType: "text/plain", text: "top secret" }],
  }));
  server.registerPrompt("get_greeting", { description: "a greeting" }, async () => ({
    messages: [{ role: "user", content: { type: "text", text: "greet ann@example.com" } }],
  }));
}

/** Keeps every event, and gives it back to whoever knows its id: as servers are seen to do. */
class Memory implements EventStore {
  readonly #events: { readonly stream: string; readonly id: string; readonly message: unknown }[] = [];
  async storeEvent(stream: string, message: unknown): Promise<string> {
    const id = `${stream}_${this.#events.length}`;
    this.#events.push({ stream, id, message });
    return id;
  }
  async replayEventsAfter(
    last: string,
    { send }: { send: (id: string, message: never) => Promise<void> },
  ): Promise<string> {
    const at = this.#events.findIndex(({ id }) => id === last);
    const stream = this.#events[at]?.stream ?? "";
    for (const event of this.#events.slice(at + 1)) {
      if (event.stream === stream) await send(event.id, event.message as never);
    }
    return stream;
  }
}

export type LegacyMode = "sse" | "json" | "stateless";

/** 2025-11-25, as @modelcontextprotocol/sdk serves it. */
export async function startLegacyServer(
  mode: LegacyMode,
  describe: () => string = () => "a customer",
  addMore: (server: McpServer) => void = () => undefined,
): Promise<TestMcpServer> {
  const calls: Calls = [];
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const make = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      ...(mode === "stateless"
        ? {}
        : { sessionIdGenerator: randomUUID, onsessioninitialized: (id: string) => void sessions.set(id, transport) }),
      enableJsonResponse: mode === "json",
      ...(mode === "sse" ? { eventStore: new Memory() } : {}),
    });
    const server = new McpServer(
      { name: "crm", version: "1" },
      { capabilities: { logging: {} }, instructions: "be kind" },
    );
    addTools(server, calls, describe);
    addMore(server);
    // SAFETY: the SDK's own types of its transport disagree under exactOptionalPropertyTypes.
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    return transport;
  };
  return serve(async (request, response, body) => {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? sessions.get(id) : undefined;
    if (typeof id === "string" && !known && mode !== "stateless") {
      response.writeHead(404).end();
      return;
    }
    const transport = known ?? (await make());
    await transport.handleRequest(request, response, body);
  }, calls);
}

/** 2026-07-28, as @modelcontextprotocol/server serves it. */
export async function startModernServer(
  addMore: (server: ModernServer) => void = () => undefined,
): Promise<TestMcpServer> {
  const calls: Calls = [];
  const handler = createMcpHandler(
    () => {
      const server = new ModernServer({ name: "crm", version: "1" });
      server.registerTool(
        "get_customer",
        {
          description: "a customer",
          inputSchema: z.object({
            id: z.number().int(),
            region: z.string().optional().meta({ "x-mcp-header": "Region" }),
          }),
        },
        async ({ id }) => {
          calls.push({ tool: "get_customer", args: { id } });
          return { content: [{ type: "text", text: JSON.stringify({ ...customer, id }) }] };
        },
      );
      server.registerTool(
        "exec",
        { description: "runs anything", inputSchema: z.object({ command: z.string() }) },
        async (args) => {
          calls.push({ tool: "exec", args });
          return { content: [{ type: "text", text: "ran" }] };
        },
      );
      addMore(server);
      return server;
    },
    { legacy: "reject" },
  );
  return serve(async (request, response, body) => {
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers))
      if (typeof value === "string") headers.set(name, value);
    const answer = await handler.fetch(
      new Request(`http://localhost${request.url}`, {
        method: request.method ?? "POST",
        headers,
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) for await (const chunk of answer.body) response.write(chunk);
    response.end();
  }, calls);
}
