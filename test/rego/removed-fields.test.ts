// `remove` in the answer of a Rego policy: a mask of JSON, and of nothing else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../engine/limits.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { readAnswer } from "../../engine/rego/answer.ts";
import { sqlRequest } from "./support.ts";

const httpRequest: PolicyRequest = {
  ...sqlRequest(),
  protocol: "http",
  http: {
    method: "GET",
    host: "h",
    path: "/",
    query: {},
    headers: {},
    body: undefined,
    bodySize: 0,
    operation: undefined,
  },
};

const read = (said: object, request: PolicyRequest = httpRequest) => {
  const answer = readAnswer({ allow: true, ...said }, request, "t", limits);
  if (!answer.ok) return answer.error.message;
  const { decision } = answer.value;
  return decision.effect === "allow" ? decision.obligations.content : decision.effect;
};
const content = (format: string, ...patterns: string[]) => ({
  content: [{ format, patterns, rule: "gone", mask: { kind: "remove" } }],
});

test("a Rego policy may remove fields of JSON, by path and by tag", () => {
  for (const [format, pattern] of [
    ["json", "$.customers[*].ssn"],
    ["tagged", "pii"],
  ] as const) {
    assert.deepEqual(read(content(format, pattern)), [
      { content: { format, patterns: [pattern] }, mask: { kind: "remove" }, rule: "t.gone" },
    ]);
  }
});

test("a Rego answer that removes a column, a kind of text or a whole answer is no decision", () => {
  for (const wrong of [content("text", "email"), content("json", "$.a", "$")])
    assert.match(String(read(wrong)), /`mask`.* must not be `remove`, which takes fields out of JSON/);
  const column = { masks: [{ table: "public.customers", column: "email", mask: { kind: "remove" } }] };
  assert.match(String(read(column, sqlRequest())), /`mask`.* must not be `remove`: a column stays in its row/);
  const withArgument = { format: "json", patterns: ["$.a"], mask: { kind: "remove", first: 1 } };
  assert.match(String(read({ content: [withArgument] })), /^the policy's answer is not a decision: /);
});
