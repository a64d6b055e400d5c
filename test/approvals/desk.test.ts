import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import type { ApprovalRequirement, RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { type ApprovalDraft, isSatisfied, type Vote, whyNotEligible } from "../../proxy/approvals/approval.ts";
import { createApprovalDesk } from "../../proxy/approvals/desk.ts";
import { openApprovalStore } from "../../proxy/approvals/store.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const folder = temporaryFolder();
let files = 0;

function testDesk(path = join(folder, `${files++}.sqlite`)) {
  const time = { ms: 1_700_000_000_000 };
  const events: SessionEvent[] = [];
  const desk = createApprovalDesk({
    store: openApprovalStore(path),
    clock: { nowMs: () => time.ms },
    record: (event) => void events.push(event),
  });
  after(() => desk.close());
  const states = () => events.map((e) => (e.type === "approval" ? e.state : e.type));
  return { desk, time, path, states };
}

const requirement = (more: Partial<ApprovalRequirement> = {}): ApprovalRequirement => ({
  rule: "acme.night_writes" as RuleId,
  approvers: [{ count: 1, kind: "group", name: "dba" }],
  withinMs: 600_000,
  message: "writes at night need a second pair of eyes",
  ...more,
});
const draft = (more: Partial<ApprovalDraft> = {}): ApprovalDraft => ({
  id: "apr_1",
  digest: "d1",
  decisionId: "dec_1",
  session: "ses_1",
  requester: { sub: "bot-7", kind: "agent", onBehalfOf: ["nina"] },
  connection: "prod-pg",
  statement: "delete from orders where id = $1",
  parameters: ["7"],
  accesses: ["delete public.orders"],
  requirements: [requirement()],
  policyHash: "sha256:0",
  ...more,
});
const person = (
  sub: string,
  groups: readonly string[] = ["dba"],
  more: Partial<IdentityFacts> = {},
): IdentityFacts => ({
  sub,
  kind: "human",
  groups: new Set(groups),
  email: undefined,
  ip: "127.0.0.1",
  mfa: true,
  on_behalf_of: undefined,
  claims: {},
  ...more,
});
const never = new AbortController().signal;
const isFault = (code: string) => (error: unknown) => error instanceof GatewayError && error.code === code;

test("a grant wakes who waits and is used once", async () => {
  const { desk, states } = testDesk();
  desk.ask(draft());
  const waiting = desk.wait("apr_1", 5_000, never);
  assert.equal(desk.vote("apr_1", person("lena"), "approve", "looks right").state, "granted");
  assert.equal(await waiting, "granted");
  assert.deepEqual(desk.take("d1", "ses_2"), { id: "apr_1", rules: new Set(["acme.night_writes"]) });
  assert.equal(desk.take("d1", "ses_2"), undefined);
  assert.deepEqual(states(), ["requested", "approved", "granted", "used"]);
});

test("a refusal wakes who waits and grants nothing, with its reason kept", async () => {
  const { desk, states } = testDesk();
  desk.ask(draft());
  const waiting = desk.wait("apr_1", 5_000, never);
  desk.vote("apr_1", person("lena"), "deny", "not on a friday");
  assert.equal(await waiting, "denied");
  assert.equal(desk.take("d1", "ses_1"), undefined);
  assert.equal(desk.get("apr_1")?.votes[0]?.reason, "not on a friday");
  assert.deepEqual(states(), ["requested", "refused"]);
});

test("the hold limit leaves the request open, and a later repeat passes once", async () => {
  const { desk } = testDesk();
  desk.ask(draft());
  assert.equal(await desk.wait("apr_1", 10, never), "timeout");
  assert.equal(desk.ask(draft({ id: "apr_2" })).id, "apr_1", "the repeat joins the open request");
  desk.vote("apr_1", person("lena"), "approve", undefined);
  assert.notEqual(desk.take("d1", "ses_9"), undefined);
});

test("who cancels withdraws the request, unless somebody else waits for it too", async () => {
  const { desk, states } = testDesk();
  desk.ask(draft());
  const [one, two] = [new AbortController(), new AbortController()];
  const first = desk.wait("apr_1", 5_000, one.signal);
  const second = desk.wait("apr_1", 5_000, two.signal);
  one.abort();
  assert.equal(await first, "aborted");
  desk.withdraw("apr_1");
  assert.equal(desk.get("apr_1")?.state, "pending");
  two.abort();
  assert.equal(await second, "aborted");
  desk.withdraw("apr_1");
  assert.equal(desk.get("apr_1")?.state, "withdrawn");
  assert.throws(() => desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
  assert.deepEqual(states(), ["requested", "withdrawn"]);
});

test("requests and grants end when their time is over", async () => {
  const { desk, time } = testDesk();
  desk.ask(draft());
  time.ms += 600_001;
  assert.throws(() => desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
  desk.ask(draft({ id: "apr_2" }));
  desk.vote("apr_2", person("lena"), "approve", undefined);
  time.ms += 600_001;
  assert.equal(desk.take("d1", "ses_1"), undefined);
});

test("requests, votes and grants survive a restart", () => {
  const { desk, path } = testDesk();
  desk.ask(draft({ requirements: [requirement({ approvers: [{ count: 2, kind: "group", name: "dba" }] })] }));
  assert.equal(desk.vote("apr_1", person("lena"), "approve", undefined).state, "pending");
  const after1 = testDesk(path).desk;
  assert.equal(after1.vote("apr_1", person("olga"), "approve", undefined).state, "granted");
  const after2 = testDesk(path).desk;
  assert.notEqual(after2.take("d1", "ses_1"), undefined);
  assert.equal(desk.take("d1", "ses_1"), undefined);
});

test("a quorum counts people, not votes", () => {
  const { desk } = testDesk();
  desk.ask(draft({ requirements: [requirement({ approvers: [{ count: 2, kind: "group", name: "dba" }] })] }));
  desk.vote("apr_1", person("lena"), "approve", undefined);
  assert.throws(() => desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
  assert.equal(desk.get("apr_1")?.state, "pending");
});

const eligibility: readonly (readonly [who: string, voter: IdentityFacts, why: string | undefined])[] = [
  ["a person of the group", person("lena"), undefined],
  ["a person outside of the group", person("lena", ["ops"]), 'you are not among the approvers: group "dba"'],
  ["the requester", person("bot-7", ["dba"]), "nobody approves their own request"],
  ["the requester's owner", person("nina"), "the one an agent acts for can't approve its requests"],
  ["an agent", person("bot-8", ["dba"], { kind: "agent" }), "only people approve, and this token is a program's"],
  ["a delegated token", person("lena", ["dba"], { on_behalf_of: "omar" }), "this token acts for somebody else"],
];
for (const [who, voter, why] of eligibility) {
  test(`${who} ${why === undefined ? "may" : "may not"} approve`, () => {
    assert.equal(whyNotEligible(draft(), voter), why);
  });
}

test("a named user approves without a group, and no list means anyone else", () => {
  const named = draft({ requirements: [requirement({ approvers: [{ count: 1, kind: "user", name: "olga" }] })] });
  assert.equal(whyNotEligible(named, person("olga", [])), undefined);
  assert.notEqual(whyNotEligible(named, person("lena", ["olga"])), undefined);
  const open = draft({ requirements: [requirement({ approvers: [] })] });
  assert.equal(whyNotEligible(open, person("anna", [])), undefined);
  assert.notEqual(whyNotEligible(open, person("nina", [])), undefined);
});

test("every requirement must be met: more requirements or fewer votes never grant more", () => {
  const group = fc.constantFrom("dba", "lead", "sec");
  const people = fc.constantFrom("a", "b", "c", "d");
  const vote = fc.record({
    by: people,
    groups: fc.uniqueArray(group),
    verdict: fc.constantFrom("approve" as const, "deny" as const),
    reason: fc.constant(undefined),
    atMs: fc.constant(0),
  });
  const need = fc
    .array(fc.record({ count: fc.integer({ min: 1, max: 3 }), kind: fc.constant("group" as const), name: group }), {
      maxLength: 2,
    })
    .map((approvers) => requirement({ approvers }));
  fc.assert(
    fc.property(
      fc.array(need, { minLength: 1, maxLength: 3 }),
      need,
      fc.array(vote, { maxLength: 6 }),
      (needs, more, votes: Vote[]) => {
        if (isSatisfied([...needs, more], votes)) assert.ok(isSatisfied(needs, votes));
        if (isSatisfied(needs, votes.slice(1))) assert.ok(isSatisfied(needs, votes));
        assert.ok(
          !isSatisfied(
            needs,
            votes.filter((v) => v.verdict === "deny"),
          ),
        );
        const twice = [...votes, ...votes];
        assert.equal(isSatisfied(needs, twice), isSatisfied(needs, votes), "the same person again changes nothing");
      },
    ),
  );
});

test("an approval is used once: in any interleaving of clients, approvers and time, over two gateways on one store", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(1), fc.constantFrom("ask", "take", "approve", "expire", "deny", "withdraw")), {
        minLength: 5,
        maxLength: 40,
      }),
      async (steps) => {
        const path = join(folder, `${files++}.sqlite`);
        const gateways = [testDesk(path), testDesk(path)] as const;
        let asked = 0;
        let granted = 0;
        let taken = 0;
        for (const [which, step] of steps) {
          const { desk } = gateways[which === 0 ? 0 : 1];
          const open = desk.list("pending")[0]?.id ?? "apr_none";
          if (step === "ask") desk.ask(draft({ id: `apr_${asked++}` }));
          else if (step === "take" && desk.take("d1", "ses_1") !== undefined) taken += 1;
          else if (step === "withdraw") desk.withdraw(open);
          else if (step === "expire") for (const { time } of gateways) time.ms += 300_000;
          else if (step === "approve" || step === "deny") {
            try {
              if (desk.vote(open, person("lena"), step, "r").state === "granted") granted += 1;
            } catch (error) {
              assert.ok(error instanceof GatewayError);
            }
          }
        }
        assert.ok(taken <= granted, `${taken} uses of ${granted} grants`);
        const used = gateways[0].desk.list("used").length;
        assert.equal(used, taken);
      },
    ),
    { numRuns: 40 },
  );
});

