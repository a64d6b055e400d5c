// Two policy sets together let through only what both do.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { combineDecisions } from "../../engine/combine.ts";
import type { Cause, Decision, Obligations, RuleId } from "../../engine/model/decision.ts";
import { joinMasks, type Mask, maskKey } from "../../engine/model/mask.ts";
import { type RowPredicate, renderRowPredicate } from "../../engine/model/row-predicate.ts";

const rule = fc.constantFrom("a.x", "a.y", "b.x", "b.z").map((id) => id as RuleId);
const shape: fc.Arbitrary<Mask> = fc.constantFrom<Mask>(
  { kind: "partial", first: 1, last: 0, keepDomain: false, fill: "*" },
  { kind: "partial", first: 2, last: 0, keepDomain: false, fill: "*" },
  { kind: "hash", salt: "" },
  { kind: "redact" },
  { kind: "nullify" },
);
const mask: fc.Arbitrary<Mask> = fc.oneof(
  shape,
  shape.map((m): Mask => ({ ...m, searchable: true })),
);
const predicate: fc.Arbitrary<RowPredicate> = fc
  .constantFrom("north", "south")
  .map((value) => ({ kind: "compare", column: "region", op: "=", value: { type: "string", value } }));
const obligations: fc.Arbitrary<Obligations> = fc.record({
  masks: fc
    .dictionary(fc.constantFrom("t", "u"), fc.dictionary(fc.constantFrom("c", "d"), fc.tuple(mask, rule)))
    .map(
      (d) =>
        new Map(
          Object.entries(d).map(([t, columns]) => [
            t,
            new Map(Object.entries(columns).map(([c, [m, r]]) => [c, { mask: m, rules: [r] as const }])),
          ]),
        ),
    ),
  filters: fc
    .dictionary(fc.constantFrom("t", "u"), fc.tuple(predicate, rule))
    .map((d) => new Map(Object.entries(d).map(([t, [p, r]]) => [t, { predicate: p, rules: [r] as const }]))),
  limits: fc.array(
    fc.record({ rule, unit: fc.constant("rows" as const), max: fc.nat(100), window: fc.constant(undefined) }),
    { maxLength: 1 },
  ),
});
const common = { alerts: fc.constant([]), shadow: fc.constant([]) };
const allow: fc.Arbitrary<Decision> = fc.record({
  ...common,
  effect: fc.constant("allow" as const),
  rules: fc.tuple(rule),
  obligations,
});
const deny: fc.Arbitrary<Decision> = fc.record({
  ...common,
  effect: fc.constant("deny" as const),
  rules: fc.tuple(rule),
  causes: fc.tuple(rule.map((r): Cause => ({ kind: "rule", rule: r, message: `no ${r}`, severity: undefined }))),
});
const approval: fc.Arbitrary<Decision> = fc.record({
  ...common,
  effect: fc.constant("approval" as const),
  rules: fc.tuple(rule),
  requirements: fc.tuple(rule.map((r) => ({ rule: r, approvers: [], withinMs: 1_000, message: `ask ${r}` }))),
  obligations,
});
const decision = fc.oneof(allow, deny, approval);

const strictness = { allow: 0, approval: 1, deny: 2 } as const;

test("the stricter of two effects is the effect of both", () => {
  fc.assert(
    fc.property(decision, decision, (a, b) => {
      const both = combineDecisions(a, b);
      assert.equal(strictness[both.effect], Math.max(strictness[a.effect], strictness[b.effect]));
    }),
  );
});

test("which one comes first changes nothing that is enforced", () => {
  const enforced = (d: Decision): unknown => {
    if (d.effect === "deny") return [d.effect, d.causes, d.rules];
    const { masks, filters, limits } = d.obligations;
    const sort = <T>(map: ReadonlyMap<string, T>): unknown => [...map].sort(([x], [y]) => (x < y ? -1 : 1));
    return [
      d.effect,
      d.rules,
      sort(new Map([...masks].map(([k, v]) => [k, sort(v)]))),
      sort(new Map([...filters].map(([k, v]) => [k, [renderRowPredicate(v.predicate), v.rules]]))),
      limits,
    ];
  };
  fc.assert(
    fc.property(decision, decision, (a, b) => {
      assert.deepEqual(enforced(combineDecisions(a, b)), enforced(combineDecisions(b, a)));
    }),
  );
});

test("every obligation of either one holds in both", () => {
  fc.assert(
    fc.property(allow, allow, (a, b) => {
      const both = combineDecisions(a, b);
      for (const one of [a, b]) {
        assert.ok(one.effect === "allow" && both.effect === "allow");
        for (const [table, columns] of one.obligations.masks) {
          for (const [column, given] of columns) {
            const joined = both.obligations.masks.get(table)?.get(column)?.mask;
            assert.ok(joined);
            // Joining once more changes nothing: it hides at least as much already.
            const again = joinMasks([joined, given.mask]);
            assert.ok(given.mask.searchable || !joined.searchable, "a join opened a search");
            assert.ok(again && (maskKey(again) === maskKey(joined) || joined.kind === "redact"));
          }
        }
        for (const [table, given] of one.obligations.filters) {
          const joined = both.obligations.filters.get(table)?.predicate;
          assert.ok(joined && renderRowPredicate(joined).includes(renderRowPredicate(given.predicate)));
        }
        for (const limit of one.obligations.limits) {
          assert.ok(both.obligations.limits.some((l) => l.max <= limit.max));
        }
      }
    }),
  );
});

test("masks joined are searchable only if every one of them is, in any order", () => {
  fc.assert(
    fc.property(fc.array(mask, { minLength: 1 }), (masks) => {
      const joined = joinMasks(masks);
      assert.equal(
        joined?.searchable === true,
        masks.every((m) => m.searchable),
      );
      assert.deepEqual(joinMasks(masks.toReversed()), joined);
    }),
  );
});
