// text -> tokens, comments, and what could not be read
import type { IToken, TokenType } from "chevrotain";
import { type Span, spanOf } from "../engine/lib/span.ts";
import { limits } from "../engine/limits.ts";
import { type Diagnostic, diagnose } from "./diagnostic.ts";
import { scanQuoted } from "./scan-string.ts";
import {
  AllowValue,
  DenyValue,
  Duration,
  Float,
  Identifier,
  IndentedLet,
  Int,
  kw,
  literalTags,
  type Mark,
  mark,
  marks,
  QuotedString,
  RawString,
  Size,
  softStarters,
  Tagged,
  wordTypes,
} from "./tokens.ts";
import { foreignWriting, unknownCharacter } from "./unsafe-text.ts";

/** `#` to the end of its line; `isDoc` marks `##`; `isAlone` says that nothing else stands on the line. `text` has no marks and no surrounding space. */
export type Comment = {
  readonly span: Span;
  readonly text: string;
  readonly isDoc: boolean;
  readonly isAlone: boolean;
};
export type Lexed = {
  readonly tokens: IToken[];
  readonly comments: readonly Comment[];
  readonly diagnostics: readonly Diagnostic[];
};

const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };
const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  TiB: 1024 ** 4,
};
/** Milliseconds or bytes for the unit of a literal. */
export const unitOf = (unit: string): number | undefined => durationUnits[unit] ?? sizeUnits[unit];

const marksByLength: readonly Mark[] = (Object.keys(marks) as Mark[]).sort((a, b) => b.length - a.length);
const marksAt: ReadonlyMap<string, readonly Mark[]> = new Map(
  marksByLength.map((m) => [m[0] ?? "", marksByLength.filter((n) => n[0] === m[0])]),
);
const wordPattern = /[A-Za-z_][A-Za-z0-9_]*/y;
const numberPattern = /[0-9][0-9_]*(?:\.[0-9][0-9_]*)?/y;
const wellFormedNumber = /^[0-9]+(?:_[0-9]+)*(?:\.[0-9]+)?$/;

