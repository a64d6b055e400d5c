// `using remove` over HTTP: the client gets the answer that an upstream without the field would have given.
import assert from "node:assert/strict";
import { test } from "node:test";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const openapi = `
openapi: 3.0.3
info: { title: Customers, version: "1" }
paths:
  /described:
    get:
      responses:
        "200": { description: ok, content: { application/json: { schema: { $ref: "#/components/schemas/Person" } } } }
components:
  schemas:
    Person:
      type: object
      required: [id, name]
      properties:
        id: { type: integer }
        name: { type: string, x-gw-tags: [named] }
        ssn: { type: string, x-gw-tags: [pii] }
`;

let respond = { type: "application/json", body: "" };
const upstream = await startUpstream((_request, response) => {
  response.setHeader("content-type", respond.type);
  response.end(respond.body);
});
const gatewayOf = (masks: string) =>
  startHttpGateway({
    policy: `package test\nallow everything on http GET\n${masks}\n`,
    upstream: upstream.origin,
    connection: "    openapi: api.yaml",
    files: { "api.yaml": openapi },
  });
const byPath = await gatewayOf(`
mask numbers of json "$.customers[*].ssn", "$.ssn", "$.name" using remove on http
mask others of json "$.customers[*].ssn" using redact on http
limit page to 2 items on http`);
const byTag = await gatewayOf('mask personal of json tagged "pii" using remove on http');

async function get(gw: typeof byPath, path: string, body: string, type = "application/json") {
  respond = { type, body };
  const { status, headers, body: shown } = await gw.send("GET", path);
  return status === 200 ? shown : [status, (JSON.parse(shown) as { code: string }).code, headers["content-length"]];
}

const secret = "078-05-1120";

test("a removed field is in no answer, whatever its spelling, its place and its value", async () => {
  const bare = '{"customers":[{"id":1},{"id":2,"tags":["a"]}],"next":null}';
  const answers = [
    bare,
    `{"customers":[{"ssn":"${secret}","id":1},{"id":2,"tags":["a"],"ssn":null}],"next":null}`,
    `{\n  "customers": [ { "id": 1, "s\\u0073n": {"a": ["${secret}"]} },\n { "id": 2, "ssn": 1, "tags": ["a"], "ssn": "${secret}" } ],\n "ssn": [],\n  "next": null }\n`,
  ];
  for (const answer of answers) assert.equal(await get(byPath, "/customers", answer), bare);
  const lines = `{"id":1,"ssn":"${secret}"}\n{"ssn":"${secret}"}\n`;
  assert.equal(await get(byPath, "/customers", lines, "application/x-ndjson"), '{"id":1}\n{}\n');
  const events = `data: {"ssn":"${secret}","id":1}\n\n`;
  assert.equal(await get(byPath, "/customers", events, "text/event-stream"), 'data: {"id":1}\n\n');
});

test("what can't be read for it is refused, and so is CSV", async () => {
  const refused = [
    [`id,ssn\n1,${secret}\n`, "text/csv"],
    [secret, "text/plain"],
    [`{"ssn":"${secret}"`, "application/json"],
  ] as const;
  for (const [body, type] of refused) {
    const [status, code] = await get(byPath, "/customers", body, type);
    assert.deepEqual([status, code], [502, "answer-unreadable"], type);
  }
});

test("of an answer with a schema an optional field goes, and a required one refuses the answer", async () => {
  const whole = `{"id":1,"name":"Anna","ssn":"${secret}"}`;
  assert.equal(await get(byTag, "/described", whole), '{"id":1,"name":"Anna"}');
  assert.equal(await get(byTag, "/described", '{"id":1,"name":"Anna"}'), '{"id":1,"name":"Anna"}');
  const [status, code] = await get(byPath, "/described", whole);
  assert.deepEqual([status, code], [502, "answer-schema"]);
});

test("the recording names the mask and holds nothing of the value", async () => {
  for (const gw of [byPath, byTag]) {
    const text = JSON.stringify(await gw.events());
    assert.match(text, /remove/);
    assert.doesNotMatch(text, new RegExp(secret));
  }
});
