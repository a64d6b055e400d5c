// Metrics, traces and logs, with a receiver of OTLP/HTTP.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { renderMetrics } from "../../proxy/telemetry/render-metrics.ts";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

const posts: { readonly path: string; readonly auth: string | undefined; readonly body: string }[] = [];
const collector = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk: Buffer) => {
    body += chunk.toString("utf8");
  });
  request.on("end", () => {
    posts.push({ path: request.url ?? "", auth: request.headers["x-key"]?.toString(), body });
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
});
await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
after(() => collector.close());
// SAFETY: it listens on a TCP port.
const otlp = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;

const gateway = await startTestGateway({
  schema:
    "CREATE TABLE notes (id int, body text); INSERT INTO notes VALUES (1, 'row-content'); CREATE TABLE closed (id int)",
  policy: `
package test
allow reads on sql read
deny closed on sql of public.closed because "this is closed"
alert seen to "#x" on sql of public.closed
`,
  config: `telemetry: { otlp: "${otlp}", headers: { x-key: { env: OTLP_KEY } } }`,
  environment: { OTLP_KEY: "collector-key" },
});

test("each statement is one span with its decision, without content, and warnings are log records", async () => {
  const client = await gateway.connect({ sub: "ana", kind: "human" });
  await client.query("SELECT body FROM notes WHERE body = 'row-content'");
  await refusalOf(client, "SELECT id FROM closed");
  const text = (path: string): string =>
    posts
      .filter((post) => post.path === path)
      .map(({ body }) => body)
      .join("");
  await eventually(() => (/allow/.test(text("/v1/traces")) && /deny/.test(text("/v1/traces")) ? true : undefined));
  await eventually(() => (text("/v1/logs").includes("a rule raised an alert") ? true : undefined));
  const traces = text("/v1/traces");
  for (const expected of ["sql select", "gw.decision.id", "test.reads", "gatewright", "db.response.returned_rows"]) {
    assert.ok(traces.includes(expected), `${expected} in ${traces.slice(0, 4_000)}`);
  }
  assert.doesNotMatch(traces + text("/v1/logs"), /row-content|SELECT body/);
  assert.deepEqual([...new Set(posts.map(({ auth }) => auth))], ["collector-key"]);
});

test("latencies are histograms whose buckets add up", async () => {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  for (const stage of ["decision", "upstream"]) {
    const buckets = [...text.matchAll(new RegExp(`^gw_${stage}_seconds_bucket\\{.*le="([^"]+)".*\\} (\\d+)$`, "gm"))];
    const counts = buckets.map(([, , count]) => Number(count));
    assert.equal(buckets.at(-1)?.[1], "+Inf");
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
    assert.match(text, new RegExp(`^gw_${stage}_seconds_count\\{connection="test-pg"\\} ${counts.at(-1)}$`, "m"));
  }
  assert.match(text, /^# TYPE gw_decision_seconds histogram$/m);
  assert.match(text, /^gw_statements_total\{connection="test-pg",effect="allow"\} \d+$/m);
  for (const line of text.split("\n").filter((l) => l !== "")) {
    assert.match(line, /^(?:# (?:HELP|TYPE) \w+ .+|\w+(?:\{(?:\w+="(?:[^"\\]|\\.)*",?)+\})? [-+\d.eInfNa]+)$/);
  }
});

test("workers' samples of a histogram keep apart", async () => {
  const sample = (worker: string, value: number) => ({
    labels: { worker, le: "1" },
    value,
    suffix: "_bucket" as const,
  });
  const text = await renderMetrics([
    { name: "gw_x", help: "x", type: "histogram", samples: [sample("worker-1", 2), sample("worker-2", 3)] },
  ]);
  assert.match(text, /gw_x_bucket\{worker="worker-1",le="1"\} 2\ngw_x_bucket\{worker="worker-2",le="1"\} 3\n/);
});

type Span = {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
};
const spansOf = (): readonly Span[] =>
  posts
    .filter(({ path }) => path === "/v1/traces")
    .flatMap(({ body }): readonly Span[] =>
      JSON.parse(body).resourceSpans.flatMap((resource: { scopeSpans: { spans: Span[] }[] }) =>
        resource.scopeSpans.flatMap(({ spans }) => spans),
      ),
    );
const spanIn = (traceId: string): Promise<Span> => eventually(() => spansOf().find((span) => span.traceId === traceId));

test("a statement with a traceparent in a comment is in the client's trace; nonsense in one is not", async () => {
  const client = await gateway.connect({ sub: "cy", kind: "human" });
  const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
  await client.query(`SELECT id FROM notes /*action='x',traceparent='00-${traceId}-00f067aa0ba902b7-01'*/`);
  await client.query(`SELECT id FROM notes /*traceparent='00-${"0".repeat(32)}-00f067aa0ba902b7-01'*/`);
  const { name, parentSpanId } = await spanIn(traceId);
  assert.deepEqual({ name, parentSpanId }, { name: "sql select", parentSpanId: "00f067aa0ba902b7" });
  assert.equal(
    spansOf().some((span) => /^0+$/.test(span.traceId)),
    false,
  );
});

test("an HTTP request's span is the child of the client's and the parent of the upstream's", async () => {
  const seen: (string | undefined)[] = [];
  const api = createServer((request, response) => {
    seen.push(request.headers.traceparent?.toString());
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  after(() => api.close());
  // SAFETY: it listens on a TCP port.
  const { port } = api.address() as AddressInfo;
  const traffic = await startTrafficGateway({
    policy: "package test\nallow everything on http\n",
    config: `telemetry: { otlp: "${otlp}" }`,
    connections: `
  - { name: api, kind: http, listen: 127.0.0.1:0, tls: off, upstream: { url: "http://127.0.0.1:${port}" } }
`,
  });
  const ask = async (headers: Readonly<Record<string, string>>): Promise<void> => {
    const authorization = `Bearer ${await traffic.token()}`;
    const answer = await fetch(`${traffic.urlOf("api")}/v1/things`, { headers: { authorization, ...headers } });
    await answer.text();
    assert.equal(answer.status, 200);
  };
  const traceId = "0af7651916cd43dd8448eb211c80319c";
  await ask({ traceparent: `00-${traceId}-b7ad6b7169203331-01` });
  const { spanId, parentSpanId } = await spanIn(traceId);
  assert.equal(parentSpanId, "b7ad6b7169203331");
  assert.equal(seen[0], `00-${traceId}-${spanId}-01`);
  await ask({});
  const [, own = "", ownSpan] = seen[1]?.split("-") ?? [];
  const first = await spanIn(own);
  assert.deepEqual({ spanId: first.spanId, parent: first.parentSpanId ?? "" }, { spanId: ownSpan, parent: "" });
});

test("a collector that is gone neither stops nor slows statements", async () => {
  collector.closeAllConnections();
  await new Promise((resolve) => collector.close(resolve));
  const client = await gateway.connect({ sub: "bo", kind: "human" });
  for (let i = 0; i < 20; i += 1) assert.equal((await client.query("SELECT id FROM notes")).rowCount, 1);
});
