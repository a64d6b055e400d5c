// The functions of the language: pure, total, of bounded cost. The checker, hover and the reference read this one table.

import { Unknown } from "../engine/lib/truth.ts";
import { limits } from "../engine/limits.ts";
import type { Value } from "./checked.ts";
import { float, int, isNumber, optionOf, setOf, string, type Type } from "./types.ts";
import { elementsOf } from "./values.ts";

export type Builtin = {
  /** As the reference shows it. */
  readonly signature: string;
  readonly doc: string;
  /** What each argument must be; the number of rows is the number of arguments. */
  readonly params: readonly Parameter[];
  readonly result: (args: readonly Type[]) => Type;
  /** Steps for one call, with collections at their largest. */
  readonly cost: number;
  /** Arguments are known and present. */
  readonly run: (args: readonly Value[]) => Value;
};
export type Parameter = "string" | "collection" | "strings" | "numbers" | "number" | "map";

const many = limits.policySetElementsMax;
const text = (value: Value): string => String(value);
const elementType = (types: readonly Type[]): Type => {
  const [first] = types;
  return first && (first.kind === "set" || first.kind === "list") ? first.of : int;
};

/** The least or greatest of a collection, absent for an empty one. */
const extreme =
  (better: (a: number, b: number) => boolean) =>
  ([numbers]: readonly Value[]): Value => {
    let best: number | undefined;
    for (const item of elementsOf(numbers)) {
      if (typeof item === "number" && (best === undefined || better(item, best))) best = item;
    }
    return best;
  };

function total([numbers]: readonly Value[]): Value {
  let sum = 0;
  for (const item of elementsOf(numbers)) if (typeof item === "number") sum += item;
  return Number.isInteger(sum) && !Number.isSafeInteger(sum) ? new Unknown("the sum is too large to be exact") : sum;
}

export const builtins: Readonly<Record<string, Builtin>> = {
  count: {
    signature: "count(collection): int",
    doc: "Number of elements of a set, list or map.",
    params: ["collection"],
    result: () => int,
    cost: 1,
    run: ([items]) => elementsOf(items).length,
  },
  length: {
    signature: "length(text: string): int",
    doc: "Number of code points of a text.",
    params: ["string"],
    result: () => int,
    cost: 10,
    run: ([value]) => [...text(value)].length,
  },
  lower: {
    signature: "lower(text: string): string",
    doc: "The text in lower case, by Unicode's own rules and no locale.",
    params: ["string"],
    result: () => string,
    cost: 10,
    run: ([value]) => text(value).toLowerCase(),
  },
  upper: {
    signature: "upper(text: string): string",
    doc: "The text in upper case, by Unicode's own rules and no locale.",
    params: ["string"],
    result: () => string,
    cost: 10,
    run: ([value]) => text(value).toUpperCase(),
  },
  trim: {
    signature: "trim(text: string): string",
    doc: "The text without white space at both ends.",
    params: ["string"],
    result: () => string,
    cost: 10,
    run: ([value]) => text(value).trim(),
  },
  split: {
    signature: "split(text: string, separator: string): list<string>",
    doc: "The pieces between the separators.",
    params: ["string", "string"],
    result: () => ({ kind: "list", of: string }),
    cost: 10,
    run: ([value, separator]) => {
      const pieces = text(value).split(text(separator), many + 1);
      return pieces.length > many ? new Unknown(`\`split\` gives more than ${many} pieces`) : pieces;
    },
  },
  join: {
    signature: "join(texts: list<string>, separator: string): string",
    doc: "The texts in order with the separator between them; of a set, sorted.",
    params: ["strings", "string"],
    result: () => string,
    cost: many,
    run: ([items, separator]) =>
      (items instanceof Set ? [...elementsOf(items)].sort() : elementsOf(items)).join(text(separator)),
  },
  min: {
    signature: "min(numbers): int?",
    doc: "The least element, absent for an empty collection.",
    params: ["numbers"],
    result: (args) => optionOf(elementType(args)),
    cost: many,
    run: extreme((a, b) => a < b),
  },
  max: {
    signature: "max(numbers): int?",
    doc: "The greatest element, absent for an empty collection.",
    params: ["numbers"],
    result: (args) => optionOf(elementType(args)),
    cost: many,
    run: extreme((a, b) => a > b),
  },
  sum: {
    signature: "sum(numbers): int",
    doc: "The sum; 0 for an empty collection.",
    params: ["numbers"],
    result: elementType,
    cost: many,
    run: total,
  },
  abs: {
    signature: "abs(number): int",
    doc: "The number without its sign.",
    params: ["number"],
    result: ([type]) => (type && isNumber(type) ? type : float),
    cost: 1,
    run: ([value]) => Math.abs(Number(value)),
  },
  keys: {
    signature: "keys(map): set<string>",
    doc: "The keys of a map.",
    params: ["map"],
    result: () => setOf(string),
    cost: many,
    run: ([map]) => new Set(Object.keys(Object(map))),
  },
  intersects: {
    signature: "intersects(a: set<string>, b: set<string>): bool",
    doc: "The two have an element in common.",
    params: ["strings", "strings"],
    result: () => ({ kind: "bool" }),
    cost: many,
    run: ([a, b]) => {
      const others = new Set(elementsOf(b));
      return elementsOf(a).some((item) => others.has(item));
    },
  },
};
