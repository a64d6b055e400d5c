// gw policy replay over what a real gateway recorded.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../cli/main.ts";
import { replayPolicies } from "../../cli/replay-policies.ts";
import { snapshotAnalyzer } from "../../cli/snapshot-analyzer.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import type { RecordedFacts } from "../../engine/model/session-event.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { startModel } from "../llm/model.ts";
import { initialized, startRawServer } from "../mcp/raw-server.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { sendTo, startUpstream } from "../support/http-gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

const policy = (more: string): string => `package acme.test

catalog "test-pg" from "./catalog.json"

allow reads on sql read of public.customers
allow chatter on sql session, tcl
${more}`;
const masks = "mask emails of public.customers.email using partial(first: 1)\n";

const gateway = await startTestGateway({
  schema: "create table customers (id int primary key, email text, region text); create table secrets (id int)",
  policy: policy(masks).replace(/catalog.*\n/, ""),
});
const catalog = join(temporaryFolder(), "catalog.json");
{
  const { host, port, user, password, database } = gateway.database;
  const url = `postgres://${user}:${password}@${host}:${port}/${database}?sslmode=disable`;
  assert.equal(await main(["catalog", "pull", url, "--out", catalog], captured()), 0);
}
const bot = await gateway.connect({ sub: "bot-7", kind: "agent", groups: ["support"] });
await bot.query("select id, email from customers");
await bot.query("select id, email from customers");
await bot.query("select region from customers where id = $1", [1]);
await refusalOf(bot, "select id from secrets");
await refusalOf(bot, "delete from customers where id = 1");
await bot.end();

const tools = ["get_customer", "refund"].map((name) => ({ name, inputSchema: { type: "object" } }));
const api = await startUpstream((_request, response) => {
  response.writeHead(200, { "content-type": "application/json" }).end('{"email":"ann@example.com"}');
});
const server = await startRawServer(({ method }) => {
  if (method === "initialize") return initialized();
  return method === "tools/list" ? { tools } : { content: [{ type: "text", text: "done" }] };
});
const model = await startModel(({ body }) => ({
  blocks: [
    { type: "tool_use", id: "toolu_1", name: body.model === "claude-good" ? "look" : "deploy", input: { to: "prod" } },
  ],
}));
const trafficPolicy = (more: string): string => `package acme.traffic

allow reading on http GET "/v1/*" at "api"
allow looking_up on mcp tool "crm.get_*"
allow models on llm model "claude-*"
allow using_models on llm tool "look", "deploy"
${more}`;
const traffic = await startTrafficGateway({
  policy: trafficPolicy('mask mails of json "$.email" using redact on http GET "/v1/customers"\n'),
  connections: `
  - { name: api, kind: http, listen: 127.0.0.1:0, tls: off, upstream: { url: "${api.origin}" } }
  - { name: crm, kind: mcp, server: crm, listen: 127.0.0.1:0, tls: off, upstream: { url: "${server.url}" } }
  - { name: claude, kind: llm, listen: 127.0.0.1:0, tls: off, upstream: { url: "${model.url}" } }
`,
});
{
  const token = await traffic.token({ sub: "bot-7" });
  const json = { "content-type": "application/json", "anthropic-version": "2023-06-01" };
  const send = async (on: string, method: string, path: string, body?: object): Promise<number> => {
    const options = body === undefined ? {} : { headers: json, body: JSON.stringify(body) };
    return (await sendTo(traffic.portOf(on), token, method, path, options)).status;
  };
  const statuses = [
    await send("api", "GET", "/v1/customers?page=2"),
    await send("api", "GET", "/v1/orders"),
    await send("api", "DELETE", "/v1/orders"),
    await send("crm", "POST", "/", call(1, "get_customer", { id: 7 })),
    await send("crm", "POST", "/", call(2, "refund", { id: 7, cents: 900 })),
    await send("claude", "POST", "/v1/messages", ask("claude-good")),
    await send("claude", "POST", "/v1/messages", ask("claude-bold")),
    await send("claude", "POST", "/v1/messages", ask("gpt-5")),
  ];
  assert.deepEqual(statuses, [200, 200, 403, 200, 200, 200, 200, 403]);
}
function call(id: number, name: string, args: object): object {
  return { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } };
}
function ask(name: string): object {
  return { model: name, max_tokens: 10, messages: [{ role: "user", content: "go" }] };
}