/** Reads `text` from `from` to `to` (a placeholder is a part of its file, so that offsets stay the file's). */
export function tokenize(path: string, text: string, from = 0, to = text.length): Lexed {
  const tokens: IToken[] = [];
  const comments: Comment[] = [];
  const diagnostics: Diagnostic[] = [];
  let line = 1;
  let at = from;

  const report = (diagnostic: Diagnostic): void => {
    if (diagnostics.length < limits.policyDiagnosticsMax) diagnostics.push(diagnostic);
  };
  const push = (tokenType: TokenType, end: number): void => {
    tokens.push({
      image: text.slice(at, end),
      startOffset: at,
      endOffset: end - 1,
      startLine: line,
      tokenTypeIdx: tokenType.tokenTypeIdx ?? 0,
      tokenType,
    });
    at = end;
  };
  const matchAt = (pattern: RegExp, where: number): string => {
    pattern.lastIndex = where;
    return pattern.exec(text)?.[0] ?? "";
  };

  const readComment = (): void => {
    const newline = text.indexOf("\n", at);
    const end = newline === -1 || newline > to ? to : newline;
    const body = text.slice(at, end);
    const isDoc = body.startsWith("##");
    comments.push({
      span: spanOf(at, at + body.trimEnd().length),
      text: body.replace(/^#+/, "").trim(),
      isDoc,
      isAlone: (tokens.at(-1)?.endLine ?? tokens.at(-1)?.startLine ?? 0) < line,
    });
    at = end;
  };

  const readQuoted = (): void => {
    const scanned = scanQuoted(text, at, to);
    if (!scanned.isClosed) {
      report(
        diagnose({
          code: "P0002",
          path,
          span: spanOf(at, scanned.end),
          message: "this text has no closing quote",
          label: "the text starts here and the line ends before it does",
          help: ['end it with `"`; a text over several lines stands in back-ticks: `…`'],
        }),
      );
    }
    push(QuotedString, scanned.end);
  };

  const readRaw = (): void => {
    const closing = text.indexOf("`", at + 1);
    const isClosed = closing !== -1 && closing < to;
    if (!isClosed) {
      report(
        diagnose({
          code: "P0003",
          path,
          span: spanOf(at, at + 1),
          message: "this text has no closing back-tick",
          label: "the text starts here and the file ends before it does",
          help: ["end it with a back-tick"],
        }),
      );
    }
    const end = isClosed ? closing + 1 : to;
    const startLine = line;
    for (let i = text.indexOf("\n", at); i !== -1 && i < end; i = text.indexOf("\n", i + 1)) line += 1;
    const endLine = line;
    line = startLine;
    push(RawString, end);
    const token = tokens.at(-1);
    if (token) token.endLine = endLine;
    line = endLine;
  };

  const readWord = (): void => {
    const word = matchAt(wordPattern, at);
    const end = at + word.length;
    if (text[end] === '"' && literalTags.includes(word)) {
      const newline = text.indexOf("\n", end);
      const lineEnd = newline === -1 || newline > to ? to : newline;
      const closing = text.indexOf('"', end + 1);
      if (closing !== -1 && closing < lineEnd) {
        push(Tagged, closing + 1);
        return;
      }
    }
    const previous = tokens.at(-1);
    const isAfterDot = previous?.tokenType === mark["."] && previous.startLine === line;
    const startsLine = at === 0 || text[at - 1] === "\n" || text[at - 1] === "\ufeff";
    if (isAfterDot) push(Identifier, end);
    else if (word === "let" && !startsLine) push(IndentedLet, end);
    else push(wordTypes.get(word) ?? Identifier, end);
  };

  const readNumber = (): void => {
    const digits = matchAt(numberPattern, at);
    const unit = matchAt(wordPattern, at + digits.length);
    const end = at + digits.length + unit.length;
    const wrong = wrongNumber(digits, unit);
    if (wrong) report(diagnose({ code: "P0010", path, span: spanOf(at, end), ...wrong }));
    if (unit in durationUnits) push(Duration, end);
    else if (unit in sizeUnits) push(Size, end);
    else push(digits.includes(".") ? Float : Int, end);
  };

  while (at < to) {
    const char = text[at] ?? "";
    if (char === "\n") {
      line += 1;
      at += 1;
    } else if (char === " " || char === "\t" || char === "\r") at += 1;
    else if (char === "#") readComment();
    else if (char === '"') readQuoted();
    else if (char === "`") readRaw();
    else if (/[A-Za-z_]/.test(char)) readWord();
    else if (char >= "0" && char <= "9") readNumber();
    else {
      const foreign = foreignWriting(path, text, at, to);
      if (foreign) {
        report(foreign.diagnostic);
        if (foreign.meaning === "text") push(QuotedString, foreign.end);
        else if (foreign.meaning !== "nothing") push(meaningOf(foreign.meaning), foreign.end);
        at = foreign.end;
        continue;
      }
      const found = marksAt.get(char)?.find((m) => text.startsWith(m, at));
      if (found !== undefined && at + found.length <= to) push(mark[found], at + found.length);
      else {
        const unknown = unknownCharacter(path, text, at, to);
        report(unknown.diagnostic);
        if (unknown.isName) push(Identifier, unknown.end);
        at = unknown.end;
      }
    }
  }
  settleSoftWords(tokens);
  return { tokens, comments, diagnostics };
}

const unitSpellings: Readonly<Record<string, string>> = {
  sec: "s",
  secs: "s",
  second: "s",
  seconds: "s",
  min: "m",
  mins: "m",
  minute: "m",
  minutes: "m",
  hr: "h",
  hrs: "h",
  hour: "h",
  hours: "h",
  day: "d",
  days: "d",
  millis: "ms",
  msec: "ms",
  k: "KB",
  kb: "KB",
  mb: "MB",
  gb: "GB",
  kib: "KiB",
  mib: "MiB",
  gib: "GiB",
};

/** What is wrong with a number, if anything is. */
function wrongNumber(digits: string, unit: string): Pick<Diagnostic, "message" | "label" | "help"> | undefined {
  if (unit !== "" && unitOf(unit) === undefined) {
    const meant = unitSpellings[unit.toLowerCase()];
    return {
      message: `\`${unit}\` is not a unit`,
      label: meant ? `did you mean \`${digits}${meant}\`?` : "a number with an unknown unit",
      help: ["durations end in ms, s, m, h or d; sizes in B, KB, MB, GB, TB, KiB, MiB, GiB or TiB"],
    };
  }
  if (!wellFormedNumber.test(digits)) {
    return {
      message: `\`${digits}\` is not written as a number`,
      label: "`_` stands between two digits",
      help: ["write it like `10_000`"],
    };
  }
  const value = Number(digits.replaceAll("_", ""));
  if (unit !== "" && digits.includes(".")) {
    return {
      message: `\`${digits}${unit}\` has a fraction`,
      label: "a number with a unit is whole",
      help: ["use the next smaller unit, for example `90m` in place of `1.5h`"],
    };
  }
  if (!digits.includes(".") && value * (unitOf(unit) ?? 1) > Number.MAX_SAFE_INTEGER) {
    return {
      message: `\`${digits}${unit}\` is too large`,
      label: "beyond the range in which whole numbers are exact",
      help: ["the largest whole number is 9_007_199_254_740_991"],
    };
  }
  return undefined;
}

const starters: ReadonlySet<TokenType> = new Set(softStarters.map((word) => kw[word]));
const neverDeclares: ReadonlySet<TokenType> = new Set([kw.http, kw.mcp, kw.llm, kw.count]);
const nameWords: ReadonlySet<TokenType> = new Set(
  [...wordTypes.values(), Identifier].filter((t) => t === Identifier || (t.CATEGORIES ?? []).length > 0),
);
const missingNameFollowers: ReadonlySet<TokenType> = new Set([
  kw.of,
  kw.to,
  kw.on,
  kw.because,
  mark["="],
  mark[":"],
  mark["{"],
]);
/** After these, `allow` is a value; anywhere else it starts a rule (or completes `default`, `expect`). */
const valueIntroducers: ReadonlySet<TokenType> = new Set([
  ...(
    [
      "==",
      "!=",
      "<",
      "<=",
      ">",
      ">=",
      "*",
      "/",
      "%",
      "..",
      "..<",
      "(",
      "[",
      ",",
      ":",
      "|",
      "??",
      "=",
      "+",
      "-",
      "{",
    ] as const
  ).map((m) => mark[m]),
  ...(["in", "contains", "startswith", "endswith", "like", "matches", "and", "or", "not"] as const).map((w) => kw[w]),
  ...(["when", "unless", "if", "then", "else", "where", "by"] as const).map((w) => kw[w]),
]);

/**
 * A word such as `data` starts a declaration only where a name or a text follows it. Elsewhere it becomes a plain name,
 * so that error recovery, which looks for the next declaration, is not led astray by a field called `limit`.
 */
function settleSoftWords(tokens: IToken[]): void {
  for (const [i, token] of tokens.entries()) {
    const isEffect = token.tokenType === kw.allow || token.tokenType === kw.deny;
    if (!isEffect && !starters.has(token.tokenType)) continue;
    const next = tokens[i + 1];
    const previous = tokens[i - 1];
    const startsLine = previous === undefined || (previous.startLine ?? 0) < (token.startLine ?? 0);
    const isExpected = previous?.tokenType === kw.not && tokens[i - 2]?.tokenType === kw.expect;
    if (isEffect) {
      const startsRule =
        startsLine && next !== undefined && (nameWords.has(next.tokenType) || next.tokenType === kw.on);
      if (startsRule || isExpected || (previous && !valueIntroducers.has(previous.tokenType))) continue;
      retype(token, token.tokenType === kw.allow ? AllowValue : DenyValue);
      continue;
    }
    if (previous?.tokenType === kw.given || previous?.tokenType === kw.expect || isExpected) continue;
    const isStarter =
      next !== undefined &&
      (nameWords.has(next.tokenType) ||
        next.tokenType === QuotedString ||
        next.tokenType === RawString ||
        next.tokenType === kw.deny ||
        next.tokenType === kw.allow ||
        (startsLine && missingNameFollowers.has(next.tokenType)));
    if (isStarter || neverDeclares.has(token.tokenType)) continue;
    retype(token, Identifier);
  }
}

const isMark = (text: string): text is Mark => text in marks;
const meaningOf = (text: string): TokenType => wordTypes.get(text) ?? (isMark(text) ? mark[text] : Identifier);

function retype(token: IToken, type: TokenType): void {
  token.tokenType = type;
  token.tokenTypeIdx = type.tokenTypeIdx ?? 0;
}
