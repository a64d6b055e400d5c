// `prod-*`, `github.get_*`, the right side of `like`: `*` stands for any run of characters, everything else for itself.

export type Glob = { readonly text: string; readonly matches: (name: string) => boolean };

/** Linear in pattern and name: no backtracking beyond the last `*`. */
export function parseGlob(text: string): Glob {
  const pieces = text.split("*");
  const first = pieces[0] ?? "";
  if (pieces.length === 1) return { text, matches: (name) => name === text };
  const last = pieces[pieces.length - 1] ?? "";
  const middle = pieces.slice(1, -1).filter((piece) => piece !== "");
  return {
    text,
    matches: (name) => {
      if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) return false;
      let from = first.length;
      const end = name.length - last.length;
      for (const piece of middle) {
        const at = name.indexOf(piece, from);
        if (at < 0 || at + piece.length > end) return false;
        from = at + piece.length;
      }
      return from <= end;
    },
  };
}

/** undefined stands for "every name". */
export const anyMatches = (globs: readonly Glob[] | undefined, name: string): boolean =>
  globs === undefined || globs.some((g) => g.matches(name));
