import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { reservedWords } from "../../dsl/words.ts";

const read = (path: string): string => readFileSync(new URL(`../../editors/vscode/${path}`, import.meta.url), "utf8");

test("the editor's grammar colours every reserved word", () => {
  const grammar = read("syntaxes/gatewright-policy.tmLanguage.json");
  const words = new Set([...grammar.matchAll(/[a-z]+/g)].map((match) => match[0]));
  assert.deepEqual(
    reservedWords.filter((word) => !words.has(word)),
    [],
  );
});

test("every pattern of the editor's grammar is a regular expression", () => {
  const patterns = [
    ...read("syntaxes/gatewright-policy.tmLanguage.json").matchAll(/"(?:match|begin|end)": ("(?:[^"\\]|\\.)*")/g),
  ];
  assert.ok(patterns.length > 15);
  for (const [, pattern] of patterns) assert.doesNotThrow(() => new RegExp(JSON.parse(pattern ?? '""') as string));
});

test("the editor's extension names files that are there", () => {
  const manifest = JSON.parse(read("package.json")) as {
    main: string;
    contributes: { grammars: { path: string }[]; languages: { configuration: string }[] };
  };
  for (const path of [
    manifest.main,
    ...manifest.contributes.grammars.map((g) => g.path),
    ...manifest.contributes.languages.map((l) => l.configuration),
  ]) {
    assert.ok(read(path).length > 0, path);
  }
});
