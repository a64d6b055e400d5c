// A bundle server as OPA's control planes are: ETags, long polling, and the ways in which it can go wrong.
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after } from "node:test";

export type BundleServer = {
  readonly url: string;
  /** What was asked, newest last. */
  readonly requests: readonly IncomingMessage[];
  /** Answers from now on with these bytes; those who wait get them at once. */
  readonly serve: (bytes: Uint8Array) => void;
  /** Answers from now on like this. */
  readonly misbehave: (answer: (request: IncomingMessage, response: ServerResponse) => void) => void;
};

export async function startBundleServer(first: Uint8Array): Promise<BundleServer> {
  let bytes = first;
  let bad: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  const requests: IncomingMessage[] = [];
  const waiting = new Set<() => void>();
  const etag = (): string => `"${createHash("sha256").update(bytes).digest("hex").slice(0, 16)}"`;
  const server = createServer((request, response) => {
    requests.push(request);
    if (bad) return bad(request, response);
    const answer = (): void => {
      waiting.delete(answer);
      if (request.headers["if-none-match"] === etag()) return void response.writeHead(304).end();
      response.writeHead(200, { etag: etag(), "content-type": "application/vnd.openpolicyagent.bundles" }).end(bytes);
    };
    const wait = /\bwait=(\d+)/.exec(String(request.headers.prefer ?? ""))?.[1];
    if (wait === undefined || request.headers["if-none-match"] !== etag()) return answer();
    waiting.add(answer);
    setTimeout(answer, Number(wait) * 1_000).unref();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    // SAFETY: it listens on a TCP port.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/bundles/gw.tar.gz`,
    requests,
    serve: (next) => {
      bytes = next;
      bad = undefined;
      for (const answer of [...waiting]) answer();
    },
    misbehave: (answer) => {
      bad = answer;
      for (const waiter of [...waiting]) waiter();
    },
  };
}
