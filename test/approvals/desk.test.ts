import assert from "node:assert/strict";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import type { ApprovalRequirement, RuleId } from "../../engine/model/decision.ts";
import type { IdentityFacts } from "../../engine/model/principal.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { type ApprovalDraft, eligibilityOf, isSatisfied, type Vote } from "../../proxy/approvals/approval.ts";
import { type ApprovalDeskDeps, createApprovalDesk } from "../../proxy/approvals/desk.ts";
import { openPostgresStore } from "../../proxy/approvals/postgres-store.ts";
import { openSqliteStore } from "../../proxy/approvals/sqlite-store.ts";
import type { ApprovalStore } from "../../proxy/approvals/store.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { silentLog } from "../../proxy/log.ts";
import { eventually } from "../support/eventually.ts";
import { testDatabase, testServer } from "../support/postgres.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

/** A place where requests are kept, and how a gateway opens it: two that open the same one share it. */
type Place = { readonly open: () => Promise<ApprovalStore> };

// Started here, so that it lives for the whole file.
await testServer();
const folder = temporaryFolder();
let files = 0;
const file = async (): Promise<Place> => {
  const path = join(folder, `${files++}.sqlite`);
  return { open: async () => openSqliteStore(path) };
};
const database = async (): Promise<Place> => {
  const { host, port, user, password, database: name } = await testDatabase("");
  const tls = { mode: "disable", ca: undefined } as const;
  return {
    open: () => openPostgresStore({ host, port, database: name, user, password: async () => password, tls }, silentLog),
  };
};
const stores = { "a file": file, PostgreSQL: database } as const;

async function testDesk(place: Place, more: Partial<ApprovalDeskDeps> = {}) {
  const time = { ms: 1_700_000_000_000 };
  const events: SessionEvent[] = [];
  const desk = createApprovalDesk({
    store: await place.open(),
    clock: { nowMs: () => time.ms },
    record: (event) => void events.push(event),
    ...more,
  });
  after(() => desk.close());
  const states = () => events.map((e) => (e.type === "approval" ? e.state : e.type));
  return { desk, time, states };
}

