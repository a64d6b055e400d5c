// MCP through `gw serve`, with the SDKs' own clients and servers: what is listed, called, masked, denied, recorded.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { legacyClient, modernClient, textsOf } from "./clients.ts";
import { type LegacyMode, startLegacyServer, startModernServer } from "./servers.ts";

const policy = `package test

allow reads on mcp tool "crm.get_*"
allow changes on mcp tool "crm.update_customer" when identity.groups contains "editors"
allow reports on mcp resource "file:///reports/*"
allow greetings on mcp prompt "crm.get_*"

deny shell on mcp tool "*.exec" because "{mcp.tool ?? "this tool"} can run anything"

limit small to 100 bytes on mcp tool "crm.get_files"

mask mails of text "email" using tokenize on mcp
mask ibans of json "$.iban" using redact on mcp tool "crm.get_customer", "crm.get_structured"
`;

const servers = {
  sse: await startLegacyServer("sse"),
  json: await startLegacyServer("json"),
  stateless: await startLegacyServer("stateless"),
  modern: await startModernServer(),
};

const connection = (name: string, url: string): string => `
  - name: ${name}
    kind: mcp
    server: crm
    listen: 127.0.0.1:0
    tls: off
    mask_key: { file: mask.key }
    upstream: { url: ${url}, credential: { bearer: { file: upstream.key } } }
`;

const gw = await startTrafficGateway({
  policy,
  connections: Object.entries(servers)
    .map(([name, { url }]) => connection(name, url))
    .join(""),
});
const token = await gw.token();

const hidden = /ann@example\.com|DE89370400440532013000/;

for (const mode of ["sse", "json", "stateless"] satisfies LegacyMode[]) {
  test(`${mode}: a principal sees the tools that it may call, in one order`, async () => {
    const { client } = await legacyClient(gw.urlOf(mode), token);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    assert.deepEqual(names, [
      "get_customer",
      "get_failure",
      "get_files",
      "get_opinion",
      "get_picture",
      "get_slow",
      "get_structured",
    ]);
    const editor = await legacyClient(gw.urlOf(mode), await gw.token({ sub: "ed", groups: ["editors"] }));
    assert.ok((await editor.client.listTools()).tools.some(({ name }) => name === "update_customer"));
    assert.ok(!(await editor.client.listTools()).tools.some(({ name }) => name === "exec"));
  });

  test(`${mode}: a call's answer is masked where JSON stands in a string, in data, and beside it`, async () => {
    const { client } = await legacyClient(gw.urlOf(mode), token);
    const text = await client.callTool({ name: "get_customer", arguments: { id: 7 } });
    assert.doesNotMatch(JSON.stringify(text), hidden);
    const seen = JSON.parse(textsOf(text)[0] ?? "");
    assert.equal(seen.name, "Ann");
    assert.equal(seen.iban, "***");
    assert.match(seen.email, /^tok_[0-9a-f]{16}$/);
    assert.equal(seen.note, `call ${seen.email}`);
    assert.deepEqual(text._meta, { owner: seen.email });
    const data = await client.callTool({ name: "get_structured", arguments: { id: 7 } });
    assert.doesNotMatch(JSON.stringify(data), hidden);
    assert.deepEqual(data.structuredContent, { ...seen, id: 7 });
  });

  test(`${mode}: a denial is a result that the model reads`, async () => {
    const { client } = await legacyClient(gw.urlOf(mode), token);
    const before = servers[mode].calls.length;
    const denied = await client.callTool({ name: "exec", arguments: { command: "id" } });
    assert.equal(denied.isError, true);
    const [text = ""] = textsOf(denied);
    assert.match(
      text.replace(/dec_\w+/g, "dec_…"),
      /^denied by the gateway: crm\.exec can run anything\nrule test\.shell; denied; decision dec_…\nway out: if you need this, show dec_… to the owner of rule test\.shell\nrepeating the same call will not help$/,
    );
    const unlisted = await client.callTool({ name: "drop_everything", arguments: {} });
    assert.match(textsOf(unlisted)[0] ?? "", /no rule allows `tools\/call crm\.drop_everything`/);
    assert.equal(servers[mode].calls.length, before);
  });

  test(`${mode}: arguments have the types of the tool's schema`, async () => {
    const { client } = await legacyClient(gw.urlOf(mode), token);
    const wrong = await client.callTool({ name: "get_customer", arguments: { id: "7; drop" } });
    assert.match(textsOf(wrong)[0] ?? "", /don't fit the tool's schema: \/id must be integer/);
  });

  test(`${mode}: the server gets the gateway's credential, never the client's token`, () => {
    for (const headers of servers[mode].headers) {
      assert.equal(headers.authorization, "Bearer the-gateways-own-key");
      assert.doesNotMatch(JSON.stringify(headers), new RegExp(token));
    }
  });
}

test("2026-07-28: the same, without sessions", async () => {
  const client = await modernClient(gw.urlOf("modern"), token);
  assert.deepEqual(
    (await client.listTools()).tools.map(({ name }) => name),
    ["get_customer"],
  );
  const text = await client.callTool({ name: "get_customer", arguments: { id: 7, region: "eu" } });
  assert.doesNotMatch(JSON.stringify(text), hidden);
  assert.equal(JSON.parse(textsOf(text)[0] ?? "").iban, "***");
  const denied = await client.callTool({ name: "exec", arguments: { command: "id" } });
  assert.equal(denied.isError, true);
  assert.match(textsOf(denied)[0] ?? "", /crm\.exec can run anything/);
  assert.deepEqual(servers.modern.calls, [{ tool: "get_customer", args: { id: 7 } }]);
});

test("what one principal sees is no answer for a cache that others read", async () => {
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": { name: "raw", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const answer = await fetch(gw.urlOf("modern"), {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: { _meta: meta } }),
  });
  const text = await answer.text();
  assert.match(text, /"cacheScope":"private"/);
  assert.match(text, /get_customer/);
  assert.doesNotMatch(text, /"exec"/);
});

test("an answer that is larger than a rule allows is withheld", async () => {
  const { client } = await legacyClient(gw.urlOf("json"), token);
  const files = await client.callTool({ name: "get_files", arguments: {} });
  assert.match(textsOf(files)[0] ?? "", /the answer is larger than 100 bytes/);
});

test("a client of both eras finds the one that the server speaks", async () => {
  const client = await modernClient(gw.urlOf("json"), token, "auto");
  assert.ok((await client.listTools()).tools.some(({ name }) => name === "get_customer"));
});
