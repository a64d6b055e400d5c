// A local MCP server that reads lines as Node's readline does, and says more than the protocol lets it.
import { createInterface } from "node:readline";

let broken = 0;
process.stderr.write("started for ann@example.com \u001b[31mred\u001b[0m\n");
const say = (message: object): boolean => process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);

function answer({ id, method }: { readonly id?: unknown; readonly method: string }): void {
  if (method === "initialize") {
    const serverInfo = { name: "files", version: "1" };
    say({ id, result: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo } });
  } else if (method === "tools/list") {
    say({ id, result: { tools: [{ name: "get_note", inputSchema: { type: "object" } }] } });
  } else if (method === "tools/call") {
    // An answer that nobody asked for, one that isn't a message, two messages in a line, and the one that was asked for.
    say({ id: "gw-tools-1", result: { tools: [] } });
    process.stdout.write('not a message: ann@example.com\n{"jsonrpc":"2.0","id":1}{"jsonrpc":"2.0","id":2}\n\n');
    say({ id, result: { content: [{ type: "text", text: `${broken} broken lines, by ann@example.com` }] } });
  }
}

createInterface({ input: process.stdin }).on("line", (line) => {
  try {
    answer(JSON.parse(line));
  } catch {
    broken += 1;
  }
});
