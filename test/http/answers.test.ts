// Masks, filters and limits of answers through the gateway: nothing hidden shows, in the content or around it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { eventOf, startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const policy = `
package test
allow reads on http GET, HEAD, POST at "test-api"
mask iban of json "$..iban" using partial(last: 2) on http "/masked/**"
mask mails of text "email", "private_key" using redact on http "/text/**"
limit few to 3 items on http "/few/**"
limit small to 1000 bytes on http "/small/**"
limit rate to 4 items per 1h by identity.sub on http "/rate/**"
filter mine of json "$.items" where (item.owner as string) == identity.sub on http "/mine/**"
`;

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

const accounts = (iban: string): string => JSON.stringify({ accounts: [{ id: 1, iban }], n: 1.0 });
let secret = "DE89370400440532013000";

const upstream = await startUpstream((request, response) => {
  const url = new URL(request.url ?? "", "http://x");
  const kind = url.pathname.split("/")[2] ?? "";
  const set = (headers: Record<string, string>): void => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  };
  set({
    "content-type": "application/json",
    etag: `"${secret}"`,
    "x-first": secret,
    "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT",
  });
  const body = accounts(secret);
  switch (kind) {
    case "gzip":
      set({ "content-encoding": "gzip" });
      return response.end(gzipSync(body));
    case "br":
      set({ "content-encoding": "br" });
      return response.end(brotliCompressSync(body));
    case "zstd":
      set({ "content-encoding": "zstd" });
      return response.end(zstdCompressSync(body));
    case "bomb":
      set({ "content-encoding": "gzip" });
      return response.end(gzipSync(Buffer.from(`"${"a".repeat(50_000_000)}"`)));
    case "broken-gzip":
      set({ "content-encoding": "gzip" });
      return response.end("not gzip");
    case "coding":
      set({ "content-encoding": "compress" });
      return response.end(body);
    case "html":
      set({ "content-type": "text/html" });
      return response.end(`<p>${secret}</p>`);
    case "untyped":
      response.removeHeader("content-type");
      return response.end(body);
    case "cut":
      return response.end(body.slice(0, -1));
    case "range":
      response.statusCode = 206;
      set({ "content-range": "bytes 0-9/99" });
      return response.end(body);
    case "error":
      response.statusCode = 500;
      return response.end(body);
    case "empty":
      response.statusCode = 204;
      return response.end();
    case "items":
      return response.end(
        JSON.stringify({ items: [1, 2, 3].slice(0, Number(url.searchParams.get("n") ?? 3)), owner: secret }),
      );
    case "many":
      return response.end(JSON.stringify({ items: [1, 2, 3, 4] }));
    case "owned":
      return response.end(
        JSON.stringify({
          items: [
            { owner: "bot", v: 1 },
            { owner: "eve", v: 2 },
          ],
          total: 2,
        }),
      );
    case "long":
      return response.end("x".repeat(2_000));
    case "long-chunked":
      response.write("x".repeat(600));
      response.write("x".repeat(600));
      return response.end();
    case "large": {
      set({ "content-type": "application/x-ndjson" });
      for (let i = 0; i < 20_000; i += 1) response.write(`{"iban":"${secret}","i":${i},"pad":"${"p".repeat(50)}"}\n`);
      return response.end();
    }
    case "large-broken": {
      for (let i = 0; i < 20_000; i += 1)
        response.write(i === 0 ? "[" : `{"iban":"${secret}","i":${i},"pad":"${"p".repeat(50)}"},`);
      return response.end("]]");
    }
    case "key":
      set({ "content-type": "text/plain" });
      return response.end(`mail a@b.de\n-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----\n`);
    default:
      return response.end(body);
  }
});

const gw = await startHttpGateway({ policy, upstream: upstream.origin });
const masked = '{"accounts":[{"id":1,"iban":"***00"}],"n":1}';

describe("a masked answer", () => {
  for (const kind of ["plain", "gzip", "br", "zstd"]) {
    test(`shows its mask, and nothing of the value around it: ${kind}`, async () => {
      const answer = await gw.send("GET", `/masked/${kind}`);
      assert.equal(answer.body, masked);
      const { date, "gw-decision": decision, connection, "keep-alive": keepAlive, ...headers } = answer.headers;
      assert.deepEqual(headers, {
        "content-type": "application/json",
        "content-length": String(masked.length),
        "cache-control": "no-store",
        vary: "authorization",
      });
    });
  }

  test("of an error is masked, too", async () => {
    const answer = await gw.send("GET", "/masked/error");
    assert.deepEqual([answer.status, answer.body], [500, masked]);
  });

  test("is asked for as a whole, uncompressed and without validators", async () => {
    await gw.send("GET", "/masked/plain", {
      headers: {
        range: "bytes=0-9",
        "if-none-match": '"1"',
        "if-modified-since": "Mon, 01 Jan 2024 00:00:00 GMT",
        "accept-encoding": "gzip",
        "if-range": '"1"',
      },
    });
    const { headers = {} } = upstream.seen.at(-1) ?? {};
    assert.deepEqual(
      ["range", "if-none-match", "if-modified-since", "if-range", "accept-encoding"].map((name) => headers[name]),
      [undefined, undefined, undefined, undefined, "identity"],
    );
  });

  test("tells nothing by a precondition", async () => {
    const answer = await gw.send("POST", "/masked/plain", { headers: { "if-match": '"guess"' } });
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [403, "mask-preconditions"]);
  });

  test("tells nothing by HEAD", async () => {
    const answer = await gw.send("HEAD", "/masked/plain");
    assert.deepEqual(
      [answer.status, answer.headers["content-length"], answer.headers.etag, answer.headers["x-first"]],
      [200, undefined, undefined, undefined],
    );
  });

  test("without content goes through", async () => {
    assert.equal((await gw.send("GET", "/masked/empty")).status, 204);
  });

  for (const kind of ["html", "untyped", "coding", "broken-gzip", "bomb", "cut", "range"]) {
    test(`is refused when it can't be read: ${kind}`, async () => {
      const answer = await gw.send("GET", `/masked/${kind}`);
      const problem = JSON.parse(answer.body);
      assert.deepEqual([answer.status, problem.code], [502, "answer-unreadable"]);
      assert.equal(answer.body.includes(secret), false);
      const completion = await eventOf(gw, "completion", (event) => event.id === problem.decision);
      assert.deepEqual([completion.outcome, completion.tag], ["refused", "answer-unreadable"]);
    });
  }

  test("streams when it is large, in blocks that tell nothing of lengths", async () => {
    const answer = await gw.send("GET", "/masked/large");
    assert.equal(answer.body.split("\n").length, 20_001);
    assert.match(answer.body, /^\{"iban":"\*\*\*00","i":0,/);
    assert.equal(answer.body.includes(secret), false);
  });

  test("breaks the connection when it can't be read after it began", async () => {
    await assert.rejects(gw.send("GET", "/masked/large-broken"), { code: "ECONNRESET" });
  });

  test("of text hides kinds of values", async () => {
    const answer = await gw.send("GET", "/text/key");
    assert.equal(answer.body, "mail ***\n***\n");
  });
});

