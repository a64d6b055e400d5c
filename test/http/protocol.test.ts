// HTTP/2, WebSockets, Expect, streams, routes and credentials: real peers on both sides.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { createServer as createHttpsServer, request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { WebSocket, WebSocketServer } from "ws";
import { eventOf, startHttpGateway, startUpstream } from "../support/http-gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const policy = `
package test
allow everything on http GET, HEAD, POST
allow sockets on http CONNECT "/ws" at "test-api"
deny closed on http "/closed"
mask names of text "email" using redact on http "/masked/**"
`;

let release: (() => void) | undefined;
const upstream = await startUpstream((request, response) => {
  if (request.url?.startsWith("/events") || request.url === "/masked/events") {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write("data: one a@b.de\n\n");
    release = () => response.end("data: two\n\n");
  } else if (request.url === "/slow") {
    release = () => response.end("late");
  } else if (request.url === "/dies") {
    response.writeHead(200, { "content-length": "100" });
    response.write("part");
    setImmediate(() => response.destroy());
  } else if (request.url === "/hop") {
    response.writeHead(200, {
      connection: "x-private, close",
      "x-private": "1",
      "keep-alive": "timeout=9",
      "x-open": "2",
      "cache-control": "public, s-maxage=60, max-age=60",
    });
    response.end();
  } else response.end(JSON.stringify({ url: request.url, headers: request.headers, body: request.text }));
});
const wss = new WebSocketServer({ noServer: true });
after(() => wss.close());

const gw = await startHttpGateway({
  policy,
  upstream: upstream.origin,
  upstreamLines: "      timeout: 5s",
  connections: `
  - name: crm
    kind: http
    listen: 127.0.0.1:0
    tls: off
    hosts: [crm.test]
    prefix: /crm
    upstream: { url: "${upstream.origin}/v2/", credential: { basic: { user: gw, password: { file: secret } } } }
  - name: keyed
    kind: http
    listen: 127.0.0.1:0
    tls: off
    upstream: { url: "${upstream.origin}", credential: { query: key, secret: { file: secret } } }
  - name: bearer
    kind: http
    listen: 127.0.0.1:0
    tls: off
    cookies: true
    upstream: { url: "${upstream.origin}", credential: { bearer: { file: secret } } }
  - name: gone
    kind: http
    listen: 127.0.0.1:0
    tls: off
    upstream: { url: "http://127.0.0.1:1" }
`,
  files: { secret: "s3cr&t" },
});
const portOf = (name: string): number => gw.gateway.connections.find((c) => c.name === name)?.port ?? 0;

describe("streams", () => {
  for (const path of ["/events", "/masked/events"]) {
    test(`go on event by event: ${path}`, async () => {
      const answer = await fetch(`http://127.0.0.1:${gw.port}${path}`, {
        headers: { authorization: `Bearer ${gw.token}` },
      });
      const reader = answer.body?.getReader();
      const first = Buffer.from((await reader?.read())?.value ?? []).toString();
      assert.match(first, path === "/events" ? /^data: one a@b\.de\n/ : /^data: one \*\*\*\n/);
      release?.();
      let rest = "";
      for (let part = await reader?.read(); part?.done === false; part = await reader?.read())
        rest += Buffer.from(part.value ?? []).toString();
      assert.match(rest, /data: two\n\n$/);
    });
  }

  test("that the upstream breaks off are broken off, and say so in the record", async () => {
    await assert.rejects(gw.send("GET", "/dies"));
    const { id } = await eventOf(gw, "statement", (event) => event.statement === "GET /dies");
    assert.equal((await eventOf(gw, "completion", (event) => event.id === id)).outcome, "error");
  });

  test("of an upstream that doesn't answer end with 504", async () => {
    const answer = await gw.send("GET", "/slow");
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [504, "upstream-timeout"]);
    release?.();
  });

  test("to an upstream that isn't there end with 502", async () => {
    const answer = await gw.send("GET", "/", { port: portOf("gone") });
    assert.deepEqual([answer.status, JSON.parse(answer.body).code], [502, "upstream-unreachable"]);
  });

  test("lose what is hop by hop, and what would put them into shared caches", async () => {
    const { headers } = await gw.send("GET", "/hop");
    assert.deepEqual(
      [headers["x-private"], headers["x-open"], headers["keep-alive"], headers["cache-control"]],
      [undefined, "2", undefined, "max-age=60, private"],
    );
  });
});

