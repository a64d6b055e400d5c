// What another server or reader would make of it: names of parameters, links in headers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { queryFacts } from "../../engine/http/facts.ts";
import { Unknown } from "../../engine/lib/truth.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const queries: readonly (readonly [names: readonly string[], isKnown: boolean])[] = [
  [["id", "name"], true],
  [["filter[a]", "filter[b]"], true],
  [["id", "id"], false],
  [["id", "ID"], false],
  [["id", " id"], false],
  [["id", "id[]"], false],
  [["id[x]", "id"], false],
  [["a.b", "a_b"], false],
];
for (const [names, isKnown] of queries) {
  test(`a query of ${names.map((name) => `\`${name}\``).join(" and ")} is ${isKnown ? "read" : "nothing to rely on"}`, () => {
    const facts = queryFacts(names.map((name) => ({ name, value: "1", hasEquals: true })));
    assert.equal(!(facts instanceof Unknown), isKnown);
  });
}

test("a link with what a mask hides is not shown, also where it is percent-encoded", async () => {
  const upstream = await startUpstream((_request, response) => {
    response.writeHead(302, {
      location: "/people/jane%40acme.example",
      "content-type": "application/json",
      "x-request-id": "plain-7",
    });
    response.end("{}");
  });
  const gw = await startHttpGateway({
    policy: `
package test
allow everything on http GET at "test-api"
mask addresses of text "email" using redact on http
`,
    upstream: upstream.origin,
  });
  const { headers } = await gw.send("GET", "/");
  assert.deepEqual([headers.location, headers["x-request-id"]], ["***", "plain-7"]);
});
