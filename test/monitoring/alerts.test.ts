// Alerts on their way to people: real receivers, a real gateway.
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { after, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { AlertDesk } from "../../proxy/alerts/alert-desk.ts";
import type { RaisedAlert } from "../../proxy/alerts/alert-message.ts";
import { type AlertSink, sendAlert } from "../../proxy/alerts/sinks.ts";
import { syslogLine } from "../../proxy/alerts/syslog.ts";
import { signatureOf } from "../../proxy/delivery.ts";
import { silentLog } from "../../proxy/log.ts";
import { type Certificate, makeSelfSigned } from "../../proxy/tls/self-signed.ts";
import { eventually } from "../support/eventually.ts";
import { startTestGateway } from "../support/gateway.ts";

type Got = { readonly path: string; readonly headers: IncomingHttpHeaders; readonly text: string };

/** `status` may change while it runs; 0: never answers. */
async function startReceiver() {
  const got: Got[] = [];
  const state = { status: 200 };
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => {
      text += chunk.toString("utf8");
    });
    request.on("end", () => {
      got.push({ path: request.url ?? "", headers: request.headers, text });
      if (state.status !== 0) response.writeHead(state.status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  // SAFETY: it listens on a TCP port.
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, got, state };
}

const alert = (over: Partial<RaisedAlert> = {}): RaisedAlert => ({
  atMs: 1_700_000_000_000,
  rule: "shop.mass-delete",
  channel: "#security",
  severity: "high",
  message: "deletes without WHERE",
  principal: "ana",
  connection: "prod",
  session: "ses_1",
  decisionId: "dec_1",
  ...over,
});

function openDesk(sinks: readonly AlertSink[], over: { perMinuteMax?: number } = {}) {
  const clock = { ms: 1_700_000_000_000 };
  const recorded: SessionEvent[] = [];
  let id = 0;
  const desk = new AlertDesk(
    {
      windowMs: 60_000,
      perMinuteMax: over.perMinuteMax ?? 60,
      channels: new Map([["#security", sinks]]),
      fallback: [],
    },
    {
      node: "gw-1",
      record: (event) => recorded.push(event),
      clock: { nowMs: () => clock.ms },
      newId: (prefix) => `${prefix}_${++id}`,
      log: silentLog,
      backoffMs: 5,
    },
  );
  after(() => desk.close());
  return { desk, clock, recorded };
}

const webhook = (url: string): AlertSink => ({
  kind: "webhook",
  name: "#security 1 webhook",
  url: async () => url,
  secret: async () => "shared-secret-of-16",
});

test("an alert of a rule reaches webhook, Slack and PagerDuty, without the statement's text", async () => {
  const receiver = await startReceiver();
  const { connect, gateway, adminUrl } = await startTestGateway({
    schema: "CREATE TABLE notes (id int, body text); INSERT INTO notes VALUES (1, 'row-content')",
    policy: `
package test
allow reads on sql read
allow writes on sql write
@severity(high)
alert deletes to "#security" on sql write
  because "somebody <deletes> notes"
`,
    config: `
alerts:
  window: 1h
  channels:
    "#security":
      - { webhook: "${receiver.url}/hook", secret: { env: HOOK_SECRET } }
      - { slack: { env: SLACK_URL } }
      - { pagerduty: { env: PAGER_KEY }, url: "${receiver.url}/pager" }
`,
    environment: { HOOK_SECRET: "shared-secret-of-16", SLACK_URL: `${receiver.url}/slack`, PAGER_KEY: "routing-key" },
  });
  const client = await connect({ sub: "ana", kind: "human" });
  await client.query("DELETE FROM notes WHERE body = 'secret-literal'");
  await client.query("DELETE FROM notes WHERE body = 'secret-literal'");
  await eventually(() => (receiver.got.length >= 3 ? true : undefined));
  const at = (path: string) => receiver.got.find((got) => got.path === path);
  const hook = at("/hook");
  const { timestamp, data, type } = JSON.parse(hook?.text ?? "{}");
  assert.equal(type, "alert");
  assert.ok(timestamp);
  assert.match(data.decision_id, /^dec_/);
  assert.deepEqual(
    { ...data, session: "", decision_id: "", first_at: "", last_at: "", gateway: "" },
    {
      rule: "test.deletes",
      channel: "#security",
      severity: "error",
      message: "somebody <deletes> notes",
      principal: "ana",
      connection: "test-pg",
      session: "",
      decision_id: "",
      count: 1,
      first_at: "",
      last_at: "",
      gateway: "",
    },
  );
  const id = String(hook?.headers["webhook-id"]);
  const stamp = Number(hook?.headers["webhook-timestamp"]);
  assert.equal(
    hook?.headers["webhook-signature"],
    `v1,${signatureOf("shared-secret-of-16", id, stamp, hook?.text ?? "")}`,
  );
  assert.deepEqual(JSON.parse(at("/slack")?.text ?? "{}"), {
    text: "[error] test.deletes: somebody &lt;deletes&gt; notes (ana on test-pg)",
  });
  const pager = JSON.parse(at("/pager")?.text ?? "{}");
  assert.equal(pager.routing_key, "routing-key");
  assert.equal(pager.event_action, "trigger");
  assert.equal(pager.dedup_key, "gw:test.deletes:ana:test-pg");
  assert.equal(pager.payload.severity, "error");
  const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
  assert.match(metrics, /^gw_alerts_total\{channel="#security"\} 2$/m);
  // The second one of the window is told when the window ends, at the latest with the gateway.
  await gateway.stop(0);
  assert.deepEqual(
    receiver.got.filter(({ path }) => path === "/hook").map(({ text }) => JSON.parse(text).data.count),
    [1, 1],
  );
  const all = receiver.got.map(({ text }) => text).join();
  assert.doesNotMatch(all, /secret-literal|row-content|DELETE FROM/);
});

test("alerts of one rule, principal and connection in a window are one more message with their number", async () => {
  const receiver = await startReceiver();
  const { desk, clock } = openDesk([webhook(receiver.url)]);
  for (let i = 0; i < 500; i += 1) desk.raise(alert({ atMs: clock.ms + i }));
  desk.raise(alert({ principal: "bo" }));
  clock.ms += 60_000;
  desk.endWindows();
  await eventually(() => (receiver.got.length >= 3 ? true : undefined));
  const seen = receiver.got.map(({ text }) => JSON.parse(text).data);
  assert.deepEqual(
    seen.map(({ principal, count }) => ({ principal, count })),
    [
      { principal: "ana", count: 1 },
      { principal: "bo", count: 1 },
      { principal: "ana", count: 499 },
    ],
  );
});

test("more messages than a minute may have are dropped, on record once and counted", async () => {
  const receiver = await startReceiver();
  const { desk, recorded } = openDesk([webhook(receiver.url)], { perMinuteMax: 3 });
  for (let i = 0; i < 100; i += 1) desk.raise(alert({ principal: `agent-${i}` }));
  await eventually(() => (receiver.got.length === 3 ? true : undefined));
  assert.deepEqual(recorded, [
    {
      atMs: 1_700_000_000_000,
      session: "ses_1",
      type: "alert-dropped",
      id: "alt_4",
      rule: "shop.mass-delete",
      channel: "#security",
      sink: "#security 1 webhook",
      why: "rate",
      total: 1,
    },
  ]);
  const dropped = desk.metrics().find(({ name }) => name === "gw_alert_messages_dropped_total");
  assert.deepEqual(dropped?.samples, [{ labels: { sink: "#security 1 webhook", why: "rate" }, value: 97 }]);
});

test("a receiver that fails is tried again with the same id, and one that says no is dropped", async () => {
  const receiver = await startReceiver();
  receiver.state.status = 503;
  const { desk, recorded } = openDesk([webhook(receiver.url)]);
  desk.raise(alert());
  await eventually(() => (receiver.got.length >= 2 ? true : undefined));
  receiver.state.status = 200;
  const before = receiver.got.length;
  await eventually(() => (receiver.got.length > before ? true : undefined));
  assert.equal(new Set(receiver.got.map(({ headers }) => headers["webhook-id"])).size, 1);
  receiver.state.status = 410;
  desk.raise(alert({ principal: "bo" }));
  await eventually(() => (recorded.length > 0 ? true : undefined));
  assert.match(JSON.stringify(recorded), /"why":"refused","total":1/);
});

test("a receiver that never answers holds nothing up, and its queue is bounded", async () => {
  const receiver = await startReceiver();
  receiver.state.status = 0;
  const { desk, recorded } = openDesk([webhook(receiver.url)], { perMinuteMax: 10_000 });
  for (let i = 0; i < 2_000; i += 1) desk.raise(alert({ principal: `agent-${i}` }));
  assert.match(JSON.stringify(recorded), /queue-full/);
  const dropped = desk.metrics().find(({ name }) => name === "gw_alert_messages_dropped_total");
  assert.deepEqual(dropped?.samples, [{ labels: { sink: "#security 1 webhook", why: "queue-full" }, value: 1_500 }]);
});

test("syslog gets one line of RFC 5424, over UDP and over TCP", async () => {
  const line = `<83>1 2023-11-14T22:13:20.000Z gw-1 gatewright - alt_1 [gw@32473 rule="shop.mass-delete" channel="#security" principal="a\\"n\\]a" connection="prod" session="ses_1" decision="dec_1" count="1"] [error] shop.mass-delete: two lines (a"n]a on prod)`;
  const got: string[] = [];
  const udp = createSocket("udp4", (bytes) => got.push(bytes.toString("utf8")));
  await new Promise<void>((resolve) => udp.bind(0, "127.0.0.1", resolve));
  after(() => udp.close());
  const tcp = createTcpServer((socket) => {
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString("utf8");
    });
    socket.on("end", () => got.push(text));
  });
  await new Promise<void>((resolve) => tcp.listen(0, "127.0.0.1", resolve));
  after(() => tcp.close());
  // SAFETY: it listens on a TCP port.
  const port = (tcp.address() as AddressInfo).port;
  const { desk } = openDesk([
    { kind: "syslog", name: "udp", transport: "udp", to: { host: "127.0.0.1", port: udp.address().port } },
    { kind: "syslog", name: "tcp", transport: "tcp", to: { host: "127.0.0.1", port } },
  ]);
  desk.raise(alert({ principal: 'a"n]a', message: "two\nlines" }));
  await eventually(() => (got.length === 2 ? true : undefined));
  assert.deepEqual(got.sort(), [line, `${Buffer.byteLength(line)} ${line}`].sort());
});

