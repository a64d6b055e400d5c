// An approval that is taken back while the tool call that it let through runs: the call ends, at the server too.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { sendTo, startUpstream } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

const calls = new Map<string, ServerResponse>();
const brokenOff = new Set<string>();

/** Lists its one tool, and leaves calls of it without an answer. `resumable` begins a stream that could be heard again. */
const server = await startUpstream((request, response) => {
  const { id, method, params } = JSON.parse(request.text);
  if (method === "tools/call") {
    const { how } = params.arguments;
    response.on("close", () => brokenOff.add(how));
    if (how === "resumable") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("id: 1\ndata:\n\n");
    }
    calls.set(how, response);
    return;
  }
  const tool = { name: "erase", inputSchema: { type: "object", properties: { how: { type: "string" } } } };
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ jsonrpc: "2.0", id, result: { tools: [tool] } }));
});
const gw = await startTrafficGateway({
  policy: `package test
allow erasing on mcp tool "crm.erase"
require approval erasing_waits from group "owners" within 10m on mcp tool "crm.erase" because "a person looks at it"
`,
  connections: `
  - { name: crm, kind: mcp, server: crm, listen: 127.0.0.1:0, tls: off, upstream: { url: "${server.origin}" } }
`,
});
const owner = adminClient(gw.adminUrl, await gw.token({ sub: "olga", kind: "human", groups: ["owners"] }));
const token = await gw.token();

for (const [how, accept] of [
  ["silent", "application/json"],
  ["streamed", "application/json, text/event-stream"],
  ["resumable", "application/json, text/event-stream"],
] as const) {
  test(`${how}: the client gets a tool error that says why, and the server's exchange ends`, async () => {
    const message = { jsonrpc: "2.0", id: how, method: "tools/call", params: { name: "erase", arguments: { how } } };
    const answer = sendTo(gw.portOf("crm"), token, "POST", "/", {
      headers: { "content-type": "application/json", accept },
      body: JSON.stringify(message),
    });
    const pending = await eventually(async () =>
      (await owner.list("pending")).find(({ statement }) => statement.includes(how)),
    );
    await owner.decide(pending.id, "approve", undefined);
    await eventually(async () => calls.get(how));
    await owner.decide(pending.id, "withdraw", "the wrong customer");
    const { body } = await answer;
    const said = body.slice(body.lastIndexOf('{"jsonrpc"'));
    assert.match(said, /"isError":true/);
    assert.match(said, /the approval was taken back while this request ran/);
    await eventually(async () => brokenOff.has(how) || undefined);
    const outcomes = await eventually(async () => {
      const ends = (await gw.events()).flatMap((event) =>
        event.type === "completion" && said.includes(event.id) ? [[event.outcome, event.tag]] : [],
      );
      return ends.length > 0 ? ends : undefined;
    });
    assert.deepEqual(outcomes, [["cancelled", "approval-withdrawn"]]);
  });
}
