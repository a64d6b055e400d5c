// Masks of what an API's document tags: the schema is followed, what it doesn't describe isn't shown, and where there is
// none nothing is.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileBundle } from "../../dsl/bundle.ts";
import { formatPolicy } from "../../dsl/format.ts";
import { maskWithSchema } from "../../engine/content/fit-schema.ts";
import { readContentMasks } from "../../engine/content/masker.ts";
import { schemaPlace } from "../../engine/content/schema-place.ts";
import type { Json } from "../../engine/lib/json.ts";
import type { JsonObject } from "../../engine/lib/read-json.ts";
import { compileSchema } from "../../engine/mcp/json-schema.ts";
import type { RuleId } from "../../engine/model/decision.ts";
import type { Mask } from "../../engine/model/mask.ts";
import { readOpenApi } from "../../proxy/http/openapi.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const openapi = `
openapi: 3.0.3
info: { title: Accounts, version: "1" }
paths:
  /accounts/{id}:
    get:
      responses:
        "200": { $ref: "#/components/responses/Account" }
        "404": { description: none, content: { application/problem+json: { schema: { type: object, properties: { title: { type: string } } } } } }
  /accounts:
    get:
      responses:
        "200": { description: ok, content: { application/json: { schema: { type: array, items: { $ref: "#/components/schemas/Account" } } } } }
  /a/{x}/c: { get: { responses: { "200": { description: ok, content: { application/json: { schema: { type: object } } } } } } }
  /a/b/{y}: { get: { responses: { "200": { description: ok, content: { application/json: { schema: { type: object } } } } } } }
