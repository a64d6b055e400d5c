// Real MCP clients of both eras, through the gateway.
import { after } from "node:test";
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from "@modelcontextprotocol/client";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

export type Connected = { readonly client: Client; readonly transport: StreamableHTTPClientTransport };

export async function legacyClient(
  url: string,
  token: string,
  capabilities: ConstructorParameters<typeof Client>[1] = {},
  headers: Readonly<Record<string, string>> = {},
): Promise<Connected> {
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}`, ...headers } },
  });
  const client = new Client({ name: "test", version: "1" }, capabilities);
  // SAFETY: the SDK's own types of its transport disagree under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  after(() => client.close().catch(() => undefined));
  return { client, transport };
}

export async function modernClient(url: string, token: string, mode: "auto" | "pin" = "pin"): Promise<ModernClient> {
  const transport = new ModernTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  });
  const client = new ModernClient(
    { name: "test", version: "1" },
    { versionNegotiation: { mode: mode === "pin" ? { pin: "2026-07-28" } : "auto" } },
  );
  await client.connect(transport);
  after(() => client.close().catch(() => undefined));
  return client;
}

/** Texts of a result's blocks. */
export function textsOf(result: unknown): readonly string[] {
  if (typeof result !== "object" || result === null || !("content" in result) || !Array.isArray(result.content))
    return [];
  return result.content.map((block: unknown) =>
    typeof block === "object" && block !== null && "text" in block ? String(block.text) : "",
  );
}
