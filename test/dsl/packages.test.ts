// What packages of one bundle are told about each other.
import assert from "node:assert/strict";
import { test } from "node:test";
import { compileBundle } from "../../dsl/bundle.ts";
import { renderDiagnostics, Sources } from "../../dsl/render-diagnostic.ts";

function told(texts: Readonly<Record<string, string>>): string {
  const files = new Map(Object.entries(texts));
  const { diagnostics } = compileBundle(files, { revision: "1", timeZone: "UTC" });
  return renderDiagnostics(diagnostics, new Sources(files));
}

test("packages that import each other in a circle are shown the circle", () => {
  const texts = {
    "a.policy": "package a\n\nimport b.{y}\n\nexport let x = y\n",
    "b.policy": "package b\n\nimport c.{z}\n\nexport let y = z\n",
    "c.policy": "package c\n\nimport a.{x}\n\nexport let z = x\n",
  };
  assert.equal(
    told(texts),
    `error[E0110]: packages import each other in a circle
 --> c.policy:3:8
  |
3 | import a.{x}
  |        ^ a → b → c → a
  = help: move what both need into a package of its own

1 error`,
  );
});

test("a circle of 2,000 packages ends in an answer", () => {
  const texts = Array.from({ length: 2_000 }, (_, i): [string, string] => [
    `p${i}.policy`,
    `package p${i}\nimport p${(i + 1) % 2_000}.{x}\nexport let x = identity.mfa\n`,
  ]);
  assert.match(told(Object.fromEntries(texts)), /error\[E0110\]/);
});
