// Decision logs: live to a file and to a service, and from the recording.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { main } from "../../cli/main.ts";
import { ocsfEvent } from "../../proxy/telemetry/decision-entry.ts";
import { eventually } from "../support/eventually.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { ocsfFaults } from "../support/ocsf-schema.ts";
import { captured } from "../support/terminal.ts";

const setting = {
  schema: "CREATE TABLE notes (id int, body text)",
  policy: "package test\nallow reads on sql read\n",
};

const toFile = await startTestGateway({
  ...setting,
  config:
    'decision_logs: { file: decisions.jsonl, labels: { region: eu }, mask: ["/input/principal/sub", "/input/none"] }',
});

const got: { readonly auth: string | undefined; readonly path: string; readonly ids: readonly string[] }[] = [];
const answer = { status: 503 };
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const entries: { decision_id: string }[] = JSON.parse(gunzipSync(Buffer.concat(chunks)).toString("utf8"));
    got.push({
      auth: request.headers.authorization,
      path: request.url ?? "",
      ids: entries.map((entry) => entry.decision_id),
    });
    response.writeHead(answer.status).end();
  });
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});
// SAFETY: it listens on a TCP port.
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/opa`;
const toService = await startTestGateway({
  ...setting,
  config: `decision_logs: { url: "${url}", token: { env: LOG_TOKEN } }`,
  environment: { LOG_TOKEN: "log-token" },
});

test("decisions go to a file in OPA's form, with fields masked and named", async () => {
  const client = await toFile.connect({ sub: "ana", kind: "human" });
  await client.query("SELECT body FROM notes WHERE body = 'secret-literal'");
  await refusalOf(client, "DELETE FROM notes");
  await toFile.gateway.stop(0);
  const text = readFileSync(join(toFile.folder, "decisions.jsonl"), "utf8");
  const entries = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const [read, denied] = entries;
  assert.match(read.decision_id, /^dec_/);
  assert.ok(Date.parse(read.timestamp) > 0);
  assert.deepEqual(
    {
      ...read,
      decision_id: "",
      timestamp: "",
      labels: { ...read.labels, id: "" },
      bundles: {},
      input: { ...read.input, session: "", fingerprint: "" },
    },
    {
      decision_id: "",
      labels: { id: "", app: "gatewright", region: "eu" },
      bundles: {},
      path: "gatewright/decision",
      input: {
        principal: { kind: "human" },
        connection: "test-pg",
        protocol: "sql",
        session: "",
        accesses: ["select public.notes"],
        fingerprint: "",
      },
      result: { allow: true, effect: "allow", rules: ["test.reads"] },
      timestamp: "",
      erased: ["/input/principal/sub"],
    },
  );
  assert.equal(denied.result.effect, "deny");
  assert.doesNotMatch(text, /secret-literal|"ana"/);

  for (const [format, id] of [
    ["opa", "decision_id"],
    ["ocsf", "class_uid"],
  ] as const) {
    const terminal = captured();
    assert.equal(await main(["audit", "export", "--format", format, "--recording", toFile.recording], terminal), 0);
    const lines = terminal
      .stdout()
      .trim()
      .split("\n")
      .map((line): object => JSON.parse(line));
    assert.equal(lines.length, 2);
    assert.ok(lines.every((line) => id in line));
    if (format === "ocsf") assert.deepEqual(lines.flatMap(ocsfFaults), []);
    assert.doesNotMatch(terminal.stdout(), /secret-literal/);
    assert.match(terminal.stdout(), /"ana"/);
  }
});

test("a service gets gzipped batches with a token, and what it fails to take comes again", async () => {
  const client = await toService.connect({ sub: "ana", kind: "human" });
  await client.query("SELECT body FROM notes");
  await eventually(() => (got.length > 0 ? true : undefined));
  answer.status = 200;
  const failed = got[0];
  await eventually(() => (got.length > 1 ? true : undefined));
  assert.deepEqual(got.at(-1), failed);
  assert.deepEqual({ path: failed?.path, auth: failed?.auth }, { path: "/opa/logs", auth: "Bearer log-token" });
});

test("a delete that was denied is a failed Datastore Activity of OCSF", () => {
  const event = ocsfEvent(
    {
      atMs: 5,
      decisionId: "dec_1",
      session: "ses_1",
      connection: "prod",
      protocol: "postgres",
      principal: { sub: "ana", kind: "human" },
      accesses: ["delete public.orders"],
      fingerprint: "0011",
      effect: "deny",
      rules: ["a.b"],
      policyHash: "h",
      revision: "r",
    },
    "gw-1",
  );
  const { class_uid, activity_id, type_uid, status_id, action_id, database } = event;
  assert.deepEqual(
    { class_uid, activity_id, type_uid, status_id, action_id, database },
    {
      class_uid: 6005,
      activity_id: 7,
      type_uid: 600_507,
      status_id: 2,
      action_id: 2,
      database: { name: "prod", type_id: 1 },
    },
  );
});
