// Servers repeat what they are sent: the gateway's own credential must not come back with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { hideInBody, spellingsOf } from "../../proxy/http/hide-secret.ts";
import { startHttpGateway, startUpstream } from "../support/http-gateway.ts";

const secret = "s3cr3t/key+1 of=us";
const upstream = await startUpstream((request, response) => {
  const said = `${request.url} ${request.headers["x-api-key"] ?? ""}`;
  if (request.url?.startsWith("/redirect")) {
    response.writeHead(302, { location: `/there${request.url}`, "x-echo": said });
    response.end();
  } else if (request.url?.startsWith("/gzip")) {
    response.writeHead(200, { "content-encoding": "gzip", "content-type": "text/plain" });
    response.end(gzipSync(said));
  } else response.end(JSON.stringify({ said, coding: request.headers["accept-encoding"] }));
});

for (const credential of [
  "{ query: api_key, secret: { file: key } }",
  "{ header: X-Api-Key, secret: { file: key } }",
]) {
  test(`an answer that repeats the credential shows it to nobody: ${credential.slice(2, 7)}`, async () => {
    const gw = await startHttpGateway({
      policy: 'package test\nallow everything on http GET at "test-api"\n',
      upstream: upstream.origin,
      upstreamLines: `      credential: ${credential}`,
      files: { key: secret },
    });
    for (const path of ["/", "/redirect", "/gzip"]) {
      const before = upstream.seen.length;
      const answer = await gw.send("GET", path, { headers: { "accept-encoding": "gzip" } });
      const sent = JSON.stringify(upstream.seen.slice(before));
      assert.ok(
        spellingsOf([secret]).some((text) => sent.includes(text)),
        "the upstream had it",
      );
      const all = JSON.stringify([answer.headers, answer.body]);
      for (const text of spellingsOf([secret])) assert.ok(!all.includes(text), `${path} shows ${text}`);
    }
  });
}

test("wherever the network cuts an answer, the secret is gone and everything else is there", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.constant("abcabcabd"), fc.constantFrom("a", "ab", "abc", "x", "abcabcab")), {
        maxLength: 12,
      }),
      fc.array(fc.nat(9), { minLength: 1, maxLength: 20 }),
      async (parts, cuts) => {
        const text = parts.join("");
        async function* pieces(): AsyncGenerator<Uint8Array> {
          const bytes = Buffer.from(text);
          for (let at = 0, i = 0; at < bytes.length; i += 1) {
            const size = (cuts[i % cuts.length] ?? 0) + 1;
            yield bytes.subarray(at, at + size);
            at += size;
          }
        }
        const out: Uint8Array[] = [];
        for await (const piece of hideInBody(pieces(), ["abcabcabd"])) out.push(piece);
        assert.equal(Buffer.concat(out).toString(), text.replaceAll("abcabcabd", "*********"));
      },
    ),
  );
});
