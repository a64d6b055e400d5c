// How rules about HTTP, MCP and models are found: as many are asked with 10,000 rules as with ten.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { compileProgram } from "../../dsl/compile-program.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import type { Program } from "../../engine/program.ts";

function programOf(rules: readonly string[]): Program {
  const text = `package a\n${rules.join("\n")}\n`;
  const { checked, diagnostics } = compileBundle(new Map([["a.policy", text]]), { revision: "1", timeZone: "UTC" });
  assert.deepEqual(
    diagnostics.filter((d) => d.severity === "error").map((d) => d.message),
    [],
  );
  return compileProgram(checked);
}

const dark = new Unknown("not known");
const around = {
  identity: {
    sub: "bot",
    kind: "agent",
    groups: new Set<string>(),
    email: undefined,
    ip: "10.1.2.3",
    mfa: false,
    on_behalf_of: undefined,
    claims: {},
  },
  connection: { name: "api", env: "prod", tags: new Set<string>() },
  session: { id: "s", age: 0, purpose: undefined },
  time: { now: 0, hour: 0, minute: 0, weekday: "thu" },
  counter: () => 0,
  approved: new Set<never>(),
} as const;

const get = (path: string, method = "GET"): PolicyRequest => ({
  ...around,
  protocol: "http",
  http: { method, host: "api.test", path, query: {}, headers: {}, body: undefined, bodySize: 0 },
});
const tool = (name: string | Unknown): PolicyRequest => ({
  ...around,
  protocol: "mcp",
  mcp: { server: "s", method: "tools/call", tool: name, resource: undefined, prompt: undefined, args: {} },
});

const found = (program: Program, request: PolicyRequest): readonly string[] =>
  program
    .candidates(request, undefined)
    .rules.map(({ rule, params }) => `${rule.id.slice(2)} ${JSON.stringify(params ?? null)}`)
    .sort();

test("a path finds the rules whose routes it is of, with the values of their placeholders", () => {
  const program = programOf([
    'allow list on http GET "/v1/orders"',
    'allow one on http GET "/v1/orders/{id}"',
    'allow number on http GET "/v1/orders/{id:int}"',
    'allow any_order on http "/v1/*/7"',
    'deny below on http "/v1/**"',
    'deny posts on http POST "/v1/orders"',
    'allow twice on http GET "/v1/orders/7", "/v1/orders/{which}"',
    "deny everywhere on http",
    "deny always on any",
  ]);
  assert.deepEqual(found(program, get("/v1/orders")), ["always null", "below {}", "everywhere null", "list {}"]);
  assert.deepEqual(found(program, get("/v1/orders/7")), [
    "always null",
    "any_order {}",
    "below {}",
    "everywhere null",
    'number {"id":7}',
    'one {"id":"7"}',
    'twice {"which":"7"}',
    "twice {}",
  ]);
  assert.deepEqual(found(program, get("/v1/orders/x")).includes('number {"id":7}'), false);
  assert.deepEqual(found(program, get("/v1")), ["always null", "below {}", "everywhere null"]);
  assert.deepEqual(found(program, get("/v1/orders/")), ["always null", "below {}", "everywhere null"]);
  assert.deepEqual(found(program, get("/v1/orders", "BREW")), ["always null", "below {}", "everywhere null"]);
  assert.deepEqual(found(program, get("/")), ["always null", "everywhere null"]);
});

test("a tool finds the rules that name it, its server's and those that must be asked; an unknown one every restriction", () => {
  const program = programOf([
    'allow exact on mcp tool "crm.get"',
    'allow server on mcp tool "crm.*"',
    'allow suffix on mcp tool "*.get"',
    'allow other on mcp tool "web.get", "mail.*"',
    'deny resources on mcp resource "file:*"',
    'deny mail on mcp tool "mail.send"',
    "deny everywhere on mcp",
  ]);
  assert.deepEqual(found(program, tool("crm.get")), ["everywhere null", "exact null", "server null", "suffix null"]);
  assert.deepEqual(found(program, tool("mail.send")), ["everywhere null", "mail null", "other null"]);
  assert.deepEqual(found(program, tool(dark)), ["everywhere null", "mail null"]);
});

test("10,000 rules leave no more to ask than ten", () => {
  for (const count of [10, 10_000]) {
    const numbers = Array.from({ length: count }, (_, i) => i);
    const routes = programOf(numbers.map((i) => `allow r${i} on http GET "/v1/s${i}/items/{id}"`));
    assert.deepEqual(found(routes, get("/v1/s7/items/x")), ['r7 {"id":"x"}']);
    const tools = programOf(numbers.map((i) => `allow r${i} on mcp tool "s${i}.${i % 2 === 0 ? "get" : "*"}"`));
    assert.deepEqual([found(tools, tool("s7.get")), found(tools, tool("s8.get"))], [["r7 null"], ["r8 null"]]);
  }
});

test("ten times the rules take not much more than ten times the CPU to compile", () => {
  const cpuOf = (count: number): number => {
    const text = Array.from(
      { length: count },
      (_, i) =>
        `allow r${i} on sql read of public.t${i % 50} when identity.groups contains "g${i}" and sql.joins < ${i}`,
    ).join("\n");
    const started = process.cpuUsage();
    const { policySet } = compileBundle(new Map([["a.policy", `package a\n${text}\n`]]), {
      revision: "1",
      timeZone: "UTC",
    });
    const { user, system } = process.cpuUsage(started);
    assert.ok(policySet);
    return user + system;
  };
  cpuOf(500); // warms up
  const [few, many] = [Math.min(cpuOf(500), cpuOf(500)), cpuOf(5_000)];
  // Quadratic would be a hundred; garbage collection and a cold start are in the rest.
  assert.ok(many < few * 40, `${few} µs for 500 rules, ${many} µs for 5,000`);
});
