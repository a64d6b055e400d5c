// HTTP, MCP, models and the admin interface with two workers: who serves what, and what outlives the death of one.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import { startLegacyServer } from "../mcp/servers.ts";
import { eventually } from "../support/eventually.ts";
import { connectTo, prepareGateway, spawnGateway } from "../support/gateway.ts";
import { startUpstream } from "../support/http-gateway.ts";
import { workersSoon } from "./support.ts";

const api = await startUpstream((_request, response) => void response.end("hello"));
const model = await startUpstream((_request, response) => void response.end("{}"));
const crm = await startLegacyServer("json");
const policy = `package acme.test

allow staff on sql at "test-pg"
allow calls on http GET, DELETE at "test-api"
require approval deletes from group "leads" on http DELETE at "test-api" because "a DELETE waits"
allow tools on mcp tool "crm.get_*"
allow editors on mcp tool "crm.update_customer" when identity.groups contains "editors"
`;
const prepared = await prepareGateway({
  schema: "select 1",
  policy,
  config: "workers: 2",
  connection: `
  - name: test-model
    kind: llm
    provider: anthropic
    listen: 127.0.0.1:0
    tls: off
    upstream: { url: "${model.origin}" }
  - { name: test-api, kind: http, listen: 127.0.0.1:0, tls: off, upstream: { url: "${api.origin}" } }
  - { name: test-mcp, kind: mcp, server: crm, listen: 127.0.0.1:0, tls: off, upstream: { url: "${crm.url}" } }
`,
});
const gateway = await spawnGateway(prepared.configPath);
const portOf = (name: string): number => gateway.ports[name] ?? 0;
const token = await prepared.issuer.issue({ sub: "bot", kind: "agent", groups: [] });
const lead = await prepared.issuer.issue({ sub: "lena", kind: "human", groups: ["leads"] });

type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: string };

/** Each on a connection of its own, so that neighbours go to different workers. */
function send(
  name: string,
  method: string,
  path: string,
  { body, headers = {}, as = token }: { body?: unknown; headers?: Record<string, string>; as?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        ...{ host: "127.0.0.1", port: portOf(name), method, path, agent: false },
        headers: { authorization: `Bearer ${as}`, "content-type": "application/json", ...headers },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(parts).toString("utf8"),
          }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Asked again while nobody listens, or while a worker that ends lets go of its connections. */
const sendSoon = (...ask: Parameters<typeof send>): Promise<Answer> =>
  eventually(() => send(...ask).catch(() => undefined));

const recordedBy = (worker: string, what: RegExp): number =>
  readFileSync(join(prepared.recording, worker, "00000001.jsonl"), "utf8").match(what)?.length ?? 0;

const rpc = (method: string, id: number, params: unknown = {}) => ({ jsonrpc: "2.0", id, method, params });
const accepts = { accept: "application/json, text/event-stream" };
const initialize = {
  body: rpc("initialize", 1, {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "test", version: "1" },
  }),
  headers: accepts,
};

async function startSession(): Promise<Record<string, string>> {
  const { status, headers } = await send("test-mcp", "POST", "/", initialize);
  assert.equal(status, 200);
  const session = {
    ...accepts,
    "mcp-session-id": String(headers["mcp-session-id"]),
    "mcp-protocol-version": "2025-06-18",
  };
  const body = { jsonrpc: "2.0", method: "notifications/initialized" };
  assert.equal((await send("test-mcp", "POST", "/", { body, headers: session })).status, 202);
  return session;
}

/** Process id of a worker, by what the primary has logged of it last. */
function pidOf(worker: string): number {
  const lines = gateway.logged().split("\n");
  const line = lines.findLast((text) => text.includes('"worker serves"') && text.includes(`"${worker}"`));
  return Number(/"pid":(\d+)/.exec(line?.replace(/^.*?"worker"/, "") ?? "")?.[1]);
}

test("requests of HTTP go to both workers, and each says what it is", async () => {
  assert.match(gateway.printed, /^test-api {2}http on .*\ntest-mcp {2}mcp on .*\ntest-model {2}llm on /m);
  for (let i = 0; i < 4; i += 1) assert.equal((await send("test-api", "GET", "/things")).body, "hello");
  await eventually(() =>
    ["worker-1", "worker-2"].every((worker) => recordedBy(worker, /GET \/things/g) > 0) ? true : undefined,
  );
});

