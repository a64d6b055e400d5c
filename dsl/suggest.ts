// a word that is not known -> the nearest one that is

/** Longer words are not compared: nobody mistypes them, and the cost is quadratic. */
const wordCharsMax = 100;

/**
 * The candidate nearest to `word`, at most max(2, a third of the word) edits away, and at most half of the word's
 * letters. Same letters in another case count as nearest. Ties go to the first in alphabetical order.
 */
export function suggest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length === 0 || word.length > wordCharsMax) return undefined;
  let best: string | undefined;
  let bestDistance = Math.min(Math.max(2, Math.floor(word.length / 3)), Math.floor(word.length / 2)) + 1;
  for (const candidate of [...new Set(candidates)].sort()) {
    if (candidate === word || candidate.length > wordCharsMax) continue;
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue;
    const isSameLetters = candidate.toLowerCase() === word.toLowerCase();
    const distance = isSameLetters ? 0 : editDistance(word, candidate);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let distance = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
