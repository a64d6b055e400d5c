// Budgets while requests run: what they may still come to counts for those beside them, and what nobody told is counted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalJson, type JsonObject } from "../../engine/lib/read-json.ts";
import { isKnown } from "../../engine/lib/truth.ts";
import { limits } from "../../engine/limits.ts";
import { inputBound } from "../../engine/llm/input-bound.ts";
import { eventually } from "../support/eventually.ts";
import { sendTo, startUpstream } from "../support/http-gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

const policy = `package test

allow models on llm model "claude-*"
deny long on llm model "claude-short" when llm.input_tokens_bound > 20_000 because "this is too long to send"
limit dollars to 1 usd per 1h by identity.sub on llm model "claude-1"
limit tokens to 10_000 tokens per 1h by identity.sub on llm model "claude-2"
`;

/** Answers when it is told to; until then the request runs. */
let release: (() => void)[] = [];
const usage = { input_tokens: 10, output_tokens: 5 };
const message = {
  id: "msg_1",
  type: "message",
  role: "assistant",
  model: "m",
  content: [],
  stop_reason: "end_turn",
  usage,
};
const model = await startUpstream((request, response) => {
  const answer = (): void =>
    void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(message));
  if (request.text.includes("wait")) release.push(answer);
  else answer();
});
const gw = await startTrafficGateway({
  policy,
  connections: `
  - name: claude
    kind: llm
    listen: 127.0.0.1:0
    tls: off
    prices: [{ model: "claude-*", input: 1, output: 100 }]
    upstream: { url: ${model.origin} }
`,
});
const port = gw.portOf("claude");
const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01" };
const ask = (token: string, name: string, maxTokens: number, content: string) =>
  sendTo(port, token, "POST", "/v1/messages", {
    headers,
    body: JSON.stringify({ model: name, max_tokens: maxTokens, messages: [{ role: "user", content }] }),
  });
const running = async (count: number): Promise<void> =>
  void (await eventually(() => (release.length === count ? true : undefined)));

for (const [what, name, maxTokens] of [
  ["dollars", "claude-1", 10_000],
  ["tokens", "claude-2", 10_000],
] as const) {
  test(`${what} that a running request may still come to are not there for another, and come back when it ends`, async () => {
    const token = await gw.token({ sub: `spender-${what}` });
    const first = ask(token, name, maxTokens, "wait");
    await running(1);
    const second = await ask(token, name, 10, "hi");
    assert.equal(second.status, 403);
    assert.match(second.body, /limit/);
    // Somebody else has a budget of their own.
    assert.equal((await ask(await gw.token({ sub: `other-${what}` }), name, 10, "hi")).status, 200);
    for (const answer of release) answer();
    release = [];
    assert.equal((await first).status, 200);
    assert.equal((await ask(token, name, 10, "hi")).status, 200);
  });
}

test("whoever leaves before the first word has spent the input", async () => {
  const token = await gw.token({ sub: "leaver" });
  const abort = new AbortController();
  const body = {
    model: "claude-2",
    max_tokens: 10,
    messages: [{ role: "user", content: `wait ${"x ".repeat(25_000)}` }],
  };
  const left = fetch(`http://127.0.0.1:${port}/v1/messages`, {
    method: "POST",
    headers: { ...headers, authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
    signal: abort.signal,
  });
  await running(1);
  abort.abort();
  await assert.rejects(left);
  const done = await eventually(async () =>
    (await gw.events()).find((e) => e.type === "completion" && e.outcome === "aborted"),
  );
  assert.ok(done.type === "completion" && (done.tokens ?? 0) > 10_000);
  assert.equal((await ask(token, "claude-2", 10, "hi")).status, 403);
  release = [];
});

test("a rule may speak of the longest that an input can be, before it is sent", async () => {
  const token = await gw.token();
  const before = model.seen.length;
  const refused = await ask(token, "claude-short", 10, "x".repeat(30_000));
  assert.equal(refused.status, 403);
  assert.match(refused.body, /too long to send/);
  assert.equal(model.seen.length, before);
  assert.equal((await ask(token, "claude-short", 10, "x")).status, 200);
});

test("the bound is the length in bytes; images count as the largest, and what says nothing is unknown", () => {
  const bound = (content: JsonObject["content"], isAddedTo = false): number | undefined => {
    const body = { model: "m", messages: [{ role: "user", content: content ?? "" }] };
    const found = inputBound(body, canonicalJson(body), isAddedTo);
    return isKnown(found) ? found : undefined;
  };
  const empty = bound("") ?? 0;
  assert.equal(bound("xx"), empty + 2);
  assert.equal(bound("ä"), empty + 2);
  const image = (data: string) => [{ type: "image", source: { type: "base64", media_type: "image/png", data } }];
  assert.equal(bound(image("A".repeat(100_000))), bound(image("")));
  assert.ok((bound(image("")) ?? 0) > limits.llmImageTokensMax);
  assert.equal(
    bound([{ type: "tool_result", tool_use_id: "t", content: image("A".repeat(100_000)) }]) !== undefined,
    true,
  );
  assert.equal(
    bound([{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "A" } }]),
    undefined,
  );
  assert.equal(bound("x", true), undefined);
});
