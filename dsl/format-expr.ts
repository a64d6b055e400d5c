// expressions, types and texts -> how they are written
import { unreachable } from "../engine/lib/assert.ts";
import type { Arg, Expr, Text, TypeExpr } from "./ast.ts";
import { bracketed, concat, type Doc, flat, group, indent, join, line } from "./format-doc.ts";
import { isReservedWord } from "./words.ts";

/** How tightly each form binds; a part that binds looser than its place asks for stands in parentheses. */
const levels = {
  open: 0,
  or: 1,
  and: 2,
  not: 3,
  compare: 4,
  range: 5,
  additive: 6,
  multiplicative: 7,
  coalesce: 8,
  negate: 9,
  cast: 10,
  postfix: 11,
  primary: 12,
} as const;

export const exprLevels = levels;

function levelOf(expr: Expr): number {
  switch (expr.kind) {
    case "if":
    case "quantifier":
      return levels.open;
    case "or":
      return levels.or;
    case "and":
      return levels.and;
    case "not":
      return levels.not;
    case "compare":
    case "is":
      return levels.compare;
    case "range":
      return levels.range;
    case "arithmetic":
      return expr.op === "+" || expr.op === "-" ? levels.additive : levels.multiplicative;
    case "coalesce":
      return levels.coalesce;
    case "negate":
      return levels.negate;
    case "cast":
      return levels.cast;
    case "field":
    case "index":
    case "call":
      return levels.postfix;
    case "string":
    case "int":
    case "float":
    case "duration":
    case "size":
    case "bool":
    case "tagged":
    case "name":
    case "list":
    case "comprehension":
    case "record":
    case "missing":
      return levels.primary;
    default:
      return unreachable(expr);
  }
}

/** `atLeast` is the level that the place asks for. */
export function exprDoc(expr: Expr, atLeast: number = levels.open): Doc {
  const doc = bareDoc(expr);
  return levelOf(expr) < atLeast ? concat("(", doc, ")") : doc;
}

/** An expression that a `|` follows: a type at its end would take the bar for its own. */
export const cellText = (expr: Expr): string => (endsInType(expr) ? `(${flat(exprDoc(expr))})` : flat(exprDoc(expr)));

function bareDoc(expr: Expr): Doc {
  switch (expr.kind) {
    case "string":
      return interpolatedText(expr.text);
    case "int":
    case "float":
    case "duration":
    case "size":
      return expr.raw;
    case "bool":
      return String(expr.value);
    case "tagged":
      return `${expr.tag.text}"${expr.value}"`;
    case "name":
      return expr.name.text;
    case "missing":
      return "";
    case "field":
      return concat(exprDoc(expr.object, levels.postfix), ".", expr.field.text);
    case "index":
      return concat(exprDoc(expr.object, levels.postfix), "[", exprDoc(expr.index), "]");
    case "call":
      return concat(exprDoc(expr.callee, levels.postfix), argsDoc(expr.args));
    case "not":
      return concat("not ", exprDoc(expr.operand, levels.not));
    case "negate":
      return concat("-", exprDoc(expr.operand, levels.negate));
    case "and":
    case "or":
      return logicDoc(expr.kind, expr.operands);
    case "compare":
      return compareDoc(expr);
    case "is":
      return concat(clearly(expr.operand, levels.range), ` is ${expr.what}`);
    case "arithmetic": {
      const level = levelOf(expr);
      return concat(clearly(expr.left, level), ` ${expr.op} `, clearly(expr.right, level + 1));
    }
    case "coalesce":
      return concat(exprDoc(expr.left, levels.negate), " ?? ", exprDoc(expr.right, levels.coalesce));
    case "range": {
      const dots = expr.isHalfOpen ? "..<" : "..";
      return concat(exprDoc(expr.from, levels.additive), dots, exprDoc(expr.to, levels.additive));
    }
    case "cast":
      return concat(exprDoc(expr.operand, levels.postfix), " as ", typeDoc(expr.type));
    case "if":
      return group(
        concat(
          concat("if ", exprDoc(expr.condition)),
          indent(concat(line, "then ", exprDoc(expr.then), line, "else ", exprDoc(expr.else))),
        ),
      );
    case "quantifier": {
      const head = concat(`${expr.which} ${expr.variable.text} in `, exprDoc(expr.over, levels.range), ":");
      return group(concat(head, indent(concat(line, exprDoc(expr.body)))));
    }
    case "list":
      return bracketed(
        "[",
        expr.items.map((item) => exprDoc(item)),
        "]",
      );
    case "comprehension": {
      const condition = expr.condition ? [concat("if ", exprDoc(expr.condition))] : [];
      const clauses = [concat(`for ${expr.variable.text} in `, exprDoc(expr.over, levels.range)), ...condition];
      return group(concat("[", exprDoc(expr.item), indent(concat(line, join(line, clauses))), "]"));
    }
    case "record":
      return recordDoc(expr.entries.map(({ key, value }) => concat(keyText(key.text), ": ", exprDoc(value))));
    default:
      return unreachable(expr);
  }
}

