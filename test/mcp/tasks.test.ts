// Calls whose results come later: both forms of tasks, each bound to who made it, masked like the direct answer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { sendTo } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { legacyClient, textsOf } from "./clients.ts";
import { initialized, type RawRequest, startRawServer, toolNamed } from "./raw-server.ts";
import { startTaskServer } from "./task-server.ts";

const policy = `package test

allow reads on mcp tool "crm.get_*", "crm.report", "crm.wipe"
allow elicitation on mcp when mcp.method == "elicitation/create" and identity.sub == "askable"
mask mails of text "email" using redact on mcp tool "crm.*"
`;

const meta = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientCapabilities": {
    extensions: { "io.modelcontextprotocol/tasks": {} },
    elicitation: {},
  },
};
const times = { createdAt: "2026-08-01T00:00:00Z", lastUpdatedAt: "2026-08-01T00:00:00Z" };
const detail = (taskId: unknown) => ({ resultType: "complete", taskId, ttlMs: null, ...times });

/** Every task that anybody made, for everybody: as a server is that knows one client, the gateway. */
let made = 0;
const raw = await startRawServer(({ method, params }: RawRequest) => {
  const text = (value: string) => ({ content: [{ type: "text", text: value }] });
  const tasks = Array.from({ length: made }, (_, i) => ({
    taskId: `t${i + 1}`,
    status: "working",
    ttl: null,
    ...times,
  }));
  switch (method) {
    case "initialize":
      return initialized({ tasks: { list: {}, cancel: {}, brand_new: {}, requests: { tools: { call: {} }, x: {} } } });
    case "tools/list":
      return { resultType: "complete", tools: ["report", "wipe"].map((name) => toolNamed(name)) };
    case "tools/call": {
      if (params.name === "wipe") return { resultType: "task", taskId: "t1", status: "working", ttlMs: null, ...times };
      made += 1;
      const task = { taskId: `t${made}`, status: "working", statusMessage: "for ann@example.com", ...times };
      return params.task === undefined
        ? { resultType: "task", ttlMs: null, ...task }
        : { task: { ttl: null, ...task } };
    }
    case "tasks/list":
      return { tasks };
    case "tasks/result":
      return text("by ann@example.com");
    case "tasks/get":
      if (params.taskId === "t1") return { ...detail("t1"), status: "working", statusMessage: "ann@example.com" };
      if (params.taskId === "t2") return { ...detail("t2"), status: "completed", result: text("by ann@example.com") };
      if (params.taskId === "t3") {
        const image = { content: [{ type: "image", data: "AAAA", mimeType: "image/png" }] };
        return { ...detail("t3"), status: "completed", result: image };
      }
      if (params.taskId === "t4") return { ...detail("t1"), status: "working" };
      return {
        ...detail(params.taskId),
        status: "input_required",
        inputRequests: { q: { method: "elicitation/create", params: { message: "ann@example.com?" } } },
      };
    default:
      return { resultType: "complete" };
  }
});
const sdk = await startTaskServer();
const connection = (name: string, url: string): string =>
  `  - { name: ${name}, kind: mcp, server: crm, listen: 127.0.0.1:0, tls: off, upstream: { url: ${url} } }\n`;
const gw = await startTrafficGateway({ policy, connections: connection("raw", raw.url) + connection("sdk", sdk.url) });
const tokens = { ann: await gw.token({ sub: "ann" }), eve: await gw.token({ sub: "eve" }) };
const askable = await gw.token({ sub: "askable" });

let ids = 0;
async function ask(token: string, method: string, params: object, more: Readonly<Record<string, string>> = {}) {
  ids += 1;
  const isModern = !("mcp-session-id" in more);
  const answer = await sendTo(gw.portOf("raw"), token, "POST", "/", {
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(isModern ? { "mcp-protocol-version": "2026-07-28" } : {}),
      ...more,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: ids, method, params: isModern ? { ...params, _meta: meta } : params }),
  });
  return JSON.parse(answer.body);
}
const reachedServer = (method: string): number => raw.seen.filter((request) => request.method === method).length;
const session = async (token: string): Promise<Readonly<Record<string, string>>> => {
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  const answer = await sendTo(gw.portOf("raw"), token, "POST", "/", {
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: "i", method: "initialize", params }),
  });
  assert.deepEqual(JSON.parse(answer.body).result.capabilities.tasks, {
    list: {},
    cancel: {},
    requests: { tools: { call: {} } },
  });
  return { "mcp-session-id": String(answer.headers["mcp-session-id"]) };
};

test("2025-11-25, with the SDK: a call becomes a task, its state and result come later, masked, and it can be cancelled", async () => {
  const { client } = await legacyClient(gw.urlOf("sdk"), tokens.ann);
  const { tasks } = client.experimental;
  // The client asks for a task where the tool says that it makes them.
  await client.listTools();
  const kinds: string[] = [];
  let result: unknown;
  for await (const message of tasks.callToolStream(
    { name: "get_report", arguments: { id: 7 } },
    CallToolResultSchema,
  )) {
    kinds.push(message.type);
    if (message.type === "result") result = message.result;
    if (message.type === "error") throw message.error;
  }
  assert.deepEqual([kinds[0], kinds.at(-1)], ["taskCreated", "result"]);
  assert.deepEqual(textsOf(result), ["report 7 by ***"]);
  const [task] = (await tasks.listTasks()).tasks;
  const id = task?.taskId ?? "";
  assert.equal((await tasks.getTask(id)).status, "completed");
  assert.deepEqual(textsOf(await tasks.getTaskResult(id, CallToolResultSchema)), ["report 7 by ***"]);
  await assert.rejects(tasks.cancelTask(id), /terminal status/);
  const other = await legacyClient(gw.urlOf("sdk"), tokens.eve);
  await assert.rejects(other.client.experimental.tasks.getTask(id), /there is no such task of yours/);
});