test("syslog over TLS gets the same line, and only a server that the CA vouches for does", async () => {
  const own = makeSelfSigned(["localhost"], Date.now());
  const stranger = makeSelfSigned(["localhost"], Date.now());
  const otherName = makeSelfSigned(["other.example"], Date.now());
  const listen = async (certificate: Certificate) => {
    const lines: string[] = [];
    const server = createTlsServer({ key: certificate.key, cert: certificate.cert }, (socket) => {
      let text = "";
      socket.on("data", (chunk: Buffer) => {
        text += chunk.toString("utf8");
      });
      socket.on("end", () => {
        lines.push(text);
        socket.end();
      });
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
    after(() => server.close());
    // SAFETY: it listens on a TCP port.
    return { lines, port: (server.address() as AddressInfo).port };
  };
  const good = await listen(own);
  const bad = await listen(stranger);
  const misnamed = await listen(otherName);
  const message = { ...alert({}), id: "alt_1", node: "gw", count: 1, firstAtMs: 0 };
  const wall = { nowMs: () => Date.now() };
  const send = (port: number, ca: string | undefined) =>
    sendAlert(
      { kind: "syslog", name: "tls", transport: "tls", to: { host: "localhost", port }, ca },
      ...([message, AbortSignal.timeout(10_000), wall, silentLog] as const),
    );
  assert.equal(await send(good.port, own.cert), "delivered");
  const line = syslogLine(message);
  await eventually(() => (good.lines.length > 0 ? true : undefined));
  assert.deepEqual(good.lines, [`${Buffer.byteLength(line)} ${line}`]);
  assert.equal(await send(bad.port, own.cert), "failed");
  assert.equal(await send(misnamed.port, otherName.cert), "failed");
  assert.equal(await send(good.port, undefined), "failed");
  assert.deepEqual([bad.lines.join(""), misnamed.lines.join("")], ["", ""]);
});

test("a name with every kind of character makes one well-formed syslog line", () => {
  const principal = "x\r\n<13>1 forged\u0000\u2028é";
  const text = syslogLine({ ...alert({ principal }), id: "alt_1", node: "g w", count: 2, firstAtMs: 0 });
  assert.doesNotMatch(text, /[\r\n\u0000]/);
  assert.match(text, /^<83>1 \S+ g-w gatewright - alt_1 \[gw@32473 /);
});
