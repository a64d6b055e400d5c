// gw policy replay over what a real gateway recorded.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { main } from "../../cli/main.ts";
import { replayPolicies } from "../../cli/replay-policies.ts";
import { snapshotAnalyzer } from "../../cli/snapshot-analyzer.ts";
import { compileBundle } from "../../dsl/bundle.ts";
import type { RecordedFacts } from "../../engine/model/session-event.ts";
import type { RecordedEvent } from "../../proxy/recording/read.ts";
import { refusalOf, startTestGateway } from "../support/gateway.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { captured } from "../support/terminal.ts";

const policy = (more: string): string => `package acme.test

catalog "test-pg" from "./catalog.json"

allow reads on sql read of public.customers
allow chatter on sql session, tcl
${more}`;
const masks = "mask emails of public.customers.email using partial(first: 1)\n";

const gateway = await startTestGateway({
  schema: "create table customers (id int primary key, email text, region text); create table secrets (id int)",
  policy: policy(masks).replace(/catalog.*\n/, ""),
});
const catalog = join(temporaryFolder(), "catalog.json");
{
  const { host, port, user, password, database } = gateway.database;
  const url = `postgres://${user}:${password}@${host}:${port}/${database}?sslmode=disable`;
  assert.equal(await main(["catalog", "pull", url, "--out", catalog], captured()), 0);
}
const bot = await gateway.connect({ sub: "bot-7", kind: "agent", groups: ["support"] });
await bot.query("select id, email from customers");
await bot.query("select id, email from customers");
await bot.query("select region from customers where id = $1", [1]);
await refusalOf(bot, "select id from secrets");
await refusalOf(bot, "delete from customers where id = 1");
await bot.end();

async function replay(text: string, ...flags: readonly string[]) {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "p"));
  writeFileSync(join(folder, "p", "a.policy"), text);
  writeFileSync(join(folder, "p", "catalog.json"), readFileSync(catalog));
  const terminal = captured();
  const code = await main(
    ["policy", "replay", "--bundle", join(folder, "p"), "--recording", gateway.recording, ...flags],
    terminal,
  );
  return { code, text: terminal.text().replaceAll(/dec_\w+/g, "dec_1") };
}

test("the same policies decide everything alike", async () => {
  assert.deepEqual(await replay(policy(masks)), { code: 0, text: "5 statements: 5 alike, 0 differ\n" });
});

test("what would be refused now is grouped by the rule that does it", async () => {
  const { code, text } = await replay(
    policy(`${masks}deny bots on sql read of public.customers when identity.kind == agent because "no"\n`),
  );
  assert.equal(code, 0, text);
  assert.equal(
    text,
    `would be refused: 3
  acme.test.bots: 3
    dec_1  bot-7  select id, email from customers
    dec_1  bot-7  select id, email from customers
    dec_1  bot-7  select region from customers where id = $1

5 statements: 2 alike, 3 differ
`,
  );
});

test("what would pass or show more ends with 3", async () => {
  const more = await replay(policy(`${masks}allow secrets on sql read of public.secrets\n`));
  assert.equal(more.code, 3);
  assert.match(more.text, /^would pass now: 1\n/);
  const bare = await replay(policy(""));
  assert.equal(bare.code, 3);
  assert.match(bare.text, /^would show more: 3\n {2}acme\.test\.reads: 3\n/);
});

test("what rests on facts that aren't recorded is said to, not guessed", async () => {
  const text = policy(masks).replace("public.customers\nallow", "public.customers when identity.mfa\nallow");
  assert.deepEqual(await replay(text), {
    code: 0,
    text: "5 statements: 2 alike, 0 differ, 3 rest on what isn't recorded\n",
  });
});

test("a part of the recording can be asked about", async () => {
  assert.deepEqual(await replay(policy(masks), "--until", "2020-01-01"), {
    code: 0,
    text: "0 statements: 0 alike, 0 differ\n",
  });
  assert.match((await replay(policy(masks), "--from", "yesterday")).text, /write `7d`, `12h`, or a date/);
});

test("facts about callers that are recorded decide again; those that aren't stay open", async () => {
  const start = (session: string, facts: RecordedFacts): RecordedEvent => ({
    ...{ atMs: 1, seq: 1, hash: "", session, type: "session-start", connection: "test-pg", protocol: "postgres" },
    ...{ principal: { sub: session, kind: "human", groups: [], onBehalfOf: undefined }, client: "10.0.0.1" },
    ...{ application: undefined, env: "prod", tags: ["eu"], facts },
  });
  const asked = (session: string): RecordedEvent => ({
    ...{ atMs: 2, seq: 2, hash: "", session, type: "statement", id: session, statement: "select id from customers" },
    ...{ fingerprint: undefined, isCut: false, statementSha256: undefined, parameters: 0, factsDigest: undefined },
    ...{ accesses: ["select public.customers (id)"], effect: "allow", rules: [], causes: [], masks: [], filters: [] },
    ...{ policy: "p", revision: "r" },
  });
  const compiled = compileBundle(
    new Map([
      [
        "a.policy",
        `package p
schema identity.claims: { department: string?, level: string? }
catalog "test-pg" from "./catalog.json"
allow hr on sql read of public.customers
  when identity.mfa and connection.env == "prod" and connection.tags contains "eu"
    and identity.claims.department is present and identity.claims.department == "hr"`,
      ],
      ["catalog.json", readFileSync(catalog, "utf8")],
    ]),
    { revision: "1", timeZone: "UTC" },
  );
  assert.ok(compiled.policySet);
  const who: readonly (readonly [string, RecordedFacts])[] = [
    ["hr", { mfa: true, "claims.department": "hr" }],
    ["it", { mfa: true, "claims.department": "it" }],
    ["none", { mfa: true, "claims.department": null }],
    ["unrecorded", { mfa: true, "claims.level": "3" }],
    ["weak", { mfa: false, "claims.department": "hr" }],
  ];
  const { differences, alike, open } = await replayPolicies(
    who.flatMap(([session, facts]) => [start(session, facts), asked(session)]),
    { policies: compiled.policySet, analyze: snapshotAnalyzer(compiled.checked.catalogs), fromMs: 0, untilMs: 9 },
  );
  const refused = differences.flatMap(({ examples }) => examples.map(({ id }) => id));
  assert.deepEqual({ alike, open, refused }, { alike: 1, open: 1, refused: ["it", "none", "weak"] });
});
