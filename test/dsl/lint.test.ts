import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { lintBundle, lintRules, unknownLintRules } from "../../dsl/lint/lint.ts";
import { likeOf } from "../../dsl/lint/regex-where-like-works.ts";

const lint = (text: string, config = {}) => {
  const { checked, diagnostics } = compileBundle(new Map([["a.policy", text]]), { revision: "1", timeZone: "UTC" });
  assert.deepEqual(
    diagnostics.filter((d) => d.severity === "error"),
    [],
  );
  return lintBundle(checked, config);
};

test("a rule of the linter can be switched off or made an error", () => {
  const text = "package a\ndeny x on sql ddl\n";
  assert.deepEqual(
    lint(text).map((d) => [d.code, d.severity]),
    [["L0301", "warning"]],
  );
  assert.deepEqual(
    lint(text, { "deny-without-because": "error" }).map((d) => d.severity),
    ["error"],
  );
  assert.deepEqual(lint(text, { "deny-without-because": "off" }), []);
});

test("a misspelt name in the linter's configuration is told", () => {
  assert.deepEqual(unknownLintRules({ "deny-without-becuase": "off", "unused-let": "off" }), ["deny-without-becuase"]);
});

test("names and codes of the linter's rules are unique", () => {
  assert.equal(new Set(lintRules.map((rule) => rule.name)).size, lintRules.length);
  assert.equal(new Set(lintRules.map((rule) => rule.code)).size, lintRules.length);
});

test("among many rules about one table, those that no value leads to are told", () => {
  const rules = Array.from(
    { length: 32 },
    (_, i) => `deny d${i} on sql read of public.t\n  when identity.sub == "u${i}"\n  because "no"\n`,
  );
  const scanned = 'deny s on sql read of public.t\n  when sql.joins > 3\n  because "no"\n';
  assert.deepEqual(
    lint(`package a\n${rules.join("")}${scanned}`).map((d) => d.message),
    ["every request about `public.t` asks `s`"],
  );
  assert.deepEqual(lint(`package a\n${rules[0]}${scanned}`), []);
});

const plain: readonly (readonly [string, string | undefined])[] = [
  ["^bot-.*$", "bot-*"],
  ["^bot", "bot*"],
  ["bot$", "*bot"],
  ["bot", "*bot*"],
  ["^a\\.b$", "a.b"],
  [".*x.*", "*x*"],
  ["^a.b$", undefined],
  ["^[ab]$", undefined],
  ["", undefined],
];
for (const [regex, like] of plain) {
  test(`the regular expression \`${regex}\` is ${like === undefined ? "no plain pattern" : `the pattern \`${like}\``}`, () => {
    assert.equal(likeOf(regex), like);
  });
}
