import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { SourceFile } from "../../dsl/ast.ts";
import { formatFile, formatPolicy } from "../../dsl/format.ts";
import { parsePolicy } from "../../dsl/parser.ts";
import { mutatedPolicyTexts, policyFiles } from "../arbitraries/policy-text.ts";

/** The tree without places and without the text it came from. */
const bare = (file: SourceFile): unknown =>
  JSON.parse(
    JSON.stringify({ package: file.package, imports: file.imports, decls: file.decls }, (key, value: unknown) =>
      key === "span" || key === "opSpan" ? undefined : value,
    ),
  );

const formatted = (text: string): string => {
  const result = formatPolicy("a.policy", text);
  assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.error));
  return result.value;
};

test("a formatted syntax tree reads back as the same tree", () => {
  fc.assert(
    fc.property(policyFiles, (file) => {
      const text = formatFile(file);
      const parsed = parsePolicy("a.policy", text);
      assert.deepEqual(parsed.diagnostics, [], text);
      assert.deepEqual(bare(parsed.file), bare(file), text);
    }),
    { numRuns: 400 },
  );
});

test("formatting twice is formatting once", () => {
  fc.assert(
    fc.property(policyFiles, (file) => {
      const once = formatted(formatFile(file));
      assert.equal(formatted(once), once);
    }),
    { numRuns: 200 },
  );
});

test("parsing an almost-policy gives diagnostics, never a throw, and never a wrong place", () => {
  fc.assert(
    fc.property(mutatedPolicyTexts, (text) => {
      const { diagnostics } = parsePolicy("a.policy", text);
      for (const { span } of diagnostics)
        assert.ok(0 <= span.start && span.start <= span.end && span.end <= text.length);
    }),
    { numRuns: 500 },
  );
});

test("a hole between two operators has a place of its own", () => {
  const text = '@_((""and(a 0&&';
  for (const { span } of parsePolicy("a.policy", text).diagnostics)
    assert.ok(0 <= span.start && span.start <= span.end && span.end <= text.length);
});

test("no message about a text names a token or rule of the parser", () => {
  fc.assert(
    fc.property(mutatedPolicyTexts, (text) => {
      for (const { message, label, notes, help } of parsePolicy("a.policy", text).diagnostics) {
        // what stands in back-ticks or quotes is the author's, or an example
        const ours = [message, label ?? "", ...notes, ...help].join("\n").replace(/`[^`]*`|"[^"]*"/g, "");
        assert.doesNotMatch(
          ours,
          /\b(?:Kw[A-Z]|LParen|RParen|LBrace|RBrace|Pipe|Comma|QUOTED|EOF|undefined|NoViable|PlainName)/,
        );
      }
    }),
    { numRuns: 300 },
  );
});

test("parsing any text gives diagnostics, never a throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      parsePolicy("a.policy", text);
      parsePolicy("a.policy", `package a\nallow x on sql when ${text}`);
    }),
    { numRuns: 300 },
  );
});

test("a formatted policy keeps every comment and the same tree", () => {
  fc.assert(
    fc.property(policyFiles, fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 6 }), (file, places) => {
      const lines = formatFile(file).split("\n");
      // inside a text in back-ticks a comment is text
      if (lines.some((line) => line.includes("`"))) return;
      const commented = lines.map((line, i) => (places.includes(i) ? `${line} # comment ${i} !` : line)).join("\n");
      const before = parsePolicy("a.policy", commented);
      assert.deepEqual(before.diagnostics, []);
      const once = formatted(commented);
      for (const i of places)
        if (i < lines.length) assert.ok(once.includes(`# comment ${i} !`), `${commented}\n---\n${once}`);
      assert.deepEqual(bare(parsePolicy("a.policy", once).file), bare(before.file), `${commented}\n---\n${once}`);
      assert.equal(formatted(once), once, commented);
    }),
    { numRuns: 300 },
  );
});