test("of many clients that race for one grant exactly one gets it", async () => {
  const { desk, path } = testDesk();
  const other = testDesk(path).desk;
  desk.ask(draft());
  const clients = Array.from({ length: 50 }, async (_, i) => {
    const mine = i % 2 === 0 ? desk : other;
    await mine.wait("apr_1", 5_000, never);
    return mine.take("d1", `ses_${i}`);
  });
  desk.vote("apr_1", person("lena"), "approve", undefined);
  assert.equal((await Promise.all(clients)).filter((grant) => grant !== undefined).length, 1);
});

test("what can't be recorded is neither asked nor granted", () => {
  let isBroken = false;
  const desk = createApprovalDesk({
    store: openApprovalStore(join(folder, "broken.sqlite")),
    clock: { nowMs: () => 0 },
    record: () => {
      if (isBroken) throw new GatewayError("record-failed", "the disk is full");
    },
  });
  desk.ask(draft());
  isBroken = true;
  assert.throws(() => desk.vote("apr_1", person("lena"), "approve", undefined), isFault("record-failed"));
  assert.throws(() => desk.ask(draft({ id: "apr_2", digest: "d2" })), isFault("record-failed"));
  assert.deepEqual([desk.get("apr_1")?.state, desk.get("apr_2")], ["pending", undefined]);
  desk.close();
});
