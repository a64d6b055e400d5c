// place of an error in the text that was sent -> the same place in the client's own text (psql's `LINE 1: … ^`).
import { limits } from "../limits.ts";
import { parseSql } from "./pg-parser.ts";
import type { AnalyzedStatement, RewrittenSql } from "./types.ts";

/**
 * The server points at the beginning of a part of the statement; the part of the client's statement that stands in the same
 * place of the tree begins where the client would look. `position` and the result count characters from 1, in the text of the
 * statement that was sent and in the client's whole message. undefined where no part begins there, it isn't the client's, or a text is too long
 * to be looked at again (`errorPositionTextCharsMax`).
 */
export function clientPosition(
  statement: AnalyzedStatement,
  rewritten: RewrittenSql,
  position: number,
): number | undefined {
  if (!(position >= 1)) return undefined;
  if (Math.max(statement.facts.text.length, rewritten.text.length) > limits.errorPositionTextCharsMax) return undefined;
  const own = parseSql(statement.facts.text);
  const sent = parseSql(rewritten.text);
  if (!own.ok || !sent.ok || own.value.length !== 1 || sent.value.length !== 1) return undefined;
  const at = Buffer.byteLength([...rewritten.text].slice(0, position - 1).join(""));
  const found = placeOf(sent.value[0]?.stmt, own.value[0]?.stmt, at);
  if (found === undefined) return undefined;
  const before = Buffer.from(statement.facts.text).subarray(0, found).toString("utf8");
  return (statement.start ?? 0) + [...before].length + 1;
}

/** The innermost part of `own` whose counterpart in `sent` begins at byte `at`. */
function placeOf(sent: unknown, own: unknown, at: number): number | undefined {
  if (typeof sent !== "object" || typeof own !== "object" || sent === null || own === null) return undefined;
  if (Array.isArray(sent) || Array.isArray(own)) {
    if (!Array.isArray(sent) || !Array.isArray(own) || sent.length !== own.length) return undefined;
    return firstOf(sent.keys(), (i) => placeOf(sent[i], own[i], at));
  }
  const [a, b] = [sent as Readonly<Record<string, unknown>>, own as Readonly<Record<string, unknown>>];
  const below = firstOf(Object.keys(a), (key) => placeOf(a[key], b[key], at));
  if (below !== undefined) return below;
  return a.location === at && typeof b.location === "number" && b.location >= 0 ? b.location : undefined;
}

function firstOf<K>(keys: Iterable<K>, place: (key: K) => number | undefined): number | undefined {
  for (const key of keys) {
    const found = place(key);
    if (found !== undefined) return found;
  }
  return undefined;
}
