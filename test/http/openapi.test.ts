// A connection with an OpenAPI document: operation ids as facts, and masked answers that still are of their schema.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileBundle } from "../../dsl/bundle.ts";
import { maskWithSchema } from "../../engine/content/fit-schema.ts";
import { readContentMasks } from "../../engine/content/masker.ts";
import { describeApi, findOperation } from "../../engine/http/api-description.ts";
import type { Json } from "../../engine/lib/json.ts";
import type { JsonObject } from "../../engine/lib/read-json.ts";
import { compileSchema } from "../../engine/mcp/json-schema.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { Mask } from "../../engine/model/mask.ts";
import { parseConfig } from "../../proxy/config.ts";
import { readOpenApi } from "../../proxy/http/openapi.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const openapi = `
openapi: 3.1.0
info: { title: Accounts, version: "1" }
paths:
  /accounts/{id}:
    get:
      operationId: getAccount
      parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
      responses:
        "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Account" } } } }
  /accounts/mine:
    get:
      operationId: getMine
      responses: { "200": { description: ok } }
components:
  schemas:
    Account:
      type: object
      required: [email, iban, kind, owner, born, count, tags, code]
      properties:
        email: { type: string, format: email }
        iban: { type: string, minLength: 15, maxLength: 34 }
        kind: { type: string, enum: [private, business] }
        owner: { type: object, required: [name], properties: { name: { type: string, minLength: 1 } } }
        born: { type: string, format: date }
        count: { type: integer, minimum: 10 }
        tags: { type: array, minItems: 1, items: { type: string } }
        code: { type: string, pattern: "^[A-Z]{3}-[0-9]{3}$" }
`;

const account = {
  email: "anna@x.de",
  iban: "DE89370400440532013000",
  kind: "business",
  owner: { name: "Anna" },
  born: "1980-02-03",
  count: 12,
  tags: ["vip"],
  code: "ABC-123",
};

const upstream = await startUpstream((_request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(account));
});

const gw = await startHttpGateway({
  policy: `
