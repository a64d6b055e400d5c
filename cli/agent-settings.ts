// who an agent is and where it may go -> its environment and MCP configuration
import type { WhoAmI } from "./admin-client.ts";
import { connectionNamed, environmentFor } from "./pg-environment.ts";

export type AgentSettings = {
  readonly env: Readonly<Record<string, string>>;
  readonly mcpServers: Readonly<Record<string, object>>;
};

/**
 * Only the gateway's own short-lived token is in it, never a target's secret: a shell that an agent runs inherits all of it.
 * MCP headers come from `gw token`, which refreshes, so no token lies in a file. `session` joins the channels in the records.
 */
export function agentSettings(
  me: WhoAmI,
  token: string,
  connection: string | undefined,
  session: string | undefined,
): AgentSettings {
  const hasDatabase = me.connections.some(({ kind }) => kind === "postgres");
  const database = hasDatabase ? environmentFor(connectionNamed(me, connection), me.sub, token) : {};
  const model = me.connections.find(({ kind }) => kind === "llm");
  const mcpServers = Object.fromEntries(
    me.connections.flatMap((one) =>
      one.kind !== "mcp"
        ? []
        : [
            [
              one.name,
              {
                type: "http",
                url: one.url,
                headersHelper: "gw token --format mcp-header",
                ...(session === undefined ? {} : { headers: { "x-gw-session": session } }),
              },
            ],
          ],
    ),
  );
  return {
    env: {
      GW_TOKEN: token,
      ...database,
      ...(session === undefined ? {} : { PGAPPNAME: `agent/${session}` }),
      ...(model?.kind === "llm" ? { ANTHROPIC_BASE_URL: model.url, ANTHROPIC_AUTH_TOKEN: token } : {}),
    },
    mcpServers,
  };
}
