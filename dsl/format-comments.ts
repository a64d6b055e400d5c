// comments -> the lines they are printed on
import type { Span } from "../engine/lib/span.ts";

export type SourceComment = {
  readonly span: Span;
  readonly text: string;
  readonly isDoc: boolean;
  readonly isAlone: boolean;
};

type Leading = {
  readonly lines: readonly string[];
  /** An empty line stood before the first of them. */
  readonly startsWithGap: boolean;
  /** An empty line stands between the last of them and the item. */
  readonly endsWithGap: boolean;
};

/** Hands out each comment once, in order: above the item it precedes, behind the item it follows, or at the end. */
export class CommentQueue {
  readonly #text: string;
  readonly #comments: readonly SourceComment[];
  #next = 0;

  constructor(text: string, comments: readonly SourceComment[]) {
    this.#text = text;
    this.#comments = comments;
  }

  /**
   * The comments before the end of `span` that are not printed yet. Those inside it (in the middle of an expression) come
   * first and lose their doc mark, so that the documentation stays right above what it documents.
   */
  leading(span: Span, indent: string): Leading {
    const taken: SourceComment[] = [];
    for (
      let c = this.#comments[this.#next];
      c !== undefined && c.span.start < span.end;
      c = this.#comments[this.#next]
    ) {
      taken.push(c);
      this.#next += 1;
    }
    const inside = taken.filter((c) => c.span.start >= span.start).map((c) => `${indent}${written(c.text, false)}`);
    const above = taken.filter((c) => c.span.start < span.start);
    const lines: string[] = [];
    for (const [i, comment] of above.entries()) {
      if (i > 0 && this.#hasGapBefore(comment)) lines.push("");
      lines.push(`${indent}${written(comment.text, comment.isDoc)}`);
    }
    const last = above.at(-1);
    const isApart = last !== undefined && this.#hasGap(last.span.end, span.start);
    const gap = isApart ? [""] : [];
    const first = above[0];
    const ordered = isApart ? [...lines, ...gap, ...inside] : [...inside, ...lines];
    return { lines: ordered, startsWithGap: first !== undefined && this.#hasGapBefore(first), endsWithGap: isApart };
  }

  /** ` # …` where a comment follows on the same line. */
  trailing(end: number): string {
    return this.#takeIf((between) => /^[ \t]*$/.test(between), end);
  }

  /** The same, with a mark such as `|` allowed in between. */
  trailingOnLine(end: number): string {
    return this.#takeIf((between) => !between.includes("\n"), end);
  }

  rest(): readonly string[] {
    const left = this.#comments.slice(this.#next);
    this.#next = this.#comments.length;
    return left.flatMap((comment, i) => [
      ...(i > 0 && this.#hasGapBefore(comment) ? [""] : []),
      written(comment.text, comment.isDoc),
    ]);
  }

  #takeIf(isNear: (between: string) => boolean, end: number): string {
    const comment = this.#comments[this.#next];
    if (comment === undefined || comment.span.start < end || comment.span.start > end + 1_000) return "";
    if (!isNear(this.#text.slice(end, comment.span.start))) return "";
    this.#next += 1;
    return ` ${written(comment.text, comment.isDoc)}`;
  }

  #hasGapBefore(comment: SourceComment): boolean {
    return /\n[ \t\r]*\n[ \t\r]*$/.test(this.#text.slice(Math.max(0, comment.span.start - 1_000), comment.span.start));
  }

  #hasGap(from: number, to: number): boolean {
    return /\n[ \t\r]*\n/.test(this.#text.slice(from, to));
  }
}

const written = (text: string, isDoc: boolean): string => `${isDoc ? "##" : "#"}${text === "" ? "" : ` ${text}`}`;
