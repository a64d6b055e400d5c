// Messages to other systems and to channels of people, received by recording servers.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import type { RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import { showApproval } from "../../proxy/admin/approval-view.ts";
import type { Approval, ApprovalDraft } from "../../proxy/approvals/approval.ts";
import { createApprovalDesk, type RecordedState } from "../../proxy/approvals/desk.ts";
import { differences } from "../../proxy/approvals/difference.ts";
import { slackMessage } from "../../proxy/approvals/slack.ts";
import { openSqliteStore } from "../../proxy/approvals/sqlite-store.ts";
import { visibleText } from "../../proxy/approvals/visible.ts";
import { type HookConfig, startHooks } from "../../proxy/approvals/webhooks.ts";
import { signatureOf } from "../../proxy/delivery.ts";
import type { Log } from "../../proxy/deps.ts";
import { silentLog } from "../../proxy/log.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

type Received = { readonly headers: Readonly<Record<string, unknown>>; readonly body: string };

/** Answers with the next of `answers`, then 200. */
async function receiver(answers: number[] = []) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    received.push({ headers: request.headers, body: Buffer.concat(chunks).toString("utf8") });
    const status = answers.shift() ?? 200;
    response.writeHead(status, status === 302 ? { location: "http://127.0.0.1:1/" } : {}).end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return { url: async () => url, received };
}

const secret = "whsec_c2VjcmV0LWtleS1vZi10aGUtaG9vaw==";
const all = new Set<RecordedState>(["requested", "granted", "refused", "withdrawn", "used"]);
const signed = (url: () => Promise<string>, events = all): HookConfig => ({
  name: "webhook 1",
  url,
  form: { kind: "signed", secret: async () => secret },
  events,
});

const draft = (id: string, more: Partial<ApprovalDraft> = {}): ApprovalDraft => ({
  id,
  digest: id,
  decisionId: "dec_1",
  session: "ses_1",
  requester: { sub: "bot-7", kind: "agent", onBehalfOf: ["nina"] },
  connection: "prod-pg",
  protocol: "sql",
  statement: "delete from orders where id = $1",
  parameters: ["7"],
  accesses: ["delete public.orders"],
  likeness: "f",
  requirements: [
    {
      rule: "acme.writes" as RuleId,
      approvers: [{ count: 1, kind: "group", name: "dba" }],
      withinMs: 60_000,
      message: "writes need a second pair of eyes",
    },
  ],
  policyHash: "sha256:0",
  ...more,
});
const lena: IdentityFacts = {
  sub: "lena",
  kind: "human",
  groups: new Set(["dba"]),
  email: undefined,
  ip: "127.0.0.1",
  mfa: true,
  on_behalf_of: undefined,
  claims: {},
};
const clock = { nowMs: () => Date.now() };
const folder = temporaryFolder();
let serial = 0;

function desk(configs: readonly HookConfig[], path = join(folder, `${serial++}.sqlite`), log: Log = silentLog) {
  const made = createApprovalDesk({ store: openSqliteStore(path), clock, record: () => undefined });
  const hooks = startHooks(configs, { desk: made, show: showApproval, clock, log, backoffMs: 5 });
  after(async () => {
    hooks.close();
    await made.close();
  });
  return { desk: made, path, hooks };
}
const typesOf = (received: readonly Received[]) => received.map(({ body }) => JSON.parse(body).type);

test("each change is told in order, signed, with the whole request in it", async () => {
  const { url, received } = await receiver();
  const { desk: d } = desk([signed(url)]);
  await d.ask(draft("apr_1"));
  await d.vote("apr_1", lena, "approve", "fine");
  await d.take("apr_1", "ses_1");
  await eventually(() => (received.length === 3 ? true : undefined));
  assert.deepEqual(typesOf(received), ["approval.requested", "approval.granted", "approval.used"]);
  for (const { headers, body } of received) {
    const [id, time] = [String(headers["webhook-id"]), Number(headers["webhook-timestamp"])];
    assert.equal(headers["webhook-signature"], `v1,${signatureOf(secret, id, time, body)}`);
    assert.ok(Math.abs(time - Date.now() / 1_000) < 60);
    assert.equal(JSON.parse(body).data.statement, "delete from orders where id = $1");
  }
  assert.deepEqual(
    received.map(({ headers }) => headers["webhook-id"]),
    ["apr_1.requested", "apr_1.granted", "apr_1.used"],
  );
});

