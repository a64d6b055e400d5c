// gw.yaml -> what each of its connections can do with obligations
import { httpCapabilities } from "../engine/http/capabilities.ts";
import { llmCapabilities } from "../engine/llm/capabilities.ts";
import { mcpCapabilities } from "../engine/mcp/capabilities.ts";
import type { Capabilities, ConnectionCapabilities } from "../engine/model/capabilities.ts";
import { postgresCapabilities } from "../engine/sql/capabilities.ts";
import type { GatewayConfig } from "../proxy/gateway-config.ts";

type Kind = GatewayConfig["connections"][number]["kind"] | GatewayConfig["http"][number]["kind"] | "mcp-stdio";

/** Every kind of connection that is served; a new kind names its own. */
const adapters: Readonly<Record<Kind, Capabilities>> = {
  postgres: postgresCapabilities,
  http: httpCapabilities,
  mcp: mcpCapabilities,
  "mcp-stdio": mcpCapabilities,
  llm: llmCapabilities,
};

export const capabilitiesOf = ({
  connections,
  http,
  stdio = [],
}: Pick<GatewayConfig, "connections" | "http" | "stdio">): readonly ConnectionCapabilities[] =>
  [...connections, ...http, ...stdio].map(({ name, kind }) => ({ name, capabilities: adapters[kind] }));
