// Masks of what the output schema of a tool tags: data and the text that repeats it, and nothing that no schema describes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { compileBundle } from "../../dsl/bundle.ts";
import { sendTo } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { legacyClient, modernClient, textsOf } from "./clients.ts";
import { initialized, startRawServer, toolNamed } from "./raw-server.ts";
import { type LegacyMode, startLegacyServer, startModernServer } from "./servers.ts";

const secret = /Anna|anna@x\.de|Bert|Dodo/;

const personal = { "x-gw-tags": ["pii"] };
const outputSchema = z.object({
  id: z.number(),
  name: z.string().meta(personal),
  email: z.email().meta(personal),
  friends: z.array(z.object({ name: z.string().meta(personal), since: z.string() })),
});
const person = { id: 7, name: "Anna", email: "anna@x.de", friends: [{ name: "Bert", since: "1999" }] };
const structuredContent = { ...person, nick: "Dodo", friends: [{ ...person.friends[0], nick: "Dodo" }] };
const told = {
  structuredContent,
  content: [
    { type: "text" as const, text: JSON.stringify(structuredContent) },
    { type: "text" as const, text: "that was Anna" },
    { type: "image" as const, data: "AAAA", mimeType: "image/png" },
  ],
  _meta: { owner: "Anna" },
};
const masked = { id: 7, name: "***", email: "hidden@example.invalid", friends: [{ name: "***", since: "1999" }] };

const legacy = (mode: LegacyMode) =>
  startLegacyServer(
    mode,
    () => "a customer",
    (server) => {
      server.registerTool("person", { description: "a person", outputSchema }, async (extra) => {
        const params = { progressToken: extra._meta?.progressToken ?? 0, progress: 1, message: "reading Anna" };
        await extra.sendNotification({ method: "notifications/progress", params });
        await extra.sendNotification({ method: "notifications/message", params: { level: "info", data: "Anna" } });
        return told;
      });
    },
  );
const modern = await startModernServer((server) => {
  server.registerTool("person", { description: "a person", outputSchema }, async () => told);
});

const outputOfRaw = {
  type: "object",
  properties: { name: { type: "string", "x-gw-tags": ["pii"] }, kind: { type: "string" } },
};
/** What its tool `odd` answers, and how it describes that. */
let answer: object | string = {};
let output: object = outputOfRaw;
const raw = await startRawServer(({ method }) => {
  switch (method) {
    case "initialize":
      return initialized({ resources: {}, prompts: {}, tasks: { requests: { tools: { call: {} } } } });
    case "tools/list":
      return { tools: [toolNamed("odd", { outputSchema: output }), toolNamed("bare")] };
    case "resources/read":
      return { contents: [{ uri: "file:///a", text: "Anna" }] };
    default:
      return answer;
  }
});

const policy = `package test

allow everything on mcp
mask people of json tagged "pii" using redact on mcp
`;

const connection = (name: string, url: string): string => `
  - name: ${name}
    kind: mcp
    server: crm
    listen: 127.0.0.1:0
    tls: off
    upstream: { url: ${url} }
`;
const servers = { sse: await legacy("sse"), json: await legacy("json"), stateless: await legacy("stateless") };
const gw = await startTrafficGateway({
  policy,
  connections: Object.entries({ ...servers, modern, raw })
    .map(([name, { url }]) => connection(name, url))
    .join(""),
});
const token = await gw.token();

for (const mode of ["sse", "json", "stateless"] satisfies LegacyMode[]) {
  test(`${mode}: data and the text that repeats it show what the schema describes, tagged values masked`, async () => {
    const { client } = await legacyClient(gw.urlOf(mode), token);
    const logs: unknown[] = [];
    client.fallbackNotificationHandler = async (notification) => void logs.push(notification);
    // Has the client check answers against the schema.
    await client.listTools();
    const progress: unknown[] = [];
    const result = await client.callTool({ name: "person", arguments: {} }, undefined, {
      onprogress: (each) => progress.push(each),
    });
    assert.deepEqual(result, {
      content: [{ type: "text", text: JSON.stringify(masked) }],
      structuredContent: masked,
    });
    assert.doesNotMatch(JSON.stringify([progress, logs]), secret);
    for (const each of progress) assert.deepEqual(each, { progress: 1 });
    assert.deepEqual(logs, []);
  });
}

test("2026-07-28: the same", async () => {
  const client = await modernClient(gw.urlOf("modern"), token);
  await client.listTools();
  const result = await client.callTool({ name: "person", arguments: {} });
  assert.deepEqual(result.structuredContent, masked);
  assert.deepEqual(textsOf(result), [JSON.stringify(masked)]);
  assert.doesNotMatch(JSON.stringify(result), secret);
});

test("a tool without an output schema isn't called, and what has no schema isn't asked for", async () => {
  const { client } = await legacyClient(gw.urlOf("json"), token);
  const before = servers.json.calls.length;
  const refused = await client.callTool({ name: "get_customer", arguments: { id: 7 } });
  assert.equal(refused.isError, true);
  assert.match(
    textsOf(refused)[0] ?? "",
    /^denied by the gateway: a rule masks what `get_customer` tags, and no output schema describes its result\n.*mcp-unmaskable/,
  );
  assert.equal(servers.json.calls.length, before);
  await assert.rejects(client.readResource({ uri: "file:///reports/a.txt" }), /no schema describes this answer/);
  await assert.rejects(client.getPrompt({ name: "get_greeting" }), /no schema describes this answer/);
});