const requirement = (more: Partial<ApprovalRequirement> = {}): ApprovalRequirement => ({
  rule: "acme.night_writes" as RuleId,
  approvers: [{ count: 1, kind: "group", name: "dba" }],
  withinMs: 600_000,
  message: "writes at night need a second pair of eyes",
  ...more,
});
const twoOf = (name: string): ApprovalRequirement => requirement({ approvers: [{ count: 2, kind: "group", name }] });
const draft = (more: Partial<ApprovalDraft> = {}): ApprovalDraft => ({
  id: "apr_1",
  digest: "d1",
  decisionId: "dec_1",
  session: "ses_1",
  requester: { sub: "bot-7", kind: "agent", onBehalfOf: ["nina"] },
  connection: "prod-pg",
  protocol: "sql",
  likeness: "f1",
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

for (const [where, place] of Object.entries(stores)) {
  test(`in ${where}, a grant wakes who waits and is used once`, async () => {
    const { desk, states } = await testDesk(await place());
    await desk.ask(draft());
    const waiting = desk.wait("apr_1", 5_000, never);
    assert.equal((await desk.vote("apr_1", person("lena"), "approve", "looks right")).state, "granted");
    assert.equal(await waiting, "granted");
    assert.deepEqual(await desk.take("d1", "ses_2"), { id: "apr_1", rules: new Set(["acme.night_writes"]) });
    assert.equal(await desk.take("d1", "ses_2"), undefined);
    assert.deepEqual(states(), ["requested", "approved", "granted", "used"]);
  });

  test(`in ${where}, a refusal wakes who waits and grants nothing; it needs a reason, which is kept`, async () => {
    const { desk, states } = await testDesk(await place());
    await desk.ask(draft());
    const waiting = desk.wait("apr_1", 5_000, never);
    await assert.rejects(desk.vote("apr_1", person("lena"), "deny", " "), isFault("admin-invalid"));
    await desk.vote("apr_1", person("lena"), "deny", "not on a friday");
    assert.equal(await waiting, "denied");
    assert.equal(await desk.take("d1", "ses_1"), undefined);
    assert.equal((await desk.get("apr_1"))?.votes[0]?.reason, "not on a friday");
    assert.deepEqual(states(), ["requested", "refused"]);
  });

  test(`in ${where}, the hold limit leaves the request open, and a later repeat passes once`, async () => {
    const { desk } = await testDesk(await place());
    await desk.ask(draft());
    assert.equal(await desk.wait("apr_1", 10, never), "timeout");
    assert.equal((await desk.ask(draft({ id: "apr_2" }))).id, "apr_1", "the repeat joins the open request");
    await desk.vote("apr_1", person("lena"), "approve", undefined);
    assert.notEqual(await desk.take("d1", "ses_9"), undefined);
    assert.equal(await desk.take("d1", "ses_9"), undefined);
  });

  test(`in ${where}, who cancels withdraws the request, unless somebody else waits for it too`, async () => {
    const { desk, states } = await testDesk(await place());
    await desk.ask(draft());
    const [one, two] = [new AbortController(), new AbortController()];
    const first = desk.wait("apr_1", 5_000, one.signal);
    const second = desk.wait("apr_1", 5_000, two.signal);
    one.abort();
    assert.equal(await first, "aborted");
    await desk.withdraw("apr_1");
    assert.equal((await desk.get("apr_1"))?.state, "pending");
    two.abort();
    assert.equal(await second, "aborted");
    await desk.withdraw("apr_1");
    assert.equal((await desk.get("apr_1"))?.state, "withdrawn");
    await assert.rejects(desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
    assert.deepEqual(states(), ["requested", "withdrawn"]);
  });

  test(`in ${where}, requests and grants end when their time is over, and the same can be asked again`, async () => {
    const { desk, time, states } = await testDesk(await place());
    await desk.ask(draft());
    time.ms += 600_001;
    await assert.rejects(desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
    assert.equal((await desk.ask(draft({ id: "apr_2" }))).id, "apr_2");
    assert.ok(states().includes("expired"));
    await desk.vote("apr_2", person("lena"), "approve", undefined);
    time.ms += 600_001;
    assert.equal(await desk.take("d1", "ses_1"), undefined);
  });

  test(`in ${where}, a clock that is set back gives no grant a longer life`, async () => {
    const here = await place();
    const { desk, time } = await testDesk(here);
    await desk.ask(draft());
    await desk.vote("apr_1", person("lena"), "approve", undefined);
    time.ms += 600_001;
    assert.equal(await desk.take("d1", "ses_1"), undefined);
    time.ms -= 600_001;
    assert.equal(await desk.take("d1", "ses_1"), undefined, "the same process remembers the later time");
    const restarted = await testDesk(here);
    restarted.time.ms -= 3_600_000;
    assert.equal(await restarted.desk.take("d1", "ses_1"), undefined, "a grant from the future is not believed");
  });

  test(`in ${where}, requests, votes and grants survive a restart`, async () => {
    const here = await place();
    const { desk } = await testDesk(here);
    await desk.ask(draft({ requirements: [twoOf("dba")] }));
    assert.equal((await desk.vote("apr_1", person("lena"), "approve", undefined)).state, "pending");
    const after1 = (await testDesk(here)).desk;
    assert.equal((await after1.vote("apr_1", person("olga"), "approve", undefined)).state, "granted");
    const after2 = (await testDesk(here)).desk;
    assert.notEqual(await after2.take("d1", "ses_1"), undefined);
    assert.equal(await desk.take("d1", "ses_1"), undefined);
  });

  test(`in ${where}, votes that a crash left uncounted are counted when the request is asked again`, async () => {
    const here = await place();
    const { desk } = await testDesk(here);
    await desk.ask(draft());
    const store = await here.open();
    await store.addVote("apr_1", { by: "lena", groups: ["dba"], verdict: "approve", reason: undefined, atMs: 1 });
    await store.close();
    assert.equal((await desk.ask(draft({ id: "apr_2" }))).state, "granted");
    assert.notEqual(await desk.take("d1", "ses_1"), undefined);
  });

  test(`in ${where}, a quorum counts people, not votes`, async () => {
    const { desk } = await testDesk(await place());
    await desk.ask(draft({ requirements: [twoOf("dba")] }));
    await desk.vote("apr_1", person("lena"), "approve", undefined);
    await assert.rejects(desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
    assert.equal((await desk.get("apr_1"))?.state, "pending");
  });

  test(`in ${where}, while somebody is away another one votes in their place, and that is one vote of one person`, async () => {
    const { desk, time } = await testDesk(await place());
    await desk.ask(draft({ requirements: [twoOf("dba")] }));
    const omar = person("omar", ["sales"]);
    await assert.rejects(desk.vote("apr_1", omar, "approve", undefined), isFault("approval-not-eligible"));
    await desk.setStandIn(person("lena"), "omar", time.ms + 86_400_000);
    const voted = await desk.vote("apr_1", omar, "approve", undefined);
    assert.deepEqual(
      voted.votes.map(({ by, standsInFor }) => [by, standsInFor]),
      [["omar", "lena"]],
    );
    await assert.rejects(desk.vote("apr_1", person("lena"), "approve", undefined), isFault("approval-closed"));
    await assert.rejects(desk.vote("apr_1", omar, "approve", undefined), isFault("approval-closed"));
    assert.equal((await desk.vote("apr_1", person("olga"), "approve", undefined)).state, "granted");
    time.ms += 86_400_001;
    await desk.ask(draft({ id: "apr_2", digest: "d2" }));
    await assert.rejects(desk.vote("apr_2", omar, "approve", undefined), isFault("approval-not-eligible"));
  });

  test(`in ${where}, nobody who is behind a request approves it through a stand-in, and a stand-in names no other`, async () => {
    const { desk, time } = await testDesk(await place());
    const until = time.ms + 86_400_000;
    await desk.setStandIn(person("nina"), "omar", until);
    await desk.ask(draft());
    await assert.rejects(
      desk.vote("apr_1", person("omar", []), "approve", undefined),
      (error: Error) => error.message === "you stand in for somebody who is behind this request",
    );
    await desk.setStandIn(person("lena"), "omar", until);
    await desk.setStandIn(person("omar", []), "paul", until);
    await assert.rejects(
      desk.vote("apr_1", person("paul", []), "approve", undefined),
      isFault("approval-not-eligible"),
    );
    await desk.setStandIn(person("lena"), undefined, 0);
    await assert.rejects(
      desk.vote("apr_1", person("omar", []), "approve", undefined),
      isFault("approval-not-eligible"),
    );
    for (const [who, by, untilMs] of [
      [person("lena"), "lena", until],
      [person("lena"), "omar", time.ms - 1],
      [person("lena"), "omar", time.ms + 40 * 86_400_000],
      [person("bot-8", ["dba"], { kind: "agent" }), "omar", until],
    ] as const) {
      await assert.rejects(desk.setStandIn(who, by, untilMs), GatewayError);
    }
  });

  test(`in ${where}, who may break glass lets it through once, with a reason, and others must review it`, async () => {
    const breakGlass = { groups: new Set(["on-call"]), unreviewedMax: 1, reviewWithinMs: 3_600_000 };
    const { desk, states } = await testDesk(await place(), { breakGlass });
    const omar = person("omar", ["on-call", "dba"]);
    await desk.ask(draft());
    await assert.rejects(desk.breakGlass("apr_1", person("lena"), "fire"), isFault("approval-not-eligible"));
    await assert.rejects(
      desk.breakGlass("apr_1", person("bot-9", ["on-call"], { kind: "agent" }), "fire"),
      isFault("approval-not-eligible"),
    );
    await assert.rejects(desk.breakGlass("apr_1", omar, " "), isFault("admin-invalid"));
    assert.equal((await desk.breakGlass("apr_1", omar, "the site is down")).state, "granted");
    assert.notEqual(await desk.take("d1", "ses_1"), undefined);
    assert.deepEqual(
      (await desk.unreviewed()).map((a) => a.id),
      ["apr_1"],
    );
    await desk.ask(draft({ id: "apr_2", digest: "d2" }));
    await assert.rejects(
      desk.breakGlass("apr_2", omar, "again"),
      (error: Error) => error.message === "what you let through before has not been reviewed",
    );
    await assert.rejects(desk.review("apr_1", omar, "accepted", ""), isFault("approval-not-eligible"));
    await assert.rejects(desk.review("apr_1", person("nina"), "accepted", ""), isFault("approval-not-eligible"));
    await assert.rejects(desk.review("apr_1", person("lena"), "objected", ""), isFault("admin-invalid"));
    const reviewed = await desk.review("apr_1", person("lena"), "objected", "the runbook has another way");
    assert.equal(reviewed.brokenGlass?.review?.comment, "the runbook has another way");
    await assert.rejects(desk.review("apr_1", person("olga"), "accepted", ""), isFault("approval-closed"));
    assert.deepEqual(await desk.unreviewed(), []);
    assert.equal((await desk.breakGlass("apr_2", omar, "again")).state, "granted");
    assert.deepEqual(states().slice(0, 5), ["requested", "glass-broken", "granted", "used", "requested"]);
  });

  test(`in ${where}, a review that is overdue keeps who broke the glass from breaking it again`, async () => {
    const breakGlass = { groups: new Set(["on-call"]), unreviewedMax: 9, reviewWithinMs: 60_000 };
    const { desk, time } = await testDesk(await place(), { breakGlass });
    const omar = person("omar", ["on-call"]);
    await desk.ask(draft());
    await desk.breakGlass("apr_1", omar, "fire");
    await desk.ask(draft({ id: "apr_2", digest: "d2" }));
    await desk.breakGlass("apr_2", omar, "fire");
    time.ms += 60_001;
    await desk.ask(draft({ id: "apr_3", digest: "d3" }));
    await assert.rejects(desk.breakGlass("apr_3", omar, "fire"), isFault("approval-not-eligible"));
  });

  test(`in ${where}, who takes a used grant back ends what runs on it, also through another gateway`, async () => {
    const here = await place();
    const [one, two] = [(await testDesk(here)).desk, (await testDesk(here)).desk];
    await one.ask(draft());
    await two.vote("apr_1", person("lena"), "approve", undefined);
    await one.take("d1", "ses_1");
    const ended = new Promise<string>((resolve) => one.onRevoked("apr_1", () => resolve("ended")));
    await assert.rejects(two.revoke("apr_1", person("eve", ["sales"]), "no"), isFault("approval-not-eligible"));
    await assert.rejects(two.revoke("apr_1", person("lena"), ""), isFault("admin-invalid"));
    assert.equal((await two.revoke("apr_1", person("lena"), "wrong table")).state, "withdrawn");
    assert.equal(await ended, "ended");
  });

  test(`in ${where}, the requester and whoever is behind it may take a grant back before it is used`, async () => {
    const { desk } = await testDesk(await place());
    await desk.ask(draft());
    await desk.vote("apr_1", person("lena"), "approve", undefined);
    await desk.revoke("apr_1", person("nina"), "not needed any more");
    assert.equal(await desk.take("d1", "ses_1"), undefined);
  });

  test(`in ${where}, what was approved before in the same shape is found, and what broke glass is not`, async () => {
    const breakGlass = { groups: new Set(["on-call"]), unreviewedMax: 9, reviewWithinMs: 60_000 };
    const { desk } = await testDesk(await place(), { breakGlass });
    await desk.ask(draft());
    await desk.vote("apr_1", person("lena"), "approve", undefined);
    await desk.ask(draft({ id: "apr_2", digest: "d2" }));
    await desk.breakGlass("apr_2", person("omar", ["on-call"]), "fire");
    assert.equal((await desk.lastApproved(draft()))?.id, "apr_1");
    assert.equal(await desk.lastApproved(draft({ likeness: "f2" })), undefined);
    assert.equal(await desk.lastApproved(draft({ connection: "other" })), undefined);
  });

  test(`in ${where}, an approval is used once: in any interleaving of clients, approvers and time, over two gateways`, async () => {
    const here = await place();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.nat(1), fc.constantFrom("ask", "take", "approve", "expire", "deny", "withdraw", "revoke")),
          {
            minLength: 5,
            maxLength: 30,
          },
        ),
        async (steps) => {
          run += 1;
          const digest = `r${run}`;
          const gateways = [await testDesk(here), await testDesk(here)] as const;
          let [asked, granted, taken] = [0, 0, 0];
          let open = "apr_none";
          const attempt = async (act: Promise<{ readonly state: string }>) => {
            try {
              return (await act).state;
            } catch (error) {
              assert.ok(error instanceof GatewayError);
              return "refused";
            }
          };
          for (const [which, step] of steps) {
            const { desk } = gateways[which === 0 ? 0 : 1];
            if (step === "ask") open = (await desk.ask(draft({ id: `apr_${run}_${asked++}`, digest }))).id;
            else if (step === "take" && (await desk.take(digest, "ses_1")) !== undefined) taken += 1;
            else if (step === "withdraw") await desk.withdraw(open);
            else if (step === "revoke") await attempt(desk.revoke(open, person("nina"), "r"));
            else if (step === "expire") for (const { time } of gateways) time.ms += 300_000;
            else if (step === "approve" || step === "deny") {
              if ((await attempt(desk.vote(open, person("lena"), step, "r"))) === "granted") granted += 1;
            }
          }
          assert.ok(taken <= granted, `${taken} uses of ${granted} grants`);
          for (const { desk } of gateways) await desk.close();
        },
      ),
      { numRuns: where === "PostgreSQL" ? 12 : 30 },
    );
  });

  test(`in ${where}, of many clients of two gateways that race for one grant exactly one gets it`, async () => {
    const here = await place();
    const [one, two] = [(await testDesk(here)).desk, (await testDesk(here)).desk];
    const asked = await Promise.all(
      Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? one : two).ask(draft({ id: `apr_${i}` }))),
    );
    assert.equal(new Set(asked.map((a) => a.id)).size, 1, "the same request is opened once");
    const id = asked[0]?.id ?? "";
    const clients = Array.from({ length: 50 }, async (_, i) => {
      const mine = i % 2 === 0 ? one : two;
      assert.equal(await mine.wait(id, 10_000, never), "granted");
      return mine.take("d1", `ses_${i}`);
    });
    await one.vote(id, person("lena"), "approve", undefined);
    assert.equal((await Promise.all(clients)).filter((grant) => grant !== undefined).length, 1);
  });

  test(`in ${where}, of many approvers who vote at once each counts once and the request is granted once`, async () => {
    const here = await place();
    const [one, two] = [await testDesk(here), await testDesk(here)];
    await one.desk.ask(
      draft({ requirements: [{ ...twoOf("dba"), approvers: [{ count: 5, kind: "group", name: "dba" }] }] }),
    );
    const votes = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) =>
        (i % 2 === 0 ? one : two).desk.vote("apr_1", person(`p${i % 7}`), "approve", undefined),
      ),
    );
    const approval = await one.desk.get("apr_1");
    assert.equal(approval?.state, "granted");
    assert.equal(new Set(approval?.votes.map((v) => v.by)).size, approval?.votes.length);
    assert.ok(votes.filter((v) => v.status === "fulfilled").length <= 7);
    const grants = await Promise.all([one.desk.take("d1", "a"), two.desk.take("d1", "b")]);
    assert.equal(grants.filter((g) => g !== undefined).length, 1);
  });

  test(`in ${where}, what can't be recorded is neither asked nor granted`, async () => {
    let isBroken = false;
    const { desk } = await testDesk(await place(), {
      record: () => {
        if (isBroken) throw new GatewayError("record-failed", "the disk is full");
      },
    });
    await desk.ask(draft());
    isBroken = true;
    await assert.rejects(desk.vote("apr_1", person("lena"), "approve", undefined), isFault("record-failed"));
    await assert.rejects(desk.ask(draft({ id: "apr_2", digest: "d2" })), isFault("record-failed"));
    assert.deepEqual([(await desk.get("apr_1"))?.state, await desk.get("apr_2")], ["pending", undefined]);
    isBroken = false;
    await desk.vote("apr_1", person("lena"), "approve", undefined);
    isBroken = true;
    await assert.rejects(desk.take("d1", "ses_1"), isFault("record-failed"));
    isBroken = false;
    assert.equal(await desk.take("d1", "ses_1"), undefined, "used up, though nothing ran");
  });
}