describe("routes and credentials", () => {
  test("host name and prefix choose a connection, and the prefix stays here", async () => {
    const ok = await gw.send("GET", "/crm/users?a=1", { port: portOf("crm"), headers: { host: "crm.test:8080" } });
    assert.equal(ok.status, 200);
    const last = upstream.seen.at(-1);
    assert.deepEqual(
      [last?.url, last?.headers.authorization],
      ["/v2/users?a=1", `Basic ${Buffer.from("gw:s3cr&t").toString("base64")}`],
    );
    for (const [path, host] of [
      ["/crmx", "crm.test"],
      ["/crm", "other.test"],
      ["/crm/../x", "crm.test"],
    ] as const) {
      const answer = await gw.send("GET", path, { port: portOf("crm"), headers: { host } });
      assert.deepEqual([answer.status, JSON.parse(answer.body).code], [404, "route-unknown"]);
    }
  });

  test("a credential of the query is added, and can't be given by the client", async () => {
    const answer = await gw.send("GET", "/x?a=1", { port: portOf("keyed") });
    assert.deepEqual(
      [JSON.parse(answer.body).url, upstream.seen.at(-1)?.url],
      ["/x?a=1&key=********", "/x?a=1&key=s3cr%26t"],
    );
    const reserved = await gw.send("GET", "/x?KEY=mine", { port: portOf("keyed") });
    assert.deepEqual([reserved.status, JSON.parse(reserved.body).code], [400, "parameter-reserved"]);
  });

  test("a bearer credential takes the place of the caller's token, and cookies go on where the connection says so", async () => {
    const answer = await gw.send("GET", "/x", { port: portOf("bearer"), headers: { cookie: "a=b" } });
    const { headers } = JSON.parse(answer.body);
    assert.deepEqual([headers.authorization, headers.cookie], ["Bearer s3cr&t", "a=b"]);
  });

  test("a trace goes on with the gateway as a span of it", async () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const answer = await gw.send("GET", "/x", { headers: { traceparent, tracestate: "a=b", "x-gw-session": "run-7" } });
    const { headers } = JSON.parse(answer.body);
    assert.match(headers.traceparent, /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/);
    assert.equal(headers.tracestate, "a=b");
    const statement = await eventOf(gw, "statement", (event) => event.id === answer.headers["gw-decision"]);
    assert.deepEqual(statement.refs, { trace: "4bf92f3577b34da6a3ce929d0e0e4736" });
    const start = await eventOf(gw, "session-start", (event) => event.session === statement.session);
    assert.equal(start.application, "agent/run-7");
  });
});

describe("Expect: 100-continue", () => {
  const head = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`;
  test("is answered when the request is allowed", async () => {
    const text = await new Promise<string>((resolve) => {
      const socket = connect(gw.port, "127.0.0.1");
      let got = "";
      socket.on("data", (part) => {
        got += part.toString();
        if (got === "HTTP/1.1 100 Continue\r\n\r\n") socket.write("hello");
        if (got.includes('"body"')) socket.destroy();
      });
      socket.on("close", () => resolve(got));
      socket.write(head("/x").replace("{token}", gw.token));
    });
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK[\s\S]*"body":"hello"/);
  });
  test("is not answered when it is denied, and the connection ends", async () => {
    const text = await gw.raw(head("/closed"));
    assert.match(text, /^HTTP\/1\.1 403 [\s\S]*[Cc]onnection: close/);
  });
});

describe("WebSockets", () => {
  const http = createHttpServer();
  http.on("upgrade", (request, socket, headBytes) => {
    wss.handleUpgrade(request, socket, headBytes, (ws) => {
      ws.on("message", (data) => ws.send(`echo ${data} ${request.url} ${request.headers.authorization ?? "no token"}`));
    });
  });
  test("go through where a rule allows CONNECT, and are counted", async () => {
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    after(() => http.close());
    const address = http.address();
    const sockets = await startHttpGateway({
      policy,
      upstream: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
    });
    const ws = new WebSocket(`ws://127.0.0.1:${sockets.port}/ws?a=1`, {
      headers: { authorization: `Bearer ${sockets.token}` },
    });
    const got = await new Promise<string>((resolve, reject) => {
      ws.on("open", () => ws.send("hello"));
      ws.on("message", (data) => resolve(String(data)));
      ws.on("error", reject);
    });
    assert.equal(got, "echo hello /ws?a=1 no token");
    ws.close();
    const { id, rules } = await eventOf(sockets, "statement", (event) => event.statement === "CONNECT /ws?a=1");
    assert.deepEqual(rules, ["test.sockets"]);
    const completion = await eventOf(sockets, "completion", (event) => event.id === id);
    assert.deepEqual([completion.outcome, completion.tag], ["ok", "101"]);
    assert.ok(completion.bytes > 0);
  });

  const refused: readonly (readonly [what: string, path: string, token: string | undefined, status: number])[] = [
    ["where no rule allows CONNECT", "/x", undefined, 403],
    ["without a token", "/ws", "", 401],
  ];
  for (const [what, path, token, status] of refused) {
    test(`are refused ${what}`, async () => {
      const ws = new WebSocket(`ws://127.0.0.1:${gw.port}${path}`, {
        headers: { authorization: `Bearer ${token ?? gw.token}` },
      });
      const got = await new Promise<number>((resolve, reject) => {
        ws.on("unexpected-response", (_request, response) => resolve(response.statusCode ?? 0));
        ws.on("open", () => reject(new Error("open")));
        ws.on("error", () => undefined);
      });
      assert.equal(got, status);
      ws.terminate();
    });
  }

  test("are what Upgrade means here; other protocols are not", async () => {
    const answer = await gw.send("GET", "/x", {
      headers: { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA" },
    });
    assert.equal(answer.status, 200);
    assert.equal(JSON.parse(answer.body).headers.upgrade, undefined);
  });
});

