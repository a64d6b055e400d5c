// `gw doctor` and `gw top` against a running gateway.
import assert from "node:assert/strict";
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../cli/main.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { captured } from "../support/terminal.ts";

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