test("law: two upstreams that differ in masked values only give the same bytes", async () => {
  const kinds = ["plain", "gzip", "br", "zstd", "error", "html", "cut", "large", "range", "untyped"];
  const worlds = [];
  for (const value of ["DE89370400440532013000", "GB82WEST1234569876543200"]) {
    secret = value;
    const answers = [];
    for (const kind of kinds) {
      for (const method of ["GET", "HEAD"]) {
        const raw = await gw.raw(
          `${method} /masked/${kind} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n`,
        );
        answers.push(kind, digestOf(raw.replace(/dec_[0-9a-z]+/g, "dec").replace(/\r\n[Dd]ate: [^\r]+/, "")));
      }
    }
    worlds.push(answers);
  }
  assert.deepEqual(worlds[0], worlds[1]);
});

describe("a limit of one answer", () => {
  test("lets through what keeps it, and counts", async () => {
    const answer = await gw.send("GET", "/few/items");
    assert.equal(answer.status, 200);
    const completion = await eventOf(gw, "completion", (event) => event.id === answer.headers["gw-decision"]);
    assert.equal(completion.rows, 3);
  });
  for (const path of ["/few/many", "/small/long", "/small/long-chunked"]) {
    test(`refuses what doesn't: ${path}`, async () => {
      const answer = await gw.send("GET", path);
      assert.deepEqual([answer.status, JSON.parse(answer.body).code], [502, "answer-too-large"]);
    });
  }
  test("over a window counts what answers held", async () => {
    assert.equal((await gw.send("GET", "/rate/items")).status, 200);
    assert.equal((await gw.send("GET", "/rate/items")).status, 200);
    const answer = await gw.send("GET", "/rate/items");
    const { code, retry } = JSON.parse(answer.body);
    assert.deepEqual([answer.status, code, retry], [429, "limit", "after-wait"]);
  });
});

test("a filter of items leaves out what isn't the caller's", async () => {
  const answer = await gw.send("GET", "/mine/owned");
  assert.equal(answer.body, '{"items":[{"owner":"bot","v":1}],"total":2}');
});

test("an answer that nothing asks about goes through as it is, but not into shared caches", async () => {
  const answer = await gw.send("GET", "/open/html");
  assert.deepEqual(
    [answer.headers["content-type"], answer.headers["x-first"], answer.body],
    ["text/html", secret, `<p>${secret}</p>`],
  );
});
