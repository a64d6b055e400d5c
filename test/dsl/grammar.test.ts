import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { reservedWords } from "../../dsl/words.ts";
import { documentGrammar, parserGrammar } from "./grammar-ebnf.ts";

const document = readFileSync(new URL("../../dsl/GRAMMAR.md", import.meta.url), "utf8");

test("the grammar document and the parser have the same rules", () => {
  assert.deepEqual(Object.fromEntries(documentGrammar(document)), Object.fromEntries(parserGrammar()));
});

test("the grammar document lists the reserved words", () => {
  const listed = /Reserved words: ([^\n]*)\./.exec(document)?.[1];
  assert.equal(listed, reservedWords.map((word) => `\`${word}\``).join(" "));
});
