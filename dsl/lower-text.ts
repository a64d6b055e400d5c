// a quoted text -> its value, or its parts
import { type Span, spanOf } from "../engine/lib/span.ts";
import type { Expr, Text, TextPart } from "./ast.ts";
import { type Diagnostic, diagnose } from "./diagnostic.ts";
import { scanQuoted } from "./scan-string.ts";

export type TextSource = {
  readonly path: string;
  readonly text: string;
  readonly report: (diagnostic: Diagnostic) => void;
  /** Reads the inside of a placeholder; the span leaves the braces out. */
  readonly readExpr: (span: Span) => Expr;
};

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  '"': '"',
  "\\": "\\",
  "{": "{",
  "}": "}",
  r: "\r",
};

/** Titles, patterns, file names: `{` means itself. */
export function plainText(source: TextSource, span: Span): Text {
  const raw = rawOf(source, span);
  if (raw !== undefined) return raw;
  const value = decodeEscapes(source, spanOf(span.start + 1, endOfContent(source, span)));
  return { span, raw: value, isRaw: false, parts: [{ kind: "text", value }] };
}

/** Texts in expressions and after `because`: `{expr}` is a placeholder. */
export function interpolatedText(source: TextSource, span: Span): Text {
  const raw = rawOf(source, span);
  if (raw !== undefined) return raw;
  const end = endOfContent(source, span);
  const scanned = scanQuoted(source.text, span.start, span.end);
  const parts: TextPart[] = [];
  const values: string[] = [];
  let at = span.start + 1;
  const pushText = (to: number): void => {
    if (to <= at) return;
    const value = decodeEscapes(source, spanOf(at, to));
    parts.push({ kind: "text", value });
    values.push(value);
  };
  for (const placeholder of scanned.placeholders) {
    pushText(placeholder.start);
    at = placeholder.end;
    const inside = spanOf(placeholder.start + 1, placeholder.end - 1);
    values.push("{…}");
    if (source.text.slice(inside.start, inside.end).trim() === "") source.report(emptyPlaceholder(source, placeholder));
    else parts.push({ kind: "placeholder", expr: source.readExpr(inside) });
  }
  pushText(end);
  if (scanned.unclosedBrace !== undefined) source.report(unclosedPlaceholder(source, scanned.unclosedBrace));
  return { span, raw: values.join(""), isRaw: false, parts: parts.length > 0 ? parts : [{ kind: "text", value: "" }] };
}

/** The value of a back-tick text, whose content means itself. */
function rawOf(source: TextSource, span: Span): Text | undefined {
  if (source.text[span.start] !== "`") return undefined;
  const isClosed = span.end > span.start + 1 && source.text[span.end - 1] === "`";
  const value = source.text.slice(span.start + 1, isClosed ? span.end - 1 : span.end);
  return { span, raw: value, isRaw: true, parts: [{ kind: "text", value }] };
}

/** An unterminated text (reported by the lexer) has no closing quote to leave out. */
function endOfContent(source: TextSource, span: Span): number {
  const scanned = scanQuoted(source.text, span.start, span.end);
  return scanned.isClosed ? span.end - 1 : span.end;
}

function decodeEscapes(source: TextSource, span: Span): string {
  const text = source.text.slice(span.start, span.end);
  if (!text.includes("\\")) return text;
  let value = "";
  for (let at = 0; at < text.length; ) {
    const char = text[at] ?? "";
    if (char !== "\\") {
      value += char;
      at += 1;
      continue;
    }
    const next = text[at + 1] ?? "";
    const hex = next === "u" ? /^[0-9a-fA-F]{4}/.exec(text.slice(at + 2, at + 6))?.[0] : undefined;
    if (hex !== undefined) {
      value += String.fromCharCode(Number.parseInt(hex, 16));
      at += 6;
      continue;
    }
    const plain = escapes[next];
    if (plain === undefined) source.report(unknownEscape(source, span.start + at, next));
    value += plain ?? next;
    at += 2;
  }
  return value;
}

const unknownEscape = (source: TextSource, at: number, next: string): Diagnostic =>
  diagnose({
    code: "P0008",
    path: source.path,
    span: spanOf(at, at + 1 + next.length),
    message: `\`\\${next}\` is not an escape`,
    label: "unknown escape",
    help: [
      next === "u"
        ? "`\\u` takes four hexadecimal digits, like `\\u00e9`"
        : `for a backslash write \`\\\\${next}\`, or put the text in back-ticks, where nothing is escaped`,
    ],
    fixes: next === "u" ? [] : [{ title: "write the backslash twice", span: spanOf(at, at + 1), replacement: "\\\\" }],
  });

const emptyPlaceholder = (source: TextSource, span: Span): Diagnostic =>
  diagnose({
    code: "P0009",
    path: source.path,
    span,
    message: "this placeholder is empty",
    label: "`{…}` in a text holds an expression",
    help: ["for a brace itself write `\\{`"],
    fixes: [{ title: "write `\\{`", span: spanOf(span.start, span.start), replacement: "\\" }],
  });

const unclosedPlaceholder = (source: TextSource, at: number): Diagnostic =>
  diagnose({
    code: "P0009",
    path: source.path,
    span: spanOf(at, at + 1),
    message: "this placeholder has no closing brace",
    label: "`{` opens a placeholder here",
    help: ["close it with `}`, or write `\\{` for a brace itself"],
    fixes: [{ title: "write `\\{`", span: spanOf(at, at), replacement: "\\" }],
  });
