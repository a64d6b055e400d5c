// Sessions of 2025-11-25 where several processes serve the same clients: what one begins, another goes on with.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { startGateway } from "../../cli/compose.ts";
import { readConfig } from "../../proxy/config.ts";
import { WindowCounters } from "../../proxy/gate/counters.ts";
import { openMcpLedger } from "../../proxy/mcp/ledger.ts";
import { spawnGateway } from "../support/gateway.ts";
import { sendTo } from "../support/http-gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { initialized, startRawServer, toolNamed } from "./raw-server.ts";
import { startLegacyServer } from "./servers.ts";

const policy = `package test

allow reads on mcp tool "crm.get_*"
allow slow on mcp tool "crm.slow"
mask mails of text "email" using redact on mcp tool "crm.get_*"
`;
const server = await startLegacyServer("sse");
let answers = 0;
const raw = await startRawServer(({ method, params }) => {
  if (method === "initialize") return initialized({ tasks: { requests: { tools: { call: {} } } } });
  if (method === "tools/list") return { tools: [toolNamed("get_task"), toolNamed("slow")] };
  if (method === "tools/call" && params.task !== undefined) return { task: { taskId: "t1", status: "working" } };
  answers += 1;
  return { content: [{ type: "text", text: `${answers} by ann@example.com` }] };
});
const connections = [
  ["crm", server.url],
  ["raw", raw.url],
]
  .map(
    ([name, url]) =>
      `  - { name: ${name}, kind: mcp, server: crm, listen: 127.0.0.1:0, tls: off, upstream: { url: ${url} } }\n`,
  )
  .join("");
const files = await startTrafficGateway({ policy, connections });
await files.gateway.stop(0);
const ledgerPath = join(temporaryFolder(), "mcp.sqlite");

/** Two as two worker processes are: the same configuration, a recording for each, and a file that both have open. */
const [one, two] = await Promise.all(
  ["one", "two"].map(async (name) => {
    const config = await readConfig(files.configPath, {});
    const mcpLedger = openMcpLedger(ledgerPath, { nowMs: () => Date.now() });
    const gateway = await startGateway(
      { ...config, admin: undefined, recording: { ...config.recording, directory: join(files.folder, name) } },
      {
        shared: {
          counters: new WindowCounters({ nowMs: () => Date.now() }),
          mcpLedger,
          cancelElsewhere: async () => false,
          onChange: () => undefined,
          allMetrics: (own) => own,
        },
      },
    );
    after(async () => {
      await gateway.stop(0);
      mcpLedger.end();
    });
    return (connection: string) => gateway.connections.find((c) => c.name === connection)?.port ?? 0;
  }),
);
assert.ok(one && two);
const token = await files.token();
const eve = await files.token({ sub: "eve" });

const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
const post = (port: number, body: unknown, more: Readonly<Record<string, string>> = {}, who = token) =>
  sendTo(port, who, "POST", "/", { headers: { ...headers, ...more }, body: JSON.stringify(body) });
const openSession = async (port: number): Promise<Readonly<Record<string, string>>> => {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  const answer = await post(port, { jsonrpc: "2.0", id: 0, method: "initialize", params });
  return { "mcp-session-id": String(answer.headers["mcp-session-id"]) };
};
const call = (id: unknown, name: string, more: object = {}) => ({
  jsonrpc: "2.0",
  id,
  method: "tools/call",
  params: { name, arguments: {}, ...more },
});

test("a session that one process began works through the other, for its own principal only", async () => {
  const session = await openSession(one("crm"));
  const get = (port: number, id: number, who = token) =>
    post(port, { ...call(id, "get_customer"), params: { name: "get_customer", arguments: { id } } }, session, who);
  for (const [id, port] of [one("crm"), two("crm"), one("crm"), two("crm")].entries()) {
    const answer = await get(port, id + 1);
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.body, /\*\*\*/);
  }
  assert.equal((await get(two("crm"), 9, eve)).status, 404);
  assert.match((await get(two("crm"), 1)).body, /used before in the session/);
});