async function replayOf(recording: string, text: string, flags: readonly string[] = []) {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "p"));
  writeFileSync(join(folder, "p", "a.policy"), text);
  writeFileSync(join(folder, "p", "catalog.json"), readFileSync(catalog));
  const terminal = captured();
  const code = await main(
    ["policy", "replay", "--bundle", join(folder, "p"), "--recording", recording, ...flags],
    terminal,
  );
  return { code, text: terminal.text().replaceAll(/dec_\w+/g, "dec_1") };
}
const replay = (text: string, ...flags: readonly string[]) => replayOf(gateway.recording, text, flags);

test("the same policies decide everything alike", async () => {
  assert.deepEqual(await replay(policy(masks)), { code: 0, text: "5 statements: 5 alike, 0 differ\n" });
});

test("what would be refused now is grouped by the rule that does it", async () => {
  const { code, text } = await replay(
    policy(`${masks}deny bots on sql read of public.customers when identity.kind == agent because "no"\n`),
  );
  assert.equal(code, 0, text);
  assert.equal(
    text,
    `would be refused: 3
  acme.test.bots: 3
    dec_1  bot-7  select id, email from customers
    dec_1  bot-7  select id, email from customers
    dec_1  bot-7  select region from customers where id = $1

5 statements: 2 alike, 3 differ
`,
  );
});

test("what would pass or show more ends with 3", async () => {
  const more = await replay(policy(`${masks}allow secrets on sql read of public.secrets\n`));
  assert.equal(more.code, 3);
  assert.match(more.text, /^would pass now: 1\n/);
  const bare = await replay(policy(""));
  assert.equal(bare.code, 3);
  assert.match(bare.text, /^would show more: 3\n {2}acme\.test\.reads: 3\n/);
});

test("what rests on facts that aren't recorded is said to, not guessed", async () => {
  const text = policy(masks).replace("public.customers\nallow", "public.customers when identity.mfa\nallow");
  assert.deepEqual(await replay(text), {
    code: 0,
    text: "5 statements: 2 alike, 0 differ, 3 rest on what isn't recorded\n",
  });
});

test("a part of the recording can be asked about", async () => {
  assert.deepEqual(await replay(policy(masks), "--until", "2020-01-01"), {
    code: 0,
    text: "0 statements: 0 alike, 0 differ\n",
  });
  assert.match((await replay(policy(masks), "--from", "yesterday")).text, /write `7d`, `12h`, or a date/);
});

test("facts about callers that are recorded decide again; those that aren't stay open", async () => {
  const start = (session: string, facts: RecordedFacts): RecordedEvent => ({
    ...{ atMs: 1, seq: 1, hash: "", session, type: "session-start", connection: "test-pg", protocol: "postgres" },
    ...{ principal: { sub: session, kind: "human", groups: [], onBehalfOf: undefined }, client: "10.0.0.1" },
    ...{ application: undefined, env: "prod", tags: ["eu"], facts },
  });
  const asked = (session: string): RecordedEvent => ({
    ...{ atMs: 2, seq: 2, hash: "", session, type: "statement", id: session, statement: "select id from customers" },
    ...{ fingerprint: undefined, isCut: false, statementSha256: undefined, parameters: 0, factsDigest: undefined },
    ...{ accesses: ["select public.customers (id)"], effect: "allow", rules: [], causes: [], masks: [], filters: [] },
    ...{ policy: "p", revision: "r" },
  });
  const compiled = compileBundle(
    new Map([
      [
        "a.policy",
        `package p
schema identity.claims: { department: string?, level: string? }
catalog "test-pg" from "./catalog.json"
allow hr on sql read of public.customers
  when identity.mfa and connection.env == "prod" and connection.tags contains "eu"
    and identity.claims.department is present and identity.claims.department == "hr"`,
      ],
      ["catalog.json", readFileSync(catalog, "utf8")],
    ]),
    { revision: "1", timeZone: "UTC" },
  );
  assert.ok(compiled.policySet);
  const who: readonly (readonly [string, RecordedFacts])[] = [
    ["hr", { mfa: true, "claims.department": "hr" }],
    ["it", { mfa: true, "claims.department": "it" }],
    ["none", { mfa: true, "claims.department": null }],
    ["unrecorded", { mfa: true, "claims.level": "3" }],
    ["weak", { mfa: false, "claims.department": "hr" }],
  ];
  const { differences, alike, open } = await replayPolicies(
    who.flatMap(([session, facts]) => [start(session, facts), asked(session)]),
    { policies: compiled.policySet, analyze: snapshotAnalyzer(compiled.checked.catalogs), fromMs: 0, untilMs: 9 },
  );
  const refused = differences.flatMap(({ examples }) => examples.map(({ id }) => id));
  assert.deepEqual({ alike, open, refused }, { alike: 1, open: 1, refused: ["it", "none", "weak"] });
});