test("a vote through one gateway wakes who waits at another one at once", async () => {
  const here = await database();
  const [one, two] = [(await testDesk(here)).desk, (await testDesk(here)).desk];
  await one.ask(draft());
  const startedMs = performance.now();
  const waiting = one.wait("apr_1", 10_000, never);
  await two.vote("apr_1", person("lena"), "approve", undefined);
  assert.equal(await waiting, "granted");
  assert.ok(performance.now() - startedMs < 9_000);
});

test("a store that is down refuses what needs it with its name, and serves again once it is back", async () => {
  const { host, port, user, password, database: name } = await testDatabase("");
  const proxy = createServer((client) => {
    const upstream = connect(port, host);
    for (const [a, b] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      a.on("error", () => b.destroy())
        .on("close", () => b.destroy())
        .pipe(b);
    }
    sockets.add(client);
  });
  const sockets = new Set<Socket>();
  after(() => proxy.close());
  const listening = (at: number) =>
    new Promise<number>((resolve) =>
      proxy.listen(at, "127.0.0.1", () => resolve((proxy.address() as AddressInfo).port)),
    );
  const through = await listening(0);
  const tls = { mode: "disable", ca: undefined } as const;
  const target = { host: "127.0.0.1", port: through, database: name, user, password: async () => password, tls };
  const { desk } = await testDesk({ open: () => openPostgresStore(target, silentLog) });
  await desk.ask(draft());
  await new Promise<void>((resolve) => {
    proxy.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
  const waiting = desk.wait("apr_1", 20_000, never);
  await assert.rejects(desk.ask(draft({ id: "apr_2", digest: "d2" })), isFault("approval-unavailable"));
  await assert.rejects(desk.take("d1", "ses_1"), isFault("approval-unavailable"));
  await listening(through);
  await eventually(() => desk.vote("apr_1", person("lena"), "approve", undefined).catch(() => undefined));
  assert.equal(await waiting, "granted", "who waited while it was down gets the answer");
  const nowhere = { ...target, port: 1 };
  await assert.rejects(openPostgresStore(nowhere, silentLog), isFault("approval-unavailable"));
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
    const found = eligibilityOf(draft(), voter, []);
    assert.equal(found.kind === "no" ? found.why : undefined, why);
  });
}

test("a named user approves without a group, and no list means anyone else", () => {
  const named = draft({ requirements: [requirement({ approvers: [{ count: 1, kind: "user", name: "olga" }] })] });
  assert.equal(eligibilityOf(named, person("olga", []), []).kind, "yes");
  assert.equal(eligibilityOf(named, person("lena", ["olga"]), []).kind, "no");
  const open = draft({ requirements: [requirement({ approvers: [] })] });
  assert.equal(eligibilityOf(open, person("anna", []), []).kind, "yes");
  assert.equal(eligibilityOf(open, person("nina", []), []).kind, "no");
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