test("a session that one process ended has ended in the other", async () => {
  const session = await openSession(one("raw"));
  assert.equal((await post(two("raw"), call(1, "get_task"), session)).status, 200);
  await sendTo(one("raw"), token, "DELETE", "/", { headers: session });
  assert.equal((await post(two("raw"), call(2, "get_task"), session)).status, 404);
  assert.equal((await post(one("raw"), call(3, "get_task"), session)).status, 404);
});

test("an answer is heard again through the other process, masked as it was decided", async () => {
  const session = await openSession(one("crm"));
  const params = { name: "get_customer", arguments: { id: 7 } };
  const answer = await post(one("crm"), { jsonrpc: "2.0", id: "a", method: "tools/call", params }, session);
  const eventId = /^id: (\S+)/m.exec(answer.body)?.[1] ?? "";
  const replay = await fetch(`http://127.0.0.1:${two("crm")}/`, {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", ...session, "last-event-id": eventId },
    signal: AbortSignal.timeout(60_000),
  });
  assert.equal(replay.status, 200);
  let text = "";
  for await (const chunk of replay.body ?? []) {
    text += Buffer.from(chunk).toString("utf8");
    if (text.includes('"result"')) break;
  }
  assert.match(text, /"id":"a"/);
  assert.match(text, /\*\*\*/);
  assert.doesNotMatch(text, /ann@/);
  const strange = await openSession(two("crm"));
  const refused = await fetch(`http://127.0.0.1:${two("crm")}/`, {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream", ...strange, "last-event-id": eventId },
    signal: AbortSignal.timeout(60_000),
  });
  assert.equal(refused.status, 400);
});

test("a task that one process saw made is of use through the other, to who made it", async () => {
  const session = await openSession(one("raw"));
  assert.match((await post(one("raw"), call(1, "get_task", { task: {} }), session)).body, /"taskId":"t1"/);
  const result = (id: number) => ({ jsonrpc: "2.0", id, method: "tasks/result", params: { taskId: "t1" } });
  const shown = await post(two("raw"), result(2), session);
  assert.match(shown.body, /by \*\*\*/);
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  const other = await post(two("raw"), { jsonrpc: "2.0", id: 0, method: "initialize", params }, {}, eve);
  const others = { "mcp-session-id": String(other.headers["mcp-session-id"]) };
  assert.match((await post(two("raw"), result(1), others, eve)).body, /no such task of yours/);
});

test("the file opens no session: ids are digests, and the upstream's are sealed", async () => {
  const session = await openSession(one("raw"));
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(ledgerPath, { readOnly: true });
  const rows = JSON.stringify(database.prepare("SELECT id, CAST(upstream AS TEXT) AS upstream FROM session").all());
  database.close();
  assert.ok(!rows.includes(session["mcp-session-id"] ?? "-"));
  assert.doesNotMatch(rows, /upstream-session/);
});

test("with `workers: 2` a client of 2025-11-25 works, whichever process it comes to", async () => {
  const again = await startTrafficGateway({ policy, connections, config: "workers: 2" });
  await again.gateway.stop(0);
  const process = await spawnGateway(again.configPath);
  const port = process.ports.crm ?? 0;
  const who = await again.token();
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  const opened = await post(port, { jsonrpc: "2.0", id: 0, method: "initialize", params }, {}, who);
  const session = { "mcp-session-id": String(opened.headers["mcp-session-id"]) };
  for (let id = 1; id <= 6; id += 1) {
    // Each on a connection of its own: processes may take turns.
    const body = { ...call(id, "get_customer"), params: { name: "get_customer", arguments: { id } } };
    const answer = await post(port, body, session, who);
    assert.equal(answer.status, 200, answer.body);
    assert.match(answer.body, /\*\*\*/);
  }
});
