// The reserved words, for those who do not need the tokens.

/** Words that start or join constructs and are never names, except after a dot. */
export const reservedWords = [
  "import",
  "as",
  "let",
  "export",
  "func",
  "of",
  "on",
  "when",
  "unless",
  "by",
  "over",
  "deny",
  "allow",
  "because",
  "mask",
  "using",
  "where",
  "require",
  "within",
  "at",
  "per",
  "alert",
  "tagged",
  "if",
  "then",
  "else",
  "any",
  "all",
  "none",
  "in",
  "or",
  "and",
  "not",
  "is",
  "contains",
  "startswith",
  "endswith",
  "like",
  "matches",
  "true",
  "false",
  "for",
  "cases",
  "property",
  "forall",
  "given",
  "expect",
] as const;

export type ReservedWord = (typeof reservedWords)[number];

const reserved: ReadonlySet<string> = new Set(reservedWords);
export const isReservedWord = (text: string): text is ReservedWord => reserved.has(text);

const isName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text);

/** One part of a path: in quotes where it is no name. Behind a dot every word is one. */
export const partText = (part: string, isBehindDot: boolean): string =>
  isName(part) && (isBehindDot || !isReservedWord(part)) ? part : JSON.stringify(part);

/** A table's or column's name as a rule has it: `public.orders`, `public."Order Items"`. */
export const pathText = (...parts: readonly string[]): string =>
  parts.map((part, i) => partText(part, i > 0)).join(".");
