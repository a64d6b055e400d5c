// Every event in OCSF's form has what its class asks for, and nothing that it doesn't know.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type DecisionRow, ocsfEvent } from "../../proxy/telemetry/decision-entry.ts";
import { ocsfFaults } from "../support/ocsf-schema.ts";

const rows: fc.Arbitrary<DecisionRow> = fc.record({
  atMs: fc.nat(2_000_000_000_000),
  decisionId: fc.constant("dec_1"),
  session: fc.constantFrom("ses_1", "ses_2"),
  connection: fc.constantFrom("prod-pg", ""),
  protocol: fc.constantFrom("postgres", "sql", "http", "mcp", "llm", ""),
  client: fc.constantFrom("10.0.0.1", "::1", "unknown", ""),
  principal: fc.record({
    sub: fc.constantFrom("ana", "bot"),
    kind: fc.constantFrom("human", "agent", "service", "unknown"),
  }),
  accesses: fc.array(
    fc.constantFrom(
      ...["select public.orders", "update public.orders", "insert a.b", "copy a.b", "create", "delete a.b", "drop a.b"],
      ...[
        "begin",
        "unknown",
        "GET /v1/users",
        "POST /v1/users",
        "PATCH /",
        "DELETE /x",
        "tools/call crm.refund",
        "model x",
      ],
    ),
    { maxLength: 3 },
  ),
  fingerprint: fc.constantFrom("50fde20626009aba", undefined),
  effect: fc.constantFrom("allow", "deny", "approval", "fault"),
  rules: fc.array(fc.constantFrom("test.reads", "test.writes"), { maxLength: 2 }),
  policyHash: fc.constant("sha256:1"),
  revision: fc.constantFrom("", "r1"),
});

test("every decision becomes a valid event of its class", () => {
  fc.assert(
    fc.property(rows, (row) => {
      const event = ocsfEvent(row, "gw-1");
      assert.deepEqual(ocsfFaults(event), [], JSON.stringify(event));
    }),
  );
});

test("the check finds what is missing, unknown, of the wrong kind or of no enumeration", () => {
  const row = fc
    .sample(rows, { seed: 1, numRuns: 1 })
    .map((made) => ({ ...made, protocol: "sql", effect: "deny" as const }));
  const [event] = row.map((made) => ocsfEvent(made, "gw-1"));
  assert.ok(event);
  const { src_endpoint: _, ...without } = event;
  assert.deepEqual(ocsfFaults(without), ["src_endpoint is missing"]);
  assert.deepEqual(ocsfFaults({ ...event, extra: 1 }), ["extra isn't known"]);
  assert.deepEqual(ocsfFaults({ ...event, action_id: 99 }), ["action_id is none of 0,1,2"]);
  assert.deepEqual(ocsfFaults({ ...event, actor: {} }), [
    "actor.none of process,user,invoked_by,session,app_name,app_uid",
  ]);
  assert.deepEqual(ocsfFaults({ ...event, time: "now" }), ["time is no whole number"]);
  assert.deepEqual(ocsfFaults({ ...event, policy: { uid: "sha256:1" } }), ["policy isn't known"]);
});

test("an API Activity of 1.3.0 has no security control: what was decided is an authorization of its actor", () => {
  const event = ocsfEvent(
    {
      ...{ atMs: 1_700_000_000_000, decisionId: "dec_1", session: "ses_1", connection: "crm", protocol: "http" },
      ...{ client: "10.0.0.1", principal: { sub: "bot", kind: "agent" }, accesses: ["POST /v1/users"] },
      ...{ fingerprint: undefined, effect: "approval", rules: ["test.asks"], policyHash: "sha256:1", revision: "r1" },
    },
    "gw-1",
  );
  assert.deepEqual(event, {
    ...{ category_uid: 6, class_uid: 6003, activity_id: 1, type_uid: 600301, time: 1_700_000_000_000 },
    ...{ severity_id: 2, status_id: 99, status: "held for approval" },
    metadata: {
      ...{ version: "1.3.0", uid: "dec_1", correlation_uid: "ses_1", profiles: [], log_provider: "gw-1" },
      product: { name: "Gatewright", vendor_name: "Gatewright" },
    },
    actor: {
      user: { name: "bot", type: "agent", type_id: 99 },
      session: { uid: "ses_1" },
      authorizations: [{ decision: "approval", policy: { uid: "sha256:1", version: "r1", name: "test.asks" } }],
    },
    src_endpoint: { ip: "10.0.0.1" },
    api: { operation: "POST /v1/users", service: { name: "crm" } },
    unmapped: { accesses: ["POST /v1/users"], fingerprint: null, effect: "approval" },
  });
  assert.deepEqual(ocsfFaults({ ...event, action_id: 2 }), ["action_id isn't known"]);
});
