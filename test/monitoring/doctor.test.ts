// `gw doctor` and `gw top` against a running gateway.
import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { main } from "../../cli/main.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { captured } from "../support/terminal.ts";
import { startTrafficGateway } from "../support/traffic-gateway.ts";

const gateway = await startTestGateway({
  schema: "CREATE TABLE notes (id int)",
  policy: "package test\nallow reads on sql read\n",
});
const doctor = async (config: string, ...flags: readonly string[]) => {
  const terminal = captured();
  const code = await main(["doctor", "--config", config, ...flags], terminal);
  return { code, text: terminal.text() };
};

test("a gateway in order ends with 0, and with 1 where warnings count", async () => {
  const { code, text } = await doctor(gateway.configPath);
  for (const line of [
    /^ok {4}configuration: it can be read$/m,
    /^ok {4}upstream of test-pg: it can be reached, and the catalog lists \d+ tables and views$/m,
    /^warn {2}upstream of test-pg: the gateway's role is a superuser/m,
    /^ok {4}clock of test-pg: /m,
    /^ok {4}issuer http.*: its keys can be fetched$/m,
    /^\w+ +disk of the recording: \d+ MiB free/m,
    /^ok {4}recording: \d+ lines, the chain is whole up to number \d+$/m,
  ]) {
    assert.match(text, line);
  }
  assert.equal(code, 0);
  assert.equal((await doctor(gateway.configPath, "--strict")).code, 1);
});

test("an upstream that is gone and a recording that was changed end with 1, and a mistake in gw.yaml with 2", async () => {
  const broken = join(gateway.folder, "broken.yaml");
  const text = readFileSync(gateway.configPath, "utf8").replace(/port: \d+/, "port: 1");
  writeFileSync(broken, text.replace("directory: recording", "directory: copy"));
  const copy = join(gateway.folder, "copy");
  const { cpSync } = await import("node:fs");
  cpSync(gateway.recording, copy, { recursive: true });
  const segment = readdirSync(copy).find((name) => name.endsWith(".jsonl"));
  appendFileSync(join(copy, segment ?? ""), '{"seq":99}\n');
  const seen = await doctor(broken);
  assert.equal(seen.code, 1);
  assert.match(seen.text, /^fail {2}upstream of test-pg: it can't be reached or refuses the login: ECONNREFUSED$/m);
  assert.match(seen.text, /^fail {2}recording: it is damaged/m);
  writeFileSync(broken, `${text}\nnonsense: 1\n`);
  assert.equal((await doctor(broken)).code, 2);
});

test("upstreams of HTTP, MCP and models: reached, credential taken, and whether they ask for one", async () => {
  let asksFor: string | undefined = "the-gateways-own-key";
  const upstream = createServer((request, response) => {
    const isAsked = asksFor !== undefined && request.headers["x-api-key"] !== asksFor;
    response.writeHead(isAsked ? 401 : 200, { "content-type": "application/json" }).end("{}");
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  after(() => {
    upstream.closeAllConnections();
    upstream.close();
  });
  // SAFETY: it listens on a TCP port.
  const { port } = upstream.address() as AddressInfo;
  const to = `upstream: { url: "http://127.0.0.1:${port}", credential: { header: X-Api-Key, secret: { file: upstream.key } } }`;
  const traffic = await startTrafficGateway({
    policy: "package test\nallow everything on http\n",
    connections: `
  - { name: api, kind: http, listen: 127.0.0.1:0, tls: off, ${to} }
  - { name: model, kind: llm, listen: 127.0.0.1:0, tls: off, ${to} }
  - { name: tools, kind: mcp, listen: 127.0.0.1:0, tls: off, ${to} }
  - { name: gone, kind: http, listen: 127.0.0.1:0, tls: off, upstream: { url: "http://127.0.0.1:1" } }
`,
  });
  const { text, code } = await doctor(traffic.configPath);
  assert.equal(code, 1);
  for (const name of ["api", "model", "tools"]) {
    assert.match(text, new RegExp(`^ok {4}upstream of ${name}: it can be reached, and answers with 200$`, "m"));
    assert.match(text, new RegExp(`^ok {4}clock of ${name}: `, "m"));
  }
  assert.match(text, /^fail {2}upstream of gone: it can't be reached: upstream-unreachable$/m);
  assert.doesNotMatch(text, /goes around the gateway|the-gateways-own-key/);
  asksFor = "another";
  assert.match(
    (await doctor(traffic.configPath)).text,
    /^fail {2}upstream of model: it refuses the gateway's credential with 401$/m,
  );
  asksFor = undefined;
  assert.match(
    (await doctor(traffic.configPath)).text,
    /^warn {2}upstream of api: it answers without the gateway's credential/m,
  );
  for (const [name, path] of [
    ["api", "/v1/things"],
    ["model", "/v1/models"],
  ] as const) {
    const headers = { authorization: `Bearer ${await traffic.token()}` };
    await (await fetch(`${traffic.urlOf(name)}${path}`, { headers })).text();
  }
  const { text: shown } = await topOnce(traffic.adminUrl);
  for (const name of ["api", "model"]) assert.match(shown, new RegExp(`^${name} +\\d+ +- +1 `, "m"), shown);
});

const topOnce = async (adminUrl: string) => {
  const terminal = captured();
  return { code: await main(["top", "--once", "--admin", adminUrl], terminal), text: terminal.stdout() };
};

test("on a client's machine an upstream that can be reached is a way around", async () => {
  const { host, port } = gateway.database;
  const terminal = captured();
  assert.equal(await main(["doctor", "--bypass", `${host}:${port}`, "127.0.0.1:1"], terminal), 1);
  assert.equal(
    terminal.stdout(),
    `fail  way around the gateway to ${host}:${port}: this machine reaches it directly: let a firewall take the gateway's address only
ok    way around the gateway to 127.0.0.1:1: it can't be reached from this machine
`,
  );
  assert.equal(await main(["doctor", "--bypass", "nonsense"], captured()), 2);
});

test("top shows sessions, decisions and the recorder", async () => {
  const client = await gateway.connect({ sub: "ana", kind: "human" });
  await client.query("SELECT id FROM notes");
  await refusalOf(client, "DELETE FROM notes");
  const terminal = captured();
  assert.equal(await main(["top", "--once", "--admin", gateway.adminUrl], terminal), 0);
  assert.equal(
    terminal.stdout(),
    `recorder writing   policies in force   approvals pending 0   alerts 0   findings 0

connection  sessions  per s  allowed  denied  denied/s  held  faults
test-pg     1         -      1        1       -         0     0
`,
  );
  assert.equal(await main(["top", "--once", "--admin", "http://127.0.0.1:1"], captured()), 2);
});
