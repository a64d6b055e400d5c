// Tasks of 2025-11-25 as @modelcontextprotocol/sdk serves them.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { after } from "node:test";
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from "@modelcontextprotocol/sdk/experimental/tasks";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";

export async function startTaskServer(): Promise<{ readonly url: string }> {
  const sessions = new Map<string, StreamableHTTPServerTransport>();
  const taskStore = new InMemoryTaskStore();
  after(() => taskStore.cleanup());
  const make = async (): Promise<StreamableHTTPServerTransport> => {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => void sessions.set(id, transport),
    });
    const server = new McpServer(
      { name: "crm", version: "1" },
      {
        capabilities: { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } },
        taskStore,
        taskMessageQueue: new InMemoryTaskMessageQueue(),
      },
    );
    server.experimental.tasks.registerToolTask(
      "get_report",
      {
        description: "takes its time",
        inputSchema: { id: z.number().int() },
        execution: { taskSupport: "required" },
      },
      {
        createTask: async ({ id }, { taskStore: store }) => {
          const task = await store.createTask({ ttl: 60_000, pollInterval: 20 });
          setImmediate(() => {
            const text = `report ${id} by ann@example.com`;
            void store.storeTaskResult(task.taskId, "completed", { content: [{ type: "text", text }] });
          });
          return { task };
        },
        getTask: async (_args, { taskId, taskStore: store }) => store.getTask(taskId),
        // SAFETY: what was stored is what `createTask` stored.
        getTaskResult: async (_args, { taskId, taskStore: store }) =>
          (await store.getTaskResult(taskId)) as { content: [] },
      },
    );
    // SAFETY: the SDK's own types of its transport disagree under exactOptionalPropertyTypes.
    await server.connect(transport as Parameters<typeof server.connect>[0]);
    return transport;
  };
  const http = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const id = request.headers["mcp-session-id"];
      const body = parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString("utf8"));
      const handle = async (): Promise<void> => {
        const transport = (typeof id === "string" ? sessions.get(id) : undefined) ?? (await make());
        await transport.handleRequest(request, response, body);
      };
      handle().catch(() => response.destroy());
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  after(() => {
    http.closeAllConnections();
    http.close();
  });
  const address = http.address();
  return { url: `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}/mcp` };
}
