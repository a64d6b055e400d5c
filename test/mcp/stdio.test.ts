// gw mcp run: a local server gets the same treatment, over standard streams, as a process.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { startTokenIssuer } from "../../cli/demo/token-issuer.ts";
import { limits } from "../../engine/limits.ts";
import { readAllEvents } from "../../proxy/recording/chains.ts";
import { eventually } from "../support/eventually.ts";
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
mask mails of text "email" using redact on mcp tool "files.get_*"
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

const command = (server: string): readonly string[] => [
  ...["cli/gw.js", "mcp", "run", "files", "--config", join(folder, "gw.yaml"), "--agent", "run-1"],
  ...["--", process.execPath, server],
];

const connect = async (token: string): Promise<Client> => {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [...command("test/mcp/stdio-server.ts")],
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

test("lines hold one message each, what a server says besides is masked, and a line without an end ends it all", async () => {
  const token = await issuer.issue({ sub: "bot", kind: "agent", groups: [] });
  const child = spawn(process.execPath, command("test/mcp/stdio-hostile-server.ts"), {
    env: { PATH: process.env.PATH ?? "", GW_TOKEN: token },
    stdio: "pipe",
  });
  after(() => child.kill("SIGKILL"));
  let told = "";
  let log = "";
  child.stdout.on("data", (chunk: Buffer) => {
    told += chunk.toString("utf8");
  });
  child.stderr.on("data", (chunk: Buffer) => {
    log += chunk.toString("utf8");
  });
  const send = (message: object): boolean => child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  const answerTo = (id: number) =>
    eventually(() =>
      told
        .slice(0, told.lastIndexOf("\n") + 1)
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
        .find((message) => message.id === id),
    );
  // Starting takes as long as it takes.
  if (log === "") await once(child.stderr, "data");
  // Before anything was asked: what can come of any call is masked.
  assert.match(await eventually(() => (log.includes("red") ? log : undefined)), /started for \*\*\* {2}\[31mred/);
  const clientInfo = { name: "raw", version: "1" };
  send({ id: 1, method: "initialize", params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo } });
  await answerTo(1);
  // Ends of a line for many readers; not for JSON.
  send({ id: 2, method: "tools/call", params: { name: "get_note", arguments: { a: "x\u2028y\u2029z\u0085!" } } });
  assert.deepEqual((await answerTo(2)).result.content, [{ type: "text", text: "0 broken lines, by ***" }]);
  assert.match(await eventually(() => (log.includes("started") ? log : undefined)), /started for \*\*\* {2}\[31mred/);
  assert.doesNotMatch(told + log, /ann@|gw-tools|\u001b/);
  const ended = once(child, "exit");
  child.stdin.on("error", () => undefined);
  child.stdin.write(Buffer.alloc(limits.mcpMessageBytesMax + 2, "x"));
  await ended;
});
