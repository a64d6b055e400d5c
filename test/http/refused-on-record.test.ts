// Requests that have no canonical form: of whoever has logged in they are on record, without what they said.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { adminClient } from "../../cli/admin-client.ts";
import { eventually } from "../support/eventually.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const upstream = await startUpstream((_request, response) => response.end("{}"));
const warned: string[] = [];
const quiet = (): void => undefined;
const gw = await startHttpGateway({
  policy: `
package test
allow everything on http GET, POST
require approval posts from group "owners" within 30m on http POST "/held" because "a POST waits"
`,
  upstream: upstream.origin,
  log: { debug: quiet, info: quiet, error: quiet, warn: ({ code }) => warned.push(String(code)) },
  config: "approvals: { hold: 1s }",
  connection: "    body_max_bytes: 10",
  connections: `
  - name: crm
    kind: http
    listen: 127.0.0.1:0
    tls: off
    prefix: /crm
    upstream: { url: "${upstream.origin}" }
`,
});
after(() => undefined);

const statements = async () =>
  (await gw.events()).flatMap((e) =>
    e.type === "statement" ? [{ text: e.statement, effect: e.effect, causes: e.causes }] : [],
  );

test("a path that hides a separator, a bad header, a session name and a body that is too large are on record", async () => {
  const rows: readonly (readonly [() => Promise<{ status: number; body: string }>, number, string, string])[] = [
    [() => gw.send("GET", "/a%2Fsecret-of-the-client"), 400, "path-ambiguous", "GET"],
    [() => gw.send("GET", "/a", { headers: { "x-http-method-override": "DELETE" } }), 400, "method-override", "GET"],
    [() => gw.send("GET", "/a", { headers: { "x-gw-session": "no such name!" } }), 400, "session-malformed", "GET"],
    [() => gw.send("POST", "/a", { body: "0123456789x" }), 413, "body-too-large", "POST"],
  ];
  for (const [send, status, code, method] of rows) {
    const answer = await send();
    const problem = JSON.parse(answer.body);
    assert.deepEqual([answer.status, problem.code, typeof problem.decision], [status, code, "string"], code);
    const found = (await statements()).find(({ text }) => text === `${method} (refused: ${code})`);
    assert.equal(found?.effect, "deny", code);
  }
  assert.equal(JSON.stringify(await gw.events()).includes("secret-of-the-client"), false);
  assert.equal(upstream.seen.length, 0);
});

test("of somebody without a good token they are in the log only", async () => {
  const before = (await statements()).length;
  assert.equal((await gw.send("GET", "/a%2Fb", { token: "not.a.token" })).status, 400);
  assert.equal((await gw.send("GET", "/a%2Fb", { token: "" })).status, 400);
  assert.equal((await statements()).length, before);
  assert.ok(warned.filter((code) => code === "path-ambiguous").length >= 3);
});

test("approvers see which headers an approval is bound to, and no secrets", async () => {
  const owner = adminClient(gw.adminUrl, await gw.issuer.issue({ sub: "olga", kind: "human", groups: ["owners"] }));
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
  const headers = { accept: "text/csv", "x-mode": "purge", "x-app-key": "k-123456", "x-note": jwt, "user-agent": "me" };
  const answer = await gw.send("POST", "/held", { body: "x=1", headers });
  assert.equal(answer.status, 403);
  const [pending] = await eventually(async () => {
    const all = await owner.list("pending");
    return all.length > 0 ? all : undefined;
  });
  const shown = JSON.stringify(pending);
  for (const text of ["accept: text/csv", "x-mode: purge", "x-app-key: (bound to the approval, not shown)"])
    assert.ok(shown.includes(text), text);
  for (const text of ["k-123456", jwt, "user-agent"]) assert.ok(!shown.includes(text), text);
});
