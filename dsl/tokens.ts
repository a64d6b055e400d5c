// The words and marks of the language, and what a reader calls them.
import { createToken, type TokenType } from "chevrotain";
import { type ReservedWord, reservedWords } from "./words.ts";

/** Any name: plain names and the words that matter only in one position. */
export const Name = createToken({ name: "Name", label: "a name" });
/** A name where a declaration or another construct could start instead, so that only harmless words are taken. */
export const PlainName = createToken({ name: "PlainName", label: "a name", categories: Name });
export const Identifier = createToken({ name: "Identifier", label: "a name", categories: PlainName });

export const Str = createToken({ name: "STRING", label: 'a text in quotes, like "…"' });
/** `"…"`. */
export const QuotedString = createToken({ name: "QUOTED", label: 'a text in quotes, like "…"', categories: Str });
/** Back-ticks: no escapes, no placeholders. */
export const RawString = createToken({ name: "RAW", label: "a text in back-ticks", categories: Str });
export const Tagged = createToken({ name: "TAGGED", label: 'a typed literal, like ip"…"' });
export const Duration = createToken({ name: "DURATION", label: "a duration, like 15m" });
export const Size = createToken({ name: "SIZE", label: "a size, like 5MB" });
export const Float = createToken({ name: "FLOAT", label: "a number" });
export const Int = createToken({ name: "INT", label: "a whole number" });

/** `allow` and `deny` as values (`decision.effect == deny`), apart from those that start a rule. */
export const AllowValue = createToken({ name: "ALLOW", label: "`allow`" });
export const DenyValue = createToken({ name: "DENY", label: "`deny`" });

/**
 * `let` anywhere but at the very start of a line. Both a rule's clause and a declaration start with `let`, and a rule has
 * no end mark: a `let` at the start of a line is a declaration, an indented one after a rule belongs to the rule.
 */
export const IndentedLet = createToken({ name: "LET", label: "`let`" });

/** Words that can start a declaration or a `given`, and are names everywhere else. */
export const softStarters = [
  "package",
  "default",
  "data",
  "type",
  "schema",
  "catalog",
  "counter",
  "filter",
  "fixture",
  "limit",
  "test",
  "http",
  "mcp",
  "llm",
  "count",
] as const;

/** Words that matter in one position in the middle of a construct, and are names everywhere else. */
export const softWords = ["from", "to", "present", "absent", "approval", "sql", "json", "text", "searchable"] as const;

export const marks = {
  "==": "EqEq",
  "!=": "NotEq",
  "<=": "LessEq",
  ">=": "GreaterEq",
  "<": "Less",
  ">": "Greater",
  "..<": "DotDotLess",
  "..": "DotDot",
  "??": "Coalesce",
  "?": "Question",
  "=": "Eq",
  "+": "Plus",
  "-": "Minus",
  "*": "Star",
  "/": "Slash",
  "%": "Percent",
  "(": "LParen",
  ")": "RParen",
  "[": "LBracket",
  "]": "RBracket",
  "{": "LBrace",
  "}": "RBrace",
  ",": "Comma",
  ":": "Colon",
  ".": "Dot",
  "|": "Pipe",
  "@": "AtSign",
} as const;

export type SoftWord = (typeof softWords)[number] | (typeof softStarters)[number];
export type Mark = keyof typeof marks;

const capital = (word: string): string => `${word[0]?.toUpperCase() ?? ""}${word.slice(1)}`;

const tokenTable = <K extends string>(
  words: readonly K[],
  nameOf: (word: K) => string,
  categories: readonly TokenType[],
): Readonly<Record<K, TokenType>> =>
  Object.fromEntries(
    words.map((word) => [word, createToken({ name: nameOf(word), label: `\`${word}\``, categories: [...categories] })]),
  ) as Record<K, TokenType>; // SAFETY: one entry per word was just made

export const kw: Readonly<Record<ReservedWord | SoftWord, TokenType>> = {
  ...tokenTable(reservedWords, (w) => `Kw${capital(w)}`, []),
  ...tokenTable(softStarters, (w) => `Kw${capital(w)}`, [Name]),
  ...tokenTable(softWords, (w) => `Kw${capital(w)}`, [PlainName]),
};
const markWords = Object.keys(marks) as Mark[]; // SAFETY: the keys of the constant above
export const mark: Readonly<Record<Mark, TokenType>> = tokenTable(markWords, (m) => marks[m], []);

/** Word → its token type; everything else is an identifier. */
export const wordTypes: ReadonlyMap<string, TokenType> = new Map(Object.entries(kw));

export const literalTags: readonly string[] = ["cidr", "ip", "ts", "date", "table", "col"];

export const vocabulary: readonly TokenType[] = [
  Name,
  PlainName,
  Identifier,
  Str,
  QuotedString,
  RawString,
  Tagged,
  Duration,
  Size,
  Float,
  Int,
  AllowValue,
  DenyValue,
  IndentedLet,
  ...Object.values(kw),
  ...Object.values(mark),
];
