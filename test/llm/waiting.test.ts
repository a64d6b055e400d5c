// Tool uses and requests that wait for people, clients that leave, answers that break: on the model channel.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { startUpstream } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { type Block, startModel, streamText } from "./model.ts";

const policy = `package test

allow models on llm model "claude-*"
require approval deploys from group "ops" within 10m on llm tool "deploy"
  because "deployments are for people"
require approval costly from group "ops" within 10m on llm model "claude-costly" when llm.tool_use is absent
  because "this model is costly"
limit talk to 100_000 tokens per 1h by identity.sub on llm model "*"
`;

const deploy: readonly Block[] = [{ type: "tool_use", id: "toolu_d", name: "deploy", input: { to: "prod" } }];
const model = await startModel(() => ({ blocks: deploy }));
/** Begins an answer, and never ends it. */
const endless = await startUpstream((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const text = streamText("claude-1", { blocks: [{ type: "text", text: "x".repeat(4_000) }] }, 1);
  response.write(text.slice(0, text.indexOf("event: message_delta")));
});
/** Says something that can't be followed within a tool use. */
const broken = await startUpstream((_request, response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const text = streamText(
    "claude-1",
    { blocks: [{ type: "tool_use", id: "toolu_s", name: "secret_tool", input: { a: 1 } }] },
    1,
  );
  response.end(text.replace(/event: content_block_stop\ndata: .*\n\n/, ""));
});
const llm = (name: string, url: string): string =>
  `  - { name: ${name}, kind: llm, listen: 127.0.0.1:0, tls: off, upstream: { url: ${url} } }\n`;
const gw = await startTrafficGateway({
  policy,
  connections: llm("claude", model.url) + llm("endless", endless.origin) + llm("broken", broken.origin),
});
const token = await gw.token();
const clientOf = (connection: string) =>
  new Anthropic({ baseURL: gw.urlOf(connection), apiKey: null, authToken: token, maxRetries: 0 });
const ops = adminClient(gw.adminUrl, await gw.token({ sub: "olga", kind: "human", groups: ["ops"] }));
const ask = { model: "claude-1", max_tokens: 10, messages: [{ role: "user" as const, content: "go" }] };
const pending = () => eventually(async () => (await ops.list("pending"))[0]);

test("a tool use that waits is let through once it is approved, as the model made it", async () => {
  const running = clientOf("claude").messages.stream(ask).finalMessage();
  const request = await pending();
  assert.equal(request.statement, 'tool_use deploy {"to":"prod"}');
  await ops.decide(request.id, "approve", undefined);
  assert.deepEqual((await running).content, deploy);
});

test("a tool use that an approver refuses becomes a denial, in the answer in one piece too", async () => {
  const running = clientOf("claude").messages.create(ask);
  await ops.decide((await pending()).id, "deny", "not today");
  const [block] = (await running).content;
  assert.equal(block?.type === "tool_use" && block.name, "gateway_denied");
  assert.match(JSON.stringify(block), /an approver refused this request: not today/);
});

test("a streamed request that is refused after it waited ends with the refusal as its text", async () => {
  const before = model.seen.length;
  const running = clientOf("claude")
    .messages.stream({ ...ask, model: "claude-costly" })
    .finalMessage();
  await ops.decide((await pending()).id, "deny", "too costly");
  const answer = await running;
  assert.equal(answer.stop_reason, "end_turn");
  assert.match(JSON.stringify(answer.content), /denied by the gateway: an approver refused this request/);
  assert.equal(model.seen.length, before);
});

test("a client that leaves early has spent what the model said so far", async () => {
  const stream = clientOf("endless").messages.stream(ask);
  stream.on("text", () => stream.abort());
  await assert.rejects(stream.finalMessage());
  const done = await eventually(async () =>
    (await gw.events()).find((e) => e.type === "completion" && e.outcome === "aborted" && e.tokens !== undefined),
  );
  // 1,500 of input, and at least a part of the 4,000 characters.
  assert.ok(done.type === "completion" && (done.tokens ?? 0) > 1_500);
});

test("an answer that can't be followed is cut, and nothing of its tool use passes", async () => {
  let seen = "";
  const answer = await fetch(`${gw.urlOf("broken")}/v1/messages`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "anthropic-version": "2023-06-01",
    },
    body: JSON.stringify({ ...ask, stream: true }),
  });
  await assert.rejects(async () => {
    for await (const chunk of answer.body ?? []) seen += Buffer.from(chunk).toString("utf8");
  });
  assert.doesNotMatch(seen, /secret_tool|message_stop/);
});
