// Writing that does not belong in a policy: hidden characters, look-alikes, habits from other languages.
import { spanOf } from "../engine/lib/span.ts";
import { limits } from "../engine/limits.ts";
import { type Diagnostic, diagnose } from "./diagnostic.ts";

/** Reorders or hides what the reader sees (Unicode TR 36, "Trojan Source"). */
const hidden = /[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad]/g;
const scripts: readonly (readonly [string, RegExp])[] = [
  ["Latin", /\p{Script=Latin}/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["Greek", /\p{Script=Greek}/u],
  ["Armenian", /\p{Script=Armenian}/u],
  ["Hebrew", /\p{Script=Hebrew}/u],
  ["Arabic", /\p{Script=Arabic}/u],
];

const codePoint = (char: string): string =>
  `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
const scriptOf = (char: string): string | undefined => scripts.find(([, pattern]) => pattern.test(char))?.[0];

/** Bidirectional controls and zero-width characters: an error in comments and texts too. A leading BOM is let be. */
export function unsafeCharacter(path: string, text: string): readonly Diagnostic[] {
  const found: Diagnostic[] = [];
  for (const match of text.matchAll(hidden)) {
    const char = match[0];
    if (match.index === 0 && char === "\ufeff") continue;
    if (found.length >= limits.policyDiagnosticsMax) break;
    const isBidi = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/.test(char);
    found.push(
      diagnose({
        code: "E0003",
        path,
        span: spanOf(match.index, match.index + 1),
        message: isBidi ? "a hidden character changes the direction of the text" : "a hidden character stands here",
        label: `${codePoint(char)} is invisible`,
        notes: ["policies are security code: what a reviewer sees must be what the gateway reads"],
        help: ["delete it; in a text write it as an escape, like `\\u200b`"],
        fixes: [{ title: "delete the hidden character", span: spanOf(match.index, match.index + 1), replacement: "" }],
      }),
    );
  }
  return found;
}

const wordOf = (text: string, at: number, to: number): { readonly start: number; readonly end: number } => {
  let start = at;
  while (start > 0 && at - start < 64 && /[A-Za-z0-9_]/.test(text[start - 1] ?? "")) start -= 1;
  const rest = /^[\p{L}\p{M}\p{N}_]+/u.exec(text.slice(at, Math.min(to, at + 64)))?.[0] ?? "";
  return { start, end: at + rest.length };
};

const lookAlikes: Readonly<Record<string, string>> = {
  "“": '"',
  "”": '"',
  "„": '"',
  "‘": '"',
  "’": '"',
  "–": "-",
  "—": "-",
  "≠": "!=",
  "≤": "<=",
  "≥": ">=",
  "…": "..",
  "\u00a0": " ",
};

/** A character, or a word with characters, that no token starts with. */
export function unknownCharacter(
  path: string,
  text: string,
  at: number,
  to: number,
): { readonly end: number; readonly isName?: boolean; readonly diagnostic: Diagnostic } {
  const char = String.fromCodePoint(text.codePointAt(at) ?? 0);
  const end = at + char.length;
  const plain = lookAlikes[char];
  if (plain !== undefined) {
    return {
      end,
      diagnostic: diagnose({
        code: "P0001",
        path,
        span: spanOf(at, end),
        message: plain === " " ? "a no-break space stands here" : `\`${char}\` is not a character of the language`,
        label: plain === " " ? "it looks like a space" : `did you mean \`${plain}\`?`,
        fixes: [{ title: `write \`${plain}\``, span: spanOf(at, end), replacement: plain }],
      }),
    };
  }
  if (/[\p{L}\p{M}]/u.test(char)) {
    const word = wordOf(text, at, to);
    const spelled = text.slice(word.start, word.end);
    const others = [...spelled].filter((c) => /[^\x00-\x7f]/.test(c));
    const isMixed = new Set([...spelled].map(scriptOf).filter((s) => s !== undefined)).size > 1;
    const first = others[0] ?? char;
    return {
      end: word.end,
      isName: word.start === at,
      diagnostic: diagnose({
        code: isMixed ? "E0003" : "P0001",
        path,
        span: spanOf(word.start, word.end),
        message: isMixed ? `\`${spelled}\` mixes two alphabets` : `the name \`${spelled}\` has letters outside A-Z`,
        label: `\`${first}\` is ${codePoint(first)}${scriptOf(first) ? ` (${scriptOf(first)})` : ""}`,
        notes: isMixed ? ["it can be mistaken for another name, and a rule for that name would never fire"] : [],
        help: ["names are made of the letters A-Z and a-z, digits and `_`; other letters stand in texts"],
      }),
    };
  }
  const isPrintable = /[^\p{C}\p{Z}]/u.test(char);
  return {
    end,
    diagnostic: diagnose({
      code: "P0001",
      path,
      span: spanOf(at, end),
      message: isPrintable ? `\`${char}\` has no meaning here` : `a control character (${codePoint(char)}) stands here`,
      label: isPrintable ? "not part of the language" : "delete it",
    }),
  };
}

