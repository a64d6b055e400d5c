// text, cut anywhere -> masked text: a line at a time, a private key as the one value that spans lines
import { limits } from "../limits.ts";
import { Counted, type CountLimit, type Transformer, unreadable } from "./content-fault.ts";
import { maskNestedText } from "./json-stream.ts";
import { type ContentMasks, maskText } from "./masker.ts";

/** Lines with their ends (`\n`, `\r\n`); a `\r` alone is a character of its line. */
export class LineSplitter {
  #rest = "";

  push(piece: string): readonly string[] {
    const text = this.#rest + piece;
    const lines: string[] = [];
    let start = 0;
    for (let end = text.indexOf("\n", this.#rest.length); end >= 0; end = text.indexOf("\n", start)) {
      lines.push(text.slice(start, end + 1));
      start = end + 1;
    }
    this.#rest = text.slice(start);
    if (this.#rest.length > limits.contentLineCharsMax) throw unreadable("a line that is too long");
    return lines;
  }

  end(): readonly string[] {
    const last = this.#rest;
    this.#rest = "";
    return last === "" ? [] : [last];
  }
}

const keyBegin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/;
const keyEnd = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/;

export class TextTransformer implements Transformer {
  readonly #masks: ContentMasks;
  readonly #lines = new LineSplitter();
  readonly #counted: Counted;
  readonly #hidesKeys: boolean;
  #isInKey = false;

  constructor(masks: ContentMasks, rows: CountLimit | undefined) {
    this.#masks = masks;
    this.#counted = new Counted(rows);
    this.#hidesKeys = masks.kinds.some(({ kind }) => kind === "private_key");
  }

  count = (): number => this.#counted.count;
  push = (piece: string): string =>
    this.#lines
      .push(piece)
      .map((line) => this.#line(line))
      .join("");
  end = (): string =>
    this.#lines
      .end()
      .map((line) => this.#line(line))
      .join("");

  #line(line: string): string {
    this.#counted.add();
    if (this.#isInKey) {
      const end = keyEnd.exec(line);
      if (!end) return "";
      this.#isInKey = false;
      return this.#line(line.slice(end.index + end[0].length));
    }
    const begin = this.#hidesKeys ? keyBegin.exec(line) : null;
    if (begin && !keyEnd.test(line.slice(begin.index))) {
      this.#isInKey = true;
      return maskText(line, this.#masks);
    }
    // A line may be JSON, whose escapes hide values.
    const end = /\r?\n$/.exec(line)?.index ?? line.length;
    return maskNestedText(line.slice(0, end), this.#masks, 0) + line.slice(end);
  }
}
