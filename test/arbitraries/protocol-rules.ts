// Rules about HTTP, MCP and models as texts, and requests to try them on.
import fc from "fast-check";
import { type Fact, Unknown } from "../../engine/lib/truth.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { HttpFacts, LlmFacts, McpFacts, PolicyRequest } from "../../engine/model/request.ts";
import { anyIdentity } from "./request.ts";

type Make = (name: string) => string;

const everywhere = [
  "is_agent",
  "identity.kind == human",
  'identity.groups contains "ops"',
  'identity.groups contains "dba"',
  "identity.mfa",
  'identity.sub in ["bot", "olga"]',
  'identity.ip in cidr"10.0.0.0/8"',
  'identity.claims.tenant == "acme"',
  "time.hour in 8..18",
  "seen > 5",
  "identity.sub in trusted",
];

/** How a protocol's rules say what they are on, and what they may ask. */
type Dialect = {
  readonly targets: readonly string[];
  readonly conditions: readonly string[];
  readonly contents: readonly string[];
  readonly unit: string;
};

const dialects = {
  http: {
    targets: [
      "on http",
      "on http GET",
      'on http GET, HEAD "/v1/orders"',
      'on http "/v1/orders", "/v1/orders/{id}"',
      'on http "/v1/orders/{id:int}", "/v1/*/7"',
      'on http POST "/v1/**"',
      'on http "/v1/orders/{order}/items"',
      'on http "/**"',
    ],
    conditions: [
      'http.method == "GET"',
      'http.path startswith "/v1"',
      'http.headers["x-team"] is present and http.headers["x-team"] == "a"',
      '(http.query["q"] ?? "none") == "a"',
      "(http.body as { amount: int }) is absent",
      "http.body_size > 1KiB",
      'http.host == "api.test"',
    ],
    contents: ['json "$.iban"', 'json "$.items[*].iban", "$..token"', 'text "email"'],
    unit: "requests",
  },
  mcp: {
    targets: [
      "on mcp",
      'on mcp tool "*"',
      'on mcp tool "crm.get"',
      'on mcp tool "crm.*", "web.fetch"',
      'on mcp tool "*.get"',
      'on mcp resource "file:*"',
      'on mcp tool "crm.get" resource "file:*"',
      'on mcp tool "get"',
    ],
    conditions: [
      'mcp.server == "tools"',
      'mcp.tool is present and mcp.tool == "crm.get"',
      "(mcp.args as { id: int }) is present",
    ],
    contents: ['text "email", "jwt"', 'json "$.content[*].text"'],
    unit: "calls",
  },
  llm: {
    targets: [
      "on llm",
      'on llm model "gpt-5"',
      'on llm model "gpt-*"',
      'on llm tool "crm.*"',
      'on llm tool "crm.get" model "gpt-5"',
    ],
    conditions: [
      'llm.model startswith "gpt"',
      "llm.input_tokens > 100",
      'llm.tools contains "crm.get"',
      "(llm.max_tokens ?? 0) > 10",
    ],
    contents: ['text "api_key"'],
    unit: "tokens",
  },
} as const satisfies Record<string, Dialect>;

const connections = ["prod-pg", "prod-eu", "dev"];

const rulesOf = (dialect: Dialect) => {
  const target = fc.constantFrom(...dialect.targets);
  const at = fc.constantFrom("", ' at "prod-*"', ' at "prod-pg"');
  const condition = fc.oneof(
    fc.constantFrom(...everywhere, ...dialect.conditions),
    fc.constantFrom(...dialect.conditions).map((a) => `not (${a})`),
    fc
      .tuple(fc.constantFrom(...dialect.conditions), fc.constantFrom(...everywhere))
      .map(([a, b]) => `(${a}) or (${b})`),
  );
  const body = fc
    .array(fc.tuple(fc.constantFrom("when", "when", "unless"), condition), { maxLength: 2 })
    .map((list) => list.map(([word, text]) => `  ${word} ${text}\n`).join(""));
  const rule = (head: fc.Arbitrary<string>, because: boolean): fc.Arbitrary<Make> =>
    fc.tuple(fc.constantFrom("", "", "", "@mode(shadow)\n"), head, target, at, body).map(
      ([mode, text, on, where, clauses]) =>
        (name) =>
          `${mode}${text.replace("NAME", name)} ${on}${where}\n${clauses}${because ? '  because "no, {identity.sub}"\n' : ""}`,
    );
  const allow = rule(fc.constant("allow NAME"), false);
  const deny = rule(fc.constant("deny NAME"), true);
  const mask = rule(
    fc
      .tuple(fc.constantFrom(...dialect.contents), fc.constantFrom("redact", "hash", "partial(last: 4)"))
      .map(([content, using]) => `mask NAME of ${content} using ${using}`),
    false,
  );
  const filter = rule(
    fc
      .constantFrom(
        "(item.owner as string) == identity.sub",
        "(item.size as int) in 1..9 or identity.mfa",
        "not (item.hidden as bool) and item.id is present",
        "(item.tag as string) in identity.groups",
      )
      .map((where) => `filter NAME of json "$.items" where ${where}`),
    false,
  );
  const limit = rule(
    fc.integer({ min: 1, max: 9 }).map((n) => `limit NAME to ${n} ${dialect.unit} per 1m by identity.sub`),
    true,
  );
  const approval = rule(fc.constant('require approval NAME from group "dba" within 30m'), true);
  const restrictions = fc.oneof(deny, mask, filter, limit, approval);
  return {
    rules: fc
      .tuple(
        fc.array(fc.oneof(allow, allow, restrictions), { minLength: 1, maxLength: 24 }),
        fc.constantFrom("allow base on any\n", undefined),
      )
      .map(([list, base]) => [...(base === undefined ? [] : [base]), ...list.map((make, i) => make(`r${i}`))]),
    restriction: restrictions.map((make) => make("extra")),
    deny: deny.map((make) => make("extra")),
  };
};