const post = async (method: string, params: object, session: string | undefined, id: number) => {
  const headers = {
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...(session === undefined ? {} : { "mcp-session-id": session }),
  };
  const body = JSON.stringify({ jsonrpc: "2.0", id, method, params });
  const sent = await sendTo(gw.portOf("raw"), token, "POST", "/", { headers, body });
  return JSON.parse(sent.body.replace(/^[\s\S]*?data: (?=\{)/, ""));
};

test("what the schema doesn't describe, errors and questions of the server's aren't shown", async () => {
  const { client } = await legacyClient(gw.urlOf("raw"), token);
  const rows: readonly (readonly [string, object | string, RegExp | object])[] = [
    ["an answer without data", { content: [{ type: "text", text: "Anna" }] }, /no output schema describes/],
    [
      "an error of the tool's",
      { isError: true, content: [{ type: "text", text: "no Anna" }] },
      /an error of the tool's/,
    ],
    ["data of another kind", { content: [], structuredContent: ["Anna"] }, /its schema doesn't describe/],
    [
      "a question",
      { inputRequests: { a: { method: "elicitation/create", params: { message: "Anna?" } } } },
      /no schema describes this answer/,
    ],
    [
      "other members beside the data",
      { content: [], structuredContent: { name: "Anna", kind: "a", nick: "Dodo" }, nick: "Anna", _meta: { a: "Anna" } },
      {
        content: [{ type: "text", text: '{"name":"***","kind":"a"}' }],
        structuredContent: { name: "***", kind: "a" },
      },
    ],
  ];
  for (const [what, given, want] of rows) {
    answer = given;
    const result = await client.callTool({ name: "odd", arguments: {} }, CallToolResultSchema);
    assert.doesNotMatch(JSON.stringify(result), secret, what);
    if (!(want instanceof RegExp)) assert.deepEqual(result, want, what);
    else assert.match(textsOf(result)[0] ?? "", want, what);
  }
  answer = '{"jsonrpc":"2.0","id":ID,"error":{"code":-32000,"message":"no Anna","data":"Anna"}}';
  await assert.rejects(client.callTool({ name: "odd", arguments: {} }), (error: Error) => {
    assert.doesNotMatch(JSON.stringify(error) + error.message, secret);
    return error.message.includes("withheld by the gateway");
  });
});

test("a task tells how it stands, and its result is masked like the direct one", async () => {
  const { client, transport } = await legacyClient(gw.urlOf("raw"), token);
  const times = { createdAt: "2026-08-01T00:00:00Z", lastUpdatedAt: "2026-08-01T00:00:00Z" };
  const task = { taskId: "t1", status: "working", ttl: null, ...times };
  answer = { task: { ...task, statusMessage: "for Anna" } };
  const made = await post("tools/call", { name: "odd", arguments: {}, task: {} }, transport.sessionId, 100);
  assert.deepEqual(made.result, { task });
  answer = { ...task, statusMessage: "for Anna", error: { message: "Anna" } };
  assert.deepEqual((await post("tasks/get", { taskId: "t1" }, transport.sessionId, 101)).result, task);
  const relatedTask = { "io.modelcontextprotocol/related-task": { taskId: "t1" } };
  answer = { content: [], structuredContent: { name: "Anna", kind: "a" }, _meta: { ...relatedTask, owner: "Anna" } };
  assert.deepEqual((await post("tasks/result", { taskId: "t1" }, transport.sessionId, 102)).result, {
    content: [{ type: "text", text: '{"name":"***","kind":"a"}' }],
    structuredContent: { name: "***", kind: "a" },
    _meta: relatedTask,
  });
  await client.close();
});

test("a server can't take its tags back by itself: a tool that changed waits to be accepted", async () => {
  answer = { content: [], structuredContent: { name: "Anna", kind: "a" } };
  output = { type: "object", properties: { name: { type: "string" }, kind: { type: "string" } } };
  const { client } = await legacyClient(gw.urlOf("raw"), token);
  await client.listTools();
  const result = await client.callTool({ name: "odd", arguments: {} });
  assert.match(textsOf(result)[0] ?? "", /the description of `odd` changed since it was accepted/);
  assert.doesNotMatch(JSON.stringify(result), secret);
  output = outputOfRaw;
});

test("a tag that no output schema of the connection's tools has is a mistake", () => {
  const tools = [
    { name: "odd", inputSchema: { type: "object", "x-gw-tags": ["asked"] }, outputSchema: outputOfRaw },
    { name: "bare", inputSchema: { type: "object" } },
  ];
  const load = (tag: string) =>
    compileBundle(
      new Map([
        [
          "t.policy",
          `package t\ncatalog "crm" from "./crm.json"\nmask m of json tagged "${tag}" using redact on mcp at "crm"\n`,
        ],
        ["crm.json", JSON.stringify({ tools })],
      ]),
      { revision: "r", timeZone: "UTC" },
    ).diagnostics.map((d) => [d.code, d.message, d.help]);
  assert.deepEqual(load("pii"), []);
  for (const tag of ["pi", "asked"]) {
    assert.deepEqual(load(tag), [
      ["E0305", `no schema of the API's document has the tag \`${tag}\``, ["tags of the document are pii"]],
    ]);
  }
});

test("the recording holds nothing of what is masked", async () => {
  const events = await gw.events();
  assert.ok(events.length > 10);
  assert.doesNotMatch(JSON.stringify(events), secret);
});
