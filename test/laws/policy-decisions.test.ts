// Section 6 of docs/language.md as laws, over generated bundles and requests. GW_RUNS raises the number of cases.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { compileBundle } from "../../dsl/bundle.ts";
import type { Checked } from "../../dsl/checked.ts";
import { interpretProgram } from "../../dsl/interpret.ts";
import { renderDiagnostic, Sources } from "../../dsl/render-diagnostic.ts";
import { evaluate } from "../../engine/evaluate.ts";
import type { Decision, Obligations } from "../../engine/model/decision.ts";
import { joinMasks, type Mask, maskKey } from "../../engine/model/mask.ts";
import type { PolicySet } from "../../engine/model/policy.ts";
import type { PolicyRequest } from "../../engine/model/request.ts";
import { renderRowPredicate } from "../../engine/model/row-predicate.ts";
import { anyDeny, anyRestriction, anyRules, filesOf, testCatalog } from "../arbitraries/policy-rules.ts";
import { protocolWorlds } from "../arbitraries/protocol-rules.ts";
import { anySqlRequest, knowLess } from "../arbitraries/request.ts";

const runs = { numRuns: Number(process.env.GW_RUNS ?? 200) };
const sqlWorld = { rules: anyRules, restriction: anyRestriction, deny: anyDeny, request: anySqlRequest(testCatalog()) };

/** Rules, two that could be added, and requests that they are about. */
const anyCase = fc.oneof(
  ...[sqlWorld, sqlWorld, ...protocolWorlds].map((world) =>
    fc.record({
      rules: world.rules,
      extra: world.restriction,
      deny: world.deny,
      r: world.request,
      requests: fc.array(world.request, { minLength: 1, maxLength: 5 }),
    }),
  ),
);
const request = sqlWorld.request;

function load(rules: readonly string[]): { readonly policySet: PolicySet; readonly checked: Checked } {
  const files = filesOf(rules);
  const { policySet, checked, diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
  if (!policySet) {
    const errors = diagnostics.filter((d) => d.severity === "error");
    assert.fail(errors.map((d) => renderDiagnostic(d, new Sources(files))).join("\n"));
  }
  return { policySet, checked };
}

const decide = (rules: readonly string[], r: PolicyRequest): Decision => load(rules).policySet.decide(r);

/** Lets something pass now, or after somebody agreed. */
const strictness: Readonly<Record<Decision["effect"], number>> = { allow: 0, approval: 1, deny: 2 };

const obligations = (d: Decision): Obligations | undefined => (d.effect === "deny" ? undefined : d.obligations);

test("compiled equals interpreted", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, requests }) => {
      const { policySet, checked } = load(rules);
      const naive = interpretProgram(checked);
      for (const r of requests) assert.deepEqual(policySet.decide(r), evaluate(naive, r));
    }),
    runs,
  );
});

const guarded = fc
  .tuple(
    fc.constantFrom("allow", "deny"),
    fc.constantFrom(
      'identity.groups contains "ops"',
      'identity.groups contains "dba" and identity.mfa',
      'identity.sub == "bot"',
      'identity.sub in ["olga", "sam"]',
      "identity.kind == agent",
      "is_agent and sql.has_where",
      "identity.mfa",
      'not (identity.sub == "bot")',
      'identity.on_behalf_of is present and identity.on_behalf_of == "olga"',
    ),
    fc.constantFrom("when", "when", "when", "unless"),
  )
  .map(
    ([effect, condition, word]) =>
      (name: string) =>
        `${effect} ${name} on sql read of public.orders ${word} ${condition}${effect === "deny" ? ' because "no"' : ""}\n`,
  );

test("rules that are found by the guard index are those that scanning finds", () => {
  const many = fc.array(guarded, { minLength: 9, maxLength: 40 }).map((list) => list.map((make, i) => make(`r${i}`)));
  fc.assert(
    fc.property(many, fc.array(request, { minLength: 1, maxLength: 8 }), (rules, requests) => {
      const { policySet, checked } = load(rules);
      const naive = interpretProgram(checked);
      for (const r of requests) assert.deepEqual(policySet.decide(r), evaluate(naive, r));
    }),
    runs,
  );
});

test("nothing is allowed without an allow", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, r }) => {
      const d = decide(
        rules.filter((text) => !/^(@.*\n)?allow/.test(text)),
        r,
      );
      const isSystemRead =
        r.protocol === "sql" && r.sql.accesses.every((a) => a.kind === "read" && a.relation?.schema === "pg_catalog");
      if (!isSystemRead) assert.equal(d.effect, "deny");
    }),
    runs,
  );
});

