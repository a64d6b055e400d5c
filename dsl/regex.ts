// The door to re2js: patterns of policies run in linear time, so that no request can stall the gateway.
import { RE2JS } from "re2js";
import { err, ok, type Result } from "../engine/lib/result.ts";

export type Regex = { readonly text: string; readonly matches: (text: string) => boolean };

export type RegexFault = "too-rich" | "unreadable";

/**
 * A pattern that is found anywhere in the text. Refused besides what RE2 can't do (back-references, look-around):
 * repetition of a repetition, because the same pattern copied into another engine takes exponential time.
 */
export function parseRegex(pattern: string): Result<Regex, RegexFault> {
  if (repeatsRepetition(pattern) || /\\[1-9]|\(\?(?:[=!]|<[=!])/.test(pattern)) return err("too-rich");
  try {
    const compiled = RE2JS.compile(pattern);
    return ok({ text: pattern, matches: (text) => compiled.matcher(text).find() });
  } catch {
    return err("unreadable");
  }
}

/** A group that holds an unbounded repetition and is itself repeated: `(a+)+`, `(a*b*)*`. */
function repeatsRepetition(pattern: string): boolean {
  const open: boolean[] = [];
  let closed: boolean | undefined;
  for (let i = 0; i < pattern.length; i++) {
    const c = pattern[i];
    const isRepeat = c === "*" || c === "+" || (c === "{" && /^\{\d+,\d*\}/.test(pattern.slice(i)));
    if (isRepeat && closed) return true;
    if (isRepeat && open.length > 0) open[open.length - 1] = true;
    closed = undefined;
    if (c === "\\") i++;
    else if (c === "[") i = classEnd(pattern, i);
    else if (c === "(") open.push(false);
    else if (c === ")") {
      closed = open.pop() ?? false;
      if (closed && open.length > 0) open[open.length - 1] = true;
    }
  }
  return false;
}

function classEnd(pattern: string, start: number): number {
  for (let i = start + 1; i < pattern.length; i++) {
    if (pattern[i] === "\\") i++;
    else if (pattern[i] === "]" && i > start + 1) return i;
  }
  return pattern.length;
}
