// masks and row filters as a Rego policy writes them -> the engine's own
import { unreachable } from "../lib/assert.ts";
import { type DateUnit, type Mask, type MaskKind, parseFieldPath } from "../model/mask.ts";
import type { RowPredicate, SqlLiteral } from "../model/row-predicate.ts";
import { type AnswerReader, BadAnswer } from "./answer-reader.ts";

const maskKinds: readonly MaskKind[] = [
  "partial",
  "bucket",
  "round",
  "card",
  "phone",
  "fields",
  "hash",
  "tokenize",
  "redact",
  "constant",
  "nullify",
  "remove",
];
const dateUnits: readonly DateUnit[] = ["year", "quarter", "month", "week", "day", "hour"];

/** `{ "kind": "partial", "first": 1, "keep_domain": true }`: the parameters of the language's masks, with its defaults. */
export function readMask(entry: AnswerReader): Mask {
  const kind = entry.oneOf("kind", maskKinds);
  switch (kind) {
    case "partial": {
      const fill = entry.optionalText("fill") ?? "*";
      if ([...fill].length !== 1) throw entry.bad("fill", "must be one character");
      return {
        kind,
        first: entry.optionalCount("first") ?? 0,
        last: entry.optionalCount("last") ?? 0,
        keepDomain: entry.has("keep_domain") ? entry.boolean("keep_domain") : false,
        fill,
      };
    }
    case "bucket": {
      const size = entry.optionalCount("size");
      const unit = entry.has("unit") ? entry.oneOf("unit", dateUnits) : undefined;
      if ((size === undefined) === (unit === undefined) || size === 0) {
        throw entry.bad("mask", "needs a `size` above 0, or a `unit`");
      }
      return { kind, size, unit };
    }
    case "round": {
      const to = entry.optionalCount("to") ?? 0;
      if (to === 0) throw entry.bad("to", "must be above 0");
      return { kind, to };
    }
    case "phone": {
      const last = entry.optionalCount("last") ?? 2;
      if (last > 4) throw entry.bad("last", "must be 4 at most");
      return { kind, last };
    }
    case "fields": {
      const hide = entry.items("hide").map(String);
      if (hide.length === 0 || !hide.every((path) => parseFieldPath(path) !== undefined)) {
        throw entry.bad("hide", "must be a list of paths");
      }
      return { kind, hide };
    }
    case "hash":
    case "tokenize":
      return { kind, salt: entry.optionalText("salt") ?? "" };
    case "constant": {
      const value = entry.take("value");
      if (typeof value === "string" || typeof value === "boolean") return { kind, value };
      if (typeof value === "number" && Number.isFinite(value)) return { kind, value };
      throw entry.bad("value", "must be a text, a number or a boolean");
    }
    case "card":
    case "redact":
    case "nullify":
    case "remove":
      return { kind };
    default:
      return unreachable(kind);
  }
}

const nestingMax = 32;

/**
 * `true`, `false`, or an object with one of: `column` + (`op` + `value` | `op` + `other` | `in` | `is: "null"`), `not`,
 * `all`, `any`. `columns`: those that the table has.
 */
export function readPredicate(value: unknown, columns: ReadonlySet<string>, up: AnswerReader, depth = 0): RowPredicate {
  if (typeof value === "boolean") return { kind: "constant", value };
  if (depth > nestingMax) throw new BadAnswer("a filter is nested too deeply");
  const entry = up.reader(value, "where");
  const predicate = readOne(entry, columns, depth);
  entry.end();
  return predicate;
}

function readOne(entry: AnswerReader, columns: ReadonlySet<string>, depth: number): RowPredicate {
  const inner = (value: unknown): RowPredicate => readPredicate(value, columns, entry, depth + 1);
  const column = (key: string): string => {
    const name = entry.text(key);
    if (!columns.has(name)) throw entry.bad(key, "is not a column of the table");
    return name;
  };
  if (entry.has("not")) return { kind: "not", part: inner(entry.take("not")) };
  if (entry.has("all")) return { kind: "and", parts: entry.items("all").map(inner) };
  if (entry.has("any")) return { kind: "or", parts: entry.items("any").map(inner) };
  const left = column("column");
  if (entry.has("in")) return { kind: "in", column: left, values: entry.items("in").map((v) => readLiteral(v, entry)) };
  if (entry.has("is")) {
    entry.oneOf("is", ["null"]);
    return { kind: "is-null", column: left };
  }
  const op = entry.oneOf("op", ["=", "<>", "<", "<=", ">", ">="]);
  if (entry.has("other")) return { kind: "compare-columns", left, op, right: column("other") };
  return { kind: "compare", column: left, op, value: readLiteral(entry.take("value"), entry) };
}

/** A string, number or boolean; `{ "time": ms }` and `{ "date": "2026-01-31" }` for moments and days. */
function readLiteral(value: unknown, up: AnswerReader): SqlLiteral {
  switch (typeof value) {
    case "string":
      if (!value.isWellFormed() || value.includes("\u0000")) throw up.bad("value", "must be a text");
      return { type: "string", value };
    case "boolean":
      return { type: "bool", value };
    case "number":
      if (Number.isSafeInteger(value)) return { type: "int", value };
      if (Number.isFinite(value) && !Number.isInteger(value)) return { type: "float", value };
      throw up.bad("value", "is outside the numbers that JSON carries exactly");
    default: {
      const entry = up.reader(value, "value");
      const literal: SqlLiteral = entry.has("time")
        ? { type: "time", value: entry.count("time") }
        : { type: "date", value: readDate(entry) };
      entry.end();
      return literal;
    }
  }
}

function readDate(entry: AnswerReader): string {
  const text = entry.text("date");
  if (!/^\d{4}-\d\d-\d\d$/.test(text) || Number.isNaN(Date.parse(text)))
    throw entry.bad("date", "must be like 2026-01-31");
  return text;
}
