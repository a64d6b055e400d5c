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
});