/** `??` and `as` beside another operator stand in parentheses, which few readers could do without. */
const clearly = (expr: Expr, atLeast: number): Doc =>
  expr.kind === "coalesce" || expr.kind === "cast" ? concat("(", exprDoc(expr), ")") : exprDoc(expr, atLeast);

/** `{ a: 1, b: 2 }`. */
const recordDoc = (entries: readonly Doc[]): Doc => bracketed("{", entries, "}", true);

/** Operands bind tighter than their operator; a quantifier may stand last, since it reaches to the end anyway. */
function logicDoc(word: "and" | "or", operands: readonly Expr[]): Doc {
  const docs = operands.map((operand, i) =>
    operand.kind === "quantifier" && i === operands.length - 1 ? exprDoc(operand) : exprDoc(operand, levels.not),
  );
  return group(indent(join(concat(line, `${word} `), docs)));
}

function compareDoc(expr: Expr & { readonly kind: "compare" }): Doc {
  const op = expr.isNegated ? `not ${expr.op}` : expr.op;
  // `x as T < y` would read `<` as the start of type arguments
  const isTypeBeforeLess = expr.op === "<" && endsInType(expr.left) && expr.left.kind !== "cast";
  const left = isTypeBeforeLess ? concat("(", exprDoc(expr.left), ")") : clearly(expr.left, levels.range);
  const isPattern = (expr.op === "like" || expr.op === "matches") && expr.right.kind === "string";
  const right =
    isPattern && expr.right.kind === "string" ? plainText(expr.right.text) : clearly(expr.right, levels.range);
  return concat(left, ` ${op} `, right);
}

/** Whether the last thing written is a type. */
function endsInType(expr: Expr): boolean {
  switch (expr.kind) {
    case "cast":
      return true;
    case "arithmetic":
    case "compare":
      // a bare cast or `??` on the right stands in parentheses
      return expr.right.kind !== "cast" && expr.right.kind !== "coalesce" && endsInType(expr.right);
    case "coalesce":
      return endsInType(expr.right);
    case "range":
      return endsInType(expr.to);
    case "negate":
    case "not":
      return endsInType(expr.operand);
    case "and":
    case "or": {
      const last = expr.operands.at(-1);
      return last !== undefined && endsInType(last);
    }
    case "if":
      return endsInType(expr.else);
    case "quantifier":
      return endsInType(expr.body);
    default:
      return false;
  }
}

export const argsDoc = (args: readonly Arg[]): Doc =>
  bracketed(
    "(",
    args.map((arg) => (arg.name ? concat(`${arg.name.text}: `, exprDoc(arg.value)) : exprDoc(arg.value))),
    ")",
  );

const isPlainName = (text: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(text) && !isReservedWord(text);

/** A key that is no name, or a reserved word, stands in quotes. */
const keyText = (key: string): string => (isPlainName(key) ? key : `"${escapePlain(key)}"`);

// ---- types

export function typeDoc(type: TypeExpr): Doc {
  const mark = type.isOptional ? "?" : "";
  switch (type.atom.kind) {
    case "record":
      return concat(
        recordDoc(type.atom.fields.map((field) => concat(`${field.name.text}: `, typeDoc(field.type)))),
        mark,
      );
    case "named": {
      const name = type.atom.name.parts.map((part) => part.text).join(".");
      return concat(name, type.atom.args.length > 0 ? bracketed("<", type.atom.args.map(typeDoc), ">") : "", mark);
    }
    case "enum":
      return concat(type.atom.values.map(plainText).join(" | "), mark);
    default:
      return unreachable(type.atom);
  }
}

// ---- texts

/** Titles, patterns, file names: braces mean themselves. */
/** In quotes, whatever is in it: no placeholders. */
export const quotedText = (raw: string): string => `"${escapePlain(raw)}"`;
export const plainText = (text: Text): string => (text.isRaw ? `\`${text.raw}\`` : `"${escapePlain(text.raw)}"`);

/** Texts with placeholders. */
export function interpolatedText(text: Text): string {
  if (text.isRaw) return `\`${text.raw}\``;
  const parts = text.parts.map((part) =>
    part.kind === "text" ? escapeText(part.value).replaceAll("{", "\\{") : `{${flat(exprDoc(part.expr))}}`,
  );
  return `"${parts.join("")}"`;
}

/** A brace beside a quote could be taken for a placeholder that holds a text. */
const escapePlain = (raw: string): string => {
  const escaped = escapeText(raw);
  return raw.includes('"') || raw.includes("`") || !areBracesBalanced(raw) ? escaped.replaceAll("{", "\\{") : escaped;
};

function areBracesBalanced(text: string): boolean {
  let depth = 0;
  for (const char of text) {
    if (char === "{") depth += 1;
    if (char === "}" && depth > 0) depth -= 1;
  }
  return depth === 0;
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r" };
/** What is invisible, or half a character, is written as an escape. */
const unprintable =
  /[\\"\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

const escapeText = (text: string): string =>
  text.replace(unprintable, (char) => escapes[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
