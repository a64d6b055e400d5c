// What lasts longer than the check at its beginning: a WebSocket or a stream ends with its token, its revocation and its approval.
import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { eventOf, startHttpGateway } from "../support/http-gateway.ts";

const sockets = new WebSocketServer({ noServer: true });
/** Sockets and answers that are open at the upstream. */
const open = new Set<object>();
const server = createServer((request, response) => {
  const isStream = request.url?.startsWith("/events") === true;
  response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "text/plain" });
  response.write(isStream ? "data: one\n\n" : "one\n");
  open.add(response);
  response.on("close", () => open.delete(response));
});
server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (ws) => {
    open.add(ws);
    ws.on("close", () => open.delete(ws));
    ws.on("message", (data) => ws.send(`echo ${data}`));
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => {
  for (const ws of sockets.clients) ws.terminate();
  server.closeAllConnections();
  server.close();
});
const address = server.address();

const gw = await startHttpGateway({
  policy: `
package test
allow everything on http GET
allow sockets on http CONNECT
require approval asked from group "owners" within 30m on http CONNECT "/asked" because "somebody looks at it"
`,
  upstream: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
  identity: "  revoked_file: revoked",
  files: { revoked: "" },
  config: "approvals: { hold: 60s }",
});

/** A socket that has echoed once, so that all of its way is open. */
async function openSocket(path: string, token: string): Promise<{ readonly closed: Promise<void> }> {
  const ws = new WebSocket(`ws://127.0.0.1:${gw.port}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const closed = new Promise<void>((resolve) => ws.on("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    ws.on("error", reject);
    ws.on("open", () => ws.send("x"));
    ws.on("message", () => resolve());
  });
  ws.on("error", () => undefined);
  return { closed };
}

/** An answer whose first piece has come. */
function openStream(path: string, token: string): Promise<{ readonly closed: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}` };
    const request = httpRequest({ host: "127.0.0.1", port: gw.port, path, headers, agent: false }, (response) => {
      const closed = new Promise<void>((end) => response.on("close", end));
      response.on("error", () => undefined);
      response.once("data", () => resolve({ closed }));
    });
    request.on("error", reject);
    request.end();
  });
}

const endOf = async (statement: string, sub: string) => {
  const { session } = await eventOf(gw, "session-start", (event) => event.principal.sub === sub);
  return eventually(async () => {
    const events = await gw.events();
    // What waited for people has two: the one that was held, and the one that ran.
    const ids = events.flatMap((e) =>
      e.type === "statement" && e.statement === statement && e.session === session ? [e.id] : [],
    );
    const end = events.find((e) => e.type === "completion" && ids.includes(e.id));
    return end?.type === "completion" ? [end.outcome, end.tag] : undefined;
  });
};

const issue = (sub: string, seconds: number) => gw.issuer.issue({ sub, kind: "agent", groups: [] }, { ttlS: seconds });

test("a WebSocket and an event stream end with their token, a download doesn't", async () => {
  const token = await issue("short", 8);
  const [socket, stream, download] = await Promise.all([
    openSocket("/ws", token),
    openStream("/events", token),
    openStream("/file", token),
  ]);
  await Promise.all([socket.closed, stream.closed]);
  assert.deepEqual(await endOf("CONNECT /ws", "short"), ["cancelled", "token-expired"]);
  assert.deepEqual(await endOf("GET /events", "short"), ["cancelled", "token-expired"]);
  await eventually(async () => open.size === 1 || undefined);
  appendFileSync(join(gw.folder, "revoked"), "sub:short\n");
  await download.closed;
});

for (const [what, path, start, statement] of [
  ["a WebSocket", "/ws", openSocket, "CONNECT /ws"],
  ["an event stream", "/events", openStream, "GET /events"],
  ["a download", "/file", openStream, "GET /file"],
] as const) {
  test(`${what} ends when its token is revoked`, async () => {
    const sub = `fired${path}`;
    const { closed } = await start(path, await issue(sub, 3_600));
    appendFileSync(join(gw.folder, "revoked"), `sub:${sub}\n`);
    await closed;
    assert.deepEqual(await endOf(statement, sub), ["cancelled", "token-revoked"]);
    await eventually(async () => open.size === 0 || undefined);
  });
}

test("a WebSocket ends when its approval is taken back", async () => {
  const owner = adminClient(gw.adminUrl, await gw.issuer.issue({ sub: "olga", kind: "human", groups: ["owners"] }));
  const opening = openSocket("/asked", await issue("asker", 3_600));
  const { id } = await eventually(async () => (await owner.list("pending"))[0]);
  await owner.decide(id, "approve", undefined);
  const { closed } = await opening;
  await owner.decide(id, "withdraw", "not any more");
  await closed;
  assert.deepEqual(await endOf("CONNECT /asked", "asker"), ["cancelled", "approval-withdrawn"]);
});
