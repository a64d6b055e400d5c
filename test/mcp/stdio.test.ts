// gw mcp run: a local server gets the same treatment, over standard streams, as a process.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { textsOf } from "./clients.ts";

const folder = temporaryFolder();
const issuer = await startTokenIssuer({ audience: "gatewright" });
after(() => issuer.stop());
mkdirSync(join(folder, "policies"));
writeFileSync(
  join(folder, "policies", "test.policy"),
  `package test
allow reads on mcp tool "files.get_*" at "files"
mask mails of text "email" using redact on mcp
`,
);
writeFileSync(
  join(folder, "gw.yaml"),
  `
policies: { path: policies }
recording: { directory: recording }
identity:
  issuers:
    - { issuer: "${issuer.issuer}", audience: gatewright, jwks_url: "${issuer.jwksUrl}", algorithms: [EdDSA] }
connections:
  - { name: files, kind: mcp-stdio }
`,
);

const connect = async (token: string): Promise<Client> => {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [
      "cli/gw.js",
      "mcp",
      "run",
      "files",
      "--config",
      join(folder, "gw.yaml"),
      "--agent",
      "run-1",
      "--",
      process.execPath,
      "test/mcp/stdio-server.ts",
    ],
    env: { PATH: process.env.PATH ?? "", GW_TOKEN: token },
    stderr: "pipe",
  });
  const client = new Client({ name: "test", version: "1" });
  // SAFETY: the SDK's own types of its transport disagree under exactOptionalPropertyTypes.
  await client.connect(transport as Parameters<typeof client.connect>[0]);
  return client;
};

test("tools are filtered, calls decided, answers masked, and all of it is on record", async () => {
  const client = await connect(await issuer.issue({ sub: "bot", kind: "agent", groups: [] }));
  assert.deepEqual(
    (await client.listTools()).tools.map(({ name }) => name),
    ["get_note"],
  );
  assert.deepEqual(textsOf(await client.callTool({ name: "get_note", arguments: { id: 3 } })), [
    "note 3 by ***; 0 secrets",
  ]);
  const denied = await client.callTool({ name: "delete_note", arguments: { id: 3 } });
  assert.match(textsOf(denied)[0] ?? "", /no rule allows `tools\/call files\.delete_note`/);
  await client.close();
  const events = [];
  for await (const event of readAllEvents(join(folder, "recording", "stdio-files"))) events.push(event);
  const start = events.find((event) => event.type === "session-start");
  assert.equal(start?.type === "session-start" && start.application, "agent/run-1");
  const calls = events.flatMap((e) =>
    e.type === "statement" && e.statement.startsWith("tools/call") ? [`${e.effect} ${e.statement}`] : [],
  );
  assert.deepEqual(calls, ['allow tools/call files.get_note {"id":3}', 'deny tools/call files.delete_note {"id":3}']);
});

test("without a good token nothing is started", async () => {
  await assert.rejects(connect("not.a.token"));
});
