// client's text -> the same statement in words of one spelling: for definitions that no printer of ours writes out.
import { quoteIdent, quoteLiteral } from "../model/row-predicate.ts";
import { tokensOf } from "./pg-parser.ts";

const comments: ReadonlySet<string> = new Set(["SQL_COMMENT", "C_COMMENT"]);

/**
 * Each token of the text, one space apart, without comments: strings in plain quotes, words as they are. undefined where a
 * token has a form that a server might read otherwise (`E'…'`, `U&'…'`, a string over several lines). Whoever sends it
 * compares what the parser reads in it with what was meant.
 */
export function respelled(text: string): string | undefined {
  const words: string[] = [];
  for (const token of tokensOf(text) ?? []) {
    if (comments.has(token.tokenName)) continue;
    const word = wordOf(token.text);
    if (word === undefined) return undefined;
    words.push(word);
  }
  return words.length === 0 ? undefined : words.join(" ");
}

function wordOf(token: string): string | undefined {
  const dollar = /^(\$[A-Za-z_\x80-\uffff]?[\w\x80-\uffff]*\$)([\s\S]*)\1$/.exec(token);
  if (dollar) return quoteLiteral(dollar[2] ?? "");
  // The parser folds ASCII letters only; a server with an encoding of one byte per letter would fold others too.
  if (/^[A-Za-z_\x80-\uffff][\w$\x80-\uffff]*$/.test(token) && !/^[\x00-\x7f]*$/.test(token))
    return quoteIdent(token.replace(/[A-Z]/g, (c) => c.toLowerCase()));
  return plain.some((form) => form.test(token)) ? token : undefined;
}

const plain: readonly RegExp[] = [
  /^[A-Za-z_][\w$]*$/,
  /^"(?:[^"]|"")*"$/,
  /^'(?:[^']|'')*'$/,
  /^[bBxX]'[0-9A-Fa-f]*'$/,
  /^[0-9.][0-9A-Za-z_.]*$/,
  /^\$[0-9]+$/,
  /^[-+*/<>=~!@#%^&|`?:;,.()[\]]+$/,
];
