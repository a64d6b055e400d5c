// Where bundles come from, against servers that speak the real protocols.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { type BundleLocation, fetcherOf } from "../../proxy/bundle/fetch.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { startBundleServer } from "../support/bundle-server.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const never = new AbortController().signal;
const trust = { ca: undefined };

async function serving(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  // SAFETY: it listens on a TCP port.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** First the bytes, then nothing new, then the next bytes. */
async function fetches(location: BundleLocation, change: () => void): Promise<readonly string[]> {
  const fetcher = fetcherOf(location);
  const seen: string[] = [];
  let tag: string | undefined;
  for (let i = 0; i < 3; i += 1) {
    const answer = await fetcher.fetch(tag, never);
    seen.push(answer.state === "new" ? textOf(answer.bytes) : answer.state);
    if (answer.state === "new") tag = answer.tag;
    if (i === 1) change();
  }
  return seen;
}

const failure = (location: BundleLocation): Promise<string> =>
  fetcherOf(location)
    .fetch(undefined, never)
    .then(
      () => "fetched",
      (error: unknown) => (error instanceof GatewayError ? `${error.code}: ${error.message}` : String(error)),
    );

test("a file is read again when it changes", async () => {
  const path = join(temporaryFolder(), "b.tar.gz");
  writeFileSync(path, "one");
  assert.deepEqual(await fetches({ kind: "file", path }, () => writeFileSync(path, "two")), [
    "one",
    "unchanged",
    "two",
  ]);
  assert.equal(
    await failure({ kind: "file", path: `${path}.no` }),
    `bundle-unreachable: the bundle at \`${path}.no\` can't be fetched: ENOENT`,
  );
});

test("a bundle server is asked with the tag of what one has, and with the token", async () => {
  const server = await startBundleServer(bytesOf("one"));
  const location = { kind: "http", url: server.url, token: async () => "s3cret", waitMs: 0, trust } as const;
  assert.deepEqual(await fetches(location, () => server.serve(bytesOf("two"))), ["one", "unchanged", "two"]);
  assert.deepEqual(
    server.requests.map(({ headers }) => [
      headers.authorization,
      headers.prefer,
      headers["if-none-match"] !== undefined,
    ]),
    [
      ["Bearer s3cret", "modes=snapshot", false],
      ["Bearer s3cret", "modes=snapshot", true],
      ["Bearer s3cret", "modes=snapshot", true],
    ],
  );
});

test("with a wait the server answers when something changes", async () => {
  const server = await startBundleServer(bytesOf("one"));
  const fetcher = fetcherOf({ kind: "http", url: server.url, token: undefined, waitMs: 30_000, trust });
  const first = await fetcher.fetch(undefined, never);
  assert.ok(first.state === "new");
  const second = fetcher.fetch(first.tag, never);
  while (server.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(server.requests[1]?.headers.prefer, "modes=snapshot;wait=30");
  server.serve(bytesOf("two"));
  const answer = await second;
  assert.equal(answer.state === "new" && textOf(answer.bytes), "two");
});

test("a server that fails, redirects or breaks off is not a bundle", async () => {
  const server = await startBundleServer(bytesOf("one"));
  const location = { kind: "http", url: server.url, token: undefined, waitMs: 0, trust } as const;
  const said = `bundle-unreachable: the bundle at \`${server.url}\` can't be fetched: `;
  server.misbehave((_request, response) => response.writeHead(500).end("no"));
  assert.equal(await failure(location), `${said}it answers 500`);
  server.misbehave((_request, response) => response.writeHead(302, { location: "http://127.0.0.1:1/" }).end());
  assert.equal(await failure(location), `${said}it answers 302`);
  server.misbehave((_request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half");
    response.destroy();
  });
  assert.match(await failure(location), /^bundle-unreachable: .*can't be fetched: \w+/);
});

test("a server that never ends its answer is left, and one that sends without end is cut off", async () => {
  const server = await startBundleServer(bytesOf("one"));
  const fetcher = fetcherOf({ kind: "http", url: server.url, token: undefined, waitMs: 0, trust });
  const outcome = (signal: AbortSignal): Promise<unknown> =>
    fetcher.fetch(undefined, signal).then(
      () => "fetched",
      (error: unknown) => (error instanceof GatewayError ? error.code : error),
    );
  const ending = new AbortController();
  server.misbehave((_request, response) => {
    response.writeHead(200);
    response.write("a beginning");
    setImmediate(() => ending.abort());
  });
  assert.equal(await outcome(ending.signal), "bundle-unreachable");

  const chunk = Buffer.alloc(1_048_576);
  server.misbehave((_request, response) => {
    response.writeHead(200);
    response.on("error", () => undefined);
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
    };
    response.on("drain", more);
    more();
  });
  assert.equal(await outcome(never), "bundle-unreachable");
});

test("an OCI registry: token, manifest, layer, each compared with its digest", async () => {
  let layer = bytesOf("one");
  const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const seen: string[] = [];
  const registry: string = await serving((request, response) => {
    const url = new URL(request.url ?? "", "http://registry");
    seen.push(
      `${url.pathname.replace(/sha256:.*/, "<digest>")} ${request.headers.authorization?.split(" ")[0] ?? "-"}`,
    );
    if (url.pathname === "/token") {
      assert.equal(request.headers.authorization, `Basic ${Buffer.from("bot:pw").toString("base64")}`);
      assert.equal(url.searchParams.get("scope"), "repository:team/policies:pull");
      return response.end(JSON.stringify({ token: "t0ken" }));
    }
    if (request.headers.authorization !== "Bearer t0ken") {
      const realm = `Bearer realm="${registry}/token",service="registry",scope="repository:team/policies:pull"`;
      return response.writeHead(401, { "www-authenticate": realm }).end();
    }
    if (url.pathname === "/v2/team/policies/manifests/prod") {
      const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
      const layers = [{ mediaType, digest: digestOf(layer), size: layer.length }];
      return response.end(JSON.stringify({ schemaVersion: 2, layers }));
    }
    return response.end(layer);
  });
  const credentials = { user: "bot", password: async () => "pw" };
  const location = {
    kind: "oci",
    registry,
    repository: "team/policies",
    reference: "prod",
    credentials,
    trust,
  } as const;
  assert.deepEqual(
    await fetches(location, () => {
      layer = bytesOf("two");
    }),
    ["one", "unchanged", "two"],
  );
  assert.deepEqual(seen.slice(0, 4), [
    "/v2/team/policies/manifests/prod -",
    "/token Basic",
    "/v2/team/policies/manifests/prod Bearer",
    "/v2/team/policies/blobs/<digest> Bearer",
  ]);
});

test("a registry whose layer isn't what its manifest says is refused", async () => {
  const registry = await serving((request, response) => {
    if (request.url?.includes("/manifests/") !== true) return response.end("something else");
    const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
    return response.end(JSON.stringify({ layers: [{ mediaType, digest: `sha256:${"0".repeat(64)}` }] }));
  });
  const location = { kind: "oci", registry, repository: "p", reference: "1", credentials: undefined, trust } as const;
  assert.match(await failure(location), /can't be fetched: the layer isn't what its digest says$/);
});

test("S3-compatible storage: a signed request, and nothing new by its ETag", async () => {
  let object = "one";
  const signatures: string[] = [];
  const endpoint = await serving((request, response) => {
    signatures.push(request.headers.authorization ?? "");
    const etag = `"${object}"`;
    if (request.headers["if-none-match"] === etag) return response.writeHead(304).end();
    return response.writeHead(200, { etag, "content-length": object.length }).end(object);
  });
  const credentials = { accessKeyId: async () => "AKTEST", secretAccessKey: async () => "secret" };
  const location = {
    kind: "s3",
    bucket: "b",
    key: "gw/prod.tar.gz",
    region: "eu-central-1",
    endpoint,
    credentials,
  } as const;
  assert.deepEqual(
    await fetches(location, () => {
      object = "two";
    }),
    ["one", "unchanged", "two"],
  );
  for (const signature of signatures) {
    assert.match(signature, /^AWS4-HMAC-SHA256 Credential=AKTEST\/\d{8}\/eu-central-1\/s3\/aws4_request, /);
  }
});
