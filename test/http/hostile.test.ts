// Bytes as an attacker sends them: what Node's parser, the normaliser and the routing do together.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const upstream = await startUpstream((request, response) => {
  if (request.url?.startsWith("/redirect")) {
    response.writeHead(302, { location: "http://169.254.169.254/latest/meta-data" });
    response.end();
  } else response.end("served");
});

const gw = await startHttpGateway({
  policy: `
package test
allow everything on http GET, POST at "test-api"
deny admin on http "/admin/**" because "closed"
`,
  upstream: upstream.origin,
});

const auth = "Host: api.test\r\nAuthorization: Bearer {token}\r\n";

/** Status of the first answer, and how many requests reached the upstream. */
async function send(bytes: string): Promise<readonly [status: string, reached: number]> {
  const before = upstream.seen.length;
  const text = await gw.raw(bytes, /\r\n\r\n/);
  return [/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? "none", upstream.seen.length - before];
}

describe("a request that two servers could read differently is answered 400 and goes nowhere", () => {
  const rows: readonly (readonly [what: string, bytes: string, status?: string])[] = [
    [
      "Content-Length and Transfer-Encoding",
      `POST / HTTP/1.1\r\n${auth}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      "Transfer-Encoding and Content-Length",
      `POST / HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
    ],
    ["two lengths", `POST / HTTP/1.1\r\n${auth}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`],
    ["a length with a sign", `POST / HTTP/1.1\r\n${auth}Content-Length: +5\r\n\r\nhello`],
    ["a length in hex", `POST / HTTP/1.1\r\n${auth}Content-Length: 0x5\r\n\r\nhello`],
    ["a coding hidden by a blank", `POST / HTTP/1.1\r\n${auth}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`],
    ["a coding hidden by a tab", `POST / HTTP/1.1\r\n${auth}Transfer-Encoding:\tx chunked\r\n\r\n0\r\n\r\n`],
    ["two codings", `POST / HTTP/1.1\r\n${auth}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`],
    ["a folded header", `GET / HTTP/1.1\r\n${auth}X-A: b\r\n c\r\n\r\n`],
    ["bare line feeds", `GET / HTTP/1.1\nHost: api.test\nAuthorization: Bearer {token}\n\n`],
    ["a bare line feed in a header", `GET / HTTP/1.1\r\n${auth}X-A: b\nX-B: c\r\n\r\n`],
    ["a bare carriage return", `GET / HTTP/1.1\r\n${auth}X-A: b\rX-B: c\r\n\r\n`],
    ["a NUL in a header", `GET / HTTP/1.1\r\n${auth}X-A: b\0c\r\n\r\n`],
    [
      "a chunk size with rubbish",
      `POST / HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\n5;\nx\r\nhello\r\n0\r\n\r\n`,
    ],
    ["no host", "GET / HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n"],
    ["two hosts", `GET / HTTP/1.1\r\n${auth}Host: evil.test\r\n\r\n`],
    ["a URL of another host", `GET http://evil.test/ HTTP/1.1\r\n${auth}\r\n`],
    ["a URL of the upstream", `GET http://127.0.0.1:${upstream.port}/ HTTP/1.1\r\n${auth}\r\n`],
    ["a path without a slash", `GET admin HTTP/1.1\r\n${auth}\r\n`],
    ["an encoded slash", `GET /x%2f..%2fadmin/users HTTP/1.1\r\n${auth}\r\n`],
    ["a backslash", `GET /x\\..\\admin HTTP/1.1\r\n${auth}\r\n`],
    ["double encoding", `GET /%2561dmin/users HTTP/1.1\r\n${auth}\r\n`],
    ["an overlong encoding", `GET /%c1%a1dmin HTTP/1.1\r\n${auth}\r\n`],
    ["a NUL in the path", `GET /admin%00.png HTTP/1.1\r\n${auth}\r\n`],
    ["a parameter of a segment", `GET /admin;/users HTTP/1.1\r\n${auth}\r\n`],
    ["a raw byte", `GET /adm\u00efn HTTP/1.1\r\n${auth}\r\n`],
    ["a method in a header", `POST / HTTP/1.1\r\n${auth}X-HTTP-Method-Override: DELETE\r\nContent-Length: 0\r\n\r\n`],
    ["another path in a header", `GET / HTTP/1.1\r\n${auth}X-Original-URL: /admin\r\n\r\n`],
    ["a header with an underscore", `GET / HTTP/1.1\r\n${auth}X_Original_URL: /admin\r\n\r\n`],
    ["a header that Connection removes", `GET / HTTP/1.1\r\n${auth}Connection: authorization\r\n\r\n`],
    ["an unknown version", `GET / HTTP/3.0\r\n${auth}\r\n`],
    ["TRACE", `TRACE / HTTP/1.1\r\n${auth}\r\n`, "501"],
    ["a tunnel", `CONNECT evil.test:443 HTTP/1.1\r\n${auth}\r\n`, "none"],
    ["headers without end", `GET / HTTP/1.1\r\n${auth}${"X-A: b\r\n".repeat(30_000)}\r\n`, "431"],
    [
      "too many headers",
      `GET / HTTP/1.1\r\n${auth}${Array.from({ length: 300 }, (_, i) => `X-${i}: b\r\n`).join("")}\r\n`,
      "431",
    ],
    [
      "more headers than Node keeps, the last one a lie",
      `GET / HTTP/1.1\r\n${auth}${"a:\r\n".repeat(2_100)}X-Original-URL: /admin\r\n\r\n`,
      "431",
    ],
  ];
  for (const [what, bytes, status = "400"] of rows) {
    test(what, async () => assert.deepEqual(await send(bytes), [status, 0]));
  }
});

describe("a closed route stays closed in every spelling", () => {
  const spellings = [
    "/admin/users",
    "//admin/users",
    "/./admin/users",
    "/x/../admin/users",
    "/%61dmin/users",
    "/%61%64min/./users",
    "/x/%2e%2e/admin",
    "/admin/",
    "/admin",
    "/admin/users/",
    "/admin/?x=1",
    "http://api.test/admin/users",
  ];
  for (const target of spellings) {
    test(target, async () => assert.deepEqual(await send(`GET ${target} HTTP/1.1\r\n${auth}\r\n`), ["403", 0]));
  }
});

test("a request behind another one is decided by itself", async () => {
  const before = upstream.seen.length;
  const text = await gw.raw(
    `POST /x HTTP/1.1\r\n${auth}Content-Length: 43\r\n\r\nGET /admin/users HTTP/1.1\r\nHost: api.test\r\n\r\nGET /admin HTTP/1.1\r\n${auth}Connection: close\r\n\r\n`,
  );
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((m) => m[1]),
    ["200", "403"],
  );
  assert.deepEqual(
    upstream.seen.slice(before).map(({ url }) => url),
    ["/x"],
  );
});

test("a body that ends early breaks off upstream, and nothing is served of it", async () => {
  const text = await gw.raw(
    `POST /x HTTP/1.1\r\n${auth}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZ\r\n`,
    /\r\n\r\n/,
  );
  assert.match(text, /^HTTP\/1\.1 400/);
});

test("an upstream's redirect is the client's to follow: the gateway reaches its own upstream only", async () => {
  const answer = await gw.send("GET", "/redirect");
  assert.deepEqual([answer.status, answer.headers.location], [302, "http://169.254.169.254/latest/meta-data"]);
});

test("an error tells nothing of the upstream, the token or the request", async () => {
  const answer = await gw.send("GET", "/admin/x?secret=hunter2");
  assert.equal(/hunter2|127\.0\.0\.1|Bearer|eyJ/.test(answer.body), false);
});
