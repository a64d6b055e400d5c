// An MCP route as an OAuth resource server: its own audience, its metadata, and the scopes that it asks for.
import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { sendTo } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { initialized, startRawServer, toolNamed } from "./raw-server.ts";

const raw = await startRawServer(({ method }) => {
  if (method === "initialize") return initialized();
  return method === "tools/list" ? { tools: [toolNamed("get_a"), toolNamed("update_a")] } : { content: [] };
});
const resource = "https://gw.example.com/crm";
const gw = await startTrafficGateway({
  policy: 'package test\nallow tools on mcp tool "*"\n',
  connections: `
  - name: crm
    kind: mcp
    listen: 127.0.0.1:0
    tls: off
    prefix: /crm
    resource: ${resource}
    scopes: { required: [crm], tools: { "update_*": [crm.write] } }
    upstream: { url: ${raw.url} }
  - { name: plain, kind: mcp, listen: 127.0.0.1:0, tls: off, prefix: /plain, upstream: { url: ${raw.url} } }
`,
});
const port = gw.portOf("crm");
const headers = { "content-type": "application/json", accept: "application/json, text/event-stream" };
const call = (token: string, name: string) =>
  sendTo(port, token, "POST", "/crm", {
    headers,
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name, arguments: {} } }),
  });
const metadata = "https://gw.example.com/.well-known/oauth-protected-resource/crm";

test("a token for another audience is refused, also the gateway's own and another route's", async () => {
  const fine = await gw.token({ aud: resource, scope: "crm" });
  assert.equal((await call(fine, "get_a")).status, 200);
  for (const aud of ["gatewright", "https://gw.example.com/plain", `${resource}/`]) {
    const refused = await call(await gw.token({ aud, scope: "crm" }), "get_a");
    assert.equal(refused.status, 401, aud);
    const challenge = String(refused.headers["www-authenticate"]);
    assert.match(challenge, /error="invalid_token"/);
    assert.ok(challenge.includes(`resource_metadata="${metadata}", scope="crm"`), challenge);
  }
  const elsewhere = await sendTo(gw.portOf("plain"), fine, "POST", "/plain", { headers, body: "{}" });
  assert.equal(elsewhere.status, 401);
});

test("a token without a scope is told which, once for the route and once for a tool, and it is on record", async () => {
  const before = raw.seen.length;
  const none = await call(await gw.token({ aud: resource }), "get_a");
  assert.equal(none.status, 403);
  assert.equal(
    none.headers["www-authenticate"],
    `Bearer error="insufficient_scope", scope="crm", resource_metadata="${metadata}"`,
  );
  const some = await call(await gw.token({ aud: resource, scp: ["crm", "mail"] }), "update_a");
  assert.equal(some.status, 403);
  assert.match(String(some.headers["www-authenticate"]), /scope="crm crm\.write"/);
  assert.equal(raw.seen.length, before);
  assert.equal((await call(await gw.token({ aud: resource, scope: "crm crm.write" }), "update_a")).status, 200);
  const effects = await eventually(async () => {
    const calls = (await gw.events()).flatMap((event) =>
      event.type === "statement" && event.statement.startsWith("tools/call crm.update_a") ? [event.effect] : [],
    );
    return calls.length === 2 ? calls : undefined;
  });
  assert.deepEqual(effects, ["deny", "allow"]);
  const listened = await sendTo(port, await gw.token({ aud: resource }), "GET", "/crm", {
    headers: { accept: "text/event-stream" },
  });
  assert.equal(listened.status, 405);
});

test("the metadata lies between host and path, and says who gives tokens and which scopes there are", async () => {
  const read = async (path: string, on = "crm") =>
    JSON.parse((await sendTo(gw.portOf(on), "", "GET", path, { headers: {} })).body);
  const wanted = {
    resource,
    authorization_servers: [gw.issuer.issuer],
    bearer_methods_supported: ["header"],
    resource_name: "crm",
    scopes_supported: ["crm", "crm.write"],
  };
  assert.deepEqual(await read("/.well-known/oauth-protected-resource/crm"), wanted);
  assert.deepEqual(await read("/crm/.well-known/oauth-protected-resource"), wanted);
  const plain = await read("/.well-known/oauth-protected-resource/plain", "plain");
  assert.equal(plain.resource, `http://127.0.0.1:${gw.portOf("plain")}/plain`);
  const posted = await sendTo(port, "", "POST", "/.well-known/oauth-protected-resource/crm", { headers, body: "{}" });
  assert.notEqual(posted.status, 200);
});