type Foreign = {
  readonly end: number;
  /** The word or mark that is meant, so that reading goes on as if it had been written. */
  readonly meaning: string;
  readonly diagnostic: Diagnostic;
};

/** A text in foreign quotes is looked for this far. */
const quotedCharsMax = 2_000;

const foreignMarks: readonly (readonly [string, string])[] = [
  ["&&", "and"],
  ["||", "or"],
  ["===", "=="],
  ["!==", "!="],
  ["<>", "!="],
  [":=", "="],
];

/** `&&`, `;`, `'text'`, `// comment`: understood, refused, and answered with the way it is written here. */
export function foreignWriting(path: string, text: string, at: number, to: number): Foreign | undefined {
  const say = (code: string, end: number, meaning: string, message: string, label: string, fix: string): Foreign => ({
    end,
    meaning,
    diagnostic: diagnose({
      code,
      path,
      span: spanOf(at, end),
      message,
      label,
      fixes: [{ title: fix === "" ? "delete it" : `write \`${fix}\``, span: spanOf(at, end), replacement: fix }],
    }),
  });
  for (const [theirs, ours] of foreignMarks) {
    if (text.startsWith(theirs, at) && at + theirs.length <= to) {
      const message = `\`${theirs}\` is written \`${ours}\``;
      return say("P0005", at + theirs.length, ours, message, `did you mean \`${ours}\`?`, ours);
    }
  }
  const char = text[at];
  if (char === "!" && text[at + 1] !== "=") {
    return say("P0005", at + 1, "not", "`!` is written `not`", "did you mean `not`?", "not ");
  }
  if (char === ";") return say("P0006", at + 1, "nothing", "`;` is not needed", "a new line is enough", "");
  if (char === "'" || char === "“" || char === "„" || char === "‘") {
    const newline = text.indexOf("\n", at);
    const lineEnd = newline === -1 || newline > to ? to : newline;
    const line = text.slice(at + 1, Math.min(lineEnd, at + 1 + quotedCharsMax));
    const found = line.search(char === "'" ? /'/ : /["”“’]/);
    const closing = found === -1 ? -1 : at + 1 + found;
    const isClosed = closing !== -1 && closing < lineEnd;
    const end = isClosed ? closing + 1 : at + 1;
    const quoted = JSON.stringify(text.slice(at + 1, end - 1));
    if (isClosed) {
      return say("P0006", end, "text", "texts stand in straight double quotes", `write \`${quoted}\``, quoted);
    }
  }
  if (text.startsWith("//", at) || text.startsWith("/*", at)) {
    const isBlock = text[at + 1] === "*";
    const stop = text.indexOf(isBlock ? "*/" : "\n", at);
    const end = Math.min(to, stop === -1 ? to : isBlock ? stop + 2 : stop);
    const shown = { start: at, end: at + 2 };
    const foreign = say("P0006", end, "nothing", "comments start with `#`", "not a comment here", "#");
    const fixes = isBlock ? [] : [{ title: "write `#`", span: shown, replacement: "#" }];
    return { ...foreign, diagnostic: { ...foreign.diagnostic, span: shown, fixes } };
  }
  return undefined;
}