test("a session of MCP goes on at whichever worker its requests come to", async () => {
  const headers = await startSession();
  for (let id = 2; id < 6; id += 1) {
    const call = rpc("tools/call", id, { name: "get_customer", arguments: { id } });
    const { status, body } = await send("test-mcp", "POST", "/", { body: call, headers });
    assert.deepEqual([status, JSON.parse(body).id], [200, id]);
    assert.match(body, /Ann/);
  }
  assert.deepEqual(
    crm.calls.map(({ args }) => args),
    [{ id: 2 }, { id: 3 }, { id: 4 }, { id: 5 }],
  );
});

test("what either worker holds is approved through the admin interface", async () => {
  const waiting = [send("test-api", "DELETE", "/things/1"), send("test-api", "DELETE", "/things/2")];
  const admin = (method: string, path: string, body?: unknown) => send("admin", method, path, { as: lead, body });
  const pending = await eventually(async () => {
    const { approvals } = JSON.parse((await admin("GET", "/v1/approvals?state=pending")).body);
    return approvals.length === 2 ? (approvals as readonly { readonly id: string }[]) : undefined;
  });
  for (const { id } of pending) assert.equal((await admin("POST", `/v1/approvals/${id}/approve`, {})).status, 200);
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ status, body }) => [status, body]),
    [
      [200, "hello"],
      [200, "hello"],
    ],
  );
});

test("an edit of the policies is in force for HTTP and MCP in both workers", async () => {
  prepared.writePolicy(`${policy}\ndeny nothing_new on http at "test-api" because "closed"\n`);
  const isDenied = async () => (await send("test-api", "GET", "/things")).status === 403;
  // Four in a row: two by each worker.
  await eventually(async () => {
    for (let i = 0; i < 4; i += 1) if (!(await isDenied())) return undefined;
    return true;
  });
  prepared.writePolicy(policy);
  await eventually(async () => {
    for (let i = 0; i < 4; i += 1) if (await isDenied()) return undefined;
    return true;
  });
});

test("the death of the lead: HTTP and MCP go on, and what it alone served comes back at the same port", async () => {
  const headers = await startSession();
  const client = await connectTo(prepared, portOf("test-pg"), { sub: "olga", kind: "human", groups: [] });
  const victim = pidOf("worker-1");
  process.kill(victim, "SIGKILL");
  // The other worker has the ports: what was on its way to the one that died is asked again.
  assert.equal((await sendSoon("test-api", "GET", "/things")).body, "hello");
  const call = rpc("tools/call", 2, { name: "get_customer", arguments: { id: 9 } });
  assert.match((await sendSoon("test-mcp", "POST", "/", { body: call, headers })).body, /Ann/);
  assert.equal((await sendSoon("admin", "GET", "/readyz")).status, 200);
  const metrics = await eventually(async () => {
    const { body } = await sendSoon("admin", "GET", "/metrics");
    return /^gw_worker_restarts_total 1$/m.test(body) ? body : undefined;
  });
  assert.match(metrics, /worker="worker-2"/);
  // A model's connection is the lead's: refused for want of a rule, by somebody who listens.
  const ask = { body: { model: "m", max_tokens: 1, messages: [{ role: "user", content: "hi" }] } };
  assert.equal((await sendSoon("test-model", "POST", "/v1/messages", ask)).status, 403);
  assert.equal((await workersSoon(gateway.child.pid, 2)).includes(victim), false);
  // Its approvals are in a file.
  const { approvals } = JSON.parse((await sendSoon("admin", "GET", "/v1/approvals?state=used", { as: lead })).body);
  assert.equal(approvals.length, 2);
  await client.end().catch(() => undefined);
});

test("new workers take the ports over: sessions of MCP go on, and the admin interface answers", async () => {
  const headers = await startSession();
  const old = await workersSoon(gateway.child.pid, 2);
  gateway.child.kill("SIGUSR2");
  await eventually(async () => {
    const now = await workersSoon(gateway.child.pid, 2);
    return old.some((pid) => now.includes(pid)) ? undefined : true;
  });
  const call = rpc("tools/call", 2, { name: "get_customer", arguments: { id: 11 } });
  assert.match((await sendSoon("test-mcp", "POST", "/", { body: call, headers })).body, /Ann/);
  assert.equal((await sendSoon("test-api", "GET", "/things")).body, "hello");
  assert.equal((await sendSoon("admin", "GET", "/readyz")).status, 200);
});
