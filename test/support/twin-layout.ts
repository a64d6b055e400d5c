// statement -> the same statement, spelt otherwise: case, quotes, comments, U&"", white space
import type { Tape } from "./twin-tape.ts";

const tokenPattern = /'(?:[^']|'')*'|"(?:[^"]|"")*"|[A-Za-z_][A-Za-z_0-9]*|\d+(?:\.\d+)?|\s+|[-+*/<>=~!@#%^&|?]+|./gy;

/**
 * Not the gateway's deparser, on purpose. `identifiers` are the lower-case names that may be quoted; every other word
 * is a keyword, a type or a function, whose case is free.
 */
export function respell(tape: Tape, sql: string, identifiers: ReadonlySet<string>): string {
  const out: string[] = [];
  const isShouting = tape.chance(25);
  const isQuoting = tape.chance(40);
  const isSpacing = tape.chance(40);
  for (const [token] of sql.matchAll(tokenPattern)) {
    if (/^\s+$/.test(token)) out.push(isSpacing ? space(tape) : " ");
    else if (/^[A-Za-z_]/.test(token)) out.push(word(tape, token, isShouting, isQuoting && identifiers.has(token)));
    else out.push(token);
  }
  return out.join("");
}

function word(tape: Tape, token: string, isShouting: boolean, mayQuote: boolean): string {
  if (mayQuote && tape.chance(50)) return tape.chance(15) ? escaped(token) : `"${token}"`;
  return isShouting ? token.toUpperCase() : token;
}

const escaped = (name: string): string => `U&"\\00${name.charCodeAt(0).toString(16).padStart(2, "0")}${name.slice(1)}"`;

function space(tape: Tape): string {
  return tape.pick([" ", "\n", "\t ", "  ", " /* c */ ", " /* ' */ ", " /* /* n */ */ ", " -- ;'\n", "\f"]);
}
