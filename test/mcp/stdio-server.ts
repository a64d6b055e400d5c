// A local MCP server on standard streams, for `gw mcp run`.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const server = new McpServer({ name: "files", version: "1" });
server.registerTool("get_note", { description: "a note", inputSchema: { id: z.number().int() } }, async ({ id }) => ({
  content: [
    {
      type: "text",
      text: `note ${id} by ann@example.com; ${Object.keys(process.env).filter((k) => k.startsWith("GW_")).length} secrets`,
    },
  ],
}));
server.registerTool("delete_note", { description: "deletes", inputSchema: { id: z.number().int() } }, async () => ({
  content: [{ type: "text", text: "deleted" }],
}));
await server.connect(new StdioServerTransport());
