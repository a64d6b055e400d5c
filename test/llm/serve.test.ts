// The model channel through `gw serve`, with the provider's own client against a scripted model.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { eventually } from "../support/eventually.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";
import { type Block, startModel } from "./model.ts";

const policy = `package test

type Shell = { command: string }

allow models on llm model "claude-good-*"
allow search on llm tool "web_search" when identity.groups contains "searchers"

deny destruction on llm tool "Bash"
  let i = llm.tool_input as Shell
  when i is absent or (i.command matches "rm -r")
  because "this command deletes things"

mask mails of text "email" using tokenize on llm
limit spend to 0.05 usd per 1h by identity.sub on llm model "claude-good-*" when identity.groups contains "thrifty"
limit talk to 2_000 tokens per 1h by identity.sub on llm model "claude-good-*" when identity.groups contains "terse"
`;

let blocks: readonly Block[] = [];
const model = await startModel(({ body }) =>
  body.model === "claude-good-broken"
    ? { blocks: [], status: 400, body: '{"type":"error","error":{"type":"invalid_request_error","message":"no"}}' }
    : { blocks },
);

const gw = await startTrafficGateway({
  policy,
  connections: `
  - name: claude
    kind: llm
    listen: 127.0.0.1:0
    tls: off
    prefix: /anthropic
    mask_key: { file: mask.key }
    prices:
      - { model: "claude-good-*", input: 3, output: 15, cache_read: 0.3 }
    upstream: { url: ${model.url}, credential: { header: x-api-key, secret: { file: upstream.key } } }
`,
});

const clientFor = async (claims: Readonly<Record<string, unknown>> = {}) =>
  new Anthropic({
    baseURL: `${gw.urlOf("claude")}/anthropic`,
    apiKey: null,
    authToken: await gw.token(claims),
    maxRetries: 0,
    defaultHeaders: { "x-claude-code-session-id": "11111111-2222-3333-4444-555555555555" },
  });
const client = await clientFor();

const ask = (content: Anthropic.MessageParam["content"] = "hi"): Anthropic.MessageCreateParamsNonStreaming => ({
  model: "claude-good-1",
  max_tokens: 100,
  messages: [{ role: "user", content }],
  tools: [{ name: "Bash", description: "runs a command", input_schema: { type: "object" } }],
});

/** The same request in both forms of an answer. */
const forms = {
  stream: async (body: Anthropic.MessageCreateParamsNonStreaming) => client.messages.stream(body).finalMessage(),
  "one piece": async (body: Anthropic.MessageCreateParamsNonStreaming) => client.messages.create(body),
} as const;

for (const [form, send] of Object.entries(forms)) {
  test(`${form}: tool uses that may run come as the model made them`, async () => {
    blocks = [
      { type: "text", text: "let me see" },
      { type: "tool_use", id: "toolu_1", name: "Bash", input: { command: "ls -l" } },
    ];
    const answer = await send(ask());
    assert.deepEqual(answer.content, blocks);
    assert.equal(answer.stop_reason, "tool_use");
    assert.equal(answer.usage.output_tokens, 40);
  });

  test(`${form}: of parallel tool uses one is denied, indices and stop reason stay`, async () => {
    blocks = [
      { type: "tool_use", id: "toolu_a", name: "Bash", input: { command: "ls" } },
      { type: "tool_use", id: `toolu_bad_${form.length}`, name: "Bash", input: { command: "rm -rf /" } },
      { type: "tool_use", id: "toolu_c", name: "Bash", input: { command: "pwd" } },
    ];
    const answer = await send(ask());
    assert.deepEqual(answer.content[0], blocks[0]);
    assert.deepEqual(answer.content[2], blocks[2]);
    const denied = answer.content[1];
    assert.equal(denied?.type === "tool_use" && denied.name, "gateway_denied");
    assert.match(JSON.stringify(denied), /this command deletes things/);
    assert.doesNotMatch(JSON.stringify(answer), /rm -rf/);
    assert.equal(answer.stop_reason, "tool_use");
  });

  test(`${form}: later the model finds its own tool use again, and the denial as its result`, async () => {
    const id = `toolu_bad_${form.length}`;
    blocks = [{ type: "text", text: "I see" }];
    await send({
      ...ask(),
      messages: [
        { role: "user", content: "hi" },
        { role: "assistant", content: [{ type: "tool_use", id, name: "gateway_denied", input: { reason: "x" } }] },
        { role: "user", content: [{ type: "tool_result", tool_use_id: id, content: "no such tool", is_error: true }] },
      ],
    });
    const messages = model.seen.at(-1)?.body.messages;
    assert.deepEqual(messages?.[1]?.content, [{ type: "tool_use", id, name: "Bash", input: { command: "rm -rf /" } }]);
    assert.match(JSON.stringify(messages?.[2]?.content), /denied by the gateway: this command deletes things/);
  });

  test(`${form}: what the model reads is masked, the same each time`, async () => {
    blocks = [{ type: "text", text: "ok" }];
    const content: Anthropic.ContentBlockParam[] = [
      { type: "text", text: "write to ann@example.com" },
      { type: "tool_result", tool_use_id: "toolu_x", content: '{"mail":"ann\\u0040example.com"}' },
    ];
    await send(ask(content));
    await send(ask(content));
    const [first, second] = model.seen.slice(-2).map(({ body }) => JSON.stringify(body.messages));
    assert.equal(first, second);
    assert.doesNotMatch(first ?? "", /ann@example|u0040/);
    assert.match(first ?? "", /write to tok_[0-9a-f]{16}/);
  });
}

