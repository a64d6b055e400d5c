// Documents of APIs as types: bodies and arguments need no cast, and what they don't have is said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { runTests } from "../../dsl/testing/run.ts";

const openapi = JSON.stringify({
  openapi: "3.1.0",
  paths: {
    "/v1/transfers": { post: { requestBody: { $ref: "#/components/requestBodies/Transfer" } } },
    "/v1/people/{id}": {
      put: {
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/Person" } } } },
      },
    },
  },
  components: {
    requestBodies: {
      Transfer: { content: { "application/json": { schema: { $ref: "#/components/schemas/Transfer" } } } },
    },
    schemas: {
      Transfer: {
        type: "object",
        required: ["amount", "currency"],
        properties: {
          amount: { type: "integer" },
          currency: { enum: ["EUR", "USD"] },
          memo: { type: ["string", "null"] },
          labels: { type: "object", additionalProperties: { type: "string" } },
        },
      },
      Person: { type: "object", required: ["boss"], properties: { boss: { $ref: "#/components/schemas/Person" } } },
    },
  },
});
const tools = JSON.stringify({
  tools: [
    {
      name: "refund",
      inputSchema: { type: "object", required: ["cents"], properties: { cents: { type: "integer" } } },
    },
  ],
});

function load(rules: string): ReturnType<typeof compileBundle> {
  const text = `package a
catalog "bank-api" from "./openapi.json"
catalog "tools" from "./tools.json"
${rules}
`;
  const files = new Map([
    ["a.policy", text],
    ["openapi.json", openapi],
    ["tools.json", tools],
  ]);
  return compileBundle(files, { revision: "1", timeZone: "UTC" });
}

const told = (rules: string): readonly string[] => load(rules).diagnostics.map((d) => `${d.code} ${d.message}`);

test("bodies and arguments have the types of the documents, and a wrong shape is absent", () => {
  const { checked, diagnostics } = load(`
    allow small on http POST "/v1/transfers" at "bank-api"
      when http.body is present and http.body.amount <= 5_000 and http.body.currency == "EUR"
    deny memo on http POST "/v1/transfers" at "bank-api"
      when http.body is present and http.body.memo is present and http.body.memo contains "x"
      because "no"
    allow refund on mcp tool "stripe.refund" at "tools"
      let a = mcp.args
      when a is present and a.cents in 1..100
    fixture bot: identity = { sub: "b", kind: agent }
    test "t" {
      cases
        | amount | currency | memo | want  |
        | 5      | "EUR"    | "a"  | allow |
        | 5      | "EUR"    | "x"  | deny  |
        | 5_001  | "EUR"    | "a"  | deny  |
        | 5      | "GBP"    | "a"  | deny  |
        | "5"    | "EUR"    | "a"  | deny  |
      given identity bot
      given http POST "/v1/transfers" at "bank-api" { body: { amount: amount, currency: currency, memo: memo } }
      expect want
    }
    test "r" {
      cases
        | cents | want  |
        | 7     | allow |
        | 0     | deny  |
        | "7"   | deny  |
      given identity bot
      given mcp tool "stripe.refund" at "tools" { cents: cents }
      expect want
    }`);
  assert.deepEqual(diagnostics, []);
  const report = runTests(checked, { analyzeSql: () => [], nowMs: () => 0 });
  assert.deepEqual(
    report.results.flatMap((r) => r.problems.map((p) => p.actual)),
    [],
  );
  assert.equal(report.passed, 8);
});

const rows: readonly (readonly [name: string, rule: string, told: readonly string[]])[] = [
  [
    "a body that may be absent",
    'allow a on http POST "/v1/transfers" at "bank-api" when http.body.amount <= 5',
    ["E0204 `http.body` may be absent"],
  ],
  [
    "a field that is not in it",
    'allow a on http POST "/v1/transfers" at "bank-api" when http.body is present and http.body.amout <= 5',
    ["E0102 `Transfer` has no field `amout`"],
  ],
  [
    "a route that is not in the document",
    'allow a on http POST "/v1/transferz" at "bank-api"',
    ["L0106 `/v1/transferz` is no route or tool of the API's document"],
  ],
  [
    "a method that the route has not",
    'allow a on http GET "/v1/transfers" at "bank-api"',
    ["L0106 `/v1/transfers` is no route or tool of the API's document"],
  ],
  [
    "a tool that the server has not",
    'allow a on mcp tool "stripe.refunds" at "tools"',
    ["L0106 `stripe.refunds` is no route or tool of the API's document"],
  ],
  ["a placeholder in the rule's own words", 'allow a on http PUT "/v1/people/{who}" at "bank-api" when who == "a"', []],
  ["what a connection without a document has", 'allow a on http POST "/v1/transferz" at "bank-api", "other"', []],
  [
    "several bodies, which stay json",
    'allow a on http "/v1/**" at "bank-api" when (http.body as { amount: int }) is present',
    [],
  ],
  [
    "an explicit cast beside the document",
    'allow a on http POST "/v1/transfers" at "bank-api" when (http.body as { amount: int }) is present',
    [],
  ],
  [
    "a schema that refers to itself",
    'allow a on http PUT "/v1/people/{id}" at "bank-api" when http.body is present and http.body.boss.boss == 1',
    ["E0217 these two can never be equal"],
  ],
];
for (const [name, rule, messages] of rows) {
  test(`of an API's document is told: ${name}`, () => assert.deepEqual(told(rule), messages));
}
