// SQL text -> what stays of it when its plain literals are cut out. A scanner that gives up rather than guess: it needs
// to be right about texts that it accepts only.
import { limits } from "../limits.ts";

/** `integer`: 1 to 2147483647. `decimal`: digits with a point, or an integer beyond. `string`: between plain quotes, not empty. */
export type LiteralKind = "integer" | "decimal" | "string";

export type Literal = {
  readonly kind: LiteralKind;
  /** Offsets in the text, UTF-16 code units; the quotes are part of it. */
  readonly start: number;
  readonly end: number;
  /** As the parser has it: digits, or the string's content. */
  readonly value: string;
};

export type CutText = {
  /** The text with a mark in the place of each literal. Equal skeletons differ in the values of their literals only. */
  readonly skeleton: string;
  readonly literals: readonly Literal[];
};

/** NUL, which no text holds that gets this far. */
const marks: Readonly<Record<LiteralKind, string>> = { integer: "\0i", decimal: "\0d", string: "\0s" };

const quote = 0x27;
const doubleQuote = 0x22;
const ampersand = 0x26;
const dollar = 0x24;
const backslash = 0x5c;
const dash = 0x2d;
const slash = 0x2f;
const star = 0x2a;
const dot = 0x2e;

/**
 * Undefined where the text holds no such literal, or anything that needs more knowledge to be taken apart: comments, dollars,
 * strings with a prefix or a backslash, control characters, half a surrogate pair, more brackets than a parser may see.
 * What isn't cut stays in the skeleton: 0 and the empty string (the parse tree leaves them out), numbers with letters in them.
 */
export function cutLiterals(text: string): CutText | undefined {
  const literals: Literal[] = [];
  let skeleton = "";
  let copied = 0;
  let depth = 0;
  let at = 0;
  while (at < text.length) {
    const c = text.charCodeAt(at);
    if (isWord(c)) {
      const start = at;
      at = endOfWord(text, at + 1);
      // A name, a keyword or a number, with all that is glued to it. After a point it belongs to what stands before.
      if (!isDigit(c) || text.charCodeAt(start - 1) === dot) continue;
      const kind = kindOfNumber(text, start, at);
      if (kind === undefined) continue;
      skeleton += text.slice(copied, start) + marks[kind];
      copied = at;
      literals.push({ kind, start, end: at, value: text.slice(start, at) });
    } else if (c === quote) {
      const before = at === 0 ? 0 : text.charCodeAt(at - 1);
      if (isWord(before) || before === ampersand) return undefined;
      const end = endOfQuoted(text, at, quote);
      if (end === undefined) return undefined;
      depth = depthAfter(text, at, end, depth);
      if (depth > limits.sqlNestingMax) return undefined;
      if (end - at > 2) {
        skeleton += text.slice(copied, at) + marks.string;
        copied = end;
        const content = text.slice(at + 1, end - 1);
        const value = content.includes("'") ? content.replaceAll("''", "'") : content;
        literals.push({ kind: "string", start: at, end, value });
      }
      at = end;
    } else if (c === doubleQuote) {
      const end = endOfQuoted(text, at, doubleQuote);
      if (end === undefined) return undefined;
      depth = depthAfter(text, at, end, depth);
      if (depth > limits.sqlNestingMax) return undefined;
      at = end;
    } else {
      if (!isPlain(c) || c === dollar || c === backslash) return undefined;
      const next = text.charCodeAt(at + 1);
      if ((c === dash && next === dash) || (c === slash && next === star)) return undefined;
      depth += bracket(c);
      if (depth > limits.sqlNestingMax) return undefined;
      at += 1;
    }
  }
  if (literals.length === 0) return undefined;
  return { skeleton: skeleton + text.slice(copied), literals };
}

const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39;

/** Part of a name or of a number, as far as they can be glued together. Above ASCII everything is a letter to PostgreSQL. */
const isWord = (c: number): boolean =>
  (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || isDigit(c) || c === 0x5f || (c >= 0x80 && !isSurrogate(c));

const isSurrogate = (c: number): boolean => c >= 0xd800 && c <= 0xdfff;

/** Printed ASCII, blanks and line ends. */
const isPlain = (c: number): boolean => (c >= 0x20 && c < 0x7f) || c === 0x09 || c === 0x0a || c === 0x0d;

function endOfWord(text: string, from: number): number {
  const isNumber = isDigit(text.charCodeAt(from - 1));
  let at = from;
  while (at < text.length) {
    const c = text.charCodeAt(at);
    if (!isWord(c) && c !== dollar && !(isNumber && c === dot)) break;
    at += 1;
  }
  return at;
}

function kindOfNumber(text: string, start: number, end: number): LiteralKind | undefined {
  // Longer ones may be beyond what a type can hold: left to the parser.
  if (end - start > 18) return undefined;
  const first = text.charCodeAt(start);
  if (first === 0x30 && !(end - start > 2 && text.charCodeAt(start + 1) === dot)) return undefined;
  let points = 0;
  for (let at = start; at < end; at += 1) {
    const c = text.charCodeAt(at);
    if (c === dot) points += 1;
    else if (!isDigit(c)) return undefined;
  }
  if (points > 1 || text.charCodeAt(end - 1) === dot) return undefined;
  if (points === 1) return "decimal";
  return end - start < 10 || (end - start === 10 && text.slice(start, end) <= "2147483647") ? "integer" : "decimal";
}

/** Behind the closing quote; a doubled one is part of the content. Undefined where the content isn't plain. */
function endOfQuoted(text: string, start: number, mark: number): number | undefined {
  for (let at = start + 1; at < text.length; at += 1) {
    const c = text.charCodeAt(at);
    if (c === mark) {
      if (text.charCodeAt(at + 1) !== mark) return at + 1;
      at += 1;
    } else if (c === backslash || !(isPlain(c) || (c >= 0x80 && !isSurrogate(c)))) return undefined;
  }
  return undefined;
}

/** Brackets count wherever they stand, as they do before parsing. */
function depthAfter(text: string, start: number, end: number, before: number): number {
  let depth = before;
  for (let at = start; at < end; at += 1) {
    depth += bracket(text.charCodeAt(at));
    if (depth > limits.sqlNestingMax) return depth;
  }
  return depth;
}

const bracket = (c: number): number => (c === 0x28 || c === 0x5b ? 1 : c === 0x29 || c === 0x5d ? -1 : 0);
