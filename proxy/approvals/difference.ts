// a statement and an earlier one -> what is the same, gone and new, word by word

export type Change = { readonly kind: "same" | "gone" | "new"; readonly text: string };

/** Cells of the table of common words: about 8 MB. Longer texts are compared as a whole. */
const cellsMax = 2_000_000;

/** Joined without `gone` the changes are `now`, joined without `new` they are `before`: nothing is left out. */
export function differences(before: string, now: string): readonly Change[] {
  const [a, b] = [wordsOf(before), wordsOf(now)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const changes: Change[] = [];
  const add = (kind: Change["kind"], words: readonly string[]): void => {
    const text = words.join("");
    const last = changes.at(-1);
    if (text === "") return;
    if (last?.kind === kind) changes[changes.length - 1] = { kind, text: last.text + text };
    else changes.push({ kind, text });
  };
  add("same", a.slice(0, head));
  const [left, right] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)];
  if (left.length * right.length > cellsMax) {
    add("gone", left);
    add("new", right);
  } else for (const { kind, text } of align(left, right)) add(kind, [text]);
  add("same", a.slice(a.length - tail));
  return changes;
}

const wordsOf = (text: string): readonly string[] => text.match(/[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}_\s]/gu) ?? [];

/** Longest common subsequence. */
function align(a: readonly string[], b: readonly string[]): readonly Change[] {
  const width = b.length + 1;
  const longest = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => longest[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      longest[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const changes: Change[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [x, y] = [a[i], b[j]];
    if (x !== undefined && x === y) {
      changes.push({ kind: "same", text: x });
      i += 1;
      j += 1;
    } else if (x !== undefined && (y === undefined || at(i + 1, j) >= at(i, j + 1))) {
      changes.push({ kind: "gone", text: x });
      i += 1;
    } else if (y !== undefined) {
      changes.push({ kind: "new", text: y });
      j += 1;
    }
  }
  return changes;
}
