// Checking a bundle is total: whatever the text, it ends with diagnostics and never throws.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileBundle } from "../../dsl/bundle.ts";
import { anyRules, catalogText, filesOf } from "../arbitraries/policy-rules.ts";
import { mutatedPolicyTexts, policyTexts } from "../arbitraries/policy-text.ts";

const runs = { numRuns: Number(process.env.GW_RUNS ?? 200) };
const options = { revision: "1", timeZone: "UTC" };

const check = (text: string): ReturnType<typeof compileBundle> =>
  compileBundle(
    new Map([
      ["a.policy", text],
      ["catalog.json", catalogText],
      ["trusted.json", "[]"],
    ]),
    options,
  );

test("checking any text never throws", () => {
  fc.assert(
    fc.property(fc.oneof(policyTexts, mutatedPolicyTexts), (text) => {
      const { policySet, diagnostics } = check(text);
      assert.equal(
        policySet === undefined,
        diagnostics.some((d) => d.severity === "error"),
      );
    }),
    runs,
  );
});

test("checking a policy with a piece cut out or doubled never throws", () => {
  fc.assert(
    fc.property(anyRules, fc.nat(), fc.nat(40), fc.boolean(), (rules, at, length, isDoubled) => {
      const text = filesOf(rules).get("gen.policy") ?? "";
      const start = at % text.length;
      const piece = text.slice(start, start + length);
      check(isDoubled ? text.slice(0, start) + piece + text.slice(start) : text.replace(piece, ""));
    }),
    runs,
  );
});

test("checking a policy with two words swapped never throws, and never yields a policy set with errors", () => {
  fc.assert(
    fc.property(anyRules, fc.nat(), fc.nat(), (rules, a, b) => {
      const words = (filesOf(rules).get("gen.policy") ?? "").split(/(\s+)/);
      const [i, j] = [a % words.length, b % words.length];
      const swapped = words.map((word, k) => (k === i ? words[j] : k === j ? words[i] : word)).join("");
      const { policySet, diagnostics } = check(swapped);
      assert.equal(
        policySet === undefined,
        diagnostics.some((d) => d.severity === "error"),
      );
    }),
    runs,
  );
});

test("a counter that rests on itself is a mistake, and two that read each other's windows end their check", () => {
  const codesOf = (text: string): readonly string[] =>
    compileBundle(new Map([["a.policy", `package a\n\n${text}`]]), { revision: "1", timeZone: "UTC" }).diagnostics.map(
      ({ code }) => code,
    );
  const by = "on http by identity.sub over 1h\n";
  assert.ok(codesOf(`counter total = sum of total ${by}`).includes("E0108"));
  assert.ok(Array.isArray(codesOf(`counter half = max of whole ${by}counter whole = max of half ${by}`)));
});
