// `kind: mcp` in gw.yaml -> where the server is, what its tools are called, which arguments hold SQL
import type { ConfigReader, Path } from "../config-reader.ts";
import { keysIn } from "../config-schema.ts";
import { buildHttpBase, type HttpConnectionBase, httpConnectionKeys, maskKeyOf } from "../http/config.ts";
import { z } from "../schema.ts";
import type { McpScopes } from "./scopes.ts";
import type { SqlArgument } from "./sql-arguments.ts";

/** What the treatment of a server's messages depends on, whatever the transport. */
export type McpTreatment = {
  readonly name: string;
  /** Before the names of tools and prompts in policies: `crm.refund`. */
  readonly server: string;
  /** A file of our own: what each tool looked like when it was first seen. */
  readonly pinsFile: string;
  readonly onToolChange: "alert" | "deny";
  readonly sqlArguments: readonly SqlArgument[];
  readonly maskKey: Uint8Array;
};

export type McpConnectionConfig = HttpConnectionBase &
  McpTreatment & {
    readonly kind: "mcp";
    /** Path of the server's endpoint below the upstream's base. */
    readonly endpoint: string;
    /** Origins of browser pages that may ask. */
    readonly origins: readonly string[];
    /** The address that clients know: tokens are for it alone. */
    readonly resource: string | undefined;
    readonly scopes: McpScopes;
  };

const toolsSchema = z.strictObject({
  /** What happens when a tool's description or schema differs from the pinned one. */
  on_change: z.enum(["alert", "deny"]).default("alert"),
  pins: z.string().min(1).optional(),
});

const sqlSchema = z.strictObject({
  tool: z.string().min(1),
  argument: z.string().regex(/^[^.\s]+(?:\.[^.\s]+)*$/, "write an argument like `query` or `options.query`"),
  connection: z.string().min(1),
});

/** RFC 6749, section 3.3. */
const scopeName = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/, "a scope has no spaces or quotes");

const scopesSchema = z.strictObject({
  required: z.array(scopeName).default([]),
  tools: z
    .record(
      z.string().regex(/^[A-Za-z0-9_.:/@*-]{1,128}$/, "write a tool's name, `*` for any part"),
      z.array(scopeName),
    )
    .default({}),
});

const mcpKeys = {
  server: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, "a server's name has letters, digits, `_` and `-`")
    .optional(),
  tools: toolsSchema.prefault({}),
  sql: z.array(sqlSchema).default([]),
} as const;

export const mcpConnectionSchema = z.strictObject({
  ...httpConnectionKeys,
  ...mcpKeys,
  kind: z.literal("mcp"),
  origins: z.array(z.string()).default([]),
  resource: z.url({ protocol: /^https?$/ }).optional(),
  scopes: scopesSchema.prefault({}),
});

/** A server that `gw mcp run` starts: it has no address. */
export const mcpStdioSchema = z.strictObject({
  name: httpConnectionKeys.name,
  env: httpConnectionKeys.env,
  tags: httpConnectionKeys.tags,
  mask_key: httpConnectionKeys.mask_key,
  ...mcpKeys,
  kind: z.literal("mcp-stdio"),
});

export type McpStdioConfig = McpTreatment & {
  readonly kind: "mcp-stdio";
  readonly env: string;
  readonly tags: readonly string[];
};

export const buildMcpStdio = (
  parsed: z.infer<typeof mcpStdioSchema>,
  path: Path,
  at: ConfigReader,
  folder: string,
): McpStdioConfig => ({
  ...buildTreatment(parsed, at, folder, maskKeyOf(parsed.mask_key, [...path, "mask_key"], at)),
  kind: "mcp-stdio",
  env: parsed.env,
  tags: parsed.tags,
});

/** What a mistyped key is compared with. */
export const mcpConfigKeys: readonly string[] = [
  ...keysIn(mcpConnectionSchema),
  ...keysIn(toolsSchema),
  ...keysIn(sqlSchema),
  ...keysIn(scopesSchema),
];

/** `folder`: where the gateway keeps its own files. */
export function buildMcpConnection(
  parsed: z.infer<typeof mcpConnectionSchema>,
  path: Path,
  at: ConfigReader,
  folder: string,
): McpConnectionConfig {
  const base = buildHttpBase(parsed, path, at);
  const { basePath } = base.upstream;
  const cut = basePath.lastIndexOf("/");
  const tools = Object.entries(parsed.scopes.tools).map(([pattern, scopes]) => ({ pattern, scopes }));
  if (parsed.resource === undefined && parsed.scopes.required.length + tools.length > 0) {
    at.complain(
      [...path, "scopes"],
      "scopes need `resource`, the address that clients know: it leads them to a better token",
    );
  }
  return {
    ...base,
    ...buildTreatment(parsed, at, folder, base.maskKey),
    kind: "mcp",
    // The URL names the endpoint itself: an MCP server has one.
    upstream: { ...base.upstream, basePath: cut < 0 ? "" : basePath.slice(0, cut) },
    endpoint: cut < 0 ? "/" : basePath.slice(cut),
    origins: parsed.origins,
    resource: parsed.resource,
    scopes: { required: parsed.scopes.required, tools },
  };
}

export function buildTreatment(
  parsed: Pick<z.infer<typeof mcpConnectionSchema>, "name" | "server" | "tools" | "sql">,
  at: ConfigReader,
  folder: string,
  maskKey: Uint8Array,
): McpTreatment {
  return {
    name: parsed.name,
    server: parsed.server ?? parsed.name,
    pinsFile: at.path(parsed.tools.pins ?? `${folder}/${parsed.name}.pins.json`),
    onToolChange: parsed.tools.on_change,
    sqlArguments: parsed.sql.map(({ tool, argument, connection }) => ({ tool, path: argument.split("."), connection })),
    maskKey,
  };
}
