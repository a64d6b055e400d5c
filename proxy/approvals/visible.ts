// text -> pieces that show every character: what is invisible, or turns the direction of reading, is named

export type Visible = { readonly kind: "text" | "odd"; readonly text: string };

/** Control, format, private and unassigned characters, line separators, spaces that aren't a space, and lone surrogates. */
const odd = new RegExp(
  [
    "(?![\\n\\t ])[\\p{Cc}\\p{Cf}\\p{Co}\\p{Cn}\\p{Cs}\\p{Zs}\\p{Zl}\\p{Zp}]",
    // Letters and marks that show nothing: fillers, blank Braille, variation selectors.
    ...["\\u034f", "\\u115f", "\\u1160", "\\u17b4", "\\u17b5", "[\\u180b-\\u180d]", "\\u2800", "\\u3164", "\\uffa0"],
    "[\\ufe00-\\ufe0f]",
    "[\\u{e0100}-\\u{e01ef}]",
  ].join("|"),
  "gu",
);

/** The pieces in order; joined they are the text with each odd character written as `⟨U+202E⟩`. */
export function visiblePieces(text: string): readonly Visible[] {
  const pieces: Visible[] = [];
  let at = 0;
  for (const match of text.matchAll(odd)) {
    if (match.index > at) pieces.push({ kind: "text", text: text.slice(at, match.index) });
    const code = match[0].codePointAt(0) ?? 0;
    pieces.push({ kind: "odd", text: `⟨U+${code.toString(16).toUpperCase().padStart(4, "0")}⟩` });
    at = match.index + match[0].length;
  }
  if (at < text.length) pieces.push({ kind: "text", text: text.slice(at) });
  return pieces;
}

export const visibleText = (text: string): string =>
  visiblePieces(text)
    .map((piece) => piece.text)
    .join("");
