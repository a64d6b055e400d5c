// One run of a real agent over four channels, and one joined timeline of it in the record.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { main } from "../../cli/main.ts";
import { type Block, startModel } from "../llm/model.ts";
import { startLegacyServer } from "../mcp/servers.ts";
import { eventually } from "../support/eventually.ts";
import { hasProgram } from "../support/gateway.ts";
import { startUpstream } from "../support/http-gateway.ts";
import { testDatabase } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

const session = "3f6b1c9e-0000-4000-8000-0123456789ab";

const policy = `package test

type Shell = { command: string }

allow shop on sql read of public.orders at "pg"
mask mails of public.orders.email using redact
allow api on http GET "/v1/orders" at "api"
allow crm on mcp tool "crm.get_*" at "crm"
mask personal of text "email" using tokenize on mcp at "crm"
allow models on llm model "claude-*" at "claude"

deny destruction on llm tool "Bash"
  let i = llm.tool_input as Shell
  when i is absent or (i.command matches "rm -r")
  because "this command deletes things"
`;

test("bash psql, an MCP tool, an HTTP API and the model go through one gateway, and one timeline tells of it", async (t) => {
  if (!hasProgram("psql")) return t.skip("no psql on this machine");
  const database = await testDatabase(
    "create table orders (id int primary key, email text); insert into orders values (1, 'ann@example.com'), (2, 'bob@example.com')",
  );
  const mcp = await startLegacyServer("sse");
  const api = await startUpstream((_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end('{"orders":[{"id":1}]}');
  });
  // What the model says, turn by turn. Side requests of the client (titles, topics) get a plain word.
  const turns: readonly (readonly Block[])[] = [
    [
      {
        type: "tool_use",
        id: "toolu_sql",
        name: "Bash",
        input: { command: 'psql -X -A -t -c "select id, email from orders order by id"', description: "reads orders" },
      },
      {
        type: "tool_use",
        id: "toolu_api",
        name: "Bash",
        input: {
          command: 'curl -s -H "Authorization: Bearer $GW_TOKEN" -H "x-gw-session: $GW_SESSION" "$API_URL/v1/orders"',
          description: "asks the API",
        },
      },
    ],
    [{ type: "tool_use", id: "toolu_mcp", name: "mcp__crm__get_customer", input: { id: 7 } }],
    [
      {
        type: "tool_use",
        id: "toolu_bad",
        name: "Bash",
        input: { command: "rm -rf /tmp/gw-nothing-here", description: "cleans up" },
      },
    ],
    [{ type: "text", text: "all done" }],
  ];
  let turn = 0;
  const model = await startModel(({ body }) => {
    const isMain =
      Array.isArray(body.tools) &&
      body.tools.length > 0 &&
      JSON.stringify(body.messages).includes("look at the orders");
    if (!isMain) return { blocks: [{ type: "text", text: "ok" }] };
    const blocks = turns[Math.min(turn, turns.length - 1)] ?? [];
    turn += 1;
    return { blocks };
  });
  const gw = await startTrafficGateway({
    policy,
    files: { "pg.password": database.password },
    connections: `
  - { name: pg, kind: postgres, listen: 127.0.0.1:0, tls: { required: false }, upstream: { host: ${database.host}, port: ${database.port}, database: ${database.database}, user: ${database.user}, password: { file: pg.password }, sslmode: disable } }
  - { name: api, kind: http, listen: 127.0.0.1:0, tls: off, upstream: { url: ${api.origin} } }
  - { name: crm, kind: mcp, listen: 127.0.0.1:0, tls: off, mask_key: { file: mask.key }, upstream: { url: ${mcp.url} } }
  - { name: claude, kind: llm, listen: 127.0.0.1:0, tls: off, upstream: { url: ${model.url}, credential: { header: x-api-key, secret: { file: upstream.key } } } }
`,
  });
  const token = await gw.token({ sub: "claude-code", kind: "agent", on_behalf_of: "nina" });
  const home = temporaryFolder();
  mkdirSync(join(home, "work"));
  writeFileSync(join(home, "work", "README.md"), "nothing\n");
  const sdkPath = join(process.env.GW_AGENT_SDK ?? "", "node_modules", "@anthropic-ai", "claude-agent-sdk", "sdk.mjs");
  const sdk: AgentSdk = await import(pathToFileURL(sdkPath).href);
  const told: unknown[] = [];
  for await (const message of sdk.query({
    prompt: "look at the orders",
    options: {
      cwd: join(home, "work"),
      sessionId: session,
      model: "claude-good-1",
      settingSources: [],
      permissionMode: "bypassPermissions",
      allowDangerouslySkipPermissions: true,
      maxTurns: 8,
      mcpServers: {
        crm: {
          type: "http",
          url: gw.urlOf("crm"),
          headers: { Authorization: `Bearer ${token}`, "x-gw-session": session },
        },
      },
      env: {
        PATH: process.env.PATH ?? "",
        HOME: home,
        IS_SANDBOX: "1",
        ANTHROPIC_BASE_URL: gw.urlOf("claude"),
        ANTHROPIC_AUTH_TOKEN: token,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
        DISABLE_AUTOUPDATER: "1",
        GW_TOKEN: token,
        GW_SESSION: session,
        API_URL: gw.urlOf("api"),
        PGHOST: "127.0.0.1",
        PGPORT: String(gw.portOf("pg")),
        PGUSER: "claude-code",
        PGDATABASE: database.database,
        PGPASSWORD: token,
        PGSSLMODE: "require",
        PGAPPNAME: `agent/${session}`,
      },
      stderr: (line: string) => told.push(line),
    },
  })) {
    told.push(message);
  }
  const last = model.seen.findLast(({ body }) => JSON.stringify(body.messages ?? []).includes("toolu_mcp"));
  const history = JSON.stringify(last?.body.messages ?? told.slice(-5));
  assert.match(history, /1\|\*\*\*\\n2\|\*\*\*/, "psql's rows are masked");
  assert.match(history, /orders.{1,10}id.{1,6}1/, "the API's answer");
  assert.match(history, /tok_[0-9a-f]{16}/, "the MCP answer is masked");
  assert.doesNotMatch(history, /ann@example\.com|bob@example\.com/);
  assert.match(history, /denied by the gateway: this command deletes things/);
  assert.ok(!JSON.stringify(model.seen).includes(token), "the client's token stays here");
  assert.equal(api.seen[0]?.headers.authorization, undefined);

  const events = await eventually(async () => {
    const all = await gw.events();
    return all.some((e) => e.type === "completion" && e.tokens !== undefined) ? all : undefined;
  });
  const joined = events.filter((e) => e.type === "statement" && e.refs?.toolUse === "toolu_mcp");
  assert.equal(joined.length, 2, "the model's tool use and the MCP call bear one id");
  await gw.gateway.stop(0);
  const terminal = captured();
  assert.equal(await main(["sessions", "show", `agent/${session}`, "--recording", gw.recording], terminal), 0);
  const page = terminal.stdout();
  const order = [
    "[claude] tool_use Bash",
    "[pg] select",
    "[claude] tool_use mcp__crm__get_customer",
    "[crm] tools/call crm.get_customer",
    "rm -rf",
  ];
  const places = order.map((text) => page.toLowerCase().indexOf(text.toLowerCase()));
  assert.ok(
    places.every((at, i) => at >= 0 && (i === 0 || at > (places[i - 1] ?? 0))),
    `${places}\n${page}`,
  );
  assert.match(page, /\[api\] GET \/v1\/orders/);
  assert.match(page, /joins {4}toolUse toolu_mcp/);
});

type AgentSdk = {
  readonly query: (ask: { readonly prompt: string; readonly options: unknown }) => AsyncIterable<unknown>;
};