describe("TLS", () => {
  test("speaks HTTP/2 and HTTP/1.1, and decides both alike", async () => {
    const secure = await startHttpGateway({ policy, upstream: upstream.origin, tls: "self-signed" });
    const session = connectHttp2(`https://127.0.0.1:${secure.port}`, { rejectUnauthorized: false });
    after(() => session.destroy());
    const get = (path: string) =>
      new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
        const stream = session.request({ ":path": path, authorization: `Bearer ${secure.token}`, "x-a": "b" });
        let status = 0;
        let body = "";
        stream.on("response", (headers) => {
          status = Number(headers[":status"]);
        });
        stream.on("data", (part) => {
          body += part;
        });
        stream.on("end", () => resolve({ status, body }));
        stream.on("error", reject);
      });
    const ok = await get("/v1/./users");
    assert.equal(ok.status, 200);
    assert.deepEqual([JSON.parse(ok.body).url, JSON.parse(ok.body).headers["x-a"]], ["/v1/users", "b"]);
    assert.equal((await get("/closed")).status, 403);
    assert.equal((await get("/a%2fb")).status, 400);
    const http1 = await new Promise<number | undefined>((resolve, reject) => {
      const request = httpsRequest(
        {
          host: "127.0.0.1",
          port: secure.port,
          path: "/x",
          rejectUnauthorized: false,
          headers: { authorization: `Bearer ${secure.token}` },
          agent: false,
        },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      request.on("error", reject);
      request.end();
    });
    assert.equal(http1, 200);
    const ws = new WebSocket(`wss://127.0.0.1:${secure.port}/x`, {
      rejectUnauthorized: false,
      headers: { authorization: `Bearer ${secure.token}` },
    });
    const status = await new Promise((resolve) => {
      ws.on("unexpected-response", (_request, response) => resolve(response.statusCode));
      ws.on("error", () => undefined);
    });
    assert.equal(status, 403);
    ws.terminate();
  });

  test("to the upstream checks its name and shows the gateway's certificate", async () => {
    const folder = temporaryFolder();
    const file = (name: string): string => join(folder, name);
    const openssl = (...args: string[]): void => {
      execFileSync("openssl", args, { cwd: folder, stdio: "ignore" });
    };
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "key.pem",
      "-out",
      "cert.pem",
      "-days",
      "2",
      "-subj",
      "/CN=localhost",
      "-addext",
      "subjectAltName=DNS:localhost",
    );
    const { readFileSync } = await import("node:fs");
    const [cert, key] = [readFileSync(file("cert.pem"), "utf8"), readFileSync(file("key.pem"), "utf8")];
    const server = createHttpsServer(
      { cert, key, ca: cert, requestCert: true, rejectUnauthorized: true },
      (request, response) => response.end((request.socket as TLSSocket).getPeerCertificate().subject.CN),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    after(() => {
      server.closeAllConnections();
      server.close();
    });
    const address = server.address();
    const port = typeof address === "object" ? address?.port : 0;
    const lines = "      ca: cert.pem\n      client_certificate: { certificate: cert.pem, key: key.pem }";
    const files = { "cert.pem": cert, "key.pem": key };
    const good = await startHttpGateway({ policy, upstream: `https://localhost:${port}`, upstreamLines: lines, files });
    assert.equal((await good.send("GET", "/x")).body, "localhost");
    const misnamed = await startHttpGateway({
      policy,
      upstream: `https://127.0.0.1:${port}`,
      upstreamLines: lines,
      files,
    });
    assert.equal((await misnamed.send("GET", "/x")).status, 502);
  });
});

test("a client that goes away takes its upstream request with it", async () => {
  const request = httpRequest({
    host: "127.0.0.1",
    port: gw.port,
    path: "/events?gone",
    headers: { authorization: `Bearer ${gw.token}` },
  });
  request.on("error", () => undefined);
  const got = new Promise<void>((resolve) => request.on("response", () => resolve()));
  request.end();
  await got;
  request.destroy();
  const { id } = await eventOf(gw, "statement", (event) => event.statement === "GET /events?gone");
  assert.equal((await eventOf(gw, "completion", (event) => event.id === id)).outcome, "aborted");
});