package test
allow everything on http GET
deny mine on http when http.operation is present and http.operation == "getMine" because "not yours"
mask fields of json "$.email", "$.iban", "$.kind", "$.owner", "$.born", "$.count", "$.tags" using redact on http "/accounts/7"
mask code of json "$.code" using redact on http "/accounts/8"
`,
  upstream: upstream.origin,
  connection: "    openapi: api.yaml",
  files: { "api.yaml": openapi },
});

describe("a connection with an OpenAPI document", () => {
  test("gives rules the operation of a request", async () => {
    const answer = await gw.send("GET", "/accounts/mine");
    assert.deepEqual([answer.status, JSON.parse(answer.body).title], [403, "not yours"]);
    assert.equal((await gw.send("GET", "/accounts/9")).status, 200);
  });

  test("masks with values of the answer's schema", async () => {
    const answer = await gw.send("GET", "/accounts/7");
    assert.deepEqual(JSON.parse(answer.body), {
      email: "hidden@example.invalid",
      iban: "***************",
      kind: "private",
      owner: { name: "***" },
      born: "1970-01-01",
      count: 10,
      tags: ["***"],
      code: "ABC-123",
    });
  });

  test("refuses an answer where no neutral value fits", async () => {
    const answer = await gw.send("GET", "/accounts/8");
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [502, "answer-schema"]);
  });

  test("is refused at start when the document isn't one, or leads out of its file", async () => {
    await assert.rejects(readOpenApi("openapi: 3.1.0\ninfo: {}\n", "api.yaml"), { code: "config-invalid" });
    const leading = openapi.replace("#/components/schemas/Account", "file:///etc/passwd");
    const api = await readOpenApi(leading, "api.yaml").catch((error: unknown) => error);
    assert.equal(JSON.stringify(api).includes("root:"), false);
  });
});

test("the more exact of two routes is the operation", () => {
  const api = describeApi({
    paths: { "/a/{id}": { get: { operationId: "one" } }, "/a/b": { get: { operationId: "other" } } },
  });
  assert.deepEqual(
    ["/a/b", "/a/c", "/a", "/a/b/c"].map((path) => findOperation(api, "GET", path)?.id),
    ["other", "one", undefined, undefined],
  );
  assert.equal(findOperation(api, "HEAD", "/a/c")?.id, "one");
});

test("a mistake in `kind: http` is shown with its place", () => {
  const text = (lines: string): string =>
    `policies: { path: p }\nrecording: { directory: r }\nidentity: { issuers: [{ issuer: i, audience: a, discovery: true }] }\nconnections:\n  - name: a\n    kind: http\n    listen: 127.0.0.1:0\n${lines}`;
  const rows: readonly (readonly [string, RegExp])[] = [
    ["    upstreem: { url: http://x }\n", /unknown key `upstreem`; did you mean `upstream`\?/],
    ["    upstream: { url: ftp://x }\n", /:8:\d+: /],
    ["    upstream: { url: http://a:b@x }\n", /a password doesn't belong into the URL/],
    ["    upstream: { url: http://x?y }\n", /ends with its path/],
    ["    prefix: /a/../b\n    upstream: { url: http://x }\n", /a prefix is a plain path/],
    ["    upstream: { url: http://x, credential: { bearer: { env: NOPE } } }\n", /`NOPE` isn't set/],
  ];
  for (const [lines, expected] of rows) {
    assert.throws(
      () => parseConfig(text(lines), "gw.yaml", {}),
      (error: Error) => expected.test(error.message),
      lines,
    );
  }
});

// ---- law

const leaf = fc.oneof(
  fc.record({
    schema: fc.constant({ type: "string", minLength: 2, maxLength: 9 }),
    value: fc.string({ minLength: 2, maxLength: 9 }),
  }),
  fc.record({
    schema: fc.constant({ type: "string", format: "date" }),
    value: fc.constantFrom("2001-02-03", "2020-12-31"),
  }),
  fc.record({
    schema: fc.constant({ type: "integer", minimum: 5, maximum: 50 }),
    value: fc.integer({ min: 5, max: 50 }),
  }),
  fc.record({
    schema: fc.constant({ type: "number", exclusiveMinimum: 0 }),
    value: fc.double({ min: 0.1, max: 9, noNaN: true }),
  }),
  fc.record({ schema: fc.constant({ enum: ["a", "b"] }), value: fc.constantFrom("a", "b") }),
  fc.record({ schema: fc.constant({ type: ["string", "null"], minLength: 1 }), value: fc.constantFrom("x", null) }),
  fc.record({
    schema: fc.constant({ type: "array", minItems: 1, items: { type: "boolean" } }),
    value: fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
  }),
);

test("law: masked JSON still satisfies its schema", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("a", "b", "c", "d"), leaf, { minKeys: 1 }),
      fc.constantFrom("$.a", "$.*", "$..b", "$", "$.c"),
      fc.constantFrom<Mask>(
        { kind: "redact" },
        { kind: "nullify" },
        { kind: "hash", salt: "" },
        { kind: "constant", value: 7 },
      ),
      (fields, pattern, mask) => {
        const entries = Object.entries(fields);
        const schema = {
          type: "object",
          required: entries.map(([name]) => name),
          properties: Object.fromEntries(entries.map(([name, f]) => [name, f.schema])),
        } as unknown as JsonObject;
        const document = Object.fromEntries(entries.map(([name, f]) => [name, f.value])) as Json;
        const check = compileSchema(schema);
        const masks = readContentMasks(
          [{ content: { format: "json", patterns: [pattern] }, mask, rule: "t" as RuleId }],
          Buffer.alloc(16),
        );
        assert.ok(check.ok && masks.ok);
        assert.equal(check.value(document), undefined);
        assert.equal(check.value(maskWithSchema(document, schema, masks.value, undefined).document), undefined);
      },
    ),
    { numRuns: 400 },
  );
});

describe("an operation id in a policy", () => {
  const document = JSON.stringify({ openapi: "3.1.0", paths: { "/a": { get: { operationId: "getThing" } } } });
  const errorsOf = (condition: string): readonly string[] => {
    const text = `package t\ncatalog "api" from "./api.json"\ndeny d on http at "api" when ${condition} because "no"\n`;
    const files = new Map([
      ["t.policy", text],
      ["api.json", document],
    ]);
    return compileBundle(files, { revision: "r", timeZone: "UTC" })
      .diagnostics.filter((d) => d.severity === "error")
      .map((d) => `${d.code} ${d.message}`);
  };
  test("that the document has is fine", () => {
    assert.deepEqual(errorsOf('(http.operation ?? "") == "getThing"'), []);
    assert.deepEqual(errorsOf('http.operation is present and http.operation in ["getThing"]'), []);
  });
  test("that it doesn't have is a compile error", () => {
    const error = ["E0407 `getThin` is no operation of the API's document"];
    assert.deepEqual(errorsOf('(http.operation ?? "none") == "getThin"'), error);
    assert.deepEqual(errorsOf('http.operation is present and http.operation in ["getThing", "getThin"]'), error);
  });
});
