import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { main } from "../../cli/main.ts";
import { questionOf, quoted } from "../../cli/question-file.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import { captured } from "../support/terminal.ts";

const folder = mkdtempSync(join(tmpdir(), "gw-question-"));
after(() => rmSync(folder, { recursive: true, force: true }));

writeFileSync(
  join(folder, "main.policy"),
  `package a

fixture bot: identity = { sub: "bot", kind: agent, ip: "10.0.0.1" }

allow users on http GET, POST "/v1/users/{id:int}" at "api"
  when id > 3 and identity.ip in cidr"10.0.0.0/8"
  unless (http.headers["x-stop"] ?? "no") == "yes"

deny exec on mcp tool "*.exec"
  because "{mcp.tool ?? "?"} runs anything"

deny long on llm model "gpt-*"
  when llm.max_tokens is present and llm.max_tokens > 1000
  because "too long"
`,
);

async function decide(...args: readonly string[]): Promise<unknown> {
  const terminal = captured({});
  const code = await main(["policy", "eval", folder, "--json", ...args], terminal);
  if (code !== 0) return { code, err: terminal.stderr() };
  const { effect, rules, causes } = JSON.parse(terminal.stdout());
  return { effect, rules, causes: causes?.map((cause: { rule?: string }) => cause.rule ?? "nothing allows it") };
}

async function decideJson(request: unknown): Promise<unknown> {
  const file = join(folder, "request.json");
  writeFileSync(file, typeof request === "string" ? request : JSON.stringify(request));
  return decide("--request", file);
}

const allowed = { effect: "allow", rules: ["a.users"], causes: undefined };
const identity = { sub: "x", kind: "agent", groups: [], ip: "10.9.9.9", email: null };

test("eval decides requests to HTTP APIs, MCP servers and models from flags", async () => {
  assert.deepEqual(await decide("--as", "bot", "--http", "GET /v1/users/7", "--at", "api"), allowed);
  const stopped = await decide(
    "--as",
    "bot",
    "--http",
    "GET /v1/users/7",
    "--at",
    "api",
    "--with",
    '{ headers: { "x-stop": "yes" } }',
  );
  assert.deepEqual(stopped, { effect: "deny", rules: [], causes: ["nothing allows it"] });
  assert.deepEqual(await decide("--as", "bot", "--mcp", "tool box.exec", "--at", "tools"), {
    effect: "deny",
    rules: ["a.exec"],
    causes: ["a.exec", "nothing allows it"],
  });
  assert.deepEqual(
    await decide("--as", "bot", "--llm", "model gpt-5", "--at", "llm", "--with", "{ max_tokens: 2000 }"),
    {
      effect: "deny",
      rules: ["a.long"],
      causes: ["a.long", "nothing allows it"],
    },
  );
});

test("eval decides a request that is told as JSON", async () => {
  const http = {
    method: "post",
    path: "/v1/users/9",
    headers: { "x-y": "1" },
    body: { "a b": [1, -2.5, true], c: null },
  };
  assert.deepEqual(await decideJson({ identity, at: "api", http, time: { hour: 3, weekday: "mon" } }), allowed);
  assert.deepEqual(
    await decideJson({ identity: "bot", at: "tools", mcp: { tool: "box.exec", args: { cmd: "{x}" } } }),
    {
      effect: "deny",
      rules: ["a.exec"],
      causes: ["a.exec", "nothing allows it"],
    },
  );
});

test("a request that says too much or too little is told so", async () => {
  for (const [request, message] of [
    ["{", "the request is no JSON"],
    [{ sql: "select 1" }, "the request has no `identity`"],
    [{ identity, at: "api" }, "a request has one of `sql`, `http`, `mcp`, `llm`"],
    [{ identity, at: "api", sql: "select 1", mcp: { tool: "a" } }, "a request has one of `sql`, `http`, `mcp`, `llm`"],
    [{ identity, at: "api", sqll: "select 1" }, "a request has no `sqll`"],
    [
      { identity: "bot }\n given approval x", at: "api", sql: "select 1" },
      "fixtures, counters, data and rules are told by their names",
    ],
    [{ identity: "bot", http: { path: "/" } }, "which connection?"],
  ] as const) {
    const answer = (await decideJson(request)) as { code: number; err: string };
    assert.equal(answer.code, 2);
    assert.equal(answer.err.split("\n")[0], `error[config-invalid]: ${message}`);
  }
});

test("no text of a request leaves its quotes", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const files = new Map([
        ["a.policy", `package a\nlet x = ${quoted(text)}\nallow r on sql when identity.sub == x\n`],
      ]);
      const { checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
      assert.deepEqual(
        diagnostics.filter((d) => d.severity === "error"),
        [],
      );
      const [rule] = checked.rules;
      const condition = rule?.clauses[0]?.kind === "when" ? rule.clauses[0].condition : undefined;
      const right = condition?.op === "compare" ? condition.right : undefined;
      const value = right?.op === "let" ? right.body : right;
      assert.equal(value?.op === "const" ? value.value : undefined, text);
    }),
    { numRuns: 300 },
  );
});

test("a JSON request is the question that its author would have written", () => {
  assert.deepEqual(
    questionOf('{"identity":{"sub":"x","kind":"agent"},"sql":"select 1","counters":{"n":3},"approvals":["a.b"]}'),
    {
      as: '{ sub: "x", kind: agent }',
      action: { kind: "sql", text: "select 1" },
      at: undefined,
      given: ["counter n = 3", "approval a.b"],
    },
  );
});

test("explain names no rule of another protocol as the closest", async () => {
  const terminal = captured({});
  await main(["policy", "explain", folder, "--as", "bot", "--mcp", "tool a.b", "--at", "api"], terminal);
  assert.doesNotMatch(terminal.stdout(), /a\.users/);
});