components:
  responses:
    Account: { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Account" } } } }
  schemas:
    Account:
      allOf:
        - $ref: "#/components/schemas/Base"
        - type: object
          properties:
            email: { type: string, x-gw-tags: [pii] }
            owner: { $ref: "#/components/schemas/Person" }
            friends: { type: array, items: { $ref: "#/components/schemas/Person" } }
            limits: { type: object, additionalProperties: { type: integer, x-gw-tags: [money] } }
            contact: { oneOf: [{ type: string }, { type: object, properties: { phone: { $ref: "#/components/schemas/Phone" } } }] }
            notes: { type: object }
    Base: { type: object, properties: { id: { type: integer }, kind: { type: string } } }
    Phone: { type: string, x-gw-tags: [pii] }
    Person:
      type: object
      properties:
        name: { type: string, x-gw-tags: [pii] }
        since: { type: string }
        boss: { $ref: "#/components/schemas/Person" }
`;

const account = {
  id: 7,
  kind: "private",
  email: "anna@x.de",
  owner: { name: "Anna", since: "2001", boss: { name: "Bert", since: "1999", boss: { name: "Cleo" } } },
  friends: [{ name: "Dora", since: "2020", nick: "Dodo" }],
  limits: { day: 100, "anna@x.de": 200 },
  contact: { phone: "+49 30 1234567", best: "evenings" },
  notes: { free: "Anna's secret" },
  undeclared: "Anna's other secret",
};

let respond: { status: number; type: string; body: string } = { status: 200, type: "application/json", body: "" };
const upstream = await startUpstream((_request, response) => {
  response.statusCode = respond.status;
  response.setHeader("content-type", respond.type);
  response.end(respond.body);
});

const policy = `
package test
allow everything on http GET
mask people of json tagged "pii" using redact on http
mask money of json tagged "money" using round(to: 1000) on http
`;
const gw = await startHttpGateway({
  policy,
  upstream: upstream.origin,
  connection: "    openapi: api.yaml",
  files: { "api.yaml": openapi },
});
const bare = await startHttpGateway({ policy, upstream: upstream.origin });

async function get(path: string, body: Json | string, type = "application/json", status = 200) {
  respond = { status, type, body: typeof body === "string" ? body : JSON.stringify(body) };
  const answer = await gw.send("GET", path);
  const read: Json = answer.body === "" ? null : JSON.parse(answer.body);
  return answer.status === status && !JSON.stringify(read).includes("urn:gatewright")
    ? read
    : [answer.status, (read as { code: string }).code];
}

describe("a mask of a tag", () => {
  test("finds what the schema tags, through references, branches, lists and maps", async () => {
    assert.deepEqual(await get("/accounts/7", account), {
      id: 7,
      kind: "private",
      email: "***",
      owner: { name: "***", since: "2001", boss: { name: "***", since: "1999", boss: { name: "***" } } },
      friends: [{ name: "***", since: "2020" }],
      limits: { day: 0, "anna@x.de": 0 },
      contact: { phone: "***" },
      notes: {},
    });
    assert.deepEqual(await get("/accounts", [account, { id: 8, email: "x" }]), [
      (await get("/accounts/7", account)) as JsonObject,
      { id: 8, email: "***" },
    ]);
  });

  test("leaves out what is of another kind than the schema says", async () => {
    assert.deepEqual(await get("/accounts/7", { id: "Anna", owner: "Anna", kind: null, friends: ["Anna"] }), {
      kind: null,
      friends: [],
    });
  });

  test("refuses what has no schema: another status, type or route, text, lines of JSON", async () => {
    const rows: readonly (readonly [string, Json | string, string?, number?])[] = [
      ["/accounts/7", account, "application/json", 500],
      ["/accounts/7", account, "application/hal+json"],
      ["/accounts/7", `${JSON.stringify(account)}\n`, "application/x-ndjson"],
      ["/accounts/7", "Anna", "text/plain"],
      ["/accounts/7", "Anna", "application/json"],
      ["/accounts/7", ["Anna"], "application/json"],
    ];
    for (const row of rows) assert.deepEqual(await get(...row), [502, "answer-unreadable"], JSON.stringify(row));
    const seen = upstream.seen.length;
    for (const path of ["/other", "/accounts/7/x", "/a/b/c"])
      assert.deepEqual(await get(path, account), [403, "mask-not-applicable"], path);
    assert.equal(upstream.seen.length, seen);
  });

  test("reads an answer by the schema of its status and media type", async () => {
    assert.deepEqual(await get("/accounts/7", { title: "none", detail: "Anna" }, "application/problem+json", 404), {
      title: "none",
    });
    assert.deepEqual(await get("/accounts/7", "", "application/json", 200), null);
  });

  test("lets nothing through where the connection has no document", async () => {
    const answer = await bare.send("GET", "/accounts/7");
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [403, "mask-not-applicable"]);
  });
});

test("a tag beside a reference is added to the tags of what it refers to", async () => {
  const both = `
openapi: 3.1.0
info: { title: t, version: "1" }
paths: { /x: { get: { responses: { "200": { description: ok, content: { application/json: { schema:
  { type: object, properties: { a: { $ref: "#/components/schemas/A", x-gw-tags: [pii] } } } } } } } } } }
components: { schemas: { A: { type: string, x-gw-tags: [secret] } } }
`;
  const api = await readOpenApi(both, "api.yaml");
  const schema = api.operations[0]?.answers.get("200")?.get("application/json");
  for (const tag of ["pii", "secret"]) {
    const masks = readContentMasks(
      [{ content: { format: "tagged", patterns: [tag] }, mask: { kind: "redact" }, rule: "t" as RuleId }],
      new Uint8Array(),
    );
    assert.ok(schema && masks.ok);
    assert.deepEqual(maskWithSchema({ a: "x" }, schema.schema, masks.value, schema.described).document, { a: "***" });
  }
  await assert.rejects(readOpenApi(both.replace("[pii]", "pii"), "api.yaml"), /`x-gw-tags` must be a list of names/);
});

describe("in a policy", () => {
  const document = JSON.stringify({
    openapi: "3.1.0",
    paths: {},
    components: { schemas: { A: { type: "string", "x-gw-tags": ["pii", "money"] } } },
  });
  const load = (rules: string) =>
    compileBundle(
      new Map([
        ["t.policy", `package t\ncatalog "api" from "./api.json"\n${rules}\n`],
        ["api.json", document],
      ]),
      { revision: "r", timeZone: "UTC" },
    ).diagnostics.map((d) => [d.code, d.message, d.label, d.help]);

  test("a tag that the document doesn't have is a mistake, with the nearest one", () => {
    assert.deepEqual(load('mask m of json tagged "pii", "money" using redact on http at "api"'), []);
    assert.deepEqual(load('mask m of json tagged "pi" using redact on http at "api"'), [
      [
        "E0305",
        "no schema of the API's document has the tag `pi`",
        "did you mean `pii`?",
        ["tags of the document are money, pii"],
      ],
    ]);
    assert.deepEqual(load('mask m of json tagged "anything" using redact on http at "elsewhere"'), []);
  });

  test("is formatted as it is written, and tests can expect it", () => {
    const text = `package t

allow everything on http GET

mask people of json tagged "pii", "money" using redact on http

test "people are masked" {
  given identity { sub: "a", kind: human, groups: [] }
  given http GET "/x" at "api"
  expect mask json tagged "pii" using redact
}
`;
    const formatted = formatPolicy("t.policy", text.replaceAll("json tagged", "json   tagged"));
    assert.ok(formatted.ok);
    assert.equal(formatted.value, text);
  });
});

// ---- laws

const word = fc.constantFrom("a", "b", "c");
type Cell = { readonly schema: JsonObject; readonly open: Json; readonly one: Json; readonly other: Json };

/** A schema, and two documents of it that differ in what is tagged or not described. */
const { node } = fc.letrec<{ node: Cell; leaf: Cell; object: Cell; list: Cell }>((tie) => ({
  node: fc.oneof({ depthSize: "small", withCrossShrink: true }, tie("leaf"), tie("object"), tie("list")),
  leaf: fc
    .tuple(
      fc.boolean(),
      fc.constantFrom("string", "integer"),
      fc.integer({ min: 0, max: 9 }),
      fc.nat({ max: 99 }),
      fc.nat({ max: 99 }),
    )
    .map(([isTagged, type, shown, x, y]) => {
      const as = (n: number): Json => (type === "string" ? `v${n}` : n);
      const schema = isTagged ? { type, "x-gw-tags": ["pii"] } : { type };
      return { schema, open: null, one: as(isTagged ? x : shown), other: as(isTagged ? y : shown) };
    }),
  object: fc
    .tuple(fc.dictionary(word, tie("node"), { maxKeys: 3 }), fc.boolean(), fc.jsonValue(), fc.jsonValue(), fc.boolean())
    .map(([fields, isWrapped, x, y, isTagged]) => {
      const of = (pick: (cell: Cell) => Json): Record<string, Json> =>
        Object.fromEntries(Object.entries(fields).map(([name, cell]) => [name, pick(cell)]));
      const schema: JsonObject = {
        type: "object",
        properties: of((cell) => cell.schema),
        required: Object.keys(fields),
        ...(isTagged ? { "x-gw-tags": ["pii"] } : {}),
      };
      const extra = (value: Json): JsonObject => ({ [`extra${JSON.stringify(value).length}`]: value });
      return {
        schema: isWrapped ? { oneOf: [{ allOf: [schema] }, { type: "null" }] } : schema,
        open: null,
        one: { ...of((cell) => cell.one), ...extra(x as Json) },
        other: { ...of((cell) => cell.other), ...extra(y as Json) },
      };
    }),
  list: fc.tuple(tie("node"), fc.nat({ max: 2 })).map(([cell, more]) => ({
    schema: { type: "array", items: cell.schema },
    open: null,
    one: Array.from({ length: more }, () => cell.one),
    other: Array.from({ length: more }, () => cell.other),
  })),
}));

const anyMask = fc.constantFrom<Mask>({ kind: "redact" }, { kind: "nullify" }, { kind: "constant", value: 7 });
const anyOrRemove = fc.oneof(anyMask, fc.constant<Mask>({ kind: "remove" }));
const maskedBy = (mask: Mask, { schema }: Cell, document: Json) => {
  const masks = readContentMasks(
    [{ content: { format: "tagged", patterns: ["pii"] }, mask, rule: "t" as RuleId }],
    new Uint8Array(16),
  );
  assert.ok(masks.ok);
  return maskWithSchema(document, schema, masks.value, schemaPlace(schema, schema));
};

test("law: two documents that differ in tagged and undescribed places only look the same", () => {
  fc.assert(
    fc.property(node, anyOrRemove, (cell, mask) => {
      assert.deepEqual(maskedBy(mask, cell, cell.one), maskedBy(mask, cell, cell.other));
    }),
    { numRuns: 300 },
  );
});

test("law: a document that is masked by tags still satisfies its schema", () => {
  fc.assert(
    fc.property(node, anyMask, (cell, mask) => {
      const check = compileSchema(cell.schema);
      assert.ok(check.ok);
      assert.equal(check.value(cell.one), undefined);
      const { document, isUnfit } = maskedBy(mask, cell, cell.one);
      assert.equal(isUnfit, false);
      assert.equal(check.value(document), undefined);
    }),
    { numRuns: 150 },
  );
});

test("law: what tags remove leaves a document of the schema, or is refused", () => {
  fc.assert(
    fc.property(node, (cell) => {
      const check = compileSchema(cell.schema);
      assert.ok(check.ok);
      const { document, isUnfit } = maskedBy({ kind: "remove" }, cell, cell.one);
      if (!isUnfit) assert.equal(check.value(document), undefined);
    }),
    { numRuns: 150 },
  );
});
