// Records that are put together from kept parts are, byte for byte, what rendering the whole event gives.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { ColumnMask, Decision, Obligations, RuleId } from "../../engine/model/decision.ts";
import { noObligations } from "../../engine/model/decision.ts";
import type { AnalyzedStatement } from "../../engine/sql/types.ts";
import { completionText, statementText } from "../../proxy/gate/event-texts.ts";
import { obligationsKey } from "../../proxy/gate/obligations-key.ts";
import { type StatementEventInput, statementEvent } from "../../proxy/gate/session-events.ts";
import type { Completion, SqlVerdict } from "../../proxy/postgres/sql-gate.ts";
import { eventText } from "../../proxy/recording/event-text.ts";

const relation = { schema: "public", name: "t" } as const;
const rule = (name: string): [RuleId] => [name as RuleId];

function statementOf(text: string): AnalyzedStatement {
  const access = {
    verb: "select",
    kind: "read",
    relation,
    columns: ["a"],
    hasWhere: false,
    whereAlwaysTrue: true,
    via: [],
  };
  const facts = { accesses: [access], verb: "select", text, fingerprint: "0123456789abcdef", functions: new Set() };
  const columns = { columnsRead: [], columnsWritten: [], columnsReturned: [] };
  const statement = { facts: { ...facts, ...columns }, effects: [], tree: undefined, catalogVersion: "1" };
  return statement as unknown as AnalyzedStatement;
}

const redact: Obligations = {
  masks: new Map([["public.t", new Map<string, ColumnMask>([["a", { mask: { kind: "redact" }, rules: rule("m") }]])]]),
  filters: new Map(),
  limits: [],
};

const text = fc.oneof(fc.string({ unit: "binary" }), fc.constant(`"\\ \u2028 \ud800 ${"x".repeat(40)}`));
const statements = ["select 1", 'select "ü\u0000\\" from t', "x".repeat(300_000)].map(statementOf);

const verdicts = fc
  .record({
    statement: fc.constantFrom(...statements),
    decisionId: text,
    obligations: fc.constantFrom(noObligations, redact),
    rules: fc.constantFrom(rule("a"), rule("b"), [...rule("a"), ...rule("b")] as [RuleId, RuleId]),
    shadow: fc.constantFrom(0, 1),
    isDenied: fc.boolean(),
  })
  .map(({ statement, decisionId, obligations, rules, shadow, isDenied }): SqlVerdict => {
    const cause = { kind: "rule", rule: rules[0], message: "no", severity: undefined } as const;
    const common = { rules, alerts: [], shadow: shadow === 0 ? [] : [cause] };
    const refusal = { sqlstate: "42501", message: "no", detail: "", hint: undefined, position: undefined };
    if (isDenied) {
      const decision: Decision = { effect: "deny", causes: [cause], ...common };
      return { kind: "refuse", decisionId, statement, decision, fault: undefined, refusal };
    }
    const rewritten = { text: "", touchesProtected: false, maskedOrigins: new Set<string>() };
    const decision: Decision = { effect: "allow", obligations, ...common };
    return { kind: "release", decisionId, statement, decision, rewritten, obligationsKey: obligationsKey(obligations) };
  });

test("a statement's record from kept parts is the record of the whole event, whatever came before it", () => {
  const inputs = fc.record({
    atMs: fc.nat(),
    session: text,
    verdict: verdicts,
    parameters: fc.nat(70_000),
    policyHash: fc.constantFrom("sha256:1", 'sha256:"2'),
    revision: fc.constantFrom("r1", 'r"2', ""),
    internalCause: fc.constant(undefined),
  });
  fc.assert(
    fc.property(fc.array(inputs, { minLength: 1, maxLength: 20 }), fc.boolean(), (list, isOtherText) => {
      for (const input of list) {
        const own = isOtherText ? "another text" : (input.verdict.statement?.facts.text ?? "");
        const whole: StatementEventInput = { ...input, text: own };
        assert.equal(statementText(whole), eventText(statementEvent(whole)));
      }
    }),
  );
});

test("a completion's record is the record of the whole event", () => {
  const plain = {
    outcome: fc.constantFrom("ok", "error", "cancelled", "aborted"),
    tag: fc.option(text, { nil: undefined }),
    sqlstate: fc.option(text, { nil: undefined }),
    rows: fc.maxSafeNat(),
    bytes: fc.maxSafeNat(),
    durationUs: fc.maxSafeInteger(),
  } as const;
  const completions: fc.Arbitrary<Completion> = fc.oneof(fc.record(plain), fc.record({ ...plain, cancelledBy: text }));
  fc.assert(
    fc.property(fc.nat(), text, text, completions, (atMs, session, id, completion) => {
      const { cancelledBy, ...said } = completion;
      const refs = cancelledBy === undefined ? {} : { refs: { cancel: cancelledBy } };
      const event = { atMs, session, type: "completion", id, ...said, ...refs } as const;
      assert.equal(completionText(atMs, session, id, completion), eventText(event));
    }),
  );
});
