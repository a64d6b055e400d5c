import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  consistencyPath,
  Frontier,
  type Hash,
  inclusionPath,
  leafHash,
  rootsOf,
  verifyConsistency,
  verifyInclusion,
} from "../../engine/evidence/merkle.ts";

const leavesOf = (count: number): readonly Hash[] =>
  Array.from({ length: count }, (_, i) => leafHash(Buffer.from(`line ${i}`)));

test("roots are those of RFC 6962's test vectors", () => {
  const entries = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
  const frontier = new Frontier();
  assert.equal(frontier.root().toString("hex"), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const roots = entries.map((entry) => {
    frontier.append(leafHash(Buffer.from(entry, "hex")));
    return frontier.root().toString("hex");
  });
  assert.deepEqual(roots, [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ]);
});

test("a frontier that is taken up again grows as if it had never stopped", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), (first, more) => {
      const leaves = leavesOf(first + more);
      const before = new Frontier();
      for (const leaf of leaves.slice(0, first)) before.append(leaf);
      const after = new Frontier(before.size, before.roots);
      for (const leaf of leaves.slice(first)) after.append(leaf);
      assert.equal(after.root().toString("hex"), rootsOf(leaves)(0, leaves.length).toString("hex"));
    }),
  );
});

test("every leaf is proved to be in its tree, and no other leaf, place, size or path is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 130 }), fc.nat(), fc.nat(), (size, at, other) => {
      const leaves = leavesOf(size);
      const rootOf = rootsOf(leaves);
      const index = at % size;
      const [leaf, root, path] = [
        leaves[index] ?? Buffer.alloc(0),
        rootOf(0, size),
        inclusionPath(rootOf, index, size),
      ];
      assert.ok(verifyInclusion(leaf, index, size, path, root));
      assert.ok(!verifyInclusion(leafHash(Buffer.from("else")), index, size, path, root));
      if (size > 1) assert.ok(!verifyInclusion(leaf, (index + 1 + (other % (size - 1))) % size, size, path, root));
      for (let i = 0; i < path.length; i += 1) {
        assert.ok(!verifyInclusion(leaf, index, size, path.with(i, leafHash(Buffer.of(1))), root));
      }
      assert.ok(!verifyInclusion(leaf, index, size, [...path, root], root));
      assert.ok(path.length === 0 || !verifyInclusion(leaf, index, size, path.slice(1), root));
    }),
  );
});

test("a tree is proved to continue an earlier one, and no tree that differs in what came before is", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.nat(60), fc.nat(), (first, more, changed) => {
      const leaves = leavesOf(first + more);
      const [one, two] = [rootsOf(leaves.slice(0, first)), rootsOf(leaves)];
      const earlier = { size: first, root: one(0, first) };
      const later = { size: first + more, root: two(0, first + more) };
      const path = consistencyPath(two, first, first + more);
      assert.ok(verifyConsistency(earlier, later, path));
      const forged = leaves.with(changed % first, leafHash(Buffer.from("else")));
      const three = rootsOf(forged);
      const forgedLater = { size: first + more, root: three(0, first + more) };
      assert.ok(!verifyConsistency(earlier, forgedLater, consistencyPath(three, first, first + more)));
      assert.ok(!verifyConsistency(earlier, { ...later, root: leafHash(Buffer.of(9)) }, path));
    }),
  );
});
