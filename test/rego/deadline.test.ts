// A policy that runs away is stopped in time, and nobody else notices more than that time.
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Limits, limits } from "../../engine/limits.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import { readRegoBundle } from "../../engine/rego/bundle.ts";
import { noNeeds, regoPolicySet } from "../../engine/rego/policy-set.ts";
import { type RegoWorkers, startRegoWorkers } from "../../proxy/rego/worker-pool.ts";
import { skip } from "../support/opa.ts";
import { compileRego, quietLog, sqlFacts, sqlRequest, withSub } from "./support.ts";

/** On a busy machine a thread starts late. */
const patient: Limits = { ...limits, regoWorkerWaitMs: 10_000 };

const opened: RegoWorkers[] = [];
after(async () => {
  for (const workers of opened) await workers.close();
});

async function loadWithDeadline(
  body: string,
  deadlineMs: number,
  bounds: Limits = patient,
): Promise<{ readonly set: PolicySet; readonly workers: RegoWorkers }> {
  const bundle = readRegoBundle(await compileRego(body), bounds);
  assert.ok(bundle.ok);
  const { module, data, hash, revision } = bundle.value;
  const program = { module, data, entrypoint: undefined, pagesMax: bounds.regoMemoryPagesMax };
  const started = await startRegoWorkers(program, {
    deadlineMs,
    limits: bounds,
    monotonicMs: () => performance.now(),
    log: quietLog,
  });
  assert.ok(started.ok, JSON.stringify(started));
  opened.push(started.value);
  const { evaluate, entrypoint } = started.value;
  const set = regoPolicySet({
    hash,
    revision,
    timeZone: "UTC",
    entrypoint,
    evaluate,
    needs: noNeeds,
    tags: () => undefined,
    limits: bounds,
  });
  return { set, workers: started.value };
}

const quadratic = `
default decision := false
items := numbers.range(1, to_number(input.identity.sub))
decision if count([1 | some x in items; some y in items; x == y]) > 0`;

const codeOf = (decision: ReturnType<PolicySet["decide"]>): string => {
  const [cause] = decision.effect === "deny" ? decision.causes : [];
  return cause?.kind === "unsupported" ? cause.code : decision.effect;
};

test("a quadratic policy is stopped at its deadline, and the next decision is right", { skip }, async () => {
  const { set, workers } = await loadWithDeadline(quadratic, 300);
  assert.equal(codeOf(set.decide(withSub("10"))), "allow");
  for (let round = 0; round < 3; round += 1) {
    const began = performance.now();
    assert.equal(codeOf(set.decide(withSub("100000"))), "rego-deadline");
    const tookMs = performance.now() - began;
    assert.ok(tookMs >= 290 && tookMs < 5_000, `${tookMs} ms`);
    assert.equal(codeOf(set.decide(withSub("10"))), "allow");
  }
  assert.equal(workers.stopped(), 3);
});

test("while one policy runs away another one goes on", { skip }, async () => {
  const slow = await loadWithDeadline(quadratic, 200);
  const other = await loadWithDeadline("decision := true", 2_000);
  assert.equal(codeOf(slow.set.decide(withSub("100000"))), "rego-deadline");
  assert.equal(codeOf(other.set.decide(withSub("1"))), "allow");
  assert.equal(other.workers.stopped(), 0);
});

test("2,000 failures in the worker are 2,000 denials, and then it decides right", { skip }, async () => {
  const body = 'decision := true if input.identity.sub != ""\ndecision := false if input.identity.sub == "poison"';
  const { set, workers } = await loadWithDeadline(body, 2_000);
  for (let i = 0; i < 2_000; i += 1) assert.equal(codeOf(set.decide(withSub("poison"))), "rego-failed");
  assert.equal(codeOf(set.decide(withSub("ann"))), "allow");
  assert.equal(workers.stopped(), 0);
});

test("input and answer are bounded", { skip }, async () => {
  const bounds = { ...patient, regoInputBytesMax: 4_096, regoAnswerBytesMax: 1_024 };
  const body = 'decision := concat("", [x | some x in [input.identity.sub, input.identity.sub, input.identity.sub]])';
  const { set } = await loadWithDeadline(body, 2_000, bounds);
  const long = sqlRequest({ sql: sqlFacts(undefined, { text: "x".repeat(5_000) }) });
  assert.equal(codeOf(set.decide(long)), "rego-input-too-large");
  assert.equal(codeOf(set.decide(withSub("x".repeat(1_000)))), "rego-answer-invalid");
  const deep = sqlRequest();
  const nested = JSON.parse(`${"[".repeat(100)}${"]".repeat(100)}`);
  assert.equal(
    codeOf(set.decide({ ...deep, identity: { ...deep.identity, claims: { nested } } })),
    "rego-input-invalid",
  );
});

test("a policy that can't be loaded says why, and after close every request is denied", { skip }, async () => {
  const bundle = readRegoBundle(await compileRego('decision if http.send({"url": "x", "method": "get"}).ok'), limits);
  assert.ok(bundle.ok);
  const options = { deadlineMs: 100, limits, monotonicMs: () => performance.now(), log: quietLog };
  const program = { module: bundle.value.module, data: {}, entrypoint: undefined, pagesMax: 64 };
  assert.deepEqual(await startRegoWorkers(program, options), {
    ok: false,
    error: "the policy calls `http.send`, which the gateway doesn't offer: docs/rego.md lists what it does",
  });
  const { set, workers } = await loadWithDeadline("decision := true", 2_000);
  await workers.close();
  assert.equal(codeOf(set.decide(withSub("ann"))), "rego-unavailable");
});
