// `@ends(session)` over HTTP, MCP and models: what is asked afterwards is refused, and what is open already ends.
import assert from "node:assert/strict";
import { createServer, request as httpRequest, type ServerResponse } from "node:http";
import { after, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { streamText } from "../llm/model.ts";
import { eventually } from "../support/eventually.ts";
import { sendTo, startUpstream } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

/** What is open at the upstreams. */
const open = new Set<object>();
const keepOpen = (response: ServerResponse): void => {
  open.add(response);
  response.on("close", () => open.delete(response));
};

const sockets = new WebSocketServer({ noServer: true });
const api = createServer((request, response) => {
  const isStream = request.url === "/events";
  const isFile = request.url === "/file";
  if (!isStream && !isFile) return void response.end("ok");
  response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "text/plain" });
  response.write(isStream ? "data: one\n\n" : "one\n");
  keepOpen(response);
  files.add(response);
});
/** Answers that a test ends when it is through. */
const files = new Set<ServerResponse>();
api.on("upgrade", (request, socket, head) =>
  sockets.handleUpgrade(request, socket, head, (ws) => {
    open.add(ws);
    ws.on("close", () => open.delete(ws));
    ws.on("message", (data) => ws.send(`echo ${data}`));
  }),
);
await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
after(() => {
  for (const ws of sockets.clients) ws.terminate();
  api.closeAllConnections();
  api.close();
});
const address = api.address();
const apiPort = typeof address === "object" ? address?.port : 0;

/** An MCP server with two tools; `slow` begins a stream and leaves it open, as does a GET. */
const server = await startUpstream((request, response) => {
  const stream = (): void => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": open\n\n");
    keepOpen(response);
  };
  if (request.method === "GET") return stream();
  const { id, method, params } = JSON.parse(request.text);
  if (method === "tools/call" && params.name === "slow") return stream();
  if (id === undefined) return void response.writeHead(202).end();
  const tools = ["slow", "quick", "bait"].map((name) => ({ name, inputSchema: { type: "object" } }));
  const results: Readonly<Record<string, object>> = {
    initialize: { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo: { name: "s", version: "1" } },
    "tools/list": { tools },
  };
  const session = method === "initialize" ? { "mcp-session-id": "upstream-session" } : {};
  response.writeHead(200, { "content-type": "application/json", ...session });
  response.end(JSON.stringify({ jsonrpc: "2.0", id, result: results[method] ?? { content: [] } }));
});

/** Begins an answer, and goes on when it is told to. */
const answers = new Map<string, ServerResponse>();
const wholeAnswer = streamText("claude-1", { blocks: [{ type: "text", text: "x".repeat(400) }] }, 1);
const cutAt = wholeAnswer.indexOf("event: message_delta");
const model = await startUpstream((request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(wholeAnswer.slice(0, cutAt));
  keepOpen(response);
  answers.set(JSON.parse(request.text).model, response);
});

const gw = await startTrafficGateway({
  policy: `
package test
allow gets on http GET
allow sockets on http CONNECT
allow tools on mcp
allow models on llm model "claude-*"

@ends(session)
deny bait on http GET "/bait" because "nobody asks for this"

@ends(session)
alert last_file to "#soc" on http GET "/last"

@ends(session)
deny mcp_bait on mcp tool "crm.bait" because "nobody calls this"

@ends(session)
deny llm_bait on llm model "claude-bait" because "nobody asks this model"

@ends(session)
alert last_answer to "#soc" on llm model "claude-last"
`,
  connections: `
  - { name: api, kind: http, listen: 127.0.0.1:0, tls: off, upstream: { url: "http://127.0.0.1:${apiPort}" } }
  - { name: crm, kind: mcp, server: crm, listen: 127.0.0.1:0, tls: off, upstream: { url: "${server.origin}" } }
  - { name: claude, kind: llm, listen: 127.0.0.1:0, tls: off, upstream: { url: "${model.origin}" } }
`,
});

const portOf = { http: gw.portOf("api"), mcp: gw.portOf("crm"), llm: gw.portOf("claude") };
const json = { "content-type": "application/json" };
const get = (path: string, token: string) => sendTo(portOf.http, token, "GET", path, {});
const mcpHeaders = { ...json, accept: "application/json, text/event-stream" };
const rpc = (token: string, session: string | undefined, message: object) =>
  sendTo(portOf.mcp, token, "POST", "/", {
    headers: { ...mcpHeaders, ...(session === undefined ? {} : { "mcp-session-id": session }) },
    body: JSON.stringify({ jsonrpc: "2.0", ...message }),
  });
const call = (name: string, id: number) => ({ id, method: "tools/call", params: { name, arguments: {} } });
const initialize = {
  id: 0,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } },
};
const mcpSession = async (token: string): Promise<string> =>
  String((await rpc(token, undefined, initialize)).headers["mcp-session-id"]);
const askOf = (name: string, stream: boolean): string =>
  JSON.stringify({ model: name, max_tokens: 10, stream, messages: [{ role: "user", content: "go" }] });
const modelHeaders = { ...json, "anthropic-version": "2023-06-01" };
const ask = (token: string, name: string) =>
  sendTo(portOf.llm, token, "POST", "/v1/messages", { headers: modelHeaders, body: askOf(name, false) });

type Lasting = { readonly closed: Promise<string> };

