// An upstream that speaks HTTP by hand: what it says around and inside of an answer shows nothing that a mask hides.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { startHttpGateway } from "../support/http-gateway.ts";

const secret = "DE89370400440532013000";
const document = `{"iban":"${secret}"}`;
const sized = (body: string | Buffer, ...lines: readonly string[]): Buffer =>
  Buffer.concat([
    Buffer.from(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${lines.map((l) => `${l}\r\n`).join("")}content-length: ${Buffer.byteLength(body)}\r\n\r\n`,
    ),
    Buffer.from(body),
  ]);
const plain = (text: string): Buffer => Buffer.from(text, "latin1");
const deep = `${"[".repeat(1_000)}${document}${"]".repeat(1_000)}`;

/** Path, the upstream's bytes, status, and the body of the answer or the problem's code. */
const rows: readonly (readonly [path: string, bytes: Buffer, status: number, shown: string])[] = [
  [
    "early-hints",
    Buffer.concat([plain(`HTTP/1.1 103 Early Hints\r\nlink: <${secret}>\r\n\r\n`), sized(document)]),
    200,
    '{"iban":"***"}',
  ],
  ["continue", Buffer.concat([plain("HTTP/1.1 100 Continue\r\n\r\n"), sized(document)]), 502, "upstream-failed"],
  [
    "trailers",
    plain(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-iban\r\n\r\n${document.length.toString(16)}\r\n${document}\r\n0\r\nx-iban: ${secret}\r\n\r\n`,
    ),
    200,
    '{"iban":"***"}',
  ],
  ["byte-order-mark", sized(`\ufeff${document}`), 200, '{"iban":"***"}'],
  ["lone-surrogate", sized('{"iban":"\\ud800x"}'), 200, '{"iban":"***"}'],
  ["two-keys", sized('{"iban":"a","\\u0069ban":"b"}'), 200, '{"iban":"***","\\u0069ban":"***"}'],
  ["deep", sized(deep), 502, "answer-unreadable"],
  ["two-documents", sized(`${document}${document}`), 502, "answer-unreadable"],
  ["comments", sized(`/*x*/${document}`), 502, "answer-unreadable"],
  ["bytes", sized(Buffer.from([0x22, 0xff, 0x22])), 502, "answer-unreadable"],
  ["twice-coded", sized(gzipSync(gzipSync(document)), "content-encoding: gzip, gzip"), 502, "answer-unreadable"],
  [
    "two-codings",
    sized(gzipSync(document), "content-encoding: gzip", "content-encoding: br"),
    502,
    "answer-unreadable",
  ],
  ["not-coded", sized(document, "content-encoding: gzip"), 502, "answer-unreadable"],
  ["two-types", sized(document, "content-type: text/html"), 502, "answer-unreadable"],
  [
    "part",
    plain(
      `HTTP/1.1 206 Partial Content\r\ncontent-type: application/json\r\ncontent-range: bytes 0-9/30\r\ncontent-length: ${document.length}\r\n\r\n${document}`,
    ),
    502,
    "answer-unreadable",
  ],
  [
    "parts",
    plain(
      `HTTP/1.1 200 OK\r\ncontent-type: multipart/byteranges; boundary=b\r\ncontent-length: ${document.length}\r\n\r\n${document}`,
    ),
    502,
    "answer-unreadable",
  ],
  ["unmodified", plain(`HTTP/1.1 304 Not Modified\r\netag: "${secret}"\r\n\r\n`), 304, ""],
  [
    "short",
    plain(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n${document}`),
    0,
    "",
  ],
  [
    "two-lengths",
    plain(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 22\r\n\r\n{}`),
    502,
    "upstream-failed",
  ],
  [
    "length-and-chunks",
    plain(`HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`),
    502,
    "upstream-failed",
  ],
  [
    "upgrade",
    plain("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    502,
    "upstream-failed",
  ],
  [
    "header-bomb",
    plain(`HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(100_000)}\r\ncontent-length: 0\r\n\r\n`),
    502,
    "upstream-failed",
  ],
  ["not-http", plain(`${secret}\r\n\r\n`), 502, "upstream-failed"],
];

const upstream = createServer((socket) => {
  socket.on("error", () => undefined);
  let head = "";
  socket.on("data", (piece) => {
    head += piece.toString("latin1");
    if (!head.includes("\r\n\r\n")) return;
    const path = /^\w+ \/(\S*) /.exec(head)?.[1];
    head = "";
    const row = rows.find(([name]) => name === path);
    socket.end(row?.[1] ?? "");
  });
});
await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
after(() => upstream.close());
const address = upstream.address();

const gw = await startHttpGateway({
  policy: `
package test
allow everything on http GET
mask ibans of json "$..iban" using redact on http
mask known of text "iban" using redact on http
`,
  upstream: `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`,
});

for (const [path, , status, shown] of rows) {
  test(`an answer with ${path.replaceAll("-", " ")} is ${status === 0 ? "broken off" : `answered ${status}`}`, async () => {
    const answer = await gw.send("GET", `/${path}`).catch(() => ({ status: 0, headers: {}, body: "" }));
    const told = answer.status < 400 ? answer.body : JSON.parse(answer.body).code;
    assert.deepEqual([answer.status, told], [status, shown]);
    assert.equal(JSON.stringify([answer.headers, answer.body]).includes(secret), false);
  });
}
