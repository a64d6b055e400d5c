// Hashes of lines -> Merkle tree: root, proofs, and their checks. RFC 9162, section 2.1.
import { createHash } from "node:crypto";
import { invariant } from "../lib/assert.ts";

/** SHA-256, 32 bytes. */
export type Hash = Buffer;

const leafPrefix = Buffer.of(0);
const nodePrefix = Buffer.of(1);

export const leafHash = (entry: Uint8Array): Hash => createHash("sha256").update(leafPrefix).update(entry).digest();
const nodeHash = (left: Hash, right: Hash): Hash =>
  createHash("sha256").update(nodePrefix).update(left).update(right).digest();

/** Of the tree without leaves. */
const emptyRoot: Hash = createHash("sha256").digest();

/**
 * A tree that only grows, as the roots of its full subtrees from left to right: about log2(size) hashes.
 * `size` says which subtrees there are, one for each bit that is set.
 */
export class Frontier {
  #size: number;
  readonly #roots: Hash[];

  constructor(size = 0, roots: readonly Hash[] = []) {
    invariant(roots.length === bits(size), "a frontier has one root for each full subtree");
    this.#size = size;
    this.#roots = [...roots];
  }

  get size(): number {
    return this.#size;
  }

  get roots(): readonly Hash[] {
    return this.#roots;
  }

  append(leaf: Hash): void {
    let root = leaf;
    for (let n = this.#size; n % 2 === 1; n = Math.floor(n / 2)) {
      const left = this.#roots.pop();
      invariant(left !== undefined, "a full subtree has a root");
      root = nodeHash(left, root);
    }
    this.#roots.push(root);
    this.#size += 1;
  }

  root(): Hash {
    return (
      this.#roots.reduceRight<Hash | undefined>((right, left) => (right ? nodeHash(left, right) : left), undefined) ??
      emptyRoot
    );
  }
}

const bits = (n: number): number => {
  let count = 0;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2;
  return count;
};

/** The largest power of two below `size`: where a tree of `size` leaves is parted. */
function parting(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** Root of the leaves from `start` (inclusive) to `end` (exclusive). */
export type RootOf = (start: number, end: number) => Hash;

/** The leaves before `size` are gone; what is left of them are the roots of their full subtrees, as of a Frontier. */
export type Gone = { readonly size: number; readonly roots: readonly Hash[] };

/**
 * Roots of ranges of these leaves, each computed once. With `gone` the leaves are those behind it; ranges that lie inside one of
 * its subtrees can't be told: they are asked for by proofs about what is gone, and by no others.
 */
export function rootsOf(leaves: readonly Hash[], gone: Gone = { size: 0, roots: [] }): RootOf {
  const known = new Map<string, Hash>(subtreesOf(gone));
  const rootOf = (start: number, end: number): Hash => {
    const size = end - start;
    if (size === 0) return emptyRoot;
    const key = `${start} ${end}`;
    const found = known.get(key);
    if (found) return found;
    const only = size === 1 ? leaves[start - gone.size] : undefined;
    if (only !== undefined) return only;
    invariant(size > 1, "a leaf that is still there");
    const k = parting(size);
    const root = nodeHash(rootOf(start, start + k), rootOf(start + k, end));
    known.set(key, root);
    return root;
  };
  return rootOf;
}

function* subtreesOf({ size, roots }: Gone): Generator<[string, Hash]> {
  let start = 0;
  for (const root of roots) {
    let width = 1;
    while (width * 2 <= size - start) width *= 2;
    yield [`${start} ${start + width}`, root];
    start += width;
  }
}

/** That leaf `index` is in the tree of `size` leaves: hashes from the leaf up. */
export function inclusionPath(rootOf: RootOf, index: number, size: number): readonly Hash[] {
  invariant(index >= 0 && index < size, "a leaf of the tree");
  const path = (at: number, start: number, end: number): readonly Hash[] => {
    if (end - start === 1) return [];
    const k = start + parting(end - start);
    return at < k ? [...path(at, start, k), rootOf(k, end)] : [...path(at, k, end), rootOf(start, k)];
  };
  return path(index, 0, size);
}

/** That the tree of `first` leaves is the beginning of the one of `second` leaves. */
export function consistencyPath(rootOf: RootOf, first: number, second: number): readonly Hash[] {
  invariant(first > 0 && first <= second, "an earlier state of the tree");
  const path = (m: number, start: number, end: number, isWhole: boolean): readonly Hash[] => {
    if (m === end - start) return isWhole ? [] : [rootOf(start, end)];
    const k = parting(end - start);
    return m <= k
      ? [...path(m, start, start + k, isWhole), rootOf(start + k, end)]
      : [...path(m - k, start + k, end, false), rootOf(start, start + k)];
  };
  return path(first, 0, second, true);
}

/** RFC 9162, section 2.1.3.2. */
export function verifyInclusion(leaf: Hash, index: number, size: number, path: readonly Hash[], root: Hash): boolean {
  if (index < 0 || index >= size) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leaf;
  for (const step of path) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(step, hash);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
    } else hash = nodeHash(hash, step);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && hash.equals(root);
}

/** RFC 9162, section 2.1.4.2. */
export function verifyConsistency(
  first: { readonly size: number; readonly root: Hash },
  second: { readonly size: number; readonly root: Hash },
  path: readonly Hash[],
): boolean {
  if (first.size <= 0 || first.size > second.size) return false;
  if (first.size === second.size) return path.length === 0 && first.root.equals(second.root);
  const isPower = bits(first.size) === 1;
  const [head, ...steps] = isPower ? [first.root, ...path] : path;
  if (head === undefined || path.length === 0) return false;
  let fn = first.size - 1;
  let sn = second.size - 1;
  while (fn % 2 === 1) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  let [earlier, later] = [head, head];
  for (const step of steps) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      earlier = nodeHash(step, earlier);
      later = nodeHash(step, later);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
    } else later = nodeHash(later, step);
    [fn, sn] = [Math.floor(fn / 2), Math.floor(sn / 2)];
  }
  return sn === 0 && earlier.equals(first.root) && later.equals(second.root);
}