const refusal = async (run: Promise<unknown>): Promise<{ readonly status: number; readonly message: string }> => {
  try {
    await run;
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    return { status: error.status ?? 0, message: error.message };
  }
  throw new Error("this was let through");
};

test("the provider gets the gateway's key, and never the client's token", () => {
  for (const { headers } of model.seen) {
    assert.equal(headers["x-api-key"], "the-gateways-own-key");
    assert.equal(headers.authorization, undefined);
    assert.match(String(headers["anthropic-version"]), /^\d{4}-/);
  }
});

test("a model that no rule allows is refused once, in the API's own form", async () => {
  const before = model.seen.length;
  const { status, message } = await refusal(client.messages.create({ ...ask(), model: "claude-bad-1" }));
  assert.equal(status, 403);
  assert.match(message, /permission_error/);
  assert.match(message, /no rule allows `model claude-bad-1`/);
  assert.equal(model.seen.length, before);
});

test("what runs at the provider needs a rule that names it", async () => {
  const search = { type: "web_search_20250305", name: "web_search" } as const;
  const { status, message } = await refusal(client.messages.create({ ...ask(), tools: [search] }));
  assert.equal(status, 403);
  assert.match(message, /no rule allows `tool web_search`/);
  const searcher = await clientFor({ sub: "sue", groups: ["searchers"] });
  blocks = [{ type: "text", text: "found" }];
  await searcher.messages.create({ ...ask(), tools: [search] });
  for (const more of [
    { mcp_servers: [{ type: "url", url: "https://evil.example/mcp", name: "x" }] },
    { container: "c_1" },
    { tools: [{ type: "brand_new_20300101", name: "x" }] },
  ]) {
    const refused = await refusal(
      client.messages.create({ ...ask(), ...more } as Anthropic.MessageCreateParamsNonStreaming),
    );
    assert.equal(refused.status, 403, JSON.stringify(more));
  }
});

test("batches, files and every other path are refused, models are listed as far as they may be used", async () => {
  assert.equal((await refusal(client.messages.batches.list())).status, 403);
  assert.equal((await refusal(client.get("/v1/organizations/me"))).status, 403);
  const models = [];
  for await (const each of client.models.list()) models.push(each.id);
  assert.deepEqual(models, ["claude-good-1"]);
  const { input_tokens } = await client.messages.countTokens({ model: "claude-good-1", messages: ask().messages });
  assert.equal(input_tokens, 12);
});

test("what a mask can't read doesn't reach the model", async () => {
  const before = model.seen.length;
  for (const content of [
    [{ type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } }],
    [{ type: "brand_new", secret: "x" }],
    [{ type: "document", source: { type: "base64", media_type: "application/pdf", data: "AAAA" } }],
  ]) {
    const { status, message } = await refusal(client.messages.create(ask(content as Anthropic.ContentBlockParam[])));
    assert.equal(status, 403);
    assert.match(message, /what a mask can't read doesn't reach the model/);
  }
  assert.equal(model.seen.length, before);
});

test("the provider's own errors come as they are", async () => {
  const { status, message } = await refusal(client.messages.create({ ...ask(), model: "claude-good-broken" }));
  assert.equal(status, 400);
  assert.match(message, /invalid_request_error/);
});

test("budgets in tokens and in dollars are limits of policies", async () => {
  blocks = [{ type: "text", text: "ok" }];
  const terse = await clientFor({ sub: "tess", groups: ["terse"] });
  await terse.messages.create(ask());
  await terse.messages.create(ask());
  const { status, message } = await refusal(terse.messages.create(ask()));
  assert.equal(status, 403);
  assert.match(message, /talk; limit/);
  const thrifty = await clientFor({ sub: "theo", groups: ["thrifty"] });
  let asked = 0;
  const spent = async (): Promise<string> => {
    for (;;) {
      try {
        await thrifty.messages.stream(ask()).finalMessage();
        asked += 1;
      } catch (error) {
        return error instanceof Error ? error.message : "";
      }
    }
  };
  assert.match(await spent(), /spend; limit/);
  // (1000 × 3 + 500 × 0.3 + 40 × 15) / 1,000,000 = 0.00375 dollars each.
  assert.equal(asked, 14);
});

test("the record has requests, tool uses and tokens, joined by ids", async () => {
  const text = await eventually(async () => {
    const events = JSON.stringify(await gw.events());
    return events.includes("toolu_1") ? events : undefined;
  });
  assert.match(text, /"toolUse":"toolu_1"/);
  assert.match(text, /agent\/11111111-2222-3333-4444-555555555555/);
  assert.match(text, /tool_use Bash/);
  assert.match(text, /1 tools [0-9a-f]{16} \(Bash\)/);
  assert.doesNotMatch(text, /ann@example/);
});
