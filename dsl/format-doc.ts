// A small pretty-printer: pieces of text with places where a line may end (Wadler 1998, in the strict form).

export type Doc =
  | string
  | { readonly kind: "concat"; readonly parts: readonly Doc[] }
  /** A space, or the end of a line where the group around it does not fit. */
  | { readonly kind: "line" }
  /** Nothing, or the end of a line where the group around it does not fit. */
  | { readonly kind: "softline" }
  | { readonly kind: "indent"; readonly content: Doc }
  | { readonly kind: "group"; readonly content: Doc };

export const line: Doc = { kind: "line" };
export const softline: Doc = { kind: "softline" };
export const concat = (...parts: readonly Doc[]): Doc => ({ kind: "concat", parts });
export const indent = (content: Doc): Doc => ({ kind: "indent", content });
export const group = (content: Doc): Doc => ({ kind: "group", content });

export const join = (separator: Doc, parts: readonly Doc[]): Doc =>
  concat(...parts.flatMap((part, i) => (i === 0 ? [part] : [separator, part])));

/** `open a, b close`, or one item on each line. `pad` puts a space inside the brackets of the flat form. */
export const bracketed = (open: string, items: readonly Doc[], close: string, pad = false): Doc =>
  items.length === 0
    ? `${open}${close}`
    : group(
        concat(
          open,
          indent(concat(pad ? line : softline, join(concat(",", line), items))),
          pad ? line : softline,
          close,
        ),
      );

type Item = { readonly indent: number; readonly isFlat: boolean; readonly doc: Doc };

/** Lays `doc` out within `width` columns where it can be; `column` is where it starts, `base` the indent of its lines. */
export function layOut(doc: Doc, width: number, column = 0, base = 0): string {
  let out = "";
  let at = column;
  const stack: Item[] = [{ indent: base, isFlat: false, doc }];
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    const { doc: current } = item;
    if (typeof current === "string") {
      out += current;
      const newline = current.lastIndexOf("\n");
      at = newline === -1 ? at + current.length : current.length - newline - 1;
      continue;
    }
    switch (current.kind) {
      case "concat":
        for (let i = current.parts.length - 1; i >= 0; i -= 1) {
          stack.push({ ...item, doc: current.parts[i] ?? "" });
        }
        break;
      case "indent":
        stack.push({ ...item, indent: item.indent + 2, doc: current.content });
        break;
      case "group":
        stack.push({ ...item, isFlat: item.isFlat || fits(current.content, width - at), doc: current.content });
        break;
      case "line":
      case "softline":
        if (item.isFlat) {
          out += current.kind === "line" ? " " : "";
          at += current.kind === "line" ? 1 : 0;
        } else {
          out += `\n${" ".repeat(item.indent)}`;
          at = item.indent;
        }
    }
  }
  return out;
}

/** Whether the flat form takes at most `room` columns. */
function fits(doc: Doc, room: number): boolean {
  let left = room;
  const stack: Doc[] = [doc];
  for (let current = stack.pop(); current !== undefined; current = stack.pop()) {
    if (left < 0) return false;
    if (typeof current === "string") left -= current.length;
    else if (current.kind === "line") left -= 1;
    else if (current.kind === "concat") {
      for (let i = current.parts.length - 1; i >= 0; i -= 1) stack.push(current.parts[i] ?? "");
    } else if (current.kind !== "softline") stack.push(current.content);
  }
  return left >= 0;
}

/** On one line, whatever its length. */
export const flat = (doc: Doc): string => layOut(group(doc), Number.POSITIVE_INFINITY);
