// HTTP through `gw serve`: what reaches the upstream, what the client is told, what is on record.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventOf, startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const policy = `
package test
allow reads on http GET, HEAD "/v1/users", "/v1/users/{id}" at "test-api"
allow writes on http POST "/v1/users" at "test-api"
deny secrets on http "/v1/users/root" because "root is nobody's business"
`;

const upstream = await startUpstream((request, response) => {
  response.setHeader("content-type", "application/json");
  response.setHeader("etag", '"1"');
  response.setHeader("set-cookie", "a=b");
  response.end(JSON.stringify({ path: request.url, body: request.text }));
});

const gw = await startHttpGateway({
  policy,
  upstream: `${upstream.origin}/base`,
  files: { key: "s3cret" },
  upstreamLines: "      credential: { header: X-Api-Key, secret: { file: key } }",
});

describe("an HTTP connection", () => {
  test("forwards an allowed request in its canonical form, with the gateway's credential and without the caller's", async () => {
    const answer = await gw.send("GET", "//v1/./users/%37?b=1&a=x+y", {
      headers: {
        "x-trace": "t",
        "x-api-key": "mine",
        "x-forwarded-for": "1.2.3.4",
        cookie: "c=d",
        connection: "keep-alive",
      },
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(JSON.parse(answer.body), { path: "/base/v1/users/7?b=1&a=x%20y", body: "" });
    const seen = upstream.seen.at(-1);
    const { traceparent, ...headers } = seen?.headers ?? {};
    assert.match(String(traceparent), /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
    assert.deepEqual(headers, {
      host: `127.0.0.1:${upstream.port}`,
      connection: "keep-alive",
      "x-trace": "t",
      // What is encoded couldn't be searched for the credential.
      "accept-encoding": "identity",
      "x-api-key": "s3cret",
    });
    assert.equal(answer.headers["set-cookie"], undefined);
    assert.equal(answer.headers.etag, '"1"');
    assert.match(String(answer.headers["gw-decision"]), /^dec_/);
  });

  test("records the intent before, and the outcome after", async () => {
    const answer = await gw.send("GET", "/v1/users/8?q=1");
    const id = String(answer.headers["gw-decision"]);
    const statement = await eventOf(gw, "statement", (event) => event.id === id);
    const {
      seq,
      prev,
      hash,
      atMs,
      session,
      policy: hashOfPolicy,
      refs,
      ...rest
    } = statement as unknown as Record<string, unknown>;
    assert.deepEqual(rest, {
      type: "statement",
      revision: "unversioned",
      id,
      statement: "GET /v1/users/8?q=1",
      isCut: false,
      parameters: 0,
      accesses: ["GET /v1/users/8"],
      effect: "allow",
      rules: ["test.reads"],
      causes: [],
      masks: [],
      filters: [],
    });
    const completion = await eventOf(gw, "completion", (event) => event.id === id);
    assert.deepEqual(
      { outcome: completion.outcome, tag: completion.tag, bytes: completion.bytes },
      { outcome: "ok", tag: "200", bytes: answer.body.length },
    );
    const start = await eventOf(gw, "session-start", (event) => event.session === session);
    assert.deepEqual(
      [start.protocol, start.connection, start.principal.sub, start.client],
      ["http", "test-api", "bot", "127.0.0.1"],
    );
  });

  test("answers a denial with reason, rule, decision and way out, and forwards nothing", async () => {
    const before = upstream.seen.length;
    const answer = await gw.send("GET", "/v1/users/root");
    const { decision, ...problem } = JSON.parse(answer.body);
    assert.equal(answer.status, 403);
    assert.equal(answer.headers["content-type"], "application/problem+json");
    assert.match(decision, /^dec_/);
    assert.deepEqual(problem, {
      type: "urn:gatewright:denied",
      status: 403,
      title: "root is nobody's business",
      code: "denied",
      rules: ["test.secrets"],
      help: `if you need this, show ${decision} to the owner of rule test.secrets`,
      retry: "never",
    });
    assert.equal(upstream.seen.length, before);
    const statement = await eventOf(gw, "statement", (event) => event.id === decision);
    assert.equal(statement.effect, "deny");
  });

  test("lets through nothing that no rule allows", async () => {
    const answer = await gw.send("DELETE", "/v1/users/7");
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [403, "uncovered"]);
  });

  test("turns away who has no good token, with a challenge", async () => {
    const rows = [
      { token: "", code: "token-missing", challenge: 'Bearer realm="gatewright"' },
      { token: "x.y.z", code: "token-malformed", challenge: 'Bearer realm="gatewright", error="invalid_token"' },
      {
        token: await gw.issuer.issue({ sub: "bot", kind: "agent", groups: [] }, { ttlS: -3_600 }),
        code: "token-expired",
        challenge: 'Bearer realm="gatewright", error="invalid_token"',
      },
    ];
    for (const { token, code, challenge } of rows) {
      const answer = await gw.send("GET", "/v1/users", { token });
      assert.deepEqual(
        [answer.status, JSON.parse(answer.body).code, answer.headers["www-authenticate"]],
        [401, code, challenge],
      );
    }
  });

  test("passes a body on unread, with its length or chunked", async () => {
    const sized = await gw.send("POST", "/v1/users", { body: "hello", headers: { "content-type": "text/plain" } });
    assert.equal(JSON.parse(sized.body).body, "hello");
    assert.equal(upstream.seen.at(-1)?.headers["content-length"], "5");
    const chunked = await gw.send("POST", "/v1/users", { body: "hello", headers: { "transfer-encoding": "chunked" } });
    assert.equal(JSON.parse(chunked.body).body, "hello");
    assert.equal(upstream.seen.at(-1)?.headers["transfer-encoding"], "chunked");
  });
});
