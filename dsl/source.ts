// offset -> line and column, and back

/** 1-based, columns in UTF-16 code units. */
export type Position = { readonly line: number; readonly column: number };

/** The lines of a text; `\r\n` and `\n` end one. Built once per text: looking a place up is a binary search. */
export class LineMap {
  readonly text: string;
  readonly #starts: number[] = [0];

  constructor(text: string) {
    this.text = text;
    for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  get lineCount(): number {
    return this.#starts.length;
  }

  positionOf(offset: number): Position {
    const line = this.#lineIndexOf(offset);
    return { line: line + 1, column: Math.max(0, offset - (this.#starts[line] ?? 0)) + 1 };
  }

  /** Places beyond a line's end or the text's end are pulled back to it. */
  offsetOf(position: Position): number {
    const start = this.#starts[position.line - 1];
    if (start === undefined) return position.line < 1 ? 0 : this.text.length;
    return Math.min(start + Math.max(0, position.column - 1), start + this.lineText(position.line).length);
  }

  /** Without its line break; empty beyond the end. */
  lineText(line: number): string {
    const start = this.#starts[line - 1];
    if (start === undefined) return "";
    const end = (this.#starts[line] ?? this.text.length + 1) - 1;
    return this.text.slice(start, this.text[end - 1] === "\r" ? end - 1 : end);
  }

  #lineIndexOf(offset: number): number {
    let low = 0;
    let high = this.#starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