const fact = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<Fact<T>> =>
  fc.oneof(
    { weight: 9, arbitrary: value },
    { weight: 1, arbitrary: fc.constant(new Unknown("not known in this case")) },
  );

const http: fc.Arbitrary<HttpFacts> = fc.record({
  method: fc.constantFrom("GET", "HEAD", "POST", "DELETE", "BREW"),
  host: fc.constantFrom("api.test", "other.test"),
  path: fc.constantFrom(
    "/",
    "/v1",
    "/v1/orders",
    "/v1/orders/",
    "/v1/orders/7",
    "/v1/orders/x",
    "/v1/orders/7/items",
    "/v2",
    "",
  ),
  query: fact(fc.constantFrom({}, { q: "a" })),
  headers: fact(fc.constantFrom({}, { "x-team": "a" }, { "x-team": "b" })),
  body: fact(fc.constantFrom(undefined, { amount: 5 }, { amount: "5" }, [])),
  bodySize: fact(fc.constantFrom(0, 2_000)),
});

const none = { tool: undefined, resource: undefined, prompt: undefined };
const mcp: fc.Arbitrary<McpFacts> = fc
  .tuple(
    fc.oneof(
      fact(fc.constantFrom("crm.get", "crm.put", "web.fetch", "get", "x.get", "crm.")).map((tool) => ({
        ...none,
        tool,
      })),
      fact(fc.constantFrom("file:a", "db:a")).map((resource) => ({ ...none, resource })),
    ),
    fact(fc.constantFrom({ id: 1 }, {}, null)),
  )
  .map(([names, args]) => ({ server: "tools", method: "tools/call", ...names, args }));

const llm: fc.Arbitrary<LlmFacts> = fc.record({
  provider: fc.constant("acme"),
  model: fc.constantFrom("gpt-5", "gpt-4", "opus"),
  tools: fact(fc.constantFrom(new Set<string>(), new Set(["crm.get"]))),
  toolUse: fact(fc.constantFrom(undefined, "crm.get", "crm.put", "web")),
  inputTokens: fact(fc.constantFrom(1, 500)),
  maxTokens: fact(fc.constantFrom(undefined, 5, 50)),
});

const around = fc
  .record({
    identity: anyIdentity,
    connection: fc.constantFrom(...connections),
    hour: fact(fc.integer({ min: 0, max: 23 })),
    count: fact(fc.integer({ min: 0, max: 20 })),
    approved: fc.subarray(["gen.r0", "gen.r1", "gen.r2", "gen.extra"]),
  })
  .map(({ identity, connection, hour, count, approved }) => ({
    identity,
    connection: { name: connection, env: connection.slice(0, 3), tags: new Set<string>() },
    session: { id: "s1", age: 60_000, purpose: undefined },
    time: { now: 1_767_787_200_000, hour, minute: 5, weekday: "wed" as const },
    counter: () => count,
    approved: new Set(approved.map((id) => id as RuleId)),
  }));

/** Rules of each protocol, and requests of it. */
export const protocolWorlds = [
  {
    ...rulesOf(dialects.http),
    request: fc.tuple(around, http).map(([r, facts]): PolicyRequest => ({ ...r, protocol: "http", http: facts })),
  },
  {
    ...rulesOf(dialects.mcp),
    request: fc.tuple(around, mcp).map(([r, facts]): PolicyRequest => ({ ...r, protocol: "mcp", mcp: facts })),
  },
  {
    ...rulesOf(dialects.llm),
    request: fc.tuple(around, llm).map(([r, facts]): PolicyRequest => ({ ...r, protocol: "llm", llm: facts })),
  },
] as const;
