// CSV, cut anywhere -> CSV with masked cells (RFC 4180)
import type { JsonPath } from "../lib/json-path.ts";
import { limits } from "../limits.ts";
import { joinMasks, type Mask } from "../model/mask.ts";
import { Counted, type CountLimit, type Transformer, unreadable } from "./content-fault.ts";
import { maskNestedText } from "./json-stream.ts";
import { maskString } from "./mask-value.ts";
import type { ContentMasks, PathMask } from "./masker.ts";

export type CsvOptions = {
  readonly masks: ContentMasks;
  readonly rows: CountLimit | undefined;
  readonly separator: "," | "\t";
  /** `header=present` says that the first record names the columns; without it, a mask must find one of its names there. */
  readonly hasHeader: boolean;
};

const columnsMax = 10_000;

/**
 * A path names the column that its last step names: rows have no other places. A path that ends in `[*]` or an index
 * names every column.
 */
export class CsvTransformer implements Transformer {
  readonly #options: CsvOptions;
  readonly #counted: Counted;
  /** Of the record at hand. */
  #cells: string[] = [];
  #cell = "";
  /** Where the reader stands in a cell. */
  #state: "start" | "plain" | "quoted" | "quote-in-quoted" = "start";
  /** A `\r` that may be followed by `\n`. */
  #sawReturn = false;
  #columns: readonly (Mask | undefined)[] | undefined;

  constructor(options: CsvOptions) {
    this.#options = options;
    this.#counted = new Counted(options.rows);
  }

  count = (): number => this.#counted.count;

  push = (piece: string): string => {
    let out = "";
    for (const c of piece) out += this.#character(c);
    return out;
  };

  end = (): string => {
    if (this.#state === "quoted") throw unreadable("CSV that ends within quotes");
    if (this.#state === "start" && this.#cells.length === 0) return "";
    return this.#endRecord("");
  };

  #character(c: string): string {
    if (this.#sawReturn) {
      this.#sawReturn = false;
      const record = this.#endRecord(c === "\n" ? "\r\n" : "\r");
      return c === "\n" ? record : record + this.#character(c);
    }
    switch (this.#state) {
      case "quoted":
        if (c === '"') this.#state = "quote-in-quoted";
        else this.#append(c);
        return "";
      case "quote-in-quoted":
        if (c === '"') {
          this.#state = "quoted";
          this.#append(c);
          return "";
        }
        if (c !== this.#options.separator && c !== "\r" && c !== "\n")
          throw unreadable("CSV with text behind a quoted cell");
        return this.#delimiter(c);
      case "start":
        if (c === '"') {
          this.#state = "quoted";
          return "";
        }
        return this.#plain(c);
      case "plain":
        return this.#plain(c);
      default:
        return this.#state satisfies never;
    }
  }

  #plain(c: string): string {
    if (c === this.#options.separator || c === "\r" || c === "\n") return this.#delimiter(c);
    if (c === '"') throw unreadable("CSV with a quote inside of a cell");
    this.#state = "plain";
    this.#append(c);
    return "";
  }

  #delimiter(c: string): string {
    if (c === "\r") {
      this.#sawReturn = true;
      return "";
    }
    if (c === "\n") return this.#endRecord("\n");
    this.#endCell();
    return "";
  }

  #append(c: string): void {
    this.#cell += c;
    if (this.#cell.length > limits.contentLineCharsMax) throw unreadable("a cell that is too long");
  }

  #endCell(): void {
    this.#cells.push(this.#cell);
    if (this.#cells.length > columnsMax) throw unreadable("CSV with too many columns");
    this.#cell = "";
    this.#state = "start";
  }

  #endRecord(lineEnd: string): string {
    this.#endCell();
    const cells = this.#cells;
    this.#cells = [];
    if (cells.length === 1 && cells[0] === "") return lineEnd;
    const { separator, masks } = this.#options;
    const columns = this.#columns;
    if (columns === undefined) {
      this.#columns = this.#readHeader(cells);
      return cells.map((cell) => this.#write(maskNestedText(cell, masks, 0))).join(separator) + lineEnd;
    }
    this.#counted.add();
    if (columns.length !== cells.length && masks.paths.length > 0)
      throw unreadable("CSV whose records differ in length");
    const shown = cells.map((cell, i) => {
      const mask = columns[i];
      return this.#write(mask === undefined ? maskNestedText(cell, masks, 0) : maskCell(cell, mask, masks));
    });
    return shown.join(separator) + lineEnd;
  }

  #readHeader(names: readonly string[]): readonly (Mask | undefined)[] {
    const { paths } = this.#options.masks;
    // Separated otherwise than its type says, several columns would have one name.
    if (paths.length > 0 && names.some((name) => otherSeparators.test(name.replaceAll(this.#options.separator, "")))) {
      throw unreadable("CSV whose columns can't be told apart");
    }
    const columns = names.map((name) =>
      joinMasks(paths.filter(({ path }) => namesColumn(path, name)).map(({ mask }) => mask)),
    );
    const isTrusted = paths.length === 0 || this.#options.hasHeader || columns.some((mask) => mask !== undefined);
    if (!isTrusted) throw unreadable("CSV without the columns that a mask names");
    return columns;
  }

  #write(cell: string): string {
    return /["\r\n]/.test(cell) || cell.includes(this.#options.separator) ? `"${cell.replaceAll('"', '""')}"` : cell;
  }
}

const otherSeparators = /[;|\t]/;

/** Case and blanks of a header say nothing, nor do the names of what a document was flattened from: a mask that might be meant holds. */
function namesColumn(path: JsonPath, name: string): boolean {
  const last = path.at(-1);
  if (last === undefined || !("name" in last)) return true;
  const wanted = last.name.toLowerCase();
  const own = name.trim().toLowerCase();
  return own === wanted || own.split(/[./]/).at(-1) === wanted;
}

const maskCell = (cell: string, mask: PathMask["mask"], { key }: ContentMasks): string =>
  cell === "" ? "" : maskString(cell, mask, key);
