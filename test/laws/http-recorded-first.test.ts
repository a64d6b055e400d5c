// Law: nothing of an HTTP request goes upstream before its intent is on record; if that fails, nothing goes at all.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { compileBundle } from "../../dsl/bundle.ts";
import type { CanonicalRequest } from "../../engine/http/request.ts";
import { ok } from "../../engine/lib/result.ts";
import { limits } from "../../engine/limits.ts";
import type { SessionEvent } from "../../engine/model/session-event.ts";
import { createApprovalDesk } from "../../proxy/approvals/desk.ts";
import { openSqliteStore } from "../../proxy/approvals/sqlite-store.ts";
import { GatewayError } from "../../proxy/errors.ts";
import { WindowCounters } from "../../proxy/gate/counters.ts";
import { GateMetrics } from "../../proxy/gate/gate-metrics.ts";
import type { TrafficSession } from "../../proxy/gate/traffic.ts";
import { createTrafficGate } from "../../proxy/gate/traffic-gate.ts";
import { createApiHandler } from "../../proxy/http/api.ts";
import type { HttpAnswer, HttpExchange } from "../../proxy/http/exchange.ts";
import { silentLog } from "../../proxy/log.ts";
import { createNewId } from "../../proxy/new-id.ts";
import type { Recorder } from "../../proxy/recording/recorder.ts";
import { temporaryFolder } from "../support/temporary-folder.ts";

const { policySet: policies } = compileBundle(
  new Map([
    [
      "t.policy",
      `package t
allow reads on http GET
deny closed on http "/closed" because "no"
deny large on http when http.body_size > 1KiB
require approval slow on http "/slow"`,
    ],
  ]),
  { revision: "r", timeZone: "UTC" },
);
const folder = temporaryFolder();
let serial = 0;
const clock = { nowMs: () => 1_700_000_000_000 };
const connection = { name: "api", env: "test", tags: new Set<string>() };
const identity = {
  sub: "bot",
  kind: "agent" as const,
  groups: new Set<string>(),
  email: undefined,
  ip: "127.0.0.1",
  mfa: false,
  on_behalf_of: undefined,
  claims: {},
};
const session: TrafficSession = {
  id: "ses_1",
  identity,
  connection,
  startedAtMs: 0,
  purpose: undefined,
  application: undefined,
  expiresAtS: undefined,
};

type Step = { readonly what: "record" | "forward" | "answer"; readonly effect?: string; readonly status?: number };

/** What happened, in order. The recording fails from its `failsAt`-th write on. */
async function exchange(method: string, path: string, failsAt: number): Promise<readonly Step[]> {
  const steps: Step[] = [];
  let writes = 0;
  const desk = createApprovalDesk({
    store: openSqliteStore(join(folder, `approvals-${serial++}.sqlite`)),
    clock,
    record: () => undefined,
  });
  assert.ok(policies);
  const gate = createTrafficGate({
    connection: "api",
    policies: () => policies,
    counters: new WindowCounters(clock),
    recorder: {
      recordIntent: (events: Parameters<Recorder["recordIntent"]>[0]) => {
        writes += 1;
        if (writes >= failsAt) throw new GatewayError("record-failed", "the disk is full");
        for (const event of events as readonly SessionEvent[])
          if (event.type === "statement") steps.push({ what: "record", effect: event.effect });
      },
      recordOutcome: () => undefined,
    } as unknown as Recorder,
    approvals: desk,
    approvalHoldMs: 0,
    timeFacts: (now) => ({ now, hour: 0, minute: 0, weekday: "mon" }),
    metrics: new GateMetrics(),
    shadow: undefined,
    clock,
    newId: createNewId(clock),
    log: silentLog,
  });
  const request: CanonicalRequest = {
    method,
    host: "x",
    path,
    query: [],
    target: path,
    headers: [],
    contentLength: { kind: "none" },
  };
  const answer = ({ status }: HttpAnswer): void => {
    steps.push({ what: "answer", status });
  };
  const handed: HttpExchange = {
    session,
    request,
    gate,
    body: { bytes: async () => ok(new Uint8Array()), chunks: async function* () {} },
    signal: new AbortController().signal,
    traceId: "0".repeat(32),
    forward: async () => {
      steps.push({ what: "forward" });
      return ok({ status: 200, headers: [], body: (async function* () {})(), discard: () => undefined });
    },
    answer,
    stream: ({ status }) => {
      steps.push({ what: "answer", status });
      return { write: async () => undefined, end: () => undefined, bytes: () => 0 };
    },
    destroy: () => undefined,
  };
  await createApiHandler({ maskKey: new Uint8Array(), api: undefined, limits, clock, log: silentLog })(handed);
  await desk.close();
  return steps;
}

test("law: nothing is forwarded before an allow is on record", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "POST", "DELETE"),
      fc.constantFrom("/a", "/closed", "/slow"),
      fc.integer({ min: 1, max: 4 }),
      async (method, path, failsAt) => {
        const steps = await exchange(method, path, failsAt);
        const forwarded = steps.findIndex(({ what }) => what === "forward");
        if (forwarded >= 0) assert.deepEqual(steps[forwarded - 1], { what: "record", effect: "allow" });
        assert.equal(steps.filter(({ what }) => what === "answer").length, 1);
        if (failsAt === 1) assert.deepEqual(steps, [{ what: "answer", status: 503 }]);
      },
    ),
    { numRuns: 60 },
  );
});

test("the same exchange goes on when the recording works", async () => {
  assert.deepEqual(await exchange("GET", "/a", 9), [
    { what: "record", effect: "allow" },
    { what: "forward" },
    { what: "answer", status: 200 },
  ]);
  assert.deepEqual(await exchange("GET", "/slow", 9), [
    { what: "record", effect: "approval" },
    { what: "answer", status: 403 },
  ]);
});
