// `using remove` in results of tools: structured content, and the text that repeats it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { documentMasker, readContentMasks } from "../../engine/content/masker.ts";
import type { JsonObject } from "../../engine/lib/read-json.ts";
import { maskMessage } from "../../engine/mcp/mask-message.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { legacyClient, textsOf } from "./clients.ts";
import { initialized, startRawServer, toolNamed } from "./raw-server.ts";

const secret = /078-05-1120/;
const personal = { type: "string", "x-gw-tags": ["pii"] };
const outputOf = (required: readonly string[]) => ({
  outputSchema: { type: "object", required, properties: { id: { type: "integer" }, ssn: personal } },
});
let answer: object = {};
const raw = await startRawServer(({ method }) => {
  if (method === "initialize") return initialized({});
  if (method !== "tools/list") return answer;
  return {
    tools: [toolNamed("open"), toolNamed("optional", outputOf(["id"])), toolNamed("required", outputOf(["ssn"]))],
  };
});
const connection = (name: string): string => `
  - name: ${name}
    kind: mcp
    server: crm
    listen: 127.0.0.1:0
    tls: off
    upstream: { url: ${raw.url} }
`;
const gw = await startTrafficGateway({
  policy: `package test

allow everything on mcp
mask numbers of json "$..ssn" using remove on mcp tool "*" at "by-path"
mask personal of json tagged "pii" using remove on mcp tool "*" at "by-tag"
`,
  connections: connection("by-path") + connection("by-tag"),
});
const { client: byPath } = await legacyClient(gw.urlOf("by-path"), await gw.token());
const { client: byTag } = await legacyClient(gw.urlOf("by-tag"), await gw.token());

const call = async (client: typeof byPath, name: string, given: object) => {
  answer = given;
  const result = await client.callTool({ name, arguments: {} });
  assert.doesNotMatch(JSON.stringify(result), secret);
  return result;
};
const text = (data: unknown) => [{ type: "text", text: JSON.stringify(data) }];
const whole = { id: 7, ssn: "078-05-1120" };
const told = { structuredContent: whole, content: text(whole), _meta: { ssn: "078-05-1120", page: 1 } };

test("a removed field is in neither the data of a result nor the text that repeats it", async () => {
  const bare = { structuredContent: { id: 7 }, content: text({ id: 7 }) };
  for (const tool of ["open", "optional"])
    assert.deepEqual(await call(byPath, tool, told), { ...bare, _meta: { page: 1 } }, tool);
  assert.deepEqual(await call(byTag, "optional", told), bare);
  const without = { structuredContent: { id: 7 }, content: text({ id: 7 }) };
  assert.deepEqual(await call(byPath, "open", without), bare);
  assert.deepEqual(await call(byTag, "optional", without), bare);
});

test("what the tool's output schema requires can't be removed: the result is refused", async () => {
  for (const [client, code] of [
    [byPath, /mcp-masked-misfit/],
    [byTag, /mcp-unmaskable/],
  ] as const) {
    const result = await call(client, "required", told);
    assert.equal(result.isError, true);
    assert.match(textsOf(result)[0] ?? "", code);
  }
});

test("a mask that removes the kind of a block makes no text pass unread", () => {
  const content = { format: "json", patterns: ["$..type", "$..uri"] } as const;
  const masks = readContentMasks([{ content, mask: { kind: "remove" }, rule: "t" as RuleId }], Buffer.alloc(16));
  assert.ok(masks.ok);
  const masker = documentMasker(masks.value);
  const shown = (block: JsonObject) => {
    const result = { content: [block] };
    const masked = maskMessage({ kind: "result", id: 1, result }, masker);
    return masked.ok && masked.value.kind === "result" ? masked.value.result : "refused";
  };
  const inner = JSON.stringify({ type: "secret", id: 1 });
  assert.deepEqual(shown({ type: "text", text: inner }), { content: [{ text: '{"id":1}' }] });
  assert.equal(shown({ type: "text", text: "secret" }), "refused");
  const file = { type: "resource", resource: { uri: "file:///secret", text: inner } };
  assert.deepEqual(shown(file), { content: [{ resource: { text: '{"id":1}' } }] });
  assert.equal(shown({ type: "image", data: "AAAA", mimeType: "image/png" }), "refused");
});

test("the recording names the mask and holds nothing of the value", async () => {
  const events = JSON.stringify(await gw.events());
  assert.match(events, /remove/);
  assert.doesNotMatch(events, secret);
});
