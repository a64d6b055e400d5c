import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { editDistance, suggest } from "../../dsl/suggest.ts";

const cases: readonly (readonly [string, readonly string[], string | undefined])[] = [
  ["has_were", ["has_where", "has_limit"], "has_where"],
  ["wirte", ["write", "read"], "write"],
  ["Orders", ["order", "orders"], "orders"],
  ["publc.orders", ["public.orders", "public.customers"], "public.orders"],
  ["bob", ["sub", "ip"], undefined],
  ["x", ["y"], undefined],
  ["identity", [], undefined],
  ["same", ["same"], undefined],
  ["ab", ["ba", "abc"], "abc"],
];
for (const [word, candidates, wanted] of cases) {
  test(`for \`${word}\` suggests ${wanted === undefined ? "nothing" : `\`${wanted}\``}`, () => {
    assert.equal(suggest(word, candidates), wanted);
  });
}

test("the distance of two words is the same both ways, and zero only for one word", () => {
  const word = fc.string({ maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      assert.equal(editDistance(a, b), editDistance(b, a));
      assert.equal(editDistance(a, b) === 0, a === b);
      assert.ok(editDistance(a, b) <= Math.max(a.length, b.length));
    }),
  );
});

test("a suggestion does not depend on the order of candidates", () => {
  const words = fc.array(fc.stringMatching(/^[abc]{1,5}$/), { maxLength: 6 });
  fc.assert(
    fc.property(fc.stringMatching(/^[abc]{1,5}$/), words, (w, all) =>
      assert.equal(suggest(w, all), suggest(w, [...all].reverse())),
    ),
  );
});
