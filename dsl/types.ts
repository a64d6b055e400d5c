// The types of section 5. `poison` is the type of an expression that was already reported: silent in later checks.
import { invariant, unreachable } from "../engine/lib/assert.ts";
import { factEnums } from "../engine/model/fact-schema.ts";

export type Atom =
  | "bool"
  | "int"
  | "float"
  | "string"
  | "duration"
  | "size"
  | "time"
  | "date"
  | "ip"
  | "cidr"
  | "json"
  | "table"
  | "column";

export type RecordType = {
  readonly kind: "record";
  /** The name it was declared under, for messages. */
  readonly name: string | undefined;
  readonly fields: ReadonlyMap<string, Type>;
};
export type EnumType = {
  readonly kind: "enum";
  /** A built-in enum, whose values are written bare; undefined for one whose values are quoted. */
  readonly name: string | undefined;
  readonly values: readonly string[];
};
export type Type =
  | { readonly kind: Atom }
  | { readonly kind: "poison" }
  /** The element type of `[]`. */
  | { readonly kind: "never" }
  | EnumType
  | RecordType
  | { readonly kind: "set" | "list"; readonly of: Type }
  /** Keys are strings. */
  | { readonly kind: "map"; readonly of: Type }
  | { readonly kind: "option"; readonly of: Type }
  /** `1..10`: only on the right of `in`. */
  | { readonly kind: "range"; readonly of: Type };

export const bool: Type = { kind: "bool" };
export const int: Type = { kind: "int" };
export const float: Type = { kind: "float" };
export const string: Type = { kind: "string" };
export const json: Type = { kind: "json" };
export const table: Type = { kind: "table" };
export const poison: Type = { kind: "poison" };
export const never: Type = { kind: "never" };
export const optionOf = (of: Type): Type =>
  of.kind === "option" || of.kind === "poison" ? of : { kind: "option", of };
export const setOf = (of: Type): Type => ({ kind: "set", of });
export const withoutOption = (type: Type): Type => (type.kind === "option" ? type.of : type);

export const atoms: readonly Atom[] = [
  "bool",
  "int",
  "float",
  "string",
  "duration",
  "size",
  "time",
  "date",
  "ip",
  "cidr",
  "json",
  "table",
  "column",
];

export const enumType = (name: string): EnumType => {
  const found = factEnums[name];
  invariant(found !== undefined, `\`${name}\` is a built-in enum`);
  return { kind: "enum", name, values: found.values };
};

/** As the author would write it. */
export function showType(type: Type): string {
  switch (type.kind) {
    case "enum":
      return type.name ?? type.values.map((v) => JSON.stringify(v)).join(" | ");
    case "record":
      return type.name ?? `{ ${[...type.fields].map(([name, t]) => `${name}: ${showType(t)}`).join(", ")} }`;
    case "set":
    case "list":
      return type.of.kind === "never" ? "empty list" : `${type.kind}<${showType(type.of)}>`;
    case "map":
      return `map<string,${showType(type.of)}>`;
    case "option":
      return `${showType(type.of)}?`;
    case "range":
      return `range of ${showType(type.of)}`;
    default:
      return type.kind;
  }
}

/** Reads the notation of the fact schema and of the built-in functions: atoms, enums, `set<…>`, `map<string,…>`, `?`. */
export function parseType(text: string): Type {
  if (text.endsWith("?")) return optionOf(parseType(text.slice(0, -1)));
  const generic = /^(set|list)<(.*)>$/.exec(text) ?? /^(map)<string,(.*)>$/.exec(text);
  if (generic) {
    const of = parseType(generic[2] ?? "");
    const kind = generic[1];
    return kind === "map" ? { kind, of } : { kind: kind === "set" ? "set" : "list", of };
  }
  const atom = atoms.find((a) => a === text);
  return atom === undefined ? enumType(text) : { kind: atom };
}

export function sameType(a: Type, b: Type): boolean {
  if (a.kind === "poison" || b.kind === "poison") return true;
  switch (a.kind) {
    case "enum":
      return (
        b.kind === "enum" &&
        a.name === b.name &&
        a.values.length === b.values.length &&
        a.values.every((v) => b.values.includes(v))
      );
    case "record":
      return (
        b.kind === "record" &&
        a.fields.size === b.fields.size &&
        [...a.fields].every(([name, t]) => {
          const other = b.fields.get(name);
          return other !== undefined && sameType(t, other);
        })
      );
    case "set":
    case "list":
    case "map":
    case "option":
    case "range":
      return b.kind === a.kind && sameType(a.of, b.of);
    case "bool":
    case "int":
    case "float":
    case "string":
    case "duration":
    case "size":
    case "time":
    case "date":
    case "ip":
    case "cidr":
    case "json":
    case "table":
    case "column":
    case "never":
      return a.kind === b.kind;
    default:
      return unreachable(a);
  }
}

/** The texts that `t` may hold: "all" of a string, those of a quoted enum; undefined for other types. */
const textsOf = (t: Type): "all" | readonly string[] | undefined =>
  t.kind === "string" ? "all" : t.kind === "enum" && t.name === undefined ? t.values : undefined;

/** May a value of `from` stand where `to` is needed, without a conversion that could surprise? */
export function fits(from: Type, to: Type): boolean {
  if (from.kind === "poison" || to.kind === "poison" || from.kind === "never") return true;
  if (to.kind === "option") return fits(withoutOption(from), to.of);
  if (from.kind === "enum" && from.name === undefined && to.kind === "string") return true;
  if (from.kind === "enum" && to.kind === "enum" && from.name === to.name) {
    return from.values.every((v) => to.values.includes(v));
  }
  if (from.kind === "int" && to.kind === "float") return true;
  if ((from.kind === "set" || from.kind === "list") && (to.kind === "set" || to.kind === "list")) {
    return fits(from.of, to.of);
  }
  if (from.kind === "map" && to.kind === "map") return fits(from.of, to.of);
  return sameType(from, to);
}

/** Section 5, rule 8: `==` only between these. */
export function comparable(a: Type, b: Type): boolean {
  if (a.kind === "poison" || b.kind === "poison") return true;
  if (a.kind === "option" || b.kind === "option") return false;
  const [texts, others] = [textsOf(a), textsOf(b)];
  if (texts && others) return texts === "all" || others === "all" || texts.some((v) => others.includes(v));
  if (isNumber(a) && isNumber(b)) return true;
  if (a.kind === "set" || a.kind === "list") return b.kind === a.kind && comparable(a.of, b.of);
  if (a.kind === "never" || b.kind === "never") return true;
  if (a.kind === "json" || a.kind === "record" || a.kind === "map" || a.kind === "range") return false;
  return sameType(a, b);
}

export const isNumber = (t: Type): boolean => t.kind === "int" || t.kind === "float";

/** `<` and its kin. */
export const isOrdered = (t: Type): boolean =>
  ["int", "float", "string", "duration", "size", "time", "date"].includes(t.kind);

/** Has an obvious form in a message. */
export const isPrintable = (t: Type): boolean =>
  !["json", "record", "map", "option", "range", "never"].includes(t.kind) &&
  (t.kind !== "set" && t.kind !== "list" ? true : isPrintable(t.of));