test("the signature is that of Standard Webhooks", () => {
  // The example of the standard's own specification.
  const body = '{"test": 2432232314}';
  const signature = signatureOf(
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330,
    body,
  );
  assert.equal(signature, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

test("a receiver that is down for a while gets each message, with the same id, and nothing overtakes", async () => {
  const { url, received } = await receiver([503, 500, 429]);
  const { desk: d } = desk([signed(url)]);
  await d.ask(draft("apr_1"));
  await d.vote("apr_1", lena, "deny", "no");
  await eventually(() => (received.length === 5 ? true : undefined));
  assert.deepEqual(
    received.map(({ headers }) => headers["webhook-id"]),
    ["apr_1.requested", "apr_1.requested", "apr_1.requested", "apr_1.requested", "apr_1.refused"],
  );
});

test("a message that is refused, redirected for ever or given up is dropped with a log line, and the next one goes on", async () => {
  const { url, received } = await receiver([400, ...Array.from({ length: 8 }, () => 302)]);
  const lines: string[] = [];
  const put = (fields: object): void => void lines.push(JSON.stringify(fields));
  const log: Log = { debug: () => undefined, info: put, warn: put, error: put };
  const { desk: d } = desk([signed(url, new Set(["requested"]))], undefined, log);
  for (const id of ["apr_1", "apr_2", "apr_3"]) await d.ask(draft(id));
  await eventually(() => (received.at(-1)?.headers["webhook-id"] === "apr_3.requested" ? true : undefined));
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      { code: "webhook-refused", hook: "webhook 1", message: "apr_1.requested" },
      { code: "webhook-given-up", hook: "webhook 1", message: "apr_2.requested" },
    ],
  );
  assert.ok(!lines.join().includes("orders"));
});

test("what was pending when the gateway died is told again after its start, under the same id", async () => {
  const { url, received } = await receiver();
  const first = desk([]);
  await first.desk.ask(draft("apr_1"));
  desk([signed(url)], first.path);
  await eventually(() => (received.length === 1 ? true : undefined));
  assert.equal(received[0]?.headers["webhook-id"], "apr_1.requested");
});

const approval = (more: Partial<ApprovalDraft>): Approval => ({
  ...draft("apr_1", more),
  state: "pending",
  votes: [],
  brokenGlass: undefined,
  createdAtMs: 0,
  expiresAtMs: 60_000,
});
const slackOf = (more: Partial<ApprovalDraft>) =>
  slackMessage({ approval: approval(more), what: "requested" }, "https://gw.example");

test("a channel is told in Slack's form, with a link to the whole", async () => {
  const { url, received } = await receiver();
  const slack: HookConfig = {
    name: "slack 1",
    url,
    form: { kind: "slack", pageOrigin: "https://gw.example" },
    events: all,
  };
  const { desk: d } = desk([slack]);
  await d.ask(draft("apr_1"));
  await eventually(() => (received.length === 1 ? true : undefined));
  const { text, blocks } = JSON.parse(received[0]?.body ?? "{}");
  assert.equal(text, "Approval wanted: apr_1 by bot-7 on prod-pg");
  const whole = blocks.map((block: { text: { text: string } }) => block.text.text).join("\n");
  for (const part of [
    "who: bot-7 (agent) for nina",
    "rule: acme.writes: writes need a second pair of eyes",
    'approvers: group "dba"',
    "```delete from orders where id = $1\n$1 = 7```",
    "<https://gw.example/approvals/apr_1|See all of it and decide>",
  ]) {
    assert.ok(whole.includes(part), `${part}\n${whole}`);
  }
});

test("a statement can't make links, mentions or an end of its block, and its odd characters are named", () => {
  const { blocks } = slackOf({ statement: "select '<!channel> <https://evil|ok> ``` & \u202e' from t" });
  const whole = blocks.map((block) => block.text.text).join("\n");
  assert.ok(!whole.includes("<!channel>"));
  assert.ok(!whole.includes("<https://evil"));
  assert.ok(whole.includes("⟨U+202E⟩"));
  assert.equal(whole.split("```").length, 3);
});

test("a long statement is whole over several sections, and where it is cut the message says so", () => {
  const fits = slackOf({ statement: `select '${"x".repeat(50_000)}'`, parameters: [] });
  const pieces = fits.blocks.map((block) => block.text.text).filter((text) => text.startsWith("```"));
  assert.equal(pieces.map((text) => text.slice(3, -3)).join(""), `select '${"x".repeat(50_000)}'`);
  const long = slackOf({ statement: `select '${"<".repeat(500_000)}'` });
  assert.ok(long.blocks.length <= 50);
  assert.ok(long.blocks.every((block) => block.text.text.length <= 3_000));
  assert.ok(long.blocks.some((block) => /Cut here: \d+ of \d+ characters are shown/.test(block.text.text)));
});

test("nothing is lost between an earlier statement and this one", () => {
  const words = fc
    .array(fc.constantFrom("select ", "a", "b", ", ", "\n", "'x y'", "\u202e", "😀"), { maxLength: 30 })
    .map((w) => w.join(""));
  fc.assert(
    fc.property(words, words, (before, now) => {
      const changes = differences(before, now);
      const joined = (without: string) =>
        changes
          .filter(({ kind }) => kind !== without)
          .map(({ text }) => text)
          .join("");
      assert.equal(joined("new"), before);
      assert.equal(joined("gone"), now);
    }),
  );
});

test("every character of a text is seen: none that shows nothing is left as it is", () => {
  const odd = [
    "\u0000",
    "\u001b",
    "\u00a0",
    "\u00ad",
    "\u034f",
    "\u200b",
    "\u200e",
    "\u202e",
    "\u2028",
    "\u2066",
    "\u3164",
    "\ufe0f",
    "\ufeff",
    "\ud800",
    "\u{e0041}",
  ];
  for (const character of odd) {
    const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0");
    assert.equal(visibleText(`a${character}b`), `a⟨U+${code}⟩b`);
  }
  assert.equal(visibleText("naïve 日本 😀\n\tx"), "naïve 日本 😀\n\tx");
});
