// names and texts of a recording -> the language: whatever they hold, they stay what they are
import { isReservedWord } from "../../dsl/words.ts";

/** A text in quotes. What isn't plain ASCII is written as an escape: hidden and look-alike characters stay visible. */
export const quoted = (text: string): string =>
  `"${text.replace(/["\\{]/g, "\\$&").replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)}"`;

/** A pattern in quotes (route, tool, connection); undefined where it would mean more than the text. */
export const isPatternSafe = (text: string): boolean => /^[A-Za-z0-9_.:/@ ~+=&#%,;-]{1,300}$/.test(text);

/** In a comment: one line, plain. */
export const commented = (text: string): string => text.replace(/[^\x20-\x7e]/g, "?").slice(0, 120);

/** A table or column that a rule can write without quotes. */
export const isPlainName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !isReservedWord(name);

/** A name for a rule or fixture. */
export function slug(...parts: readonly string[]): string {
  const text = parts
    .join("_")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "")
    .slice(0, 60);
  const name = /^[a-z]/.test(text) ? text : `r_${text}`;
  return isReservedWord(name) ? `${name}_` : name;
}

/** Distinct names: the second `a` is `a_2`. */
export class Names {
  readonly #taken = new Set<string>();

  take(wanted: string): string {
    let name = wanted;
    for (let i = 2; this.#taken.has(name); i += 1) name = `${wanted}_${i}`;
    this.#taken.add(name);
    return name;
  }
}

export const dayOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);
