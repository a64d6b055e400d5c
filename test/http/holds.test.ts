// Requests that wait for people, and rules that read bodies.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { eventually } from "../support/eventually.ts";
import { type Answer, eventOf, startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const upstream = await startUpstream((request, response) => {
  response.setHeader("content-type", "application/json");
  response.end(
    JSON.stringify({ method: request.method, type: request.headers["content-type"] ?? null, body: request.text }),
  );
});

const gw = await startHttpGateway({
  policy: `
package test
type Transfer = { amount: int, to: string }
allow everything on http GET, POST, DELETE at "test-api"
require approval deletes from group "owners" within 30m on http DELETE because "a DELETE waits"
require approval pays from group "owners" within 30m on http POST "/pay"
deny large on http POST "/transfers"
  let t = http.body as Transfer
  when t is present and t.amount > 100
  because "{http.path} takes at most 100"
deny shapeless on http POST "/transfers"
  when (http.body as Transfer) is absent
  because "not a Transfer"
`,
  upstream: upstream.origin,
  config: "approvals: { hold: 20s }",
});

const owner = await gw.issuer.issue({ sub: "olga", kind: "human", groups: ["owners"] });

async function pendingId(): Promise<string> {
  return eventually(async () => {
    const answer = await fetch(`${gw.adminUrl}/v1/approvals?state=pending`, {
      headers: { authorization: `Bearer ${owner}` },
    });
    const { approvals } = (await answer.json()) as { approvals: readonly { id: string }[] };
    return approvals[0]?.id;
  });
}

const vote = (id: string, verdict: "approve" | "deny", reason = "because"): Promise<Response> =>
  fetch(`${gw.adminUrl}/v1/approvals/${id}/${verdict}`, {
    method: "POST",
    headers: { authorization: `Bearer ${owner}`, "content-type": "application/json" },
    body: JSON.stringify({ reason }),
  });

const codeOf = ({ status, body }: Answer): readonly [number, string] => [status, JSON.parse(body).code];

describe("a request that needs approval", () => {
  test("waits, and goes on when it is approved", async () => {
    const waiting = gw.send("DELETE", "/users/7");
    const before = upstream.seen.length;
    const id = await pendingId();
    assert.equal(upstream.seen.length, before);
    assert.equal((await vote(id, "approve")).status, 200);
    assert.equal((await waiting).status, 200);
    assert.equal(upstream.seen.at(-1)?.method, "DELETE");
  });

  test("is another one where a header says how to carry it out", async () => {
    const plain = gw.send("DELETE", "/users/19", { headers: { prefer: "respond-async" } });
    const first = await pendingId();
    assert.equal((await plain).status, 202);
    await vote(first, "approve");
    const other = gw.send("DELETE", "/users/19", { headers: { prefer: "resolution=merge-duplicates" } });
    await vote(await pendingId(), "deny");
    assert.equal((await other).status, 403);
  });

  test("is refused with the approver's reason", async () => {
    const waiting = gw.send("DELETE", "/users/8");
    await vote(await pendingId(), "deny", "not today");
    const answer = await waiting;
    assert.deepEqual(codeOf(answer), [403, "approval-denied"]);
    assert.match(JSON.parse(answer.body).title, /not today/);
  });

  test("is answered 202 with a status URL for clients that ask, and passes once afterwards", async () => {
    const options = { headers: { prefer: "respond-async", "content-type": "application/json" }, body: '{"n":1}' };
    const first = await gw.send("POST", "/pay", options);
    const { approval, status, retry } = JSON.parse(first.body);
    assert.deepEqual(
      [first.status, first.headers.location, status, retry],
      [202, `/.gw/approvals/${approval}`, `/.gw/approvals/${approval}`, "after-approval"],
    );
    const state = async (token?: string) => gw.send("GET", status, token === undefined ? {} : { token });
    assert.equal(JSON.parse((await state()).body).state, "pending");
    assert.equal((await state(owner)).status, 404);
    await vote(approval, "approve");
    assert.equal(JSON.parse((await state()).body).state, "granted");
    const other = await gw.send("POST", "/pay", { ...options, body: '{"n":2}' });
    assert.equal(other.status, 202);
    assert.notEqual(JSON.parse(other.body).approval, approval);
    assert.equal((await gw.send("POST", "/pay", options)).status, 200);
    assert.equal((await gw.send("POST", "/pay", options)).status, 202);
  });

  test("must have a body that people can read", async () => {
    const answer = await gw.send("POST", "/pay", {
      body: "x".repeat(100_000),
      headers: { "content-type": "text/plain" },
    });
    assert.deepEqual(codeOf(answer), [413, "approval-body-too-large"]);
  });

  test("is withdrawn when the client goes away", async () => {
    const gone = new AbortController();
    const waiting = fetch(`http://127.0.0.1:${gw.port}/users/9`, {
      method: "DELETE",
      headers: { authorization: `Bearer ${gw.token}` },
      signal: gone.signal,
    });
    const isPending = eventOf(gw, "statement", (event) => event.statement === "DELETE /users/9");
    const { id } = await isPending;
    gone.abort();
    await assert.rejects(waiting);
    const completion = await eventOf(gw, "completion", (event) => event.id === id);
    assert.equal(completion.outcome, "withdrawn");
  });
});

describe("a body that a rule reads", () => {
  const json = { "content-type": "application/json" };
  const rows: readonly (readonly [
    what: string,
    headers: Readonly<Record<string, string>>,
    body: string | Uint8Array,
    status: number,
    code: string,
  ])[] = [
    ["is JSON", json, '{"amount": 7, "to": "a"}', 200, ""],
    ["is refused by its value", json, '{"amount":700,"to":"a"}', 403, "denied"],
    [
      "is refused by its value when it is compressed",
      { ...json, "content-encoding": "gzip" },
      gzipSync('{"amount":700,"to":"a"}'),
      403,
      "denied",
    ],
    ["is refused by its value when a key comes twice", json, '{"amount":7,"to":"a","amount":700}', 403, "denied"],
    ["is refused by its value behind escapes", json, '{"am\\u006funt":700,"to":"a"}', 403, "denied"],
    ["is refused in another shape", json, '{"amount":"7"}', 403, "denied"],
    ["is a form", { "content-type": "application/x-www-form-urlencoded" }, "amount=7&to=a", 403, "denied"],
    ["is refused when it isn't JSON", json, "{", 400, "body-unreadable"],
    [
      "is refused when it has a number that can't be held",
      json,
      '{"amount":7,"to":"a","n":12345678901234567890}',
      400,
      "body-unreadable",
    ],
    ["is refused when it isn't UTF-8", json, Buffer.from([0x22, 0xff, 0x22]), 400, "body-unreadable"],
    ["is refused in an unknown coding", { ...json, "content-encoding": "compress" }, "{}", 415, "body-coding-unknown"],
    [
      "is refused in another charset",
      { "content-type": "application/json; charset=utf-16" },
      "{}",
      415,
      "body-coding-unknown",
    ],
    [
      "is not known in a type that nobody reads",
      { "content-type": "text/plain" },
      '{"amount":7,"to":"a"}',
      403,
      "undecidable",
    ],
    ["is not known without a type", {}, '{"amount":7,"to":"a"}', 403, "undecidable"],
    [
      "is refused when it asks for another method",
      { "content-type": "application/x-www-form-urlencoded" },
      "amount=7&_method=DELETE",
      400,
      "method-override",
    ],
  ];
  for (const [what, headers, body, status, code] of rows) {
    test(what, async () => {
      const answer = await gw.send("POST", "/transfers", { headers, body });
      assert.deepEqual([answer.status, status === 200 ? "" : JSON.parse(answer.body).code], [status, code]);
    });
  }

  test("goes on in our own spelling", async () => {
    await gw.send("POST", "/transfers", { headers: json, body: '{"to":"x", "amount": 1, "to":"b"}' });
    assert.equal(upstream.seen.at(-1)?.body, '{"to":"b","amount":1}');
  });

  test("of a form with files goes on in our own spelling, too", async () => {
    const form = new FormData();
    form.set("amount", "7");
    form.set("file", new Blob(["content"], { type: "text/plain" }), "a.txt");
    const answer = await fetch(`http://127.0.0.1:${gw.port}/transfers`, {
      method: "POST",
      headers: { authorization: `Bearer ${gw.token}` },
      body: form,
    });
    assert.equal(answer.status, 403);
    assert.equal(((await answer.json()) as { title: string }).title, "not a Transfer");
  });

  test("is not read where no rule asks for it", async () => {
    const answer = await gw.send("POST", "/other", { headers: json, body: '{ "a" :1,"a":2' });
    assert.equal(JSON.parse(answer.body).body, '{ "a" :1,"a":2');
  });
});
