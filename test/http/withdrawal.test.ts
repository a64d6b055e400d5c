// An approval that is taken back while what it let through runs: the request ends, at the upstream too.
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { eventOf, startHttpGateway, startUpstream } from "../support/http-gateway.ts";

/** Requests under way at the upstream, by path, and those that the gateway broke off. */
const running = new Map<string, ServerResponse>();
const brokenOff = new Set<string>();
const upstream = await startUpstream((request, response) => {
  const path = request.url ?? "";
  response.on("close", () => {
    if (!response.writableFinished) brokenOff.add(path);
  });
  if (path.startsWith("/begun")) {
    response.writeHead(200, { "content-type": "application/json", "content-length": "1000" });
    response.write("{");
  }
  running.set(path, response);
});

const gw = await startHttpGateway({
  policy: `
package test
allow everything on http DELETE at "test-api"
require approval deletes from group "owners" within 30m on http DELETE because "a DELETE waits"
mask names of json "$.name" using redact on http DELETE "/begun/masked"
`,
  upstream: upstream.origin,
  config: "approvals: { hold: 20s }",
});
const owner = adminClient(gw.adminUrl, await gw.issuer.issue({ sub: "olga", kind: "human", groups: ["owners"] }));

/** Approved, and at the upstream: then `owner` takes it back. */
async function approvedAndUnderWay(path: string): Promise<string> {
  const pending = await eventually(async () =>
    (await owner.list("pending")).find(({ statement }) => statement.endsWith(path)),
  );
  await owner.decide(pending.id, "approve", undefined);
  await eventually(async () => running.get(path));
  return pending.id;
}

const outcomeOf = async (decisionId: string) => {
  const { outcome, tag } = await eventOf(gw, "completion", ({ id }) => id === decisionId);
  return [outcome, tag];
};

for (const path of ["/silent", "/begun/masked"]) {
  test(`the client of ${path} is told why its request was cut off, and the upstream's exchange ends`, async () => {
    const answer = gw.send("DELETE", path);
    const id = await approvedAndUnderWay(path);
    await owner.decide(id, "withdraw", "the wrong customer");
    const { status, headers, body } = await answer;
    const { code, approval, decision, retry } = JSON.parse(body);
    assert.deepEqual(
      [status, headers["content-type"], code, approval, retry],
      [403, "application/problem+json", "approval-withdrawn", id, "never"],
    );
    await eventually(async () => brokenOff.has(path) || undefined);
    assert.deepEqual(await outcomeOf(decision), ["cancelled", "approval-withdrawn"]);
  });
}

test("an answer that has begun breaks off, so that the client sees that it isn't whole", async () => {
  const answer = gw.send("DELETE", "/begun/plain").then(
    () => "whole",
    () => "broken",
  );
  const id = await approvedAndUnderWay("/begun/plain");
  await owner.decide(id, "withdraw", "the wrong customer");
  assert.equal(await answer, "broken");
  await eventually(async () => brokenOff.has("/begun/plain") || undefined);
});

test("an approval that is taken back after the answer changes nothing, nor does it end another request", async () => {
  const first = gw.send("DELETE", "/quick");
  const id = await approvedAndUnderWay("/quick");
  const second = gw.send("DELETE", "/other");
  await approvedAndUnderWay("/other");
  running.get("/quick")?.end("{}");
  assert.equal((await first).status, 200);
  await owner.decide(id, "withdraw", "too late").catch(() => undefined);
  running.get("/other")?.end("{}");
  assert.equal((await second).status, 200);
});