const replayTraffic = (more: string) => replayOf(traffic.recording, trafficPolicy(more));
const mails = 'mask mails of json "$.email" using redact on http GET "/v1/customers"\n';
const cases: readonly (readonly [what: string, more: string, code: number, text: string])[] = [
  [
    "the same policies decide it alike",
    mails,
    0,
    `10 statements: 10 alike, 0 differ
`,
  ],
  [
    "what would be refused: requests by their query, tool calls by their arguments, models and their tool uses by input",
    `${mails}deny late_pages on http GET "/v1/*" when (http.query["page"] ?? "1") == "2" because "no"
deny seven on mcp tool "crm.get_customer" when (mcp.args.id as int ?? 0) == 7 because "no"
deny bold on llm model "claude-bold" because "no"
deny production on llm tool "deploy" when (llm.tool_input.to as string ?? "") == "prod" because "no"
`,
    0,
    `would be refused: 4
  acme.traffic.late_pages: 1
    dec_1  bot-7  GET /v1/customers?page=2
  acme.traffic.seven: 1
    dec_1  bot-7  tools/call crm.get_customer {"id":7}
  acme.traffic.bold: 1
    dec_1  bot-7  messages claude-bold: 1 messages, 1 new (32 chars); 0 tools 4f53cda18c2baa0c
  acme.traffic.bold, acme.traffic.production: 1
    dec_1  bot-7  tool_use deploy {"to":"prod"}

10 statements: 6 alike, 4 differ
`,
  ],
  [
    "what would pass, show more or wait",
    `allow deletions on http DELETE "/v1/*" at "api"
allow refunds on mcp tool "crm.refund" when (mcp.args.cents as int ?? 0) == 900
allow others on llm model "gpt-*"
require approval deploys from group "ops" on llm tool "deploy" because "people look"
`,
    3,
    `would pass now: 3
  acme.traffic.deletions: 1
    dec_1  bot-7  DELETE /v1/orders
  acme.traffic.refunds: 1
    dec_1  bot-7  tools/call crm.refund {"cents":900,"id":7}
  acme.traffic.others: 1
    dec_1  bot-7  messages gpt-5: 1 messages, 1 new (32 chars); 0 tools 4f53cda18c2baa0c

would show more: 1
  acme.traffic.reading: 1
    dec_1  bot-7  GET /v1/customers?page=2

would wait for people: 1
  acme.traffic.deploys: 1
    dec_1  bot-7  tool_use deploy {"to":"prod"}

10 statements: 5 alike, 5 differ
`,
  ],
  [
    "what rests on bodies and headers stays open",
    `${mails}deny by_header on http GET when (http.headers["x-team"] ?? "") == "a" because "no"
deny by_tokens on llm model "claude-*" when (llm.max_tokens ?? 0) > 5 because "no"
`,
    0,
    `10 statements: 4 alike, 0 differ, 6 rest on what isn't recorded
`,
  ],
];
for (const [what, more, code, text] of cases) {
  test(`HTTP, MCP and models: ${what}`, async () => {
    assert.deepEqual(await replayTraffic(more), { code, text });
  });
}