/** A request whose answer has begun; `closed` tells its text once it is over, whole or not. */
function begin(
  on: keyof typeof portOf,
  token: string,
  path: string,
  { headers = {}, body }: { readonly headers?: Readonly<Record<string, string>>; readonly body?: string } = {},
): Promise<Lasting> {
  return new Promise((resolve, reject) => {
    const options = {
      ...{ host: "127.0.0.1", port: portOf[on], path, agent: false, method: body === undefined ? "GET" : "POST" },
      headers: { authorization: `Bearer ${token}`, ...headers },
    };
    const request = httpRequest(options, (response) => {
      let text = "";
      const closed = new Promise<string>((end) => response.on("close", () => end(text)));
      response.on("error", () => undefined);
      response.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
      });
      response.once("data", () => resolve({ closed }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function openSocket(token: string): Promise<Lasting> {
  const ws = new WebSocket(`ws://127.0.0.1:${portOf.http}/ws`, { headers: { authorization: `Bearer ${token}` } });
  const closed = new Promise<string>((resolve) => ws.on("close", () => resolve("")));
  await new Promise<void>((resolve, reject) => {
    ws.on("error", reject);
    ws.on("open", () => ws.send("x"));
    ws.on("message", () => resolve());
  });
  ws.on("error", () => undefined);
  return { closed };
}

/** Outcomes of what the caller asked for, by statement. */
async function endsOf(sub: string): Promise<Readonly<Record<string, readonly (string | undefined)[]>>> {
  const events = await gw.events();
  const sessions = new Set(
    events.flatMap((e) => (e.type === "session-start" && e.principal.sub === sub ? [e.session] : [])),
  );
  const ends: Record<string, readonly (string | undefined)[]> = {};
  for (const e of events) {
    if (e.type !== "statement" || !sessions.has(e.session)) continue;
    const end = events.find((other) => other.type === "completion" && other.id === e.id);
    if (end?.type === "completion") ends[e.statement] = [end.outcome, end.tag];
  }
  return ends;
}
const endOf = (sub: string, statement: string) => eventually(async () => (await endsOf(sub))[statement]);

const over = /a rule of the policies has ended this session/;

test("over HTTP, a WebSocket and an event stream that are open end, a download runs to its end, and nothing more is let through", async () => {
  const token = await gw.token({ sub: "ann" });
  const [socket, stream, download] = await Promise.all([
    openSocket(token),
    begin("http", token, "/events"),
    begin("http", token, "/file"),
  ]);
  const refused = await get("/bait", token);
  assert.deepEqual([refused.status, JSON.parse(refused.body).title], [403, "nobody asks for this"]);
  const next = await get("/other", token);
  assert.deepEqual([next.status, JSON.parse(next.body).code], [403, "session-ended"]);
  assert.match(next.body, over);
  await Promise.all([socket.closed, stream.closed]);
  assert.deepEqual(await endOf("ann", "CONNECT /ws"), ["cancelled", "session-ended"]);
  assert.deepEqual(await endOf("ann", "GET /events"), ["cancelled", "session-ended"]);
  for (const file of files) file.end("two\n");
  assert.equal(await download.closed, "one\ntwo\n");
  assert.deepEqual(await endOf("ann", "GET /file"), ["ok", "200"]);
  // It is this session that is over: of somebody else, nothing is.
  assert.equal((await get("/other", await gw.token({ sub: "ben" }))).body, "ok");
});

test("over HTTP, an alert lets its own request run and ends the session at the next", async () => {
  const token = await gw.token({ sub: "cid" });
  assert.equal((await get("/last", token)).body, "ok");
  assert.equal(JSON.parse((await get("/other", token)).body).code, "session-ended");
});

test("over MCP, the listening stream and a tool's open stream end, and no tool is called any more", async () => {
  const token = await gw.token({ sub: "dan" });
  const session = await mcpSession(token);
  const listening = await begin("mcp", token, "/", {
    headers: { accept: "text/event-stream", "mcp-session-id": session },
  });
  const calling = await begin("mcp", token, "/", {
    headers: { ...mcpHeaders, "mcp-session-id": session },
    body: JSON.stringify({ jsonrpc: "2.0", ...call("slow", 1) }),
  });
  assert.match((await rpc(token, session, call("bait", 2))).body, /nobody calls this/);
  assert.match((await rpc(token, session, call("quick", 3))).body, over);
  await listening.closed;
  const said = await calling.closed;
  assert.match(said, /"isError":true/);
  assert.match(said, over);
  assert.deepEqual(await endOf("dan", "listen"), ["cancelled", "session-ended"]);
  assert.deepEqual(await endOf("dan", "tools/call crm.slow"), ["cancelled", "session-ended"]);
  const other = await gw.token({ sub: "eve" });
  assert.match((await rpc(other, await mcpSession(other), call("quick", 3))).body, /"content":\[\]/);
});

test("to a model, an answer that is streamed breaks off, and nothing more is asked", async () => {
  const token = await gw.token({ sub: "fay" });
  const answer = await begin("llm", token, "/v1/messages", {
    headers: modelHeaders,
    body: askOf("claude-1", true),
  });
  assert.match((await ask(token, "claude-bait")).body, /nobody asks this model/);
  assert.match((await ask(token, "claude-2")).body, over);
  assert.doesNotMatch(await answer.closed, /message_stop/);
  const ends = await eventually(async () => {
    const found = Object.entries(await endsOf("fay")).filter(([statement]) => statement.includes("claude-1"));
    return found.length > 0 ? found : undefined;
  });
  assert.deepEqual(
    ends.map(([, end]) => end),
    [["cancelled", "session-ended"]],
  );
});

test("to a model, an answer whose own request raised the alert is whole", async () => {
  const token = await gw.token({ sub: "gus" });
  const answer = await begin("llm", token, "/v1/messages", {
    headers: modelHeaders,
    body: askOf("claude-last", true),
  });
  assert.match((await ask(token, "claude-2")).body, over);
  answers.get("claude-last")?.end(wholeAnswer.slice(cutAt));
  assert.match(await answer.closed, /message_stop/);
});

test("all that was cut off is over at the upstreams, too", async () => {
  await eventually(async () => open.size === 0 || undefined);
});
