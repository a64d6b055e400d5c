// Where a quoted text ends: a placeholder in it may hold quotes of its own.

/** Placeholders in texts in placeholders …: more than this is not read as nesting. */
const placeholderDepthMax = 8;
/** Characters of one placeholder. Bounds what is read twice when a brace is never closed. */
const placeholderCharsMax = 2_000;

export type ScannedText = {
  /** After the closing quote, or at the end of the line. */
  readonly end: number;
  readonly isClosed: boolean;
  /** `{` … `}` at the top level of the text, both included. Braces that never close are plain text. */
  readonly placeholders: readonly { readonly start: number; readonly end: number }[];
  /** The first brace that looked like a placeholder and never closed. */
  readonly unclosedBrace: number | undefined;
};

/** `text[start]` is the opening quote. */
export function scanQuoted(text: string, start: number, to: number, depth = 0): ScannedText {
  const placeholders: { start: number; end: number }[] = [];
  let unclosedBrace: number | undefined;
  let at = start + 1;
  while (at < to) {
    const char = text[at];
    if (char === "\\" && text[at + 1] !== "\n") at += 2;
    else if (char === '"') return { end: at + 1, isClosed: true, placeholders, unclosedBrace };
    else if (char === "\n") break;
    else if (char === "{" && unclosedBrace === undefined) {
      const end = depth < placeholderDepthMax ? scanPlaceholder(text, at, to, depth) : undefined;
      if (end !== undefined) {
        placeholders.push({ start: at, end });
        at = end;
      } else {
        unclosedBrace = at;
        at += 1;
      }
    } else at += 1;
  }
  const end = text[at - 1] === "\r" ? at - 1 : Math.min(at, to);
  return { end, isClosed: false, placeholders, unclosedBrace };
}

function scanPlaceholder(text: string, start: number, to: number, depth: number): number | undefined {
  const stop = Math.min(to, start + placeholderCharsMax);
  let braces = 0;
  let at = start;
  while (at < stop) {
    const char = text[at];
    if (char === "\n") return undefined;
    if (char === '"') {
      const inner = scanQuoted(text, at, stop, depth + 1);
      if (!inner.isClosed || inner.unclosedBrace !== undefined) return undefined;
      at = inner.end;
      continue;
    }
    if (char === "`") {
      const closing = text.indexOf("`", at + 1);
      if (closing === -1 || closing >= stop) return undefined;
      at = closing + 1;
      continue;
    }
    if (char === "{") braces += 1;
    if (char === "}") {
      braces -= 1;
      if (braces === 0) return at + 1;
    }
    at += 1;
  }
  return undefined;
}
