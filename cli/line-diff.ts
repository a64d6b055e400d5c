// two texts -> a unified diff
import type { Colors } from "./palette.ts";

type Edit = { readonly kind: "same" | "gone" | "new"; readonly line: string };

const contextLines = 3;

/** As `diff -u` writes it; "" for equal texts. Quadratic in the lines that differ: for policy files. */
export function lineDiff(before: string, after: string, path: string, colors: Colors): string {
  if (before === after) return "";
  const edits = editsBetween(before.split("\n"), after.split("\n"));
  const out = [colors.bold(`--- ${path}`), colors.bold(`+++ ${path}`)];
  let [oldLine, newLine] = [1, 1];
  for (let at = 0; at < edits.length; ) {
    const first = edits.findIndex((edit, i) => i >= at && edit.kind !== "same");
    const start = first === -1 ? edits.length : Math.max(at, first - contextLines);
    oldLine += start - at;
    newLine += start - at;
    if (first === -1) break;
    const end = endOfHunk(edits, first);
    const hunk = edits.slice(start, end);
    const oldCount = hunk.filter((e) => e.kind !== "new").length;
    const newCount = hunk.filter((e) => e.kind !== "gone").length;
    out.push(colors.cyan(`@@ -${oldLine},${oldCount} +${newLine},${newCount} @@`));
    for (const { kind, line } of hunk) {
      out.push(kind === "same" ? ` ${line}` : kind === "gone" ? colors.red(`-${line}`) : colors.green(`+${line}`));
    }
    oldLine += oldCount;
    newLine += newCount;
    at = end;
  }
  return `${out.join("\n")}\n`;
}

/** Changes with at most twice the context between them belong together. */
function endOfHunk(edits: readonly Edit[], first: number): number {
  let last = first;
  for (let i = first; i < edits.length && i - last <= contextLines * 2; i += 1) if (edits[i]?.kind !== "same") last = i;
  return Math.min(edits.length, last + contextLines + 1);
}

function editsBetween(a: readonly string[], b: readonly string[]): readonly Edit[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
  const same = (lines: readonly string[]): readonly Edit[] => lines.map((line) => ({ kind: "same", line }));
  return [
    ...same(a.slice(0, head)),
    ...longestCommon(a.slice(head, a.length - tail), b.slice(head, b.length - tail)),
    ...same(a.slice(a.length - tail)),
  ];
}

function longestCommon(a: readonly string[], b: readonly string[]): readonly Edit[] {
  // length[i][j]: lines that a from i and b from j have in common
  const length = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  const at = (i: number, j: number): number => length[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    const row = length[i];
    if (!row) continue;
    for (let j = b.length - 1; j >= 0; j -= 1) {
      row[j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const edits: Edit[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      edits.push({ kind: "same", line: a[i] ?? "" });
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      edits.push({ kind: "gone", line: a[i] ?? "" });
      i += 1;
    } else {
      edits.push({ kind: "new", line: b[j] ?? "" });
      j += 1;
    }
  }
  return edits;
}