test("deny beats allow", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, r }) => {
      const d = decide([...rules, "allow everything on any\n", 'deny extra on any because "closed"\n'], r);
      assert.equal(d.effect, "deny");
      assert.ok(d.effect === "deny" && d.causes.some((c) => c.kind === "rule" && c.rule === "gen.extra"));
    }),
    runs,
  );
});

test("the order of rules and accesses does not matter", () => {
  fc.assert(
    fc.property(anyCase, fc.infiniteStream(fc.nat()), ({ rules, r }, numbers) => {
      const shuffled = <T>(list: readonly T[]): readonly T[] =>
        list
          .map((item) => ({ item, at: numbers.next().value ?? 0 }))
          .sort((a, b) => a.at - b.at)
          .map(({ item }) => item);
      const turned: PolicyRequest =
        r.protocol === "sql" ? { ...r, sql: { ...r.sql, accesses: shuffled(r.sql.accesses) } } : r;
      assert.deepEqual(decide(shuffled(rules), turned), decide(rules, r));
    }),
    runs,
  );
});

test("adding a deny, mask, filter, limit or approval never allows more", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, extra, r }) => {
      const [before, after] = [decide(rules, r), decide([...rules, extra], r)];
      assert.ok(strictness[after.effect] >= strictness[before.effect], `${before.effect} → ${after.effect}`);
    }),
    runs,
  );
});

test("adding a restriction never reveals more", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, extra, r }) => {
      const [before, after] = [obligations(decide(rules, r)), obligations(decide([...rules, extra], r))];
      if (!before || !after) return;
      for (const [table, columns] of before.masks) {
        for (const [column, { mask }] of columns) {
          const now: Mask | undefined = after.masks.get(table)?.get(column)?.mask;
          assert.ok(now, `${table}.${column} is no longer masked`);
          assert.equal(maskKey(joinMasks([mask, now]) ?? mask), maskKey(now));
        }
      }
      for (const [table, { predicate }] of before.filters) {
        const now = after.filters.get(table)?.predicate;
        assert.ok(now, `${table} is no longer filtered`);
        // Filters are joined by AND: the old one must be all of the new one, or one part of it.
        const parts = now.kind === "and" ? now.parts : [now];
        const olds = predicate.kind === "and" ? predicate.parts : [predicate];
        const texts = new Set([now, ...parts].map(renderRowPredicate));
        for (const old of olds)
          assert.ok(
            texts.has(renderRowPredicate(old)),
            `${renderRowPredicate(old)} is gone from ${[...texts].join(" | ")}`,
          );
      }
      for (const item of before.items ?? []) assert.ok(after.items?.some((i) => isDeepStrictEqual(i, item)));
      for (const { content, mask, rule } of before.content ?? [])
        assert.ok(
          after.content?.some((c) => c.rule === rule && isDeepStrictEqual([c.content, c.mask], [content, mask])),
        );
      const rows = (o: Obligations): number =>
        Math.min(...o.limits.filter((l) => l.unit === "rows").map((l) => l.max), Number.POSITIVE_INFINITY);
      assert.ok(rows(after) <= rows(before));
    }),
    runs,
  );
});

test("adding a deny leaves what was denied denied by the same causes", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, deny: extra, r }) => {
      const [before, after] = [decide(rules, r), decide([...rules, extra], r)];
      if (before.effect !== "deny") return;
      assert.equal(after.effect, "deny");
      const texts = new Set(after.effect === "deny" ? after.causes.map((c) => JSON.stringify(c)) : []);
      for (const cause of before.causes) assert.ok(texts.has(JSON.stringify(cause)));
    }),
    runs,
  );
});

test("knowing less never allows more", () => {
  fc.assert(
    fc.property(anyCase, fc.func(fc.boolean()), ({ rules, r }, isHidden) => {
      const { policySet } = load(rules);
      const [before, after] = [policySet.decide(r), policySet.decide(knowLess(r, (name) => isHidden(name)))];
      assert.ok(strictness[after.effect] >= strictness[before.effect], `${before.effect} → ${after.effect}`);
    }),
    runs,
  );
});

test("every decision names a cause", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, r }) => {
      const d = decide(rules, r);
      if (d.effect === "deny") assert.ok(d.causes.every((c) => c.message.length > 0));
      else assert.ok(d.rules.length > 0);
    }),
    runs,
  );
});

test("a shadow rule changes no decision", () => {
  fc.assert(
    fc.property(anyCase, ({ rules, extra, r }) => {
      const shadowed = extra.startsWith("@mode") ? extra : `@mode(shadow)\n${extra}`;
      const [before, after] = [decide(rules, r), decide([...rules, shadowed], r)];
      assert.deepEqual({ ...after, shadow: [] }, { ...before, shadow: [] });
    }),
    runs,
  );
});
