// HTTP/2 clients that send too much of something: the connection or the request ends, and the gateway goes on.
import assert from "node:assert/strict";
import { type ClientHttp2Session, connect, constants, createSecureServer, type OutgoingHttpHeaders } from "node:http2";
import { after, test } from "node:test";
import { requestBodyOf } from "../../proxy/http/incoming.ts";
import { makeSelfSigned } from "../../proxy/tls/self-signed.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const upstream = await startUpstream((_request, response) => response.end("{}"));
const gw = await startHttpGateway({
  policy: "package test\nallow everything on http GET\n",
  upstream: upstream.origin,
  tls: "self-signed",
});
const authorization = `Bearer ${gw.token}`;

function open(): ClientHttp2Session {
  const session = connect(`https://127.0.0.1:${gw.port}`, { rejectUnauthorized: false });
  session.on("error", () => undefined);
  after(() => session.destroy());
  return session;
}

/** Status and problem code of the answer; the error's code where there is none. */
function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders): Promise<readonly unknown[]> {
  return new Promise((resolve) => {
    const stream = session.request({ ":path": "/", authorization, ...headers }, { endStream: true });
    let body = "";
    let status: number | undefined;
    stream.setEncoding("utf8");
    stream.on("response", (head) => {
      status = head[":status"];
    });
    stream.on("data", (piece: string) => {
      body += piece;
    });
    stream.on("error", () => undefined);
    stream.on("close", () => resolve(status === undefined ? ["reset"] : [status, /"code":"([^"]+)"/.exec(body)?.[1]]));
  });
}

test("a request that names two hosts, another form of target or another method has no canonical form", async () => {
  const session = open();
  const authority = `127.0.0.1:${gw.port}`;
  assert.deepEqual(await ask(session, { ":authority": authority, host: "evil.test" }), [400, "host-malformed"]);
  assert.deepEqual(await ask(session, { ":authority": authority, host: authority }), [200, undefined]);
  assert.deepEqual(await ask(session, { ":path": "*", ":method": "OPTIONS" }), [400, "target-form"]);
  assert.deepEqual((await ask(session, { ":path": "http://evil.test/x" }))[0], "reset");
  assert.deepEqual(await ask(session, { ":path": "/a%2fb" }), [400, "path-ambiguous"]);
  assert.deepEqual(await ask(session, { ":path": "/..;/x" }), [400, "path-ambiguous"]);
  assert.deepEqual(await ask(session, { ":method": "PURGE" }), [501, "method-unknown"]);
});

test("header bombs end the request, and large tokens don't", async () => {
  const session = open();
  assert.deepEqual(await ask(session, { "x-large": "a".repeat(8_000) }), [200, undefined]);
  assert.deepEqual(await ask(session, { authorization: `Bearer ${"a".repeat(50_000)}` }), [401, "token-malformed"]);
  const many = Object.fromEntries(Array.from({ length: 210 }, (_, i) => [`x-${i}`, "1"]));
  assert.deepEqual(await ask(session, many), [431, "headers-too-large"]);
  assert.notEqual((await ask(session, { "x-large": "a".repeat(400_000) }))[0], 200);
  assert.deepEqual(await ask(open(), {}), [200, undefined]);
});

test("a connection has a bounded number of requests at a time", async () => {
  const session = open();
  const settings = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
    session.once("remoteSettings", resolve),
  );
  assert.equal(settings.maxConcurrentStreams, 128);
});

async function opened(): Promise<ClientHttp2Session> {
  const session = open();
  await new Promise((resolve) => session.once("remoteSettings", resolve));
  return session;
}

/** A request that is cancelled as soon as its headers are on their way. */
function cancelOne(session: ClientHttp2Session): Promise<void> {
  const stream = session.request({ ":path": "/", authorization }, { endStream: true });
  stream.on("error", () => undefined);
  return new Promise((resolve) => {
    stream.on("close", () => resolve());
    setImmediate(() => stream.close(constants.NGHTTP2_CANCEL));
  });
}

test("a connection that opens requests only to cancel them is given up, and others go on (CVE-2023-44487)", async () => {
  const patient = await opened();
  for (let i = 0; i < 50; i += 1) await cancelOne(patient);
  assert.deepEqual(await ask(patient, {}), [200, undefined]);
  const hostile = await opened();
  let isGivenUp = false;
  const givenUp = new Promise<void>((resolve) => {
    for (const event of ["goaway", "close"]) {
      hostile.once(event, () => {
        isGivenUp = true;
        resolve();
      });
    }
  });
  for (let sent = 0; sent < 5_000 && !isGivenUp; sent += 1) await Promise.race([cancelOne(hostile), givenUp]);
  assert.ok(isGivenUp);
  assert.deepEqual(await ask(patient, {}), [200, undefined]);
});

test("a body that never ends is given up", async () => {
  const { cert, key } = makeSelfSigned(["localhost"], Date.now());
  const faults: string[] = [];
  const server = createSecureServer({ cert, key, allowHTTP1: true }, async (request, response) => {
    const body = await requestBodyOf(request, 1_000, 50, () => undefined).bytes(1_000);
    faults.push(body.ok ? "read" : body.error.code);
    response.statusCode = body.ok ? 200 : body.error.status;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const session = connect(`https://127.0.0.1:${typeof address === "object" ? address?.port : 0}`, {
    rejectUnauthorized: false,
  });
  const stream = session.request({ ":method": "POST", ":path": "/" });
  stream.on("error", () => undefined);
  stream.write("the beginning");
  await new Promise<void>((resolve) => stream.on("close", () => resolve()).on("response", () => resolve()));
  assert.deepEqual(faults, ["request-timeout"]);
  session.destroy();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