test("2025-11-25: a task is of use to who made it, in every session of theirs; others neither see nor reach it", async () => {
  const [own, again, others] = [await session(tokens.ann), await session(tokens.ann), await session(tokens.eve)];
  const created = await ask(tokens.ann, "tools/call", { name: "report", arguments: {}, task: { ttl: 60_000 } }, own);
  assert.equal(created.result.task.statusMessage, "for ***");
  await ask(tokens.eve, "tools/call", { name: "report", arguments: {}, task: {} }, others);
  const listed = async (token: string, by: Readonly<Record<string, string>>): Promise<unknown> =>
    (await ask(token, "tasks/list", {}, by)).result.tasks.map(({ taskId }: { taskId: string }) => taskId);
  assert.deepEqual([await listed(tokens.ann, own), await listed(tokens.eve, others)], [["t1"], ["t2"]]);
  assert.deepEqual((await ask(tokens.ann, "tasks/result", { taskId: "t1" }, again)).result.content, [
    { type: "text", text: "by ***" },
  ]);
  for (const method of ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update"]) {
    const before = reachedServer(method);
    const params = method === "tasks/update" ? { taskId: "t1", inputResponses: {} } : { taskId: "t1" };
    assert.match(JSON.stringify(await ask(tokens.eve, method, params, others)), /no such task of yours/, method);
    assert.match(
      JSON.stringify(await ask(tokens.ann, method, { taskId: "t99" }, own)),
      /no such task of yours/,
      method,
    );
    assert.equal(reachedServer(method), before);
  }
  assert.match(JSON.stringify(await ask(tokens.ann, "tasks/get", { taskId: "t 1" }, own)), /not the id of a task/);
  const odd = await ask(
    tokens.ann,
    "tools/call",
    { name: "report", arguments: {}, task: { ttl: 1, notify: "x" } },
    own,
  );
  assert.match(JSON.stringify(odd), /`task` says for how long it is kept/);
});

test("2026-07-28: what a task holds is masked like the direct answer, refused alone where it can't be, and asks by policy", async () => {
  const create = (token: string) => ask(token, "tools/call", { name: "report", arguments: {} });
  assert.equal((await create(tokens.ann)).result.taskId, "t3");
  assert.equal((await create(tokens.ann)).result.taskId, "t4");
  assert.equal((await create(askable)).result.taskId, "t5");
  assert.equal((await create(tokens.ann)).result.taskId, "t6");
  const get = async (token: string, taskId: string) => ask(token, "tasks/get", { taskId });
  assert.equal((await get(tokens.ann, "t1")).result.statusMessage, "***");
  assert.deepEqual((await get(tokens.eve, "t2")).result.result, { content: [{ type: "text", text: "by ***" }] });
  const unmaskable = (await get(tokens.ann, "t3")).result;
  assert.equal(unmaskable.status, "completed");
  assert.match(textsOf(unmaskable.result)[0] ?? "", /the answer holds an image/);
  assert.match((await get(tokens.ann, "t4")).error.message, /the answer is about another task/);
  assert.match((await get(askable, "t5")).result.inputRequests.q.params.message, /^\*\*\*\?$/);
  assert.match((await get(tokens.ann, "t6")).error.message, /no rule allows `elicitation\/create`/);
  const update = (token: string, taskId: string) =>
    ask(token, "tasks/update", { taskId, inputResponses: { q: { action: "accept", content: {} } } });
  assert.deepEqual((await update(askable, "t5")).result, { resultType: "complete" });
  assert.match((await update(tokens.ann, "t6")).error.message, /no rule allows `elicitation\/create`/);
  assert.equal(reachedServer("tasks/update"), 1);
  assert.equal(raw.seen.findLast(({ method }) => method === "tasks/update")?.headers["mcp-name"], "t5");
});

test("a server that gives a task's id to another call is not believed", async () => {
  const answer = await ask(tokens.eve, "tools/call", { name: "wipe", arguments: {} });
  assert.match(textsOf(answer.result)[0] ?? "", /the task's id is another call's/);
  assert.match((await ask(tokens.eve, "tasks/get", { taskId: "t1" })).error.message, /no such task of yours/);
});

test("a task whose call would be denied now is out of reach, and the record joins it with its call", async () => {
  gw.writePolicy(`${policy}deny reports on mcp tool "crm.report" because "reports are closed"\n`);
  await gw.gateway.policy.reload();
  const refused = await ask(tokens.ann, "tasks/result", { taskId: "t1" });
  assert.equal(refused.result.isError, true);
  assert.match(textsOf(refused.result)[0] ?? "", /a call of `report` isn't let through any more/);
  const events = await gw.events();
  const created = events.find((e) => e.type === "statement" && e.statement.startsWith("tools/call crm.report"));
  const asked = events.filter((e) => e.type === "statement" && e.statement.includes('"taskId":"t1"'));
  assert.ok(created?.type === "statement" && asked.length > 0);
  const joined = asked.filter((e) => e.type === "statement" && e.refs?.task === created.id);
  assert.ok(joined.length >= 2);
});
